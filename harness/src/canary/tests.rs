//! Every canary with the probes that look for it: clean before, touched by the
//! harness, touched by the bare probe, and untouched by one that was misled.

use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::geteuid;
use probes::wire::Frames;
use probes::{Canary as Kind, Need};
use rstest::rstest;
use tempfile::TempDir;

use super::*;
use crate::sys;

/// A leg's ground. Its thread gets a session keyring of its own, as in an arena.
fn ground() -> (TempDir, Ground) {
    sys::join_session_keyring().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let ground = Ground {
        directory: directory.path().to_owned(),
        nonce: cookie(),
        // Not one that is written here: another test's fork could hold it open
        // for writing just then (ETXTBSY).
        probe_program: env!("ESCAPOLOGY_PROBE_PROGRAM").into(),
    };
    (directory, ground)
}

/// Runs a probe with no protection at all.
fn run(ground: &Ground, probe: &str, lure: Lure) -> Output {
    let registered = probes::find(probe).unwrap();
    let mut command = Command::new(&ground.probe_program);
    if registered.probe.needs.contains(&Need::ArenaRoot) && !geteuid().is_root() {
        command = Command::new("unshare");
        command
            .args(["--user", "--map-root-user"])
            .arg(&ground.probe_program);
    }
    command
        .args(["run", probe, &format!("nonce={}", ground.nonce)])
        .args(
            lure.arguments
                .iter()
                .map(|(name, value)| format!("{name}={value}")),
        )
        .envs(lure.environment)
        .current_dir(lure.working_directory.unwrap_or_else(|| "/".into()))
        .process_group(lure.process_group.map_or(0, Pid::as_raw))
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    sys::at_numbers(&mut command, out_of_the_way(lure.descriptors));
    let mut child = command.spawn().unwrap();
    drop(command);
    let mut stream = child.stdout.take().unwrap();
    child.wait().unwrap();

    fcntl(&stream, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    let mut frames = Frames::new(&ground.nonce);
    frames.push(&all_of(&mut stream));
    let records = frames.records().to_vec();
    let mut late = Frames::new(&ground.nonce);
    if registered.probe.canary == Kind::Teardown {
        let mut ready = [PollFd::new(stream.as_fd(), PollFlags::POLLIN)];
        poll(&mut ready, PollTimeout::from(2_000_u16)).unwrap();
        late.push(&all_of(&mut stream));
    }
    Output {
        records,
        after_teardown: late.records().to_vec(),
        ..Output::default()
    }
}

/// The same descriptors at numbers that no planted one gets.
fn out_of_the_way(descriptors: Vec<(OwnedFd, i32)>) -> Vec<(OwnedFd, i32)> {
    descriptors
        .into_iter()
        .map(|(descriptor, number)| (sys::duplicate_above(&descriptor, 500).unwrap(), number))
        .collect()
}

/// A lure that leads nowhere: what a sandbox that holds comes to.
fn misled(lure: &Lure) -> Lure {
    let elsewhere = |name: &str| match name {
        // The highest pid is 2^22, so nobody has these.
        "victim" | "id" | "key" => "2147483646",
        "port" => "1",
        "page" => "0",
        "name" | "description" | "variable" => "nobody-has-this-name",
        "tree" | "secret" | "file" | "socket-path" => "/nonexistent/place",
        _ => "20",
    };
    Lure {
        arguments: lure
            .arguments
            .iter()
            .map(|(name, _)| (name.clone(), elsewhere(name).to_owned()))
            .collect(),
        ..Lure::default()
    }
}

const KINDS: [Kind; 18] = [
    Kind::Process,
    Kind::ProcessGroup,
    Kind::PeerSocket,
    Kind::FileTree,
    Kind::ReadOnlyTree,
    Kind::WorkingDirectory,
    Kind::DirectoryDescriptor,
    Kind::ReadOnlyDescriptor,
    Kind::Decoys,
    Kind::TcpListener,
    Kind::InetSocket,
    Kind::Resolver,
    Kind::AbstractSocket,
    Kind::PathSocket,
    Kind::SharedMemory,
    Kind::SessionKey,
    Kind::Variable,
    Kind::Teardown,
];

#[test]
fn every_probe_has_a_canary_that_is_tested_here() {
    assert_eq!(probes::all().len(), 31);
    for registered in probes::all() {
        assert!(
            KINDS.contains(&registered.probe.canary),
            "{}",
            registered.id
        );
    }
}

#[test]
fn every_canary_is_clean_until_the_harness_pokes_it() {
    for kind in KINDS {
        let (_directory, ground) = ground();
        let mut canary = plant(kind, &ground).unwrap();
        for _ in 0..2 {
            assert_eq!(
                canary.observe(&Output::default()),
                Observation::Clean,
                "{kind:?}"
            );
        }
        let output = canary.poke().unwrap();
        let observation = canary.observe(&output);
        assert!(observation.is_touched(), "{kind:?}: {observation:?}");
    }
}

/// One trial for each probe, so that a failure names it.
#[rstest]
fn a_bare_probe_touches_its_canary_and_a_misled_one_does_not(
    #[values(
        "fd-dirfd-dotdot",
        "fd-leak-scan",
        "fd-reopen-rw",
        "fs-chroot-double",
        "fs-cwd-unreachable",
        "fs-metadata-write",
        "fs-read-outside",
        "fs-ro-bind-write",
        "fs-write-outside",
        "info-env-canary",
        "ipc-sysv-shm",
        "keyring-session-read",
        "net-leaked-inet-socket",
        "net-tcp-loopback",
        "net-udp-dns",
        "net-unix-abstract",
        "net-unix-path",
        "proc-pid-environ",
        "proc-pid-root",
        "process-setsid-doublefork",
        "ptrace-getfd-peerpidfd",
        "ptrace-seize-outside",
        "ptrace-vm-readv-outside",
        "signal-fcntl-setown",
        "signal-kill-outside",
        "signal-kill-pgrp-zero"
    )]
    probe: &str,
) {
    let (_directory, ground) = ground();
    let kind = probes::find(probe).unwrap().probe.canary;
    let mut canary = plant(kind, &ground).unwrap();
    assert_eq!(canary.observe(&Output::default()), Observation::Clean);
    let lure = canary.lure().unwrap();

    let nowhere = misled(&lure);
    let attempt = if kind == Kind::Teardown {
        "info-env-canary"
    } else {
        probe
    };
    let output = run(&ground, attempt, nowhere);
    assert_eq!(
        canary.observe(&output),
        Observation::Clean,
        "misled: {output:?}"
    );

    let output = run(&ground, probe, lure);
    let observation = canary.observe(&output);
    assert!(
        observation.is_touched(),
        "{observation:?} after {output:#?}"
    );
    println!("{observation:?} after {output:#?}");
}

#[test]
fn what_a_canary_planted_is_gone_with_it() {
    let (_directory, ground) = ground();
    let lure = |kind| plant(kind, &ground).unwrap().lure().unwrap().arguments;
    let value = |arguments: &[(String, String)], wanted: &str| {
        let found = arguments.iter().find(|(name, _)| name == wanted);
        found.unwrap().1.parse::<i32>().unwrap()
    };
    let victim = Pid::from_raw(value(&lure(Kind::Process), "victim"));
    assert_eq!(
        nix::sys::signal::kill(victim, None),
        Err(nix::errno::Errno::ESRCH)
    );
    let id = value(&lure(Kind::SharedMemory), "id");
    assert!(sys::attach_segment(id).is_err());
}
