//! `escapology explain`: one probe in full.

use probes::Registered;

use crate::describe;
use crate::terminal::{STRONG, labelled, paint, paragraph};

/// Columns that the labels take.
const LABEL: usize = 12;

/// All that is known of a probe, for people.
pub fn explain(registered: &Registered, width: usize) -> String {
    let probe = &registered.probe;
    let mut text = paint(STRONG, registered.id);
    text.push('\n');
    for part in registered.doc.split("\n\n") {
        text.push_str(&documentation(part, width));
        text.push('\n');
    }
    let mut row = |label: &str, value: &str| {
        text.push_str(&labelled(2, label, LABEL, value, width));
    };
    row("class", &named(&probe.class));
    row("canary", &named(&probe.canary));
    row("proves", &named(&probe.proof));
    for (index, stop) in probe.stops.iter().enumerate() {
        let label = if index == 0 { "stopped by" } else { "or by" };
        let guards = describe::stop(stop);
        row(
            label,
            &format!("{guards}: {}", describe::refusal(stop.refusal)),
        );
    }
    let needs: Vec<String> = probe.needs.iter().copied().map(describe::need).collect();
    row("needs", &or_nothing(&needs.join(", ")));
    if !probe.claims.is_empty() {
        row("claims", &probe.claims.join(", "));
    }
    row("references", &probe.refs.join(", "));
    row("remedy", probe.remedy);
    row(
        "run it",
        &format!("escapology run --probe {}", registered.id),
    );
    text
}

/// A paragraph is wrapped anew; what is set apart by spaces stands as it is.
fn documentation(part: &str, width: usize) -> String {
    let part = part.trim_matches('\n');
    let set_apart = part
        .lines()
        .any(|line| line.starts_with("    ") || line.trim_start().starts_with(['-', '*', '|']));
    if set_apart {
        return part.lines().map(|line| format!("  {line}\n")).collect();
    }
    let words: Vec<&str> = part.split_whitespace().collect();
    paragraph(2, &words.join(" "), width)
}

fn named<T: serde::Serialize + schemars::JsonSchema>(value: &T) -> String {
    let sentence = describe::sentence(value);
    format!("{}: {sentence}", describe::name(value))
}

fn or_nothing(text: &str) -> String {
    match text {
        "" => "nothing".to_owned(),
        text => text.to_owned(),
    }
}
