//! Launches from a process with threads, handlers and timers (claims M2–M5).
#![expect(
    unsafe_code,
    reason = "signal handlers, an interval timer and pthread_atfork"
)]

mod support;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::Duration;

use sandbox_core::{Command, Descriptors, Exit, Ids, Init, Namespace, Root, Session, Spec, Stdio};
use support::{builder, filter, shell};

/// Far more than any of these launches takes: only a hang comes near it.
const HANG: Duration = Duration::from_secs(60);

/// Runs this beside threads that allocate, start threads, and spin.
fn beside_busy_threads<T>(count: usize, body: impl FnOnce() -> T) -> T {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for index in 0..count {
            let done = &done;
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    match index % 8 {
                        0..4 => drop(std::hint::black_box(vec![0_u8; 1 + index * 100])),
                        4 => drop(std::thread::spawn(|| ()).join()),
                        _ => std::thread::yield_now(),
                    }
                }
            });
        }
        // Set even if the body panics, or the threads would never end.
        struct Done<'a>(&'a AtomicBool);
        impl Drop for Done<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let _done = Done(&done);
        body()
    })
}

/// One with every namespace, and one that takes on other ids where it may: the
/// C library's wrappers for that lock its list of threads.
fn sandboxes() -> Vec<Spec> {
    let ids = Ids {
        uid: 12,
        gid: 12,
        uid_map: vec![],
        gid_map: vec![],
    };
    let mut specs = vec![
        builder(&[]),
        Spec {
            root: Some(Root::default()),
            mounts: support::system(),
            ..builder(&Namespace::ALL)
        },
        Spec {
            ids: Some(ids.clone()),
            init: Init::Program,
            ..builder(&[Namespace::User, Namespace::Pid])
        },
    ];
    if nix::unistd::geteuid().is_root() {
        specs.push(Spec {
            ids: Some(ids),
            ..builder(&[])
        });
    }
    specs
}

fn exits_with(spec: &Spec, code: i32) {
    let sandbox = spec.clone().build().unwrap();
    let mut child = shell(&sandbox, &format!("exit {code}"))
        .spawn()
        .unwrap_or_else(|error| panic!("{error}"));
    let exit = child.wait_timeout(HANG).unwrap().expect("it hangs");
    assert_eq!(exit, Exit::Code(code));
}

#[test]
fn m2_m4_launches_work_beside_32_busy_threads() {
    beside_busy_threads(32, || {
        for round in 0..25 {
            for spec in sandboxes() {
                exits_with(&spec, round);
            }
        }
    });
}

/// The C library's wrapper would signal and await every thread that it knows
/// of; its list of them is locked for as long as one is being made.
#[test]
fn ids_are_set_without_the_c_librarys_list_of_threads() {
    let spec = sandboxes().swap_remove(2);
    beside_busy_threads(2, || {
        // tgkill is what the wrapper signals the threads with.
        filter::with_filter(&[libc::SYS_tgkill], filter::Answer::KillProcess, || {
            exits_with(&spec, 3);
        });
    });
}

extern "C" fn abort() {
    std::process::abort()
}

#[test]
fn m3_no_handler_of_pthread_atfork_runs() {
    // SAFETY: the handlers are functions that live as long as the program.
    let result = unsafe { libc::pthread_atfork(Some(abort), Some(abort), Some(abort)) };
    assert_eq!(result, 0);
    for spec in sandboxes() {
        exits_with(&spec, 4);
    }
}

/// Where the handler writes: a pipe is the one thing it shares with a child.
static PIDS: AtomicI32 = AtomicI32::new(-1);

extern "C" fn write_pid(_: libc::c_int) {
    // SAFETY: takes no argument. The raw call, async-signal-safe in any process.
    let pid = unsafe { libc::syscall(libc::SYS_getpid) };
    // SAFETY: the pointer is to a live local of the size given. A full pipe
    // does not block.
    unsafe {
        libc::write(
            PIDS.load(Ordering::Relaxed),
            (&raw const pid).cast(),
            size_of_val(&pid),
        )
    };
}

