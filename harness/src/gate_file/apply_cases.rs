use probes::{Class, Proof};
use rstest::rstest;

use super::*;
use crate::model::Legs;

const NOW: Circumstances<'_> = Circumstances {
    today: "2026-09-30",
    kernel: "6.8.0-45-generic",
};

fn result(probe: &str, verdict: Verdict) -> ProbeResult {
    ProbeResult {
        sandbox: "box".to_owned(),
        probe: probe.to_owned(),
        title: String::new(),
        class: Class::Network,
        proof: Proof::Read,
        verdict,
        depth: None,
        reason: "held".to_owned(),
        remedy: String::new(),
        expected: None,
        legs: Legs {
            bare: None,
            only: Vec::new(),
            product: None,
        },
    }
}

fn entry(lines: &str) -> String {
    let standard = [
        ("sandbox", "box"),
        ("probe", "net-udp-dns"),
        ("reason", "known"),
    ];
    let missing = standard
        .iter()
        .filter(|(key, _)| !lines.contains(key))
        .map(|(key, value)| format!("{key} = \"{value}\"\n"));
    format!("[[expect]]\n{}{lines}\n", missing.collect::<String>())
}

/// What a file makes of one result of `net-udp-dns` in `box`.
#[rstest]
#[case::a_known_gap("", Verdict::Escaped, Verdict::Xfail, "")]
#[case::a_known_gap_that_is_gone("", Verdict::Contained, Verdict::Xpass, "")]
#[case::another_verdict_is_not_excused("", Verdict::Inconclusive, Verdict::Inconclusive, "")]
#[case::nor_a_broken_harness("", Verdict::Error, Verdict::Error, "")]
#[case::worse_than_expected("verdict = \"inconclusive\"", Verdict::Escaped, Verdict::Escaped, "")]
#[case::the_verdict_that_is_named("verdict = \"vacuous\"", Verdict::Vacuous, Verdict::Xfail, "")]
#[case::globs(
    "sandbox = \"b?x\"\nprobe = \"net-u*\"",
    Verdict::Escaped,
    Verdict::Xfail,
    ""
)]
#[case::another_probe(
    "probe = \"ipc-*\"",
    Verdict::Escaped,
    Verdict::Escaped,
    "line 1 of the gate (probe ipc-* in sandbox box) matches no result"
)]
#[case::another_sandbox(
    "sandbox = \"boxes\"",
    Verdict::Contained,
    Verdict::Contained,
    "matches no result"
)]
#[case::on_its_last_day("until = \"2026-09-30\"", Verdict::Escaped, Verdict::Xfail, "")]
#[case::a_day_too_late(
    "until = \"2026-09-29\"",
    Verdict::Escaped,
    Verdict::Escaped,
    "was borne until 2026-09-29"
)]
#[case::over_and_gone(
    "until = \"2026-09-29\"",
    Verdict::Contained,
    Verdict::Contained,
    "was borne until 2026-09-29"
)]
#[case::on_this_kernel("kernel = \">=6.5\"", Verdict::Escaped, Verdict::Xfail, "")]
#[case::on_another_kernel("kernel = \"<6.5\"", Verdict::Escaped, Verdict::Escaped, "")]
#[case::on_another_kernel_nothing_is_expected(
    "kernel = \"<6.5\"",
    Verdict::Contained,
    Verdict::Contained,
    ""
)]
fn one_entry_makes(
    #[case] lines: &str,
    #[case] observed: Verdict,
    #[case] verdict: Verdict,
    #[case] broken: &str,
) {
    let file = super::super::parse("mine.toml", &entry(lines)).unwrap();
    let mut results = [result("net-udp-dns", observed)];
    let rules = apply(&file, &mut results, NOW);
    let [result] = results;
    assert_eq!(result.verdict, verdict, "{rules:?}");
    assert_eq!(result.observed(), observed);
    assert_eq!(
        result.expected.is_some(),
        matches!(verdict, Verdict::Xfail | Verdict::Xpass)
    );
    match broken {
        "" => assert_eq!(rules, [""; 0]),
        words => assert!(rules.len() == 1 && rules[0].contains(words), "{rules:?}"),
    }
}

#[test]
fn what_is_gone_says_which_entry_must_go() {
    let file = super::super::parse("mine.toml", &entry("")).unwrap();
    let mut results = [result("net-udp-dns", Verdict::Contained)];
    assert_eq!(apply(&file, &mut results, NOW), [""; 0]);
    assert_eq!(
        results[0].reason,
        "line 1 of the gate expects escaped (known), and it held: take the entry out"
    );
}

#[rstest]
#[case::twice(&["", ""], 1)]
#[case::a_glob_over_a_name(&["probe = \"net-*\"", ""], 1)]
#[case::not_on_the_same_kernel(&["kernel = \"<6.5\"", "kernel = \">=6.5\""], 0)]
#[case::one_is_over(&["until = \"2020-01-01\"", ""], 1)]
fn two_entries_for_one_result(#[case] entries: &[&str], #[case] broken: usize) {
    let text: String = entries.iter().map(|lines| entry(lines)).collect();
    let file = super::super::parse("mine.toml", &text).unwrap();
    let mut results = [result("net-udp-dns", Verdict::Escaped)];
    let rules = apply(&file, &mut results, NOW);
    assert_eq!(rules.len(), broken, "{rules:?}");
    assert_eq!(results[0].verdict, Verdict::Xfail);
}
