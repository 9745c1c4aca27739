//! All results of a sandbox in a table, by class.

use std::collections::BTreeMap;

use probes::Class;
use probes::wire::Record;

use crate::describe;
use crate::model::{Leg, Outcome, ProbeResult, Verdict};
use crate::sanitise;
use crate::table::Columns;
use crate::terminal::{STRONG, paint, verdict_style};

/// The longest call or name in the table.
const CALL_MAX: usize = 60;

const HEADER: [&str; 5] = ["probe", "verdict", "depth", "time", "refused by"];

/// The table, one line a probe.
pub(super) fn table(results: &[&ProbeResult], width: usize) -> String {
    let mut classes: BTreeMap<Class, Vec<&ProbeResult>> = BTreeMap::new();
    for &result in results {
        classes.entry(result.class).or_default().push(result);
    }
    let mut table = Columns::new(2, width, HEADER.len() - 1);
    table.header(&HEADER);
    for (class, results) in &mut classes {
        results.sort_by(|one, other| one.probe.cmp(&other.probe));
        table.heading(&describe::name(class));
        for result in results {
            table.row(row(result));
        }
    }
    table.align_right(2);
    table.align_right(3);
    let headings: Vec<String> = classes.keys().map(describe::name).collect();
    let mut text = String::new();
    for (index, line) in table.lines().into_iter().enumerate() {
        let is_heading = index == 0 || headings.iter().any(|heading| heading == line.trim());
        text.push_str(&if is_heading {
            paint(STRONG, &line)
        } else {
            coloured(&line)
        });
        text.push('\n');
    }
    text
}

fn row(result: &ProbeResult) -> Vec<String> {
    let product = result.legs.product.as_ref();
    vec![
        format!("  {}", result.probe),
        result.verdict.name().to_owned(),
        result
            .depth
            .map_or_else(|| "-".to_owned(), |depth| depth.to_string()),
        product.map_or_else(|| "-".to_owned(), |leg| time(leg.micros)),
        match result.observed() {
            Verdict::Escaped => "nothing".to_owned(),
            _ => product.map_or_else(|| "-".to_owned(), refused_by),
        },
    ]
}

/// Colours the verdict in a line. Done after the layout, which would count the
/// colours as text.
fn coloured(line: &str) -> String {
    let words = Verdict::ALL
        .into_iter()
        .filter_map(|verdict| Some((line.find(&format!(" {} ", verdict.name()))?, verdict)));
    match words.min_by_key(|&(at, _)| at) {
        Some((at, verdict)) => {
            let start = at + 1;
            let end = start + verdict.name().len();
            let word = paint(verdict_style(verdict), &line[start..end]);
            format!("{}{word}{}", &line[..start], &line[end..])
        }
        None => line.to_owned(),
    }
}

/// What refused a probe: the call and its errno, or how else it fared.
pub(super) fn refused_by(leg: &Leg) -> String {
    match leg.outcome {
        Outcome::Succeeded => "no effect".to_owned(),
        Outcome::Refused => match (&leg.call, leg.errno) {
            (Some(call), Some(errno)) => {
                let call = sanitise::line(call, CALL_MAX);
                format!("{call} {}", describe::errno(errno))
            }
            _ => "refused".to_owned(),
        },
        Outcome::Absent => absent(leg),
        Outcome::Idle => "no attempt".to_owned(),
        Outcome::Killed(signal) => format!("killed by {}", describe::signal(signal)),
        Outcome::Cut => "ended early".to_owned(),
        Outcome::TimedOut => "deadline".to_owned(),
        Outcome::NotStarted => "never started".to_owned(),
        Outcome::LaunchFailed => "launch failed".to_owned(),
    }
}

fn absent(leg: &Leg) -> String {
    let what = leg.records.iter().find_map(|record| match record {
        Record::Missing { what } => Some(sanitise::line(what, CALL_MAX)),
        _ => None,
    });
    what.map_or_else(|| "absent".to_owned(), |what| format!("{what} absent"))
}

/// A leg's time, short.
pub(super) fn time(micros: u64) -> String {
    match micros {
        0..10_000 => format!("{}.{} ms", micros / 1000, micros % 1000 / 100),
        10_000..10_000_000 => format!("{} ms", micros / 1000),
        _ => format!("{} s", micros / 1_000_000),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(0, "0.0 ms")]
    #[case(1_250, "1.2 ms")]
    #[case(9_999, "9.9 ms")]
    #[case(10_000, "10 ms")]
    #[case(20_000_000, "20 s")]
    fn times_are_short(#[case] micros: u64, #[case] expected: &str) {
        assert_eq!(time(micros), expected);
    }
}
