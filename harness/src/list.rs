//! `escapology list`: what is attempted, and in what.

use std::collections::BTreeMap;

use probes::{Class, Registered};
use serde_json::json;

use crate::describe;
use crate::model::SandboxFacts;
use crate::table::Columns;
use crate::terminal::{STRONG, labelled, paint, paragraph};

/// The probes by class, for people.
pub fn probes(probes: &[Registered], width: usize) -> String {
    let mut classes: BTreeMap<Class, Vec<&Registered>> = BTreeMap::new();
    for probe in probes {
        classes.entry(probe.probe.class).or_default().push(probe);
    }
    let mut table = Columns::new(0, width, 2);
    for (class, probes) in &classes {
        table.heading(&describe::name(class));
        for probe in probes {
            table.row(vec![
                format!("  {}", probe.id),
                describe::name(&probe.probe.proof),
                stops(probe, "; "),
                probe.title().to_owned(),
            ]);
        }
    }
    table.header(&["probe", "proves", "stopped by any of", "attempt"]);
    let mut text = String::new();
    for (index, line) in table.lines().into_iter().enumerate() {
        let heading = index == 0 || classes.keys().any(|class| describe::name(class) == line);
        text.push_str(&if heading { paint(STRONG, &line) } else { line });
        text.push('\n');
    }
    let count = probes.len();
    let noun = if count == 1 { "probe" } else { "probes" };
    text.push_str(&format!(
        "\n{count} {noun}. escapology explain PROBE says more of one.\n"
    ));
    text
}

/// The same for programs.
pub fn probes_json(probes: &[Registered]) -> serde_json::Value {
    let probes: Vec<_> = probes
        .iter()
        .map(|registered| {
            let probe = &registered.probe;
            let stops: Vec<_> = probe.stops.iter().map(|stop| stop.guards).collect();
            json!({
                "probe": registered.id,
                "title": registered.title(),
                "class": probe.class,
                "canary": probe.canary,
                "proof": probe.proof,
                "stops": stops,
                "needs": probe.needs,
                "claims": probe.claims,
                "refs": probe.refs,
                "remedy": probe.remedy,
            })
        })
        .collect();
    json!({ "schema": "escapology.probes/1", "probes": probes })
}

/// The sandboxes, for people.
pub fn sandboxes(sandboxes: &[SandboxFacts], width: usize) -> String {
    let mut text = String::new();
    for sandbox in sandboxes {
        text.push_str(&paint(STRONG, &sandbox.name));
        text.push('\n');
        text.push_str(&paragraph(2, &sandbox.description, width));
        let guards = match sandbox.guards.as_slice() {
            [] => "none".to_owned(),
            guards => describe::guards(guards, ", "),
        };
        text.push_str(&labelled(2, "protections", 13, &guards, width));
    }
    text
}

/// The same for programs.
pub fn sandboxes_json(sandboxes: &[SandboxFacts]) -> serde_json::Value {
    json!({ "schema": "escapology.sandboxes/1", "sandboxes": sandboxes })
}

fn stops(probe: &Registered, between: &str) -> String {
    let stops: Vec<String> = probe.probe.stops.iter().map(describe::stop).collect();
    stops.join(between)
}
