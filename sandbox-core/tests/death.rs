//! Who dies with whom: launchers, their threads, pid 1, the program (claim M6).
//!
//! The program runs itself again as a launcher that is killed. Whether anything
//! of its sandbox is left shows a pipe that all of it holds: its end of file.

mod support;

use std::io::{BufRead, BufReader, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::process::{Child as Launcher, Command as Process, Stdio as Pipe};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Trial};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg, setsockopt,
    socketpair, sockopt,
};
use nix::unistd::{Pid, geteuid};
use sandbox_core::{Exit, IdRange, Ids, Init, Namespace, Sandbox, Spec, Stdio};
use support::filter::{Answer, with_filter};
use support::{assert_end_of_file, builder, shell, trial};

const HANG: Duration = Duration::from_secs(60);
/// What shall not survive: a child, and one that left session and group.
const LITTER: &str = "sleep 1000 & setsid sleep 1000 & ";

fn main() {
    if let Ok(kind) = std::env::var("ESCAPOLOGY_LAUNCHER") {
        return launcher(&kind);
    }
    let mut trials: Vec<Trial> = ["minimal", "program", "keeper", "bare"]
        .into_iter()
        .flat_map(|kind| {
            let random = format!("a_launcher_killed_at_any_moment_takes_all_with_it::{kind}");
            let early = format!("a_launcher_killed_right_after_clone_takes_all_with_it::{kind}");
            [
                trial(random, move || killed_at_any_moment(kind)),
                trial(early, move || killed_right_after_clone(kind)),
            ]
        })
        .collect();
    trials.push(
        // Only a privileged launcher writes maps for a child that waits for them.
        trial(
            "a_child_that_waits_for_its_maps_dies_with_its_launcher",
            killed_before_the_maps,
        )
        .with_ignored_flag(!geteuid().is_root()),
    );
    trials.extend([
        trial("a_sandbox_may_outlive_its_launcher", outlives),
        trial("m6_the_pid_is_the_same_from_all_sides", the_pid),
        trial("a_killed_pid_1_takes_all_with_it", killed_pid_1),
        trial("a_deadline_kills_what_ignores_every_signal", deadline),
        trial("the_launching_threads_end_is_nobodys_death", thread_ends),
        trial("the_end_of_a_killed_program_is_seen_by_poll", polled),
        trial(
            "a_killed_program_takes_all_with_it_before_it_is_waited_for",
            unwaited,
        ),
        trial(
            "a_launcher_that_ignores_sigchld_still_hears_from_pid_1",
            ignored,
        ),
    ]);
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn spec(kind: &str) -> Spec {
    let namespaces: &[Namespace] = match kind {
        "bare" | "keeper" => &[],
        _ => &[Namespace::User, Namespace::Pid],
    };
    Spec {
        init: match kind {
            "program" => Init::Program,
            "keeper" => Init::Keeper,
            _ => Init::Minimal,
        },
        ..builder(namespaces)
    }
}

fn build(kind: &str) -> Sandbox {
    spec(kind).build().unwrap()
}

/// The other side: launches until it is killed. Standard output is the oracle.
fn launcher(kind: &str) {
    let (how, kind) = kind.split_once(' ').unwrap();
    // Without a pid namespace only the program itself is tied to the launcher.
    let script = match kind {
        "bare" => "exec sleep 1000".to_owned(),
        _ => format!("{LITTER} exec sleep 1000"),
    };
    let sandbox = build(kind);
    let launch = |sandbox: &Sandbox| shell(sandbox, &script).spawn();
    match how {
        "loop" => {
            for round in 0.. {
                let child = launch(&sandbox);
                // Now and then it is there to stay.
                if round % 8 == 7 {
                    std::mem::forget(child);
                }
            }
        }
        // The first descriptor that a launcher closes is its copy of the
        // child's socket, right after the clone.
        "right-after-clone" => with_filter(&[libc::SYS_close], Answer::KillProcess, || {
            let _ = launch(&sandbox);
        }),
        // The first file that it opens is the child's uid_map.
        "before-the-maps" => {
            let map = vec![IdRange {
                inside: 0,
                outside: 0,
                count: 2,
            }];
            let ids = Some(Ids {
                uid: 0,
                gid: 0,
                uid_map: map.clone(),
                gid_map: map,
            });
            let sandbox = Spec { ids, ..spec(kind) }.build().unwrap();
            with_filter(&[libc::SYS_openat], Answer::KillProcess, || {
                let _ = launch(&sandbox);
            });
        }
        "ignoring" => {
            let mut child = shell(&sandbox, "exit 7").spawn().unwrap();
            // And when asked again, the same.
            let exits = [child.wait(), child.wait()].map(|exit| format!("{exit:?}"));
            assert_eq!(exits[0], exits[1]);
            print!("{}", exits[0]);
        }
        "outlived" => {
            let spec = Spec {
                die_with_parent: false,
                ..spec(kind)
            };
            let sandbox = spec.build().unwrap();
            let script = "echo ready; read line; echo alive; exec sleep 1000";
            let child = shell(&sandbox, script).spawn().unwrap();
            std::mem::forget(child);
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
        }
        _ => unreachable!(),
    }
}

fn start(how: &str, kind: &str) -> Launcher {
    Process::new(std::env::current_exe().unwrap())
        .env("ESCAPOLOGY_LAUNCHER", format!("{how} {kind}"))
        .stdin(Pipe::piped())
        .stdout(Pipe::piped())
        .spawn()
        .unwrap()
}

fn end(mut launcher: Launcher) {
    let oracle = OwnedFd::from(launcher.stdout.take().unwrap());
    let _ = launcher.kill();
    launcher.wait().unwrap();
    assert_end_of_file(&oracle);
}

fn killed_at_any_moment(kind: &str) {
    for round in 0..60_u32 {
        let launcher = start("loop", kind);
        // From before the first launch to some dozen later, in uneven steps.
        let moment =
            Instant::now() + Duration::from_micros(u64::from(round * round * 7919 % 30_000));
        while Instant::now() < moment {
            std::thread::yield_now();
        }
        end(launcher);
    }
}

fn killed_right_after_clone(kind: &str) {
    for _ in 0..100 {
        let mut launcher = start("right-after-clone", kind);
        let status = launcher.wait().unwrap();
        let signal = std::os::unix::process::ExitStatusExt::signal(&status);
        assert_eq!(signal, Some(libc::SIGSYS), "{status}");
        end(launcher);
    }
}

fn killed_before_the_maps() {
    for kind in ["minimal", "program"] {
        let mut launcher = start("before-the-maps", kind);
        let status = launcher.wait().unwrap();
        let signal = std::os::unix::process::ExitStatusExt::signal(&status);
        assert_eq!(signal, Some(libc::SIGSYS), "{status}");
        end(launcher);
    }
}

fn outlives() {
    for kind in ["minimal", "program", "bare"] {
        let mut launcher = start("outlived", kind);
        let mut input = launcher.stdin.take().unwrap();
        let mut output = BufReader::new(launcher.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        launcher.kill().unwrap();
        launcher.wait().unwrap();
        input.write_all(b"go\n").unwrap();
        output.read_line(&mut line).unwrap();
        assert_eq!(line, "ready\nalive\n", "{kind}");
        // Nobody else ends it: whoever holds the pipe, by its descriptor.
        for pid in holders(output.get_ref()) {
            let _ = kill(pid, Signal::SIGKILL);
        }
    }
}

/// The processes but this that have this pipe open.
fn holders(pipe: &impl AsRawFd) -> Vec<Pid> {
    let own = std::process::id().cast_signed();
    let link = |path: std::path::PathBuf| std::fs::read_link(path).ok();
    let wanted = link(format!("/proc/self/fd/{}", pipe.as_raw_fd()).into());
    let processes = procfs::process::all_processes().unwrap();
    processes
        .filter_map(Result::ok)
        .filter(|process| process.pid != own)
        .filter(|process| {
            std::fs::read_dir(format!("/proc/{}/fd", process.pid))
                .into_iter()
                .flatten()
                .flatten()
                .any(|entry| link(entry.path()) == wanted)
        })
        .map(|process| Pid::from_raw(process.pid))
        .collect()
}

fn the_pid() {
    for kind in ["minimal", "program", "bare"] {
        let (ours, theirs) = socketpair(
            AddressFamily::Unix,
            SockType::Stream,
            None,
            SockFlag::SOCK_CLOEXEC,
        )
        .unwrap();
        setsockopt(&ours, sockopt::PassCred, &true).unwrap();
        let sandbox = build(kind);
        let mut command = shell(&sandbox, "echo $$ >&3; read line; exit 6");
        command.pass_fd(theirs, 3);
        let (reader, writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap();
        command.stdin(Stdio::Descriptor(reader));
        let mut child = command.spawn().unwrap();
        drop(command);

        let mut text = [0; 32];
        let mut parts = [IoSliceMut::new(&mut text)];
        let mut control = nix::cmsg_space!(nix::sys::socket::UnixCredentials);
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        let message =
            recvmsg::<()>(ours.as_raw_fd(), &mut parts, Some(&mut control), flags).unwrap();
        let sender = message.cmsgs().unwrap().find_map(|message| match message {
            ControlMessageOwned::ScmCredentials(credentials) => Some(credentials.pid()),
            _ => None,
        });
        let length = message.bytes;
        assert_eq!(sender, Some(child.program_id().as_raw()), "{kind}");
        // What it calls itself is what procfs says of that pid, innermost.
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.program_id()));
        let status = status.unwrap();
        let names = status.lines().find(|line| line.starts_with("NSpid:"));
        let inside = std::str::from_utf8(&text[..length]).unwrap().trim();
        assert_eq!(names.unwrap().split_whitespace().last(), Some(inside));
        assert_eq!(child.id() == child.program_id(), kind != "minimal");
        let parent = status
            .lines()
            .find(|line| line.starts_with("PPid:"))
            .unwrap();
        let expected = if kind == "minimal" {
            child.id().as_raw()
        } else {
            std::process::id().cast_signed()
        };
        assert_eq!(parent, format!("PPid:\t{expected}"));
        drop(writer);
        assert_eq!(child.wait().unwrap(), Exit::Code(6));
    }
}

/// A running sandbox, once its program has said so, and its oracle.
fn running(sandbox: &Sandbox, script: &str) -> (sandbox_core::Child, OwnedFd) {
    let (oracle, held) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap();
    let mut command = shell(sandbox, script);
    command.stdin(Stdio::Null).stdout(Stdio::Descriptor(held));
    let child = command.spawn().unwrap();
    drop(command);
    assert_eq!(nix::unistd::read(&oracle, &mut [0; 64]), Ok(6));
    (child, oracle)
}

fn killed(number: i32) -> Exit {
    Exit::Signal {
        number,
        core_dumped: false,
    }
}

fn killed_pid_1() {
    for kind in ["minimal", "program"] {
        let sandbox = build(kind);
        let script = format!("{LITTER} echo ready; sleep 1000; true");
        let (mut child, oracle) = running(&sandbox, &script);
        kill(child.id(), Signal::SIGKILL).unwrap();
        assert_end_of_file(&oracle);
        assert_eq!(child.wait().unwrap(), killed(9), "{kind}");
    }
}

fn deadline() {
    for kind in ["minimal", "program", "bare"] {
        let spec = Spec {
            deadline: Some(Duration::from_millis(300)),
            ..spec(kind)
        };
        let sandbox = spec.build().unwrap();
        let deaf = "trap '' HUP INT QUIT TERM USR1 USR2 ALRM CHLD TSTP TTIN TTOU PIPE;";
        let script = format!("{deaf} sleep 1000 & echo ready; while :; do sleep 1000; done");
        let started = Instant::now();
        let (mut child, oracle) = running(&sandbox, &script);
        for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT] {
            kill(child.program_id(), signal).unwrap();
        }
        let exit = child.wait_timeout(HANG).unwrap().expect("it hangs");
        assert_eq!(exit, Exit::TimedOut, "{kind}");
        assert!(started.elapsed() >= Duration::from_millis(300));
        assert_end_of_file(&oracle);
    }
}

