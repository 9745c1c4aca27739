//! `escapology run --gate`: each rule of a gate file, green and red.

#[path = "common/program.rs"]
mod program;
#[path = "common/trials.rs"]
mod trials;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use harness::model::{Report, Verdict};
use libtest_mimic::{Arguments, Trial};
use program::{Ran, escapology, refusal, report_of, run};

const HISTORIC: &str = include_str!("../gates/historic.toml");
const SANDBOXES: &str = "chromium-suid,chromium-suid-nonet,mozilla-content,sandbox2";

/// What the setuid helper lets out, with its network namespace and without.
const HELPER: &[&str] = &[
    "fd-dirfd-dotdot",
    "fd-leak-scan",
    "fd-reopen-rw",
    "info-env-canary",
    "ipc-sysv-shm",
    "keyring-session-read",
    "net-leaked-inet-socket",
    "ptrace-getfd-peerpidfd",
    "signal-kill-pgrp-zero",
];
const NETWORK: &[&str] = &["net-tcp-loopback", "net-udp-dns", "net-unix-abstract"];
const MOZILLA: &[&str] = &[
    "info-env-canary",
    "ipc-sysv-shm",
    "keyring-session-read",
    "process-clone-parent",
    "process-forkchain-teardown",
    "process-hold-stdio",
    "process-setsid-doublefork",
    "process-subreaper-steal",
    "signal-fcntl-setown",
    "signal-kill-outside",
    "signal-kill-pgrp-zero",
];
const SANDBOX2: &[&str] = &["keyring-session-read", "signal-kill-pgrp-zero"];

fn main() -> ExitCode {
    let no_arena = trials::obstacle();
    let no_user = no_arena
        .clone()
        .or_else(|| trials::missing(&["setpriv"]))
        .or_else(|| (!nix::unistd::geteuid().is_root()).then(|| "needs root".to_owned()));
    let trial = |name: &str, body: fn()| trials::trial(name, no_arena.as_deref(), body);
    let list: Vec<Trial> = vec![
        trial(
            "the_historic_sandboxes_let_out_what_their_documents_say",
            historic,
        ),
        trials::trial(
            "the_same_as_an_ordinary_user",
            no_user.as_deref(),
            historic_as_a_user,
        ),
        trial("an_entry_that_is_removed_is_an_escape_again", removed),
        trial("an_entry_that_does_not_happen_must_go", does_not_happen),
        trial("an_entry_that_matches_nothing_is_red", matches_nothing),
        trial("an_entry_that_is_over_is_red", over),
        trial("an_entry_for_another_kernel_says_nothing", another_kernel),
        trial("an_expected_escape_does_not_excuse_another", another_probe),
        trials::trial("a_bad_file_is_wrong_usage", None, bad_file),
    ];
    trials::main(&Arguments::from_args(), list)
}

/// A gate file in a directory of its own.
struct File {
    _directory: tempfile::TempDir,
    path: PathBuf,
}

fn file(text: &str) -> File {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("mine.toml");
    fs::write(&path, text).unwrap();
    File {
        _directory: directory,
        path,
    }
}

/// One probe in `none`, which lets everything out, under one entry for it with
/// these lines besides.
fn one(probe: &str, entry: &str) -> Ran {
    let file = file(&format!("[[expect]]\nreason = \"known\"\n{entry}\n"));
    let gate = file.path.to_str().unwrap();
    run(["--sandbox", "none,strict", "--probe", probe, "--gate", gate])
}

fn sandbox(ran: &Ran, name: &str) -> Verdict {
    let mut results = ran.report.results.iter();
    results
        .find(|result| result.sandbox == name)
        .expect("it has a result")
        .verdict
}

const NONE: &str = "sandbox = \"none\"\nprobe = \"info-env-canary\"\n";

