//! The report of a run with every verdict, as text that is kept.

mod common;
#[path = "common/fixture.rs"]
mod fixture;
#[path = "common/parts.rs"]
mod parts;

use harness::cli::Verbosity;
use harness::model::{Report, Verdict};
use harness::{report, terminal};
use rstest::rstest;

const NORMAL: Verbosity = Verbosity {
    quiet: false,
    verbose: false,
};

fn shown(report: &Report, width: usize, verbosity: Verbosity) -> String {
    terminal::plain(&report::text(report, width, verbosity))
}

#[rstest]
#[case::narrow("report-80.txt", 80, NORMAL)]
#[case::wide("report-120.txt", 120, NORMAL)]
#[case::quiet("report-quiet.txt", 100, Verbosity { quiet: true, verbose: false })]
#[case::verbose("report-verbose.txt", 100, Verbosity { quiet: false, verbose: true })]
fn the_text_is_the_kept_one(
    #[case] file: &str,
    #[case] width: usize,
    #[case] verbosity: Verbosity,
) {
    let text = shown(&fixture::every_verdict(), width, verbosity);
    common::matches_file(
        &text,
        &format!("tests/snapshots/{file}"),
        "UPDATE_SNAPSHOTS",
    );
}

#[test]
fn a_green_report_is_the_kept_one() {
    let text = shown(&fixture::green(), 100, NORMAL);
    common::matches_file(
        &text,
        "tests/snapshots/report-green.txt",
        "UPDATE_SNAPSHOTS",
    );
}

#[test]
fn the_host_is_the_kept_one() {
    let text = terminal::plain(&report::host(&fixture::every_verdict().host, 80));
    common::matches_file(&text, "tests/snapshots/host.txt", "UPDATE_SNAPSHOTS");
}

#[test]
fn the_fixture_has_every_verdict() {
    let report = fixture::every_verdict();
    for verdict in Verdict::ALL {
        assert!(
            report
                .results
                .iter()
                .any(|result| result.verdict == verdict)
        );
    }
}

#[rstest]
#[case(60)]
#[case(80)]
#[case(120)]
fn no_line_is_wider_than_asked_for(#[case] width: usize) {
    let text = shown(&fixture::every_verdict(), width, NORMAL);
    let longest = text.lines().map(textwrap::core::display_width).max();
    // A word that cannot be broken may stand out of the narrowest text.
    assert!(longest.unwrap() <= width.max(80), "{text}");
}

#[test]
fn nothing_untrusted_drives_the_terminal() {
    let hostile = "\x1b]52;c;AAAA\x07\x1b[2J\u{9b}2J\u{202e}";
    let text = report::text(
        &fixture::hostile(hostile),
        100,
        Verbosity {
            quiet: false,
            verbose: true,
        },
    );
    let bare = terminal::plain(&text);
    assert!(!text.contains("\x1b]") && !text.contains("\x1b[2J"));
    assert!(
        !bare
            .chars()
            .any(|shown| shown.is_control() && shown != '\n' || shown == '\u{202e}'),
        "{bare}"
    );
}

#[test]
fn a_report_comes_back_from_its_json() {
    let json = report::json(&fixture::every_verdict()).unwrap();
    let back: Report = serde_json::from_str(&json).unwrap();
    assert_eq!(report::json(&back).unwrap(), json);
    assert!(json.contains("\"schema\": \"escapology.report/1\""));
}
