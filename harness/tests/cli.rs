//! The program's command line: exit codes, and where its words go.

#[path = "common/program.rs"]
mod program;

use std::process::Output;

use program::text;
use rstest::rstest;

fn escapology(arguments: &[&str]) -> Output {
    program::escapology(arguments)
        .output()
        .expect("the program can be started")
}

#[rstest]
#[case::no_subcommand(&[], "Usage")]
#[case::an_unknown_subcommand(&["rnu"], "rnu")]
#[case::an_unknown_format(&["list", "--format", "yaml"], "yaml")]
#[case::no_probe_to_explain(&["explain"], "PROBE")]
#[case::nothing_to_exec(&["exec"], "COMMAND")]
#[case::no_such_probe(&["explain", "fs-raed-outside"], "did you mean fs-read-outside or fs-write-outside?")]
fn wrong_usage_exits_2_and_says_why(#[case] arguments: &[&str], #[case] words: &str) {
    let output = escapology(arguments);
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    let said = text(&output.stderr);
    assert!(said.contains(words), "{said}");
}

#[rstest]
#[case::list(&["list"], "fs-read-outside")]
#[case::claims(&["list", "--claims"], "claims shown")]
#[case::explain(&["explain", "fs-read-outside"], "escapology run --probe fs-read-outside")]
#[case::schema(&["schema"], "\"$schema\"")]
#[case::help_teaches_exit_codes(&["--help"], "evidence is missing")]
#[case::help_teaches_placeholders(&["run", "--help"], "{probe-path}")]
#[case::version(&["--version"], "escapology ")]
fn questions_are_answered_without_colour_in_a_pipe(
    #[case] arguments: &[&str],
    #[case] words: &str,
) {
    let output = escapology(arguments);
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty());
    let said = text(&output.stdout);
    assert!(said.contains(words), "{said}");
    assert!(!said.contains('\x1b'), "{said:?}");
}

#[test]
fn the_list_is_json_for_programs() {
    let output = escapology(&["list", "--format", "json"]);
    let list: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let ids: Vec<&str> = list["probes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|probe| probe["probe"].as_str().unwrap())
        .collect();
    let known: Vec<&str> = probes::all().iter().map(|probe| probe.id).collect();
    assert_eq!(ids, known);
}

/// The trials of escapes.rs are made from the registry: none are green as well.
#[test]
fn the_registry_is_whole() {
    assert_eq!(probes::all().len(), 31);
}

#[test]
fn the_claims_are_json_for_programs() {
    let output = escapology(&["list", "--claims", "--format", "json"]);
    let list: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(list["schema"], "escapology.claims/1");
    let claims = list["claims"].as_array().unwrap();
    let row = |id| claims.iter().find(|claim| claim["claim"] == id).unwrap();
    assert_eq!(row("M9")["state"], "not-yet");
    assert_eq!(row("M9")["missing"], "nothing shows it");
    assert_eq!(row("S3")["state"], "shown");
    assert_eq!(row("S9")["probes"][0], "net-tcp-loopback");
}

#[test]
fn every_probe_can_be_explained() {
    for probe in probes::all() {
        let output = escapology(&["explain", probe.id]);
        assert_eq!(output.status.code(), Some(0));
        let said = text(&output.stdout);
        for label in ["class", "canary", "proves", "stopped by", "remedy"] {
            assert!(said.contains(label), "{}: {label}", probe.id);
        }
    }
}

#[test]
fn the_internal_subcommand_is_not_advertised() {
    let said = text(&escapology(&["--help"]).stdout);
    assert!(!said.contains("\n  arena"), "{said}");
}