fn handle(signal: libc::c_int) {
    // SAFETY: an all-zero sigaction is a valid value of that C structure.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = write_pid as *const () as usize;
    // SAFETY: the action is initialised, and its handler async-signal-safe.
    let result = unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) };
    assert_eq!(result, 0);
}

fn every_millisecond() {
    let interval = libc::timeval {
        tv_sec: 0,
        tv_usec: 1000,
    };
    let timer = libc::itimerval {
        it_interval: interval,
        it_value: interval,
    };
    // SAFETY: the timer is initialised, and the old one is not asked for.
    let result =
        unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const timer, std::ptr::null_mut()) };
    assert_eq!(result, 0);
}

/// A timer for the launcher, and for its whole process group, children
/// included, a storm of a signal that kills nobody by default.
#[test]
fn m5_no_handler_of_the_launcher_runs_in_a_child() {
    let (reader, writer) =
        nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC | nix::fcntl::OFlag::O_NONBLOCK).unwrap();
    PIDS.store(
        std::os::fd::IntoRawFd::into_raw_fd(writer),
        Ordering::Relaxed,
    );
    let _ = nix::unistd::setpgid(nix::unistd::Pid::from_raw(0), nix::unistd::Pid::from_raw(0));
    handle(libc::SIGALRM);
    handle(libc::SIGURG);
    every_millisecond();

    let done = AtomicBool::new(false);
    let mut seen = BTreeSet::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let own = nix::unistd::Pid::from_raw(0);
                let _ = nix::sys::signal::killpg(own, nix::sys::signal::Signal::SIGURG);
                std::thread::yield_now();
            }
        });
        let mut storm = || {
            for round in 0..100 {
                for spec in sandboxes() {
                    // In the group of the storm, and with the pipe until exec.
                    let spec = Spec {
                        session: Session::Inherit,
                        descriptors: Descriptors::Inherit,
                        ..spec
                    };
                    exits_with(&spec, round);
                    let mut bytes = [0_u8; 4096];
                    while let Ok(read @ 1..) = nix::unistd::read(&reader, &mut bytes) {
                        let (pids, _) = bytes[..read].as_chunks::<8>();
                        seen.extend(pids.iter().map(|&pid| i64::from_ne_bytes(pid)));
                    }
                }
            }
        };
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            storm();
            // The old call resets no handlers by itself.
            filter::without(&[libc::SYS_clone3], &mut storm);
        }));
        done.store(true, Ordering::Relaxed);
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
    assert_eq!(seen, [i64::from(std::process::id())].into());
}

#[test]
fn launches_from_eight_threads_at_once_keep_apart_and_leave_nothing() {
    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let (oracle, held) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap();
    let before = descriptors();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let held = &held;
            scope.spawn(move || {
                let specs = sandboxes();
                for round in 0..50 {
                    let sandbox = specs[round % specs.len()].clone().build().unwrap();
                    let code = i32::try_from(thread * 50 + round).unwrap() % 256;
                    // What it leaves behind holds the pipe, unless it is killed.
                    let mut command = shell(&sandbox, &format!("sleep 1000 & exit {code}"));
                    command.pass_fd(held.try_clone().unwrap(), 9);
                    let mut child = command.spawn().unwrap_or_else(|error| panic!("{error}"));
                    let exit = child.wait_timeout(HANG).unwrap().expect("it hangs");
                    assert_eq!(exit, Exit::Code(code));
                    let missing = Command::new(&sandbox, "/no/program")
                        .stdin(Stdio::Null)
                        .spawn();
                    let stage = missing.unwrap_err().stage();
                    assert_eq!(stage, Some(sandbox_core::Stage::Exec));
                }
            });
        }
    });
    // Under nextest this process has nothing else open, and no other children.
    if std::env::var_os("NEXTEST").is_some() {
        assert_eq!(descriptors(), before);
        assert_eq!(
            nix::sys::wait::waitpid(None, Some(nix::sys::wait::WaitPidFlag::WNOHANG)),
            Err(nix::errno::Errno::ECHILD)
        );
    }
    drop(held);
    support::assert_end_of_file(&oracle);
}
