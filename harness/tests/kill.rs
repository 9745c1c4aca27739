//! A run that is killed at any moment leaves nothing: no process, no mount, no
//! cgroup, no socket, no shared memory, no file.

#[path = "common/program.rs"]
mod program;
#[path = "common/traces.rs"]
mod traces;
#[path = "common/trials.rs"]
mod trials;

use std::io::{BufRead as _, BufReader};
use std::os::fd::AsFd as _;
use std::process::{Child, ExitCode, Stdio};

use libtest_mimic::Arguments;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use traces::Traces;

/// A run in mid-work is killed at latest after so many milliseconds.
const LATEST: u128 = 300;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Each trial waits for all the children that there are.
    arguments.test_threads = Some(1);
    let obstacle = trials::obstacle();
    let bodies: [(&str, fn()); 7] = [
        ("killed_in_mid_run", || {
            struck(Signal::SIGKILL, &["run"], 12);
        }),
        ("killed_in_an_ablation", || {
            struck(Signal::SIGKILL, &["run", "--ablate"], 8);
        }),
        ("killed_under_a_launcher_that_hangs", || {
            let launcher = ["run", "--", "sh", "-c", "sleep 1000 & exec sleep 1000"];
            struck(Signal::SIGKILL, &launcher, 4);
        }),
        ("terminated", || {
            struck(Signal::SIGTERM, &["run", "--ablate"], 3);
        }),
        ("interrupted", || {
            struck(Signal::SIGINT, &["run", "--ablate"], 3);
        }),
        ("the_arena_killed", the_arena_killed),
        ("exec_killed", exec_killed),
    ];
    let list = bodies
        .into_iter()
        .map(|(name, body)| trials::trial(name, obstacle.as_deref(), body));
    trials::main(&arguments, list.collect())
}

/// Starts it so often, and each time ends it at another moment.
fn struck(signal: Signal, arguments: &[&str], times: usize) {
    traces::adopt();
    let before = Traces::now();
    let directory = tempfile::tempdir().expect("a directory can be made");
    for _ in 0..times {
        let mut command = program::escapology(arguments);
        command.env("TMPDIR", directory.path());
        let mut run = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program can be started");
        let delay = uuid::Uuid::new_v4().as_u128() % LATEST;
        assert!(
            !says_anything(&mut run, delay),
            "it ended before it was struck"
        );
        kill(Pid::from_raw(run.id().cast_signed()), signal).expect("it is not reaped yet");
        traces::all_ended();
        let left: Vec<_> = directory.path().read_dir().expect("it is there").collect();
        assert!(left.is_empty(), "after {delay} ms: {left:?}");
    }
    before.no_more();
}

/// Whether a run prints its report, or ends, within so many milliseconds.
fn says_anything(run: &mut Child, millis: u128) -> bool {
    let printed = run.stdout.as_ref().expect("it is a pipe");
    let timeout = PollTimeout::try_from(millis).expect("it is short");
    let mut wanted = [PollFd::new(printed.as_fd(), PollFlags::POLLIN)];
    poll(&mut wanted, timeout).expect("it can be polled") != 0
}

/// The harness has failed then, and says so.
fn the_arena_killed() {
    traces::adopt();
    let before = Traces::now();
    let run = program::escapology(["run", "--ablate"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program can be started");
    let parent = Pid::from_raw(run.id().cast_signed());
    let arena = (0..1000)
        .find_map(|_| {
            traces::moment();
            // Below the pid 1 of its namespace.
            let below = traces::children(parent);
            let mut programs = below.iter().flat_map(|(pid, _)| traces::children(*pid));
            programs.find(|(_, line)| line.last().is_some_and(|word| word == "arena"))
        })
        .map(|(pid, _)| pid)
        .expect("a run has an arena");
    kill(arena, Signal::SIGKILL).expect("only its parent reaps it");
    let output = run.wait_with_output().expect("it can be waited for");
    let said = program::refusal(&output, 4);
    assert!(
        said.contains("failed to finish the run: the arena ended early"),
        "{said}"
    );
    traces::all_ended();
    before.no_more();
}

/// A program in a sandbox does not outlive the one that launched it.
#[expect(
    clippy::zombie_processes,
    reason = "traces::all_ended reaps whatever there is"
)]
fn exec_killed() {
    traces::adopt();
    let before = Traces::now();
    for sandbox in ["none", "namespaces"] {
        let script = "echo ready; exec sleep 1000";
        let mut command =
            program::escapology(["exec", "--sandbox", sandbox, "--", "sh", "-c", script]);
        let mut run = command
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program can be started");
        let mut line = String::new();
        let printed = run.stdout.take().expect("it is a pipe");
        BufReader::new(printed)
            .read_line(&mut line)
            .expect("it can be read");
        assert_eq!(line, "ready\n");
        run.kill().expect("it is not reaped yet");
        traces::all_ended();
    }
    before.no_more();
}
