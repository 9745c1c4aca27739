//! `escapology exec`: any program in a sandbox, with its own streams and end.

#[path = "common/program.rs"]
mod program;
#[path = "common/trials.rs"]
mod trials;

use std::io::Write as _;
use std::process::{ExitCode, Output, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::Arguments;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let obstacle = trials::obstacle();
    let bodies: [(&str, fn()); 5] = [
        ("the_end_is_the_programs", the_end),
        ("a_deadline_ends_it_with_124", deadline),
        ("it_sees_the_sandbox", sees_the_sandbox),
        ("it_gets_nothing_that_was_not_passed", gets_nothing),
        ("its_input_is_the_callers", input),
    ];
    let list = bodies
        .into_iter()
        .map(|(name, body)| trials::trial(name, obstacle.as_deref(), body));
    trials::main(&arguments, list.collect())
}

/// A shell script in a built-in sandbox.
fn script(sandbox: &str, script: &str) -> Output {
    program::escapology(["exec", "--sandbox", sandbox, "--", "sh", "-c", script])
        .output()
        .expect("the program can be started")
}

fn the_end() {
    for sandbox in ["none", "namespaces", "strict"] {
        for (end, code) in [
            ("exit 0", 0),
            ("exit 7", 7),
            ("exit 255", 255),
            ("kill -TERM $$", 128 + 15),
            ("kill -KILL $$", 128 + 9),
            ("no-such-command", 127),
        ] {
            let output = script(sandbox, end);
            assert_eq!(output.status.code(), Some(code), "{end} in {sandbox}");
        }
    }
}

fn deadline() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let file = directory.path().join("short.toml");
    let text = "namespaces = [\"user\", \"pid\"]\ndeadline = \"300ms\"\n";
    std::fs::write(&file, text).expect("it can be written");
    let began = Instant::now();
    let mut command = program::escapology(["exec", "--sandbox-file"]);
    command.arg(&file).args(["--", "sleep", "1000"]);
    let output = command.output().expect("the program can be started");
    assert_eq!(output.status.code(), Some(124));
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
}

fn sees_the_sandbox() {
    for sandbox in ["namespaces", "strict"] {
        let output = script(
            sandbox,
            "id -u; hostname 2>/dev/null || uname -n; echo $$; ls /",
        );
        let said = program::text(&output.stdout);
        let lines: Vec<&str> = said.lines().collect();
        let [uid, host, pid, root @ ..] = lines.as_slice() else {
            panic!("{said}");
        };
        assert_eq!((*uid, *host), ("1000", "sandbox"));
        assert!(pid.parse::<u32>().expect("a number") < 10, "{pid}");
        for name in ["dev", "proc", "tmp", "usr"] {
            assert!(root.contains(&name), "{name} is not in {root:?}");
        }
        for name in ["boot", "home", "root", "run", "sys", "var"] {
            assert!(!root.contains(&name), "{name} is in {root:?}");
        }
        let refused = script(sandbox, "cat /etc/shadow");
        assert_eq!(refused.status.code(), Some(1));
        let said = program::text(&refused.stderr);
        assert!(
            said.contains("/etc/shadow: No such file or directory"),
            "{said}"
        );
    }
}

/// Neither variables nor, besides its streams, descriptors.
fn gets_nothing() {
    let mut command = program::escapology(["exec", "--", "sh", "-c", "env; ls /proc/$$/fd"]);
    command
        .env("ESCAPOLOGY_TEST_SECRET", "x")
        .env("TERM", "dumb");
    // Left open by whoever starts the program.
    let said = program::text(&command.output().expect("it can be started").stdout);
    assert!(!said.contains("ESCAPOLOGY_TEST_SECRET"), "{said}");
    assert!(
        said.contains("TERM=dumb\n") && said.contains("HOME=/tmp\n"),
        "{said}"
    );

    let leaking = "exec 9</; exec \"$@\"";
    let mut command = std::process::Command::new("sh");
    command.args(["-c", leaking, "sh"]).arg(program::path());
    command.args(["exec", "--", "sh", "-c", "exec ls -l /proc/self/fd"]);
    let said = program::text(&command.output().expect("it can be started").stdout);
    assert!(
        said.contains(" 0 -> ") && !said.contains(" 9 -> "),
        "{said}"
    );
}

fn input() {
    let mut child = program::escapology(["exec", "--", "cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program can be started");
    let mut pipe = child.stdin.take().expect("it is a pipe");
    pipe.write_all(b"through and back\n")
        .expect("somebody reads");
    drop(pipe);
    let output = child.wait_with_output().expect("it can be waited for");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(program::text(&output.stdout), "through and back\n");
}
