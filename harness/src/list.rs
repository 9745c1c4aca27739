//! `escapology list`: what is attempted, in what, and what that shows.

use std::collections::BTreeMap;

use probes::{Class, Registered};
use sandbox_core::Host;
use serde_json::json;

use crate::claims::{Claim, State};
use crate::describe;
use crate::model::{SandboxFacts, Verdict};
use crate::table::Columns;
use crate::terminal::{STRONG, labelled, paint, paragraph, verdict_style};

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

/// The source documents' claims and what shows each, for people.
pub fn claims(claims: &[Claim], host: &Host, width: usize) -> String {
    const STATE: usize = 13;
    const LABEL: usize = 5;
    let mut text = String::new();
    let mut shown = 0;
    for claim in claims {
        let (name, style, why, label) = match claim.state(host) {
            State::Shown => {
                shown += 1;
                ("shown", Verdict::Contained, String::new(), "")
            }
            State::NotYet { missing } => ("not yet", Verdict::Vacuous, missing, "open:"),
            State::Unsupported { reason } => ("unsupported", Verdict::Unsupported, reason, "here:"),
        };
        let first = labelled(
            0,
            &format!("{:LABEL$}{name}", claim.id),
            LABEL + STATE,
            &claim.text,
            width,
        );
        text.push_str(&first.replacen(name, &paint(verdict_style(style), name), 1));
        let mut row = |label: &str, value: &str| {
            if !value.is_empty() {
                let value = format!("{label} {value}");
                text.push_str(&paragraph(LABEL + STATE, &value, width));
            }
        };
        let probes: Vec<&str> = claim.probes().iter().map(|probe| probe.id).collect();
        row(label, &why);
        row("probes:", &probes.join(", "));
        // The files are for programs: a name is found, and fits a line.
        let tests: Vec<&str> = claim
            .tests
            .iter()
            .map(|test| test.rsplit("::").next().unwrap_or(test))
            .collect();
        row("tests:", &tests.join(", "));
        let strategies: Vec<String> = claim.strategies.iter().map(describe::name).collect();
        row("strategies:", &strategies.join(", "));
    }
    text.push_str(&format!("\n{shown} of {} claims shown.\n", claims.len()));
    text
}

/// The same for programs.
pub fn claims_json(claims: &[Claim], host: &Host) -> serde_json::Value {
    let claims: Vec<_> = claims
        .iter()
        .map(|claim| {
            let probes: Vec<_> = claim.probes().iter().map(|probe| probe.id).collect();
            let mut row = json!({
                "claim": claim.id,
                "text": claim.text,
                "probes": probes,
                "tests": claim.tests,
                "strategies": claim.strategies,
            });
            if let (Some(row), serde_json::Value::Object(state)) =
                (row.as_object_mut(), json!(claim.state(host)))
            {
                row.extend(state);
            }
            row
        })
        .collect();
    json!({ "schema": "escapology.claims/1", "claims": claims })
}
