//! A user id of its own out of a pool (S8). Needs root; as anybody else the
//! trials are listed as ignored.
#![expect(
    unsafe_code,
    reason = "what the kernel does between fork and exec is what is tested"
)]

mod support;

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::sync::Barrier;

use libtest_mimic::Arguments;
use nix::sys::resource::{Resource, setrlimit};
use nix::unistd::{Uid, setresuid};
use sandbox_core::{Child, Errno, Error, Sandbox, Spec, Stage, Stdio, UidPool};
use support::{assert_end_of_file, builder, shell, trial};

/// Far from what systems give to people and services.
const FIRST: u32 = 1_900_000;

fn main() {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let missing = !nix::unistd::geteuid().is_root();
    let trials = [
        trial("s8_racing_claimants_never_share_a_uid", racing_claimants),
        trial("s8_a_full_pool_is_an_error_until_one_goes", a_full_pool),
        trial("s8_a_limit_of_1_does_not_see_one_holder", a_limit_of_1),
        trial(
            "s8_what_left_its_group_and_session_goes_with_the_uid",
            the_tree_goes,
        ),
        trial(
            "s8_a_root_process_can_enter_the_uid_afterwards",
            root_enters,
        ),
    ];
    let trials = trials.into_iter().map(|trial| {
        if missing {
            trial.with_kind("needs root").with_ignored_flag(true)
        } else {
            trial
        }
    });
    libtest_mimic::run(&arguments, trials.collect()).exit();
}

fn pool(first: u32, count: u32) -> Sandbox {
    let spec = Spec {
        uid_pool: Some(UidPool { first, count }),
        ..builder(&[])
    };
    spec.build().unwrap()
}

/// A sandbox that stays until its descriptor is dropped.
fn held(sandbox: &Sandbox) -> Result<(Child, OwnedFd), Error> {
    let (reader, writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap();
    let mut command = shell(sandbox, "read line");
    command.stdin(Stdio::Descriptor(reader));
    command.spawn().map(|child| (child, writer))
}

fn assert_full(result: &Result<(Child, OwnedFd), Error>) {
    let error = result.as_ref().expect_err("every uid is in use");
    assert_eq!(
        (error.stage(), error.errno()),
        (Some(Stage::Ids), Some(Errno::EAGAIN)),
        "{error}"
    );
    assert!(error.to_string().contains("an unused uid of"), "{error}");
}

fn racing_claimants() {
    const RANGE: u32 = 32;
    const CLAIMANTS: usize = 64;
    let rounds = std::env::var("ESCAPOLOGY_ROUNDS")
        .ok()
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(5);
    let sandbox = pool(FIRST, RANGE);
    for _ in 0..rounds {
        let barrier = Barrier::new(CLAIMANTS);
        let results: Vec<_> = std::thread::scope(|scope| {
            let claim = || {
                barrier.wait();
                let result = held(&sandbox);
                // A launching thread's end is the end of what it launched.
                barrier.wait();
                let uid = result.as_ref().map(|(child, _)| child.uid());
                if uid.is_err() {
                    assert_full(&result);
                }
                barrier.wait();
                uid.ok()
            };
            let threads: Vec<_> = (0..CLAIMANTS).map(|_| scope.spawn(claim)).collect();
            threads
                .into_iter()
                .filter_map(|thread| thread.join().unwrap())
                .collect()
        });
        let distinct: BTreeSet<u32> = results.iter().copied().collect();
        assert_eq!(
            distinct.len(),
            results.len(),
            "two claimants share a uid: {results:?}"
        );
        assert!(
            distinct
                .iter()
                .all(|uid| (FIRST..FIRST + RANGE).contains(uid))
        );
        // Claimants that meet both give way; most of the range is used all the same.
        assert!(
            distinct.len() >= 24,
            "only {} of {RANGE} uids were claimed",
            distinct.len()
        );
    }
}

fn a_full_pool() {
    let sandbox = pool(FIRST + 100, 3);
    let mut children: Vec<_> = (0..3).map(|_| held(&sandbox).unwrap()).collect();
    assert_full(&held(&sandbox));
    let uid = children[1].0.uid();
    drop(children.remove(1));
    assert_eq!(
        held(&sandbox).unwrap().0.uid(),
        uid,
        "the one that is free again"
    );
}

/// The recipe as it was once given: a limit, the change of ids, and execve
/// failing with EAGAIN where the uid is in use.
fn recipe(uid: u32, limit: u64) -> Option<Errno> {
    let mut command = std::process::Command::new("/bin/true");
    let enter = move || {
        setrlimit(Resource::RLIMIT_NPROC, limit, limit)?;
        let uid = Uid::from_raw(uid);
        setresuid(uid, uid, uid)?;
        Ok(())
    };
    // SAFETY: the closure runs between fork and exec of a process with one
    // thread, and makes two system calls.
    unsafe { command.pre_exec(enter) };
    match command.status() {
        Ok(status) => {
            assert!(status.success());
            None
        }
        Err(error) => error.raw_os_error().map(Errno::from_raw),
    }
}

fn a_limit_of_1() {
    let sandbox = pool(FIRST + 200, 1);
    let uid = FIRST + 200;
    assert_eq!(recipe(uid, 0), None, "nobody is there");
    let holder = held(&sandbox).unwrap();
    assert_eq!(
        recipe(uid, 0),
        Some(Errno::EAGAIN),
        "a limit of 0 sees the holder"
    );
    assert_eq!(recipe(uid, 1), None, "a limit of 1 does not");
    drop(holder);
}

fn the_tree_goes() {
    let sandbox = pool(FIRST + 300, 1);
    let (reader, writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap();
    let mut command = shell(
        &sandbox,
        "setsid sh -c '(sleep 1000 &) & echo ready; sleep 1000' & read line",
    );
    command.stdout(Stdio::Descriptor(writer));
    let (stdin, hold) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap();
    command.stdin(Stdio::Descriptor(stdin));
    let child = command.spawn().unwrap();
    assert_eq!(nix::unistd::read(&reader, &mut [0; 6]), Ok(6));
    drop(command);
    drop(child);
    drop(hold);
    assert_end_of_file(&reader);
    // Nobody has the uid any more, once the host's init has reaped its orphans.
    let free = (0..2000).any(|_| held(&sandbox).is_ok());
    assert!(free, "the uid is still in use");
}

fn root_enters() {
    // The named limitation: the claim holds against claimants, not against root.
    let sandbox = pool(FIRST + 400, 1);
    let (child, _hold) = held(&sandbox).unwrap();
    let status = std::process::Command::new("/bin/sh")
        .args(["-c", &format!("kill -0 {}", child.id())])
        .uid(child.uid())
        .status()
        .unwrap();
    assert!(
        status.success(),
        "a process that entered the uid later can signal the sandbox"
    );
}
