//! One result in full: an escape, another verdict that is not green, its legs.

use probes::Guard;
use probes::wire::Record;

use super::results::{refused_by, time};
use crate::describe;
use crate::model::{Leg, Observation, Outcome, ProbeResult, SandboxFacts};
use crate::sanitise;
use crate::terminal::{FAINT, labelled, paint, paragraph, verdict_style};

/// The longest text of a probe's or a launcher's that is shown.
const TEXT_MAX: usize = 400;

/// How many lines of a launcher's output are shown, and how much of each.
const OUTPUT_LINES: usize = 3;
const OUTPUT_MAX: usize = 160;

const LABEL: usize = 12;

/// An escape: what got out, how that was seen, what would stop it.
pub(super) fn escape(result: &ProbeResult, sandbox: &SandboxFacts, width: usize) -> String {
    let mut text = title(result);
    let mut row = |label: &str, value: &str| {
        text.push_str(&labelled(4, label, LABEL, value, width));
    };
    row("attempt", &result.title);
    if let Some(product) = &result.legs.product {
        if let Observation::Touched { evidence } = &product.observation {
            row("evidence", &sanitise::line(evidence, TEXT_MAX));
        }
        row("probe says", &account(product));
    }
    for stop in stops(result, sandbox) {
        row("stopped by", &stop);
    }
    row("remedy", &result.remedy);
    text
}

/// What was seen to stop the probe in this run, and is not in this sandbox.
fn stops(result: &ProbeResult, sandbox: &SandboxFacts) -> Vec<String> {
    let lacks = |guards: &[Guard]| guards.iter().any(|guard| !sandbox.guards.contains(guard));
    result
        .legs
        .only
        .iter()
        .filter(|only| only.leg.observation == Observation::Clean && lacks(&only.guards))
        .map(|only| {
            let guards = describe::guards(&only.guards, " + ");
            format!("{guards}, seen to hold alone ({})", refused_by(&only.leg))
        })
        .collect()
}

/// Results that are neither an escape nor green and have the same reason: why,
/// and the launcher's words.
pub(super) fn other(results: &[&ProbeResult], width: usize) -> String {
    let Some((first, rest)) = results.split_first() else {
        return String::new();
    };
    let mut text = match rest.len() {
        0 => title(first),
        others => {
            let verdict = paint(verdict_style(first.verdict), first.verdict.name());
            format!("\n  {verdict}  {} probes\n", others + 1)
        }
    };
    let reason = sanitise::line(&first.reason, TEXT_MAX);
    text.push_str(&paragraph(4, &reason, width));
    let printed = first.legs.product.as_ref().map(|leg| leg.output.as_str());
    for line in sanitise::tail(printed.unwrap_or_default(), OUTPUT_LINES, OUTPUT_MAX) {
        text.push_str(&labelled(4, "output", LABEL, &line, width));
    }
    if !rest.is_empty() {
        let names: Vec<&str> = results.iter().map(|result| result.probe.as_str()).collect();
        text.push_str(&labelled(4, "probes", LABEL, &names.join(", "), width));
    }
    text
}

fn title(result: &ProbeResult) -> String {
    let verdict = paint(verdict_style(result.verdict), result.verdict.name());
    let class = describe::name(&result.class);
    let proof = describe::name(&result.proof);
    let facts = paint(FAINT, &format!("({class}, proves {proof})"));
    format!("\n  {verdict}  {}  {facts}\n", result.probe)
}

/// How the probe fared by its own account.
fn account(leg: &Leg) -> String {
    let succeeded = leg.records.iter().rev().find_map(|record| match record {
        Record::Attempted { call, errno: None } => Some(sanitise::line(call, TEXT_MAX)),
        _ => None,
    });
    match (&leg.outcome, succeeded) {
        (Outcome::Succeeded, Some(call)) => format!("{call} succeeded"),
        _ => refused_by(leg),
    }
}

/// Each leg of a result in a line, for `--verbose`.
pub(super) fn legs(result: &ProbeResult, width: usize) -> String {
    let mut text = title(result);
    text.push_str(&paragraph(
        4,
        &sanitise::line(&result.reason, TEXT_MAX),
        width,
    ));
    let legs = &result.legs;
    if let Some(bare) = &legs.bare {
        text.push_str(&leg("bare", bare, "", width));
    }
    for only in &legs.only {
        let mut note = String::new();
        if !only.pulled_in.is_empty() {
            note.push_str(", with ");
            note.push_str(&describe::guards(&only.pulled_in, ", "));
        }
        if !only.as_declared {
            note.push_str(", not as declared");
        }
        let name = format!("only {}", describe::guards(&only.guards, " + "));
        text.push_str(&leg(&name, &only.leg, &note, width));
    }
    if let Some(product) = &legs.product {
        text.push_str(&leg("sandbox", product, "", width));
    }
    text
}

fn leg(name: &str, leg: &Leg, note: &str, width: usize) -> String {
    let seen = match &leg.observation {
        Observation::Clean => "clean".to_owned(),
        Observation::Touched { evidence } => {
            format!("touched: {}", sanitise::line(evidence, TEXT_MAX))
        }
        Observation::Unknown { reason } => {
            format!("not seen: {}", sanitise::line(reason, TEXT_MAX))
        }
    };
    let exit = sanitise::line(&leg.exit, TEXT_MAX);
    let torn = match leg.rejected_frames {
        0 => String::new(),
        count => format!(", {count} frames rejected"),
    };
    let line = format!(
        "{seen}; probe: {}; {exit}, {}{torn}{note}",
        account(leg),
        time(leg.micros)
    );
    if name.len() + 2 > LABEL {
        return format!(
            "    {}\n{}",
            paint(FAINT, name),
            paragraph(4 + LABEL, &line, width)
        );
    }
    labelled(4, name, LABEL, &line, width)
}
