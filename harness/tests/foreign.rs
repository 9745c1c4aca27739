//! Leaks planted in command lines of bubblewrap and unshare: each is found by
//! the probes that are for it, and by no other.
//!
//! A baseline says what gets out of a command line as it is; a variant loosens
//! one thing of it, and what gets out *besides* must be exactly what is written
//! down. The escapes of the first baseline are no faults of bubblewrap's: it
//! shows the whole tree, and bubblewrap makes no session keyring.

#[path = "common/program.rs"]
mod program;
#[path = "common/trials.rs"]
mod trials;

use std::process::ExitCode;

use harness::model::{Outcome, ProbeResult, Verdict};
use libtest_mimic::{Arguments, Trial};

/// bubblewrap hands on every descriptor; this one closes them before it starts.
const CLOSING: &str = include_str!("launchers/closing.bash");
const CAREFUL: &str = include_str!("launchers/careful.bash");
/// Leaves the root directory open in what it starts.
const LEAKING: &str = r#"exec 9</; exec "$@""#;

/// What a command line shares or leaves of its own, and what it shows.
const WHOLE_TREE: &[&str] = &["--ro-bind", "/", "/"];
const PROBE_ALONE: &[&str] = &["--ro-bind", "{probe-path}", "{probe-path}"];

/// What gets out where the whole tree is shown read-only.
const BY_THE_TREE: &[&str] = &["fs-read-outside", "keyring-session-read", "net-unix-path"];
/// What gets out where nothing is shown but the probe.
const BY_THE_KEYRING: &[&str] = &["keyring-session-read"];

/// A bubblewrap command line, each part of which a variant may change.
#[derive(Clone, Copy)]
struct Line {
    unshare: &'static [&'static str],
    session: &'static [&'static str],
    environment: &'static [&'static str],
    shown: &'static [&'static str],
    leaking: bool,
}

const SHOWING_THE_TREE: Line = Line {
    unshare: &["--unshare-all"],
    session: &["--new-session"],
    environment: &["--clearenv"],
    shown: WHOLE_TREE,
    leaking: false,
};

const TIGHT: Line = Line {
    shown: PROBE_ALONE,
    ..SHOWING_THE_TREE
};

/// All of --unshare-all but --unshare-net.
const SHARED_NET: Line = Line {
    unshare: &[
        "--unshare-user",
        "--unshare-ipc",
        "--unshare-pid",
        "--unshare-uts",
        "--unshare-cgroup",
    ],
    ..SHOWING_THE_TREE
};

/// Name, command line, what gets out of its baseline, and what of it besides.
const LINES: [(&str, Line, &[&str], &[&str]); 9] = [
    ("baseline", SHOWING_THE_TREE, BY_THE_TREE, &[]),
    (
        "without_unshare_net",
        SHARED_NET,
        BY_THE_TREE,
        &["net-tcp-loopback", "net-udp-dns", "net-unix-abstract"],
    ),
    (
        "bind_for_ro_bind",
        Line {
            shown: &["--bind", "/", "/"],
            ..SHOWING_THE_TREE
        },
        BY_THE_TREE,
        &["fs-metadata-write", "fs-ro-bind-write", "fs-write-outside"],
    ),
    (
        "an_inherited_directory",
        Line {
            leaking: true,
            ..SHOWING_THE_TREE
        },
        BY_THE_TREE,
        &["fd-dirfd-dotdot"],
    ),
    (
        "without_new_session",
        Line {
            session: &[],
            ..SHOWING_THE_TREE
        },
        BY_THE_TREE,
        &["signal-kill-pgrp-zero"],
    ),
    (
        "without_clearenv",
        Line {
            environment: &[],
            ..SHOWING_THE_TREE
        },
        BY_THE_TREE,
        &["info-env-canary"],
    ),
    ("tight", TIGHT, BY_THE_KEYRING, &[]),
    (
        "tight_with_the_directory_shown",
        Line {
            shown: &[
                "--ro-bind",
                "{probe-path}",
                "{probe-path}",
                "--ro-bind",
                "{workdir}",
                "{workdir}",
            ],
            ..SHOWING_THE_TREE
        },
        BY_THE_KEYRING,
        &[],
    ),
    (
        "tight_and_an_inherited_directory",
        Line {
            leaking: true,
            ..TIGHT
        },
        BY_THE_KEYRING,
        &["fd-dirfd-dotdot"],
    ),
];

