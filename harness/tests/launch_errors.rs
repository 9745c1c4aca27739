//! What cannot be launched, read or written is one sentence: stage, subject and
//! the kernel's answer, with the exit code that is documented, and nothing left.

#[path = "common/program.rs"]
mod program;
#[path = "common/traces.rs"]
mod traces;
#[path = "common/trials.rs"]
mod trials;

use std::collections::VecDeque;
use std::fs::{self, File};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use harness::model::Verdict;
use libtest_mimic::Arguments;
use traces::Traces;

/// A mount namespace with an empty root.
const ROOT: &str = r#"
namespaces = ["user", "pid", "mount"]
[root]
base = { tmpfs = { size = 1048576 } }
enter = "pivot-root"
"#;

const BAD_SOURCE: &str = r#"
[[mounts]]
type = "bind"
source = "/no/such/place"
target = "/x"
access = "read-only"
"#;

const NO_DIRECTORY: &str = r#"
namespaces = ["user", "mount"]
[root]
base = { directory = "/proc/version" }
enter = "pivot-root"
"#;

const NO_DIRECTORY_TO_CHROOT: &str = r#"
namespaces = ["user", "mount"]
[root]
base = { directory = "/proc/version" }
enter = "chroot"
"#;

/// More than /proc/sys/fs/nr_open can ever be.
const TOO_HIGH: &str = "namespaces = [\"user\"]\n[limits]\nopen_files = 4611686018427387904\n";

const NO_WORKING_DIRECTORY: &str =
    "namespaces = [\"user\"]\nworking_directory = \"/no/such/place\"\n";

/// Launches that fail, and what must be said of them.
const LAUNCHES: [(&str, &str, &str, &str); 5] = [
    (
        "a_bad_bind_source",
        ROOT,
        BAD_SOURCE,
        "failed to build the root (bind /no/such/place): No such file or directory (ENOENT)",
    ),
    (
        "a_root_that_is_no_directory",
        NO_DIRECTORY,
        "",
        "failed to enter the root (/proc/version): Not a directory (ENOTDIR)",
    ),
    (
        "a_chroot_that_is_no_directory",
        NO_DIRECTORY_TO_CHROOT,
        "",
        "failed to enter the root (/proc/version): Not a directory (ENOTDIR)",
    ),
    (
        "a_limit_too_high",
        TOO_HIGH,
        "",
        "failed to set limits (open_files = 4611686018427387904): Operation not permitted (EPERM)",
    ),
    (
        "no_working_directory",
        NO_WORKING_DIRECTORY,
        "",
        "failed to enter the working directory (/no/such/place): No such file or directory (ENOENT)",
    ),
];

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Each trial waits for all the children that there are.
    arguments.test_threads = Some(1);
    let obstacle = trials::obstacle();
    let mut list = Vec::new();
    for (name, text, more, expected) in LAUNCHES {
        let body = move || launch(&format!("{text}{more}"), expected);
        list.push(trials::trial(name, obstacle.as_deref(), body));
    }
    let needing: [(&str, fn()); 3] = [
        ("a_missing_program", missing_program),
        ("a_report_that_cannot_be_written", unwritable),
        ("files_that_come_and_go_in_tmp", come_and_go),
    ];
    for (name, body) in needing {
        list.push(trials::trial(name, obstacle.as_deref(), body));
    }
    list.push(trials::trial("wrong_usage", None, wrong_usage));
    trials::main(&arguments, list)
}

fn in_file(text: &str, body: impl FnOnce(&str)) {
    traces::adopt();
    let before = Traces::now();
    let directory = tempfile::tempdir().expect("a directory can be made");
    let file = directory.path().join("mine.toml");
    fs::write(&file, text).expect("it can be written");
    body(file.to_str().expect("it is UTF-8"));
    traces::all_ended();
    before.no_more();
}

