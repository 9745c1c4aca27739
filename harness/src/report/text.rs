//! The report for people: what got out first, what to do about it, then the rest.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{ablation, finding, results};
use crate::cli::Verbosity;
use crate::describe;
use crate::exit_code;
use crate::model::{ProbeResult, Report, SandboxFacts, Verdict};
use crate::sanitise;
use crate::terminal::{FAINT, STRONG, TIE, hanging, labelled, paint, paragraph, verdict_style};

/// The longest name or command line that is shown.
const NAME_MAX: usize = 200;

/// The whole report, with colours.
pub fn text(report: &Report, width: usize, verbosity: Verbosity) -> String {
    let mut text = heading(report);
    for sandbox in &report.sandboxes {
        text.push('\n');
        text.push_str(&of_sandbox(report, sandbox, width, verbosity));
    }
    for ablation in &report.ablation {
        text.push('\n');
        text.push_str(&ablation::ablation(ablation, width));
    }
    text.push('\n');
    text.push_str(&summary(report, width, verbosity));
    text
}

fn heading(report: &Report) -> String {
    let host = &report.host;
    let name = paint(STRONG, &format!("escapology {}", report.version));
    let kernel = sanitise::line(&host.kernel, NAME_MAX);
    let arena = sanitise::line(&host.arena, NAME_MAX);
    format!(
        "{name}  Linux {kernel} {}, uid {}, arena: {arena}\n",
        host.machine, host.uid
    )
}

fn of_sandbox(
    report: &Report,
    sandbox: &SandboxFacts,
    width: usize,
    verbosity: Verbosity,
) -> String {
    let mut text = about(sandbox, width);
    let mut results: Vec<&ProbeResult> = report
        .results
        .iter()
        .filter(|result| result.sandbox == sandbox.name)
        .collect();
    if results.is_empty() {
        text.push_str("  no results\n");
        return text;
    }
    // Worst verdict first, and of escapes the one that proves most.
    results.sort_by_key(|result| (result.verdict, std::cmp::Reverse(result.proof)));
    for result in results
        .iter()
        .filter(|result| result.verdict == Verdict::Escaped)
    {
        text.push_str(&finding::escape(result, sandbox, width));
    }
    for alike in alike(&results) {
        text.push_str(&finding::other(&alike, width));
    }
    if !verbosity.quiet {
        text.push('\n');
        text.push_str(&results::table(&results, width));
    }
    if verbosity.verbose {
        for result in &results {
            text.push_str(&finding::legs(result, width));
        }
    }
    // Of one sandbox the last lines say the same.
    if report.sandboxes.len() > 1
        && let Some(counts) = report.summary.sandboxes.get(&sandbox.name)
    {
        text.push('\n');
        let line = format!("{} results: {}", results.len(), counted(counts));
        text.push_str(&hanging(2, &line, width));
    }
    text
}

/// What is neither an escape nor green, put together where the reason is the
/// same: a launcher that does not start fails every probe alike.
fn alike<'a>(results: &[&'a ProbeResult]) -> Vec<Vec<&'a ProbeResult>> {
    let mut groups: Vec<Vec<&ProbeResult>> = Vec::new();
    for &result in results {
        if matches!(result.verdict, Verdict::Escaped | Verdict::Contained) {
            continue;
        }
        let same = |group: &&mut Vec<&ProbeResult>| {
            group.first().is_some_and(|first| {
                first.verdict == result.verdict && first.reason == result.reason
            })
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.push(result),
            None => groups.push(vec![result]),
        }
    }
    groups
}

fn about(sandbox: &SandboxFacts, width: usize) -> String {
    let mut text = paint(STRONG, &sanitise::line(&sandbox.name, NAME_MAX));
    text.push('\n');
    text.push_str(&paragraph(
        2,
        &sanitise::line(&sandbox.description, NAME_MAX),
        width,
    ));
    if !sandbox.command.is_empty() {
        let command = sanitise::line(&sandbox.command.join(" "), NAME_MAX);
        text.push_str(&labelled(2, "command", 13, &command, width));
    }
    if !sandbox.guards.is_empty() {
        let guards = describe::guards(&sandbox.guards, ", ");
        text.push_str(&labelled(2, "protections", 13, &guards, width));
    }
    if !sandbox.degraded.is_empty() {
        let lost = sanitise::line(&sandbox.degraded.join(", "), NAME_MAX);
        text.push_str(&labelled(2, "not applied", 13, &lost, width));
    }
    text
}

fn summary(report: &Report, width: usize, verbosity: Verbosity) -> String {
    let mut text = String::new();
    let single = &report.summary.single_points_of_failure;
    if !single.is_empty() && !verbosity.quiet {
        text.push_str(&paint(STRONG, "single points of failure"));
        text.push_str(", each held by one protection alone:\n");
        let names: Vec<String> = single
            .iter()
            .map(|name| sanitise::line(name, NAME_MAX))
            .collect();
        text.push_str(&paragraph(2, &names.join(", "), width));
        text.push('\n');
    }
    let total = report.summary.total;
    let time = humantime::format_duration(Duration::from_millis(report.duration_ms));
    let counts = counted(&report.summary.verdicts);
    let line = format!("{total} results in {time}: {counts}");
    text.push_str(&hanging(0, &line, width));
    text.push_str(&hanging(0, &exit(report), width));
    text
}

fn exit(report: &Report) -> String {
    let code = report.gate.exit_code;
    let meaning = exit_code::meaning(code);
    let style = verdict_style(match code {
        exit_code::GREEN => Verdict::Contained,
        exit_code::EVIDENCE_MISSING => Verdict::Vacuous,
        _ => Verdict::Escaped,
    });
    let first = paint(style, &format!("exit code {code}: {meaning}"));
    let reasons: Vec<String> = report
        .gate
        .reasons
        .iter()
        .map(|reason| sanitise::line(reason, NAME_MAX).replace(' ', &TIE.to_string()))
        .collect();
    match reasons.as_slice() {
        [] => first,
        reasons => format!("{first} ({})", reasons.join("; ")),
    }
}

/// `2 escaped, 1 vacuous, 30 contained`.
fn counted(counts: &BTreeMap<Verdict, usize>) -> String {
    let parts: Vec<String> = counts
        .iter()
        .map(|(&verdict, count)| {
            paint(
                verdict_style(verdict),
                &format!("{count}{TIE}{}", verdict.name()),
            )
        })
        .collect();
    match parts.as_slice() {
        [] => paint(FAINT, "nothing"),
        parts => parts.join(", "),
    }
}