/// What a user namespace holds by itself, with a mount namespace that changes
/// nothing: who is root in it has no rights over what is outside.
const HELD_BY_A_USER_NAMESPACE: &[&str] = &[
    "fs-chroot-double",
    "proc-pid-environ",
    "proc-pid-root",
    "ptrace-getfd-peerpidfd",
    "ptrace-seize-outside",
    "ptrace-sibling-undumpable",
    "ptrace-vm-readv-outside",
];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let obstacle = trials::obstacle();
    let lacks = |programs| obstacle.clone().or_else(|| trials::missing(programs));

    let bubblewrap = lacks(&["bwrap", "bash"]);
    let mut list: Vec<Trial> = LINES
        .iter()
        .map(|&(name, line, baseline, besides)| {
            let body = move || leaks(line, baseline, besides);
            trials::trial(format!("bwrap::{name}"), bubblewrap.as_deref(), body)
        })
        .collect();
    list.push(trials::trial(
        "a_careful_launcher",
        lacks(&["bwrap", "bash", "setpriv"]).as_deref(),
        careful,
    ));
    let unshare = lacks(&["unshare"]);
    // A mount namespace alone is root's to make; an ordinary user needs a user
    // namespace for it, which holds something by itself.
    let (name, body): (_, fn()) = if nix::unistd::geteuid().is_root() {
        ("unshare::m_holds_nothing", mount_namespace_of_root)
    } else {
        (
            "unshare::m_fails_for_an_ordinary_user",
            mount_namespace_refused,
        )
    };
    list.push(trials::trial(name, unshare.as_deref(), body));
    list.push(trials::trial(
        "unshare::Um_holds_what_needs_rights_outside",
        unshare.as_deref(),
        user_and_mount_namespace,
    ));
    trials::main(&arguments, list)
}

/// Runs every probe through a launcher. Each must come to a verdict.
fn through(launcher: &[&str]) -> program::Ran {
    let ran = program::run(["--"].iter().chain(launcher));
    assert_eq!(ran.report.results.len(), probes::all().len());
    ran
}

fn escapes_of(ran: &program::Ran) -> Vec<&str> {
    let escaped = ran.with(Verdict::Escaped);
    let held = ran.with(Verdict::Contained).len();
    let all = ran.report.results.len();
    assert_eq!(escaped.len() + held, all, "{:?}", ran.report.gate.reasons);
    escaped
}

fn leaks(line: Line, baseline: &[&str], besides: &[&str]) {
    let mut words = vec!["bash", "-c", CLOSING, "bash"];
    if line.leaking {
        words.extend(["bash", "-c", LEAKING, "bash"]);
    }
    words.extend(["bwrap", "--die-with-parent", "--cap-drop", "ALL"]);
    for part in [line.unshare, line.session, line.environment, line.shown] {
        words.extend(part);
    }
    words.extend([
        "--proc", "/proc", "--dev", "/dev", "--chdir", "/", "{probe}",
    ]);
    let ran = through(&words);
    let mut expected = [baseline, besides].concat();
    expected.sort_unstable();
    assert_eq!(escapes_of(&ran), expected, "{}", evidence(&ran));
}

/// What was seen of everything that got out.
fn evidence(ran: &program::Ran) -> String {
    let results = ran.report.results.iter();
    let lines = results
        .filter(|result| result.verdict == Verdict::Escaped)
        .map(|result| {
            format!(
                "{}: {}; {:?}\n",
                result.probe,
                result.reason,
                product(result)
            )
        });
    lines.collect()
}

/// The probe finds no descriptor, no variable and no path, and can still tell
/// that it looked: on standard output, where its records come then.
fn careful() {
    let ran = through(&["bash", "-c", CAREFUL, "bash", "{probe}"]);
    assert_eq!(escapes_of(&ran), BY_THE_KEYRING);
    for result in &ran.report.results {
        let product = product(result);
        assert!(
            matches!(
                product.outcome,
                Outcome::Refused | Outcome::Absent | Outcome::Succeeded
            ),
            "{}: {product:?}",
            result.probe
        );
        assert_eq!(product.rejected_frames, 0, "{}", result.probe);
    }
    for (probe, outcome) in [
        ("fd-dirfd-dotdot", Outcome::Absent),
        ("fd-leak-scan", Outcome::Absent),
        ("fd-reopen-rw", Outcome::Absent),
        ("net-leaked-inet-socket", Outcome::Absent),
        ("info-env-canary", Outcome::Absent),
        ("fs-cwd-unreachable", Outcome::Refused),
        ("fs-read-outside", Outcome::Refused),
    ] {
        let mut results = ran.report.results.iter();
        let result = results.find(|result| result.probe == probe);
        assert_eq!(
            product(result.expect("it was run")).outcome,
            outcome,
            "{probe}"
        );
    }
}

fn product(result: &ProbeResult) -> &harness::model::Leg {
    result.legs.product.as_ref().expect("it was run")
}

fn mount_namespace_of_root() {
    let ran = through(&["unshare", "-m", "{probe}"]);
    assert_eq!(escapes_of(&ran).len(), probes::all().len());
}

/// No probe was started, and that is an error with the launcher's own words.
fn mount_namespace_refused() {
    let ran = through(&["unshare", "-m", "{probe}"]);
    assert_eq!(ran.with(Verdict::Error).len(), probes::all().len());
    for result in &ran.report.results {
        let said = &product(result).output;
        assert!(said.contains("Operation not permitted"), "{said}");
    }
}

fn user_and_mount_namespace() {
    let ran = through(&["unshare", "-Um", "{probe}"]);
    escapes_of(&ran);
    assert_eq!(ran.with(Verdict::Contained), HELD_BY_A_USER_NAMESPACE);
}