fn launch(text: &str, expected: &str) {
    in_file(text, |file| {
        let output = program::escapology(["exec", "--sandbox-file", file, "--", "true"])
            .output()
            .expect("the program can be started");
        let said = program::refusal(&output, 4);
        let whole = format!("escapology: failed to run a program in sandbox mine: {expected}\n");
        assert_eq!(said, whole);

        let ran = program::run(["--probe", "fs-read-outside", "--sandbox-file", file]);
        assert_eq!(ran.report.gate.exit_code, 4);
        let result = ran.only_result();
        assert_eq!(result.verdict, Verdict::Error);
        let whole = format!("the sandbox leg could not be launched: {expected}");
        assert_eq!(result.reason, whole);
    });
}

fn missing_program() {
    for (program, answer) in [
        ("no-such-program", "No such file or directory (ENOENT)"),
        ("/no/such/program", "No such file or directory (ENOENT)"),
        ("/proc/version", "Permission denied (EACCES)"),
    ] {
        in_file("namespaces = [\"user\"]\n", |file| {
            let output = program::escapology(["exec", "--sandbox-file", file, "--", program])
                .output()
                .expect("the program can be started");
            let said = program::refusal(&output, 4);
            let end = format!("failed to execute the program ({program}): {answer}\n");
            assert!(said.ends_with(&end), "{said}");
        });
    }
}

fn unwritable() {
    traces::adopt();
    let probe = ["run", "--probe", "fs-read-outside", "--format", "json"];
    for (path, answer) in [
        ("/no/such/place/report.json", "No such file or directory"),
        ("/dev/full", "No space left on device"),
        ("/", "Is a directory"),
    ] {
        let mut command = program::escapology(probe);
        let output = command.args(["--output", path]).output();
        let said = program::refusal(&output.expect("the program can be started"), 4);
        let words = format!("failed to write the report: {path}: {answer}");
        assert!(said.contains(&words), "{said}");
    }
    let full = File::options()
        .write(true)
        .open("/dev/full")
        .expect("there is one");
    let output = program::escapology(probe).stdout(full).output();
    let said = program::refusal(&output.expect("the program can be started"), 4);
    assert!(
        said.contains("failed to write the report: No space left on device"),
        "{said}"
    );
    traces::all_ended();
}

/// The arena shows what lies in /tmp, which others change at any time.
fn come_and_go() {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Each lives for a millisecond or two: long enough to be listed.
            let mut living = VecDeque::new();
            while !over.load(Ordering::Relaxed) {
                living.push_back(tempfile::tempdir_in("/tmp").expect("a directory can be made"));
                if living.len() > 64 {
                    living.pop_front();
                }
            }
        });
        let runs: Vec<_> = (0..10)
            .map(|_| program::escapology(["run", "--probe", "fs-read-outside"]).output())
            .collect();
        over.store(true, Ordering::Relaxed);
        for output in runs {
            let output = output.expect("the program can be started");
            assert_eq!(
                output.status.code(),
                Some(0),
                "{}",
                program::text(&output.stderr)
            );
        }
    });
}

fn wrong_usage() {
    for (text, words) in [
        ("namespaces = [", "mine.toml: line 1: unclosed array"),
        (
            "\nnamspaces = []",
            "mine.toml: line 2: unknown field `namspaces`",
        ),
        ("hostname = \"box\"", "mine.toml: "),
    ] {
        in_file(text, |file| {
            for arguments in [
                vec!["exec", "--sandbox-file", file, "--", "true"],
                vec!["run", "--sandbox-file", file],
            ] {
                let output = program::escapology(arguments).output();
                let said = program::refusal(&output.expect("the program can be started"), 2);
                assert!(said.contains(words), "{said}");
            }
        });
    }
    for (arguments, words) in [
        (vec!["run", "--sandbox", "strcit"], "did you mean strict?"),
        (
            vec!["exec", "--sandbox", "strcit", "--", "true"],
            "did you mean strict?",
        ),
        (
            vec!["run", "--sandbox-file", "/no/such/file"],
            "/no/such/file: No such file",
        ),
        (
            vec!["run", "--probe", "fs-raed-outside"],
            "did you mean fs-read-outside",
        ),
    ] {
        let output = program::escapology(arguments).output();
        let said = program::refusal(&output.expect("the program can be started"), 2);
        assert!(said.contains(words), "{said}");
    }
}
