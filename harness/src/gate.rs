//! What a run's results mean for a pipeline: counts, reasons, one exit code.

use std::collections::BTreeMap;

use crate::exit_code::{self, ESCAPED, EVIDENCE_MISSING, GREEN, HARNESS_FAILED};
use crate::model::{Gate, ProbeResult, SandboxFacts, Summary, Verdict};

/// What a pipeline lets pass.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// How many results may be `unsupported`.
    pub allow_unsupported: usize,
    /// The gate file with the expected results, where there is one.
    pub file: Option<String>,
    /// Rules of that file that do not hold, one sentence each.
    pub broken: Vec<String>,
}

/// Counts the results. Each sandbox has an entry, also one without results.
pub fn summarise(sandboxes: &[SandboxFacts], results: &[ProbeResult]) -> Summary {
    let mut summary = Summary {
        total: results.len(),
        ..Summary::default()
    };
    for sandbox in sandboxes {
        summary
            .sandboxes
            .insert(sandbox.name.clone(), BTreeMap::new());
    }
    for result in results {
        *summary.verdicts.entry(result.verdict).or_default() += 1;
        let counts = summary.sandboxes.entry(result.sandbox.clone()).or_default();
        *counts.entry(result.verdict).or_default() += 1;
        if result.verdict == Verdict::Contained && result.depth == Some(1) {
            summary
                .single_points_of_failure
                .push(format!("{}/{}", result.sandbox, result.probe));
        }
    }
    summary.single_points_of_failure.sort();
    summary
}

/// The exit code and its reasons, worst first.
pub fn gate(summary: &Summary, rules: &Rules) -> Gate {
    let mut findings = vec![nothing_was_run(summary)];
    findings.extend(summary.sandboxes.iter().map(|(name, counts)| {
        counts
            .is_empty()
            .then(|| (HARNESS_FAILED, format!("{name} has no results")))
    }));
    findings.extend(
        Verdict::ALL
            .into_iter()
            .map(|verdict| finding(summary, verdict, rules)),
    );
    let broken = rules
        .broken
        .iter()
        .map(|rule| Some((ESCAPED, rule.clone())));
    findings.extend(broken);
    let mut findings: Vec<(u8, String)> = findings.into_iter().flatten().collect();
    let exit_code = exit_code::worst(findings.iter().map(|&(code, _)| code));
    // Stable: within a code the order of the verdicts remains.
    findings.sort_by_key(|&(code, _)| match code {
        ESCAPED => 0,
        HARNESS_FAILED => 1,
        _ => 2,
    });
    Gate {
        file: rules.file.clone(),
        exit_code,
        reasons: findings.into_iter().map(|(_, reason)| reason).collect(),
    }
}

fn nothing_was_run(summary: &Summary) -> Option<(u8, String)> {
    (summary.total == 0).then(|| (HARNESS_FAILED, "there are no results".to_owned()))
}

fn finding(summary: &Summary, verdict: Verdict, rules: &Rules) -> Option<(u8, String)> {
    let count = summary.verdicts.get(&verdict).copied().unwrap_or(0);
    let allowed = match verdict {
        Verdict::Unsupported => rules.allow_unsupported,
        _ => 0,
    };
    let code = exit_code_of(verdict);
    if code == GREEN || count <= allowed {
        return None;
    }
    let name = verdict.name();
    let reason = match allowed {
        0 => format!("{count} {name}"),
        _ => format!("{count} {name}, {allowed} allowed"),
    };
    Some((code, reason))
}