fn thread_ends() {
    let sandbox = build("minimal");
    let (reader, writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap();
    let (mut child, thread) = std::thread::scope(|scope| {
        let launch = || {
            let mut command = shell(&sandbox, "read line; exit 5");
            command.stdin(Stdio::Descriptor(reader));
            (command.spawn().unwrap(), nix::unistd::gettid())
        };
        scope.spawn(launch).join().unwrap()
    });
    // Joined is not yet ended: the kernel's thread goes last.
    while std::fs::exists(format!("/proc/self/task/{thread}")).unwrap() {
        std::thread::yield_now();
    }
    nix::unistd::write(&writer, b"go\n").unwrap();
    assert_eq!(child.wait().unwrap(), Exit::Code(5));
}

fn readable(child: &sandbox_core::Child) -> bool {
    let mut ready = [PollFd::new(child.as_fd(), PollFlags::POLLIN)];
    poll(&mut ready, PollTimeout::from(60_000_u16)).unwrap() == 1
}

fn polled() {
    for (end, expected) in [("exit 3", Exit::Code(3)), ("kill -9 $$", killed(9))] {
        for kind in ["minimal", "program", "bare"] {
            if kind == "program" && expected != Exit::Code(3) {
                continue; // no signal from inside reaches pid 1
            }
            let mut child = shell(&build(kind), end).spawn().unwrap();
            assert!(readable(&child), "{kind}: {end}");
            let exit = child.wait_timeout(Duration::ZERO).unwrap();
            assert_eq!(exit, Some(expected), "{kind}");
        }
    }
}

fn unwaited() {
    let sandbox = build("minimal");
    let script = format!("{LITTER} echo ready; kill -9 $$");
    let (mut child, oracle) = running(&sandbox, &script);
    assert_end_of_file(&oracle);
    assert_eq!(child.wait().unwrap(), killed(9));
}

/// What a launcher of this kind heard of a program that left with code 7.
fn heard(how: &str, kind: &str) -> String {
    let output = Process::new("env")
        .arg("--ignore-signal=CHLD")
        .arg(std::env::current_exe().unwrap())
        .env("ESCAPOLOGY_LAUNCHER", format!("{how} {kind}"))
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

fn ignored() {
    // Pid 1 tells, and waits for the program whatever its launcher ignores.
    assert_eq!(heard("ignoring", "minimal"), "Ok(Code(7))");
    let lost = "Err(Child { action: \"wait for the sandbox\", errno: ECHILD })";
    for kind in ["program", "bare"] {
        assert_eq!(heard("ignoring", kind), lost, "{kind}");
    }
}
