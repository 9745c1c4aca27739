use rstest::rstest;

use super::*;
use crate::exit_code;

const WHOLE: &str = r#"
[[expect]]
sandbox = "chromium-*"
probe = "net-*"
reason = "the network is the host's"

[[expect]]
sandbox = "mine"
probe = "ipc-sysv-shm"
verdict = "unsupported"
reason = "no System V IPC in these virtual machines"
claim = "S6"
owner = "jo"
until = 2027-02-28
kernel = ">=5.10, <7.1"
"#;

#[test]
fn a_file_is_read_whole() {
    let file = parse("mine.toml", WHOLE).unwrap();
    let [first, second] = file.expectations.as_slice() else {
        panic!("two entries: {file:?}");
    };
    assert_eq!((first.line, second.line), (2, 7));
    assert_eq!(first.entry.verdict, Verdict::Escaped);
    assert_eq!(second.entry.verdict, Verdict::Unsupported);
    assert_eq!(second.entry.until.as_deref(), Some("2027-02-28"));
    assert_eq!(second.entry.claim.as_deref(), Some("S6"));
    assert_eq!(second.entry.owner.as_deref(), Some("jo"));
    assert!(second.entry.kernel.is_some());
}

/// The whole file with one line of it changed.
#[rstest]
#[case::no_toml("[[expect]]", "[[expect", "line 2: ")]
#[case::unknown_table("[[expect]]", "[[expects]]", "unknown field `expects`")]
#[case::unknown_key("owner = ", "ovner = ", "line 13: unknown field `ovner`")]
#[case::no_reason("reason = \"the network is the host's\"", "", "missing field `reason`")]
#[case::an_empty_reason(
    "the network is the host's",
    " ",
    "line 5: a reason must say something"
)]
#[case::no_such_probe(
    "ipc-sysv-shm",
    "ipc-sysv-shn",
    "line 9: there is no probe \"ipc-sysv-shn\"; did you mean ipc-sysv-shm?"
)]
#[case::a_glob_of_no_probe("net-*", "nte-*", "line 4: there is no probe \"nte-*\"")]
#[case::no_glob_of_probes("net-*", "net-[", "line 4: \"net-[\" is no glob")]
#[case::no_glob_of_sandboxes("chromium-*", "chromium-[", "line 3: \"chromium-[\" is no glob")]
#[case::no_such_verdict(
    "unsupported",
    "unsuported",
    "line 10: \"unsuported\" cannot be expected"
)]
#[case::green_needs_no_entry(
    "unsupported",
    "contained",
    "line 10: \"contained\" cannot be expected"
)]
#[case::a_broken_harness_is_no_gap("unsupported", "error", "line 10: \"error\" cannot be expected")]
#[case::no_such_day("2027-02-28", "\"2027-02-30\"", "line 14: \"2027-02-30\" is no day")]
#[case::a_day_in_another_form("2027-02-28", "\"28.2.2027\"", "line 14: \"28.2.2027\" is no day")]
#[case::a_time_is_no_day("2027-02-28", "2027-02-28T12:00:00Z", "is no day")]
#[case::a_number_is_no_day("2027-02-28", "2027", "line 14: 2027 is no day")]
#[case::no_range(">=5.10, <7.1", "5.10", "line 15: \"5.10\" is no range of kernels")]
fn a_bad_file_is_one_clear_error(#[case] old: &str, #[case] new: &str, #[case] words: &str) {
    assert!(WHOLE.contains(old));
    let error = parse("mine.toml", &WHOLE.replacen(old, new, 1)).unwrap_err();
    assert_eq!(error.exit_code(), exit_code::USAGE);
    let said = error.chain();
    assert!(
        said.starts_with("mine.toml: ") && said.contains(words) && !said.contains('\n'),
        "{said}"
    );
}

#[rstest]
#[case::no_file("no-such.toml", "cannot read gate file no-such.toml: ")]
#[case::no_such_built_in("builtin:historik", "did you mean historic?")]
fn a_file_that_is_not_there_is_wrong_usage(#[case] name: &str, #[case] words: &str) {
    let error = read(name).unwrap_err();
    assert_eq!(error.exit_code(), exit_code::USAGE);
    assert!(error.chain().contains(words), "{}", error.chain());
}

#[test]
fn every_built_in_gate_file_is_sound_and_names_sandboxes_of_ours() {
    let built_in = crate::catalog::built_in().unwrap();
    for (name, _) in BUILT_IN {
        let file = read(&format!("{BUILT_IN_PREFIX}{name}")).unwrap();
        assert!(!file.expectations.is_empty());
        for Expectation { line, entry } in file.expectations {
            let known = built_in
                .iter()
                .any(|sandbox| entry.sandbox.matches(&sandbox.name));
            assert!(known, "{name}, line {line}");
            let claim = entry.claim.as_deref();
            assert!(
                claim.is_none_or(|id| crate::claims::find(id).is_some()),
                "{name}, line {line}"
            );
        }
    }
}