fn exit_code_of(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Escaped | Verdict::Xpass | Verdict::Degraded => ESCAPED,
        Verdict::Error | Verdict::OracleBroken => HARNESS_FAILED,
        Verdict::Vacuous | Verdict::Inconclusive | Verdict::Unsupported => EVIDENCE_MISSING,
        Verdict::Xfail | Verdict::Contained => GREEN,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn counted(verdicts: &[(Verdict, usize)]) -> Summary {
        Summary {
            total: verdicts.iter().map(|&(_, count)| count).sum(),
            verdicts: verdicts.iter().copied().collect(),
            sandboxes: BTreeMap::from([(
                "namespaces".to_owned(),
                verdicts.iter().copied().collect(),
            )]),
            ..Summary::default()
        }
    }

    #[rstest]
    #[case::green(&[(Verdict::Contained, 9)], 0, 0, &[])]
    #[case::escaped(&[(Verdict::Contained, 9), (Verdict::Escaped, 1)], 0, 1, &["1 escaped"])]
    #[case::a_known_gap(&[(Verdict::Xfail, 2), (Verdict::Contained, 1)], 0, 0, &[])]
    #[case::a_known_gap_that_is_gone(&[(Verdict::Xfail, 2), (Verdict::Xpass, 1)], 0, 1, &["1 xpass"])]
    #[case::degraded(&[(Verdict::Degraded, 2)], 0, 1, &["2 degraded"])]
    #[case::error(&[(Verdict::Error, 1)], 0, 4, &["1 error"])]
    #[case::oracle_broken(&[(Verdict::OracleBroken, 1)], 0, 4, &["1 oracle-broken"])]
    #[case::vacuous(&[(Verdict::Vacuous, 1)], 0, 3, &["1 vacuous"])]
    #[case::inconclusive(&[(Verdict::Inconclusive, 1)], 0, 3, &["1 inconclusive"])]
    #[case::unsupported(&[(Verdict::Unsupported, 1)], 0, 3, &["1 unsupported"])]
    #[case::unsupported_within_budget(&[(Verdict::Unsupported, 2), (Verdict::Contained, 1)], 2, 0, &[])]
    #[case::unsupported_over_budget(&[(Verdict::Unsupported, 3)], 2, 3, &["3 unsupported, 2 allowed"])]
    #[case::no_budget_for_anything_else(&[(Verdict::Vacuous, 1)], 5, 3, &["1 vacuous"])]
    #[case::an_escape_outranks_all(
        &[(Verdict::Vacuous, 1), (Verdict::Error, 1), (Verdict::Escaped, 1)], 0, 1,
        &["1 escaped", "1 error", "1 vacuous"])]
    #[case::a_broken_harness_outranks_missing_evidence(
        &[(Verdict::Vacuous, 1), (Verdict::Error, 1)], 0, 4, &["1 error", "1 vacuous"])]
    #[case::nothing_is_never_green(&[], 0, 4, &["there are no results", "namespaces has no results"])]
    fn verdicts_come_to(
        #[case] verdicts: &[(Verdict, usize)],
        #[case] allow_unsupported: usize,
        #[case] exit_code: u8,
        #[case] reasons: &[&str],
    ) {
        let gate = gate(
            &counted(verdicts),
            &Rules {
                allow_unsupported,
                ..Rules::default()
            },
        );
        assert_eq!(gate.exit_code, exit_code);
        assert_eq!(gate.reasons, reasons);
    }

    #[test]
    fn a_rule_that_does_not_hold_is_red() {
        let rules = Rules {
            file: Some("mine.toml".to_owned()),
            broken: vec!["line 3 of the gate matches no result".to_owned()],
            ..Rules::default()
        };
        let gate = gate(
            &counted(&[(Verdict::Contained, 1), (Verdict::Error, 1)]),
            &rules,
        );
        assert_eq!(gate.exit_code, ESCAPED);
        assert_eq!(gate.reasons, [rules.broken[0].as_str(), "1 error"]);
        assert_eq!(gate.file, rules.file);
    }

    #[test]
    fn one_sandbox_without_results_is_not_hidden_by_another() {
        let mut summary = counted(&[(Verdict::Contained, 1)]);
        summary
            .sandboxes
            .insert("strict".to_owned(), BTreeMap::new());
        assert_eq!(gate(&summary, &Rules::default()).exit_code, HARNESS_FAILED);
    }
}
