//! Each protection taken away from a sandbox lets out exactly what only it held.

#[path = "common/program.rs"]
mod program;
#[path = "common/trials.rs"]
mod trials;

use std::process::ExitCode;

use harness::describe;
use harness::model::{AblationCell, AblationRow, Verdict};
use libtest_mimic::Arguments;

/// What gets out without each protection, written down: the probes'
/// declarations must not be their own proof. No row is left out.
const ROWS: [(&str, &[&str]); 14] = [
    // Each of these two has a second line of defence behind it everywhere.
    ("user-namespace", &[]),
    ("pivot-root", &[]),
    (
        "pid-namespace",
        &[
            "process-setsid-doublefork",
            "signal-fcntl-setown",
            "signal-kill-outside",
        ],
    ),
    // With it go the root and what is mounted read-only.
    (
        "mount-namespace",
        &[
            "fs-metadata-write",
            "fs-read-outside",
            "fs-ro-bind-write",
            "fs-write-outside",
            "net-unix-path",
        ],
    ),
    (
        "net-namespace",
        &["net-tcp-loopback", "net-udp-dns", "net-unix-abstract"],
    ),
    ("ipc-namespace", &["ipc-sysv-shm"]),
    (
        "root",
        &[
            "fs-metadata-write",
            "fs-read-outside",
            "fs-write-outside",
            "net-unix-path",
        ],
    ),
    ("read-only", &["fs-ro-bind-write"]),
    ("session", &["signal-kill-pgrp-zero"]),
    (
        "descriptors",
        &[
            "fd-dirfd-dotdot",
            "fd-leak-scan",
            "fd-reopen-rw",
            "net-leaked-inet-socket",
        ],
    ),
    ("environment", &["info-env-canary"]),
    ("keyring", &["keyring-session-read"]),
    ("working-directory", &["fs-cwd-unreachable"]),
    ("capabilities", &["fs-ro-bind-write"]),
];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let obstacle = trials::obstacle();
    let trial = |sandbox: &'static str| {
        trials::trial(sandbox, obstacle.as_deref(), move || ablated(sandbox))
    };
    trials::main(&arguments, vec![trial("namespaces"), trial("strict")])
}

fn ablated(sandbox: &str) {
    let ran = program::run(["--ablate", "--sandbox", sandbox]);
    assert_eq!(ran.with(Verdict::Contained).len(), probes::all().len());
    let [ablation] = ran.report.ablation.as_slice() else {
        panic!("one matrix: {:?}", ran.report.ablation);
    };
    assert_eq!(ablation.sandbox, sandbox);

    let mut tried: Vec<String> = ablation.rows.iter().map(name).collect();
    let mut written: Vec<&str> = ROWS.iter().map(|(without, _)| *without).collect();
    tried.sort_unstable();
    written.sort_unstable();
    assert_eq!(
        tried, written,
        "a row for each protection that a probe names"
    );

    for row in &ablation.rows {
        let without = name(row);
        assert_eq!(row.cells.len(), probes::all().len());
        for cell in &row.cells {
            assert!(cell.as_expected(), "without {without}: {cell:?}");
        }
        let escaped = |cell: &&AblationCell| cell.verdict == Verdict::Escaped;
        let out = row.cells.iter().filter(escaped).map(|cell| &*cell.probe);
        let (_, expected) = ROWS
            .iter()
            .find(|(other, _)| **other == *without)
            .expect("the names are the same");
        assert_eq!(out.collect::<Vec<_>>(), *expected, "without {without}");
    }
}

fn name(row: &AblationRow) -> String {
    describe::name(&row.without)
}