/// Exactly what the documents say gets out, and nothing else that is not green.
fn assert_historic(report: &Report) {
    assert_eq!(report.gate.exit_code, 0, "{:?}", report.gate.reasons);
    assert_eq!(report.gate.file.as_deref(), Some("builtin:historic"));
    let out = |sandbox: &str| -> Vec<&str> {
        let of = report
            .results
            .iter()
            .filter(|result| result.sandbox == sandbox && result.verdict == Verdict::Xfail);
        let mut ids: Vec<&str> = of
            .inspect(|result| assert_eq!(result.observed(), Verdict::Escaped))
            .map(|result| result.probe.as_str())
            .collect();
        ids.sort_unstable();
        ids
    };
    let sorted = |lists: &[&[&'static str]]| {
        let mut ids = lists.concat();
        ids.sort_unstable();
        ids
    };
    assert_eq!(out("chromium-suid"), sorted(&[HELPER]));
    assert_eq!(out("chromium-suid-nonet"), sorted(&[HELPER, NETWORK]));
    assert_eq!(out("mozilla-content"), sorted(&[MOZILLA, NETWORK]));
    assert_eq!(out("sandbox2"), sorted(&[SANDBOX2]));
    for result in &report.results {
        assert!(
            matches!(result.verdict, Verdict::Xfail | Verdict::Contained),
            "{}/{}: {}",
            result.sandbox,
            result.probe,
            result.reason
        );
    }
}

fn historic() {
    let ran = run(["--sandbox", SANDBOXES, "--gate", "builtin:historic"]);
    assert_historic(&ran.report);
}

/// Where anybody may read and run it.
fn historic_as_a_user() {
    let directory = tempfile::tempdir().unwrap();
    let open = |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    open(directory.path());
    let program = directory.path().join("escapology");
    fs::copy(program::path(), &program).unwrap();
    open(&program);
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=54321", "--regid=54321", "--clear-groups"])
        .args(["--inh-caps=-all", "--bounding-set=-all"])
        .arg(&program)
        .args(["run", "--format", "json", "--sandbox", SANDBOXES])
        .args(["--gate", "builtin:historic"])
        .current_dir(directory.path());
    let ran = report_of(&mut command);
    assert_eq!(ran.report.host.uid, 54321);
    assert_historic(&ran.report);
}

/// The built-in file without its last entry.
fn removed() {
    let last = HISTORIC.rfind("[[expect]]").unwrap();
    let file = file(&HISTORIC[..last]);
    let gate = file.path.to_str().unwrap();
    let ran = run(["--sandbox", SANDBOXES, "--gate", gate]);
    assert_eq!(ran.report.gate.exit_code, 1);
    assert_eq!(ran.report.gate.reasons, ["1 escaped"]);
    assert_eq!(ran.with(Verdict::Escaped), ["keyring-session-read"]);
}

fn does_not_happen() {
    let ran = one(
        "info-env-canary",
        &format!("{NONE}\n[[expect]]\nreason = \"x\"\nsandbox = \"strict\"\nprobe = \"info-*\""),
    );
    assert_eq!(sandbox(&ran, "none"), Verdict::Xfail);
    assert_eq!(sandbox(&ran, "strict"), Verdict::Xpass);
    assert_eq!(ran.report.gate.exit_code, 1);
    assert_eq!(ran.report.gate.reasons, ["1 xpass"]);
}

fn matches_nothing() {
    let ran = one(
        "info-env-canary",
        &format!("{NONE}\n[[expect]]\nreason = \"x\"\nsandbox = \"mine\"\nprobe = \"info-*\""),
    );
    assert_eq!(ran.report.gate.exit_code, 1);
    let [reason] = ran.report.gate.reasons.as_slice() else {
        panic!("one reason: {:?}", ran.report.gate.reasons);
    };
    assert!(
        reason.starts_with("line 6 of the gate (probe info-* in sandbox mine) matches no result"),
        "{reason}"
    );
}

fn over() {
    let ran = one(
        "info-env-canary",
        &format!("{NONE}until = \"2020-02-29\"\n"),
    );
    assert_eq!(sandbox(&ran, "none"), Verdict::Escaped);
    assert_eq!(ran.report.gate.exit_code, 1);
    let reasons = &ran.report.gate.reasons;
    assert!(
        reasons
            .iter()
            .any(|reason| reason.ends_with("was borne until 2020-02-29")),
        "{reasons:?}"
    );
    let green = one("info-env-canary", &format!("{NONE}until = 9999-12-31\n"));
    assert_eq!(green.report.gate.exit_code, 0);
}

fn another_kernel() {
    let red = one("info-env-canary", &format!("{NONE}kernel = \"<2.6\"\n"));
    assert_eq!(sandbox(&red, "none"), Verdict::Escaped);
    assert_eq!(red.report.gate.reasons, ["1 escaped"]);
    let green = one("info-env-canary", &format!("{NONE}kernel = \">=2.6\"\n"));
    assert_eq!(green.report.gate.exit_code, 0);
}

fn another_probe() {
    let ran = one("info-env-canary,fs-read-outside", NONE);
    assert_eq!(ran.with(Verdict::Escaped), ["fs-read-outside"]);
    assert_eq!(ran.with(Verdict::Xfail), ["info-env-canary"]);
    assert_eq!(ran.report.gate.exit_code, 1);
}

fn bad_file() {
    for (text, words) in [
        ("[[expect]", "line 1: "),
        ("\n\nexpct = 1", "line 3: unknown field `expct`"),
        (
            "[[expect]]\nsandbox = \"none\"\nprobe = \"info-env-canry\"\nreason = \"x\"",
            "line 3: there is no probe \"info-env-canry\"; did you mean info-env-canary?",
        ),
    ] {
        let file = file(text);
        let gate = file.path.to_str().unwrap();
        let output = escapology(["run", "--gate", gate]).output().unwrap();
        let said = refusal(&output, 2);
        assert!(
            said.contains("mine.toml: ") && said.contains(words),
            "{said}"
        );
    }
    let output = escapology(["run", "--gate", "builtin:historik"]).output();
    assert!(refusal(&output.unwrap(), 2).contains("did you mean historic?"));
}
