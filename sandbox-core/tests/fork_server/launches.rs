//! Launches through a server: as any other, and their failures too.

use std::os::fd::OwnedFd;

use nix::fcntl::OFlag;
use sandbox_core::fork_server::Setup;
use sandbox_core::{
    Access, Command, Descriptors, Errno, Error, Exit, ForkServer, IdRange, Ids, Init, Limits,
    Mount, Namespace, Root, Session, Spec, Stage, Stdio, Strategy, TimeOffsets, WorkingDirectory,
};

use crate::program::exits_with_42;
use crate::support::filter::{Answer, with_filter};
use crate::support::{builder, finish, finish_child, shell};
use crate::{IDLE, SERVER, await_descriptors, by, says, start};

pub(crate) fn runs() {
    let server = start();
    for namespaces in [&[][..], &[Namespace::User, Namespace::Pid], &Namespace::ALL] {
        for init in [Init::Minimal, Init::Program] {
            let spec = Spec {
                init,
                ..builder(namespaces)
            };
            let sandbox = spec.build().unwrap();
            assert_eq!(
                finish(&mut by(&server, &sandbox, "exit 7")).0,
                Exit::Code(7)
            );
            let (text, child) = says(&server, &sandbox, "echo $0-$PATH; ulimit -n");
            assert!(text.starts_with("/bin/sh-/"), "{text}");
            assert!(
                child
                    .timings()
                    .laps
                    .iter()
                    .any(|(stage, _)| *stage == Stage::Descriptors)
            );
        }
    }
    let killed = Exit::Signal {
        number: 9,
        core_dumped: false,
    };
    let sandbox = builder(&[]).build().unwrap();
    let (exit, _) = finish(&mut by(&server, &sandbox, "kill -9 $$"));
    assert_eq!(exit, killed);
    // Clock offsets and a working directory of the launcher's.
    let spec = Spec {
        time: Some(TimeOffsets {
            monotonic: 1000,
            boottime: 2_000_000,
        }),
        working_directory: WorkingDirectory::Inherit,
        ..builder(&[Namespace::User, Namespace::Time])
    };
    let (text, child) = says(&server, &spec.build().unwrap(), "pwd; cat /proc/uptime");
    let here = std::env::current_dir().unwrap();
    let (directory, uptime) = text.split_once('\n').unwrap();
    assert_eq!(directory, here.to_str().unwrap());
    assert!(uptime.starts_with('2') && uptime.len() > 14, "{uptime}");
    assert!(child.timings().total.as_secs() < 60);
}

pub(crate) fn pids() {
    let server = start();
    let spec = builder(&[Namespace::User, Namespace::Pid]);
    let sandbox = spec.build().unwrap();
    let (reader, writer) = nix::unistd::pipe2(OFlag::O_CLOEXEC).unwrap();
    let mut command = by(&server, &sandbox, "read line; echo $line >&9; exit 5");
    let (answers, answer) = nix::unistd::pipe2(OFlag::O_CLOEXEC).unwrap();
    command.stdin(Stdio::Descriptor(reader)).pass_fd(answer, 9);
    let mut child = command.spawn().unwrap();
    drop(command);
    // The program is pid 1's child, and pid 1 is the server's, not ours.
    assert_ne!(child.id(), child.program_id());
    assert_eq!(parent(child.program_id()), child.id().as_raw());
    assert_eq!(parent(child.id()), server.id().as_raw());
    assert_eq!(child.wait_timeout(std::time::Duration::ZERO).unwrap(), None);
    nix::unistd::write(&writer, b"hello\n").unwrap();
    assert_eq!(child.wait().unwrap(), Exit::Code(5));
    assert!(child.usage().unwrap().max_rss_bytes > 0);
    let mut text = [0; 6];
    nix::unistd::read(&answers, &mut text).unwrap();
    assert_eq!(&text, b"hello\n");
}

fn parent(pid: nix::unistd::Pid) -> i32 {
    procfs::process::Process::new(pid.as_raw())
        .and_then(|process| process.stat())
        .unwrap()
        .ppid
}

pub(crate) fn joins() {
    let server = start();
    let holder = builder(&[Namespace::User]).build().unwrap();
    let mut holding = shell(&holder, "exec sleep 1000").spawn().unwrap();
    let path = format!("/proc/{}/ns/user", holding.id());
    let wanted = std::fs::read_link(&path).unwrap();
    let open = || OwnedFd::from(std::fs::File::open(&path).unwrap());

    let inside = builder(&[Namespace::Pid, Namespace::Mount, Namespace::Uts]);
    let sandbox = inside.clone().build().unwrap();
    let mut command = by(&server, &sandbox, "readlink /proc/self/ns/user; echo $$");
    command.user_namespace(open());
    let (exit, text, child) = finish_child(&mut command);
    assert_eq!(exit, Exit::Code(0));
    assert_eq!(text, format!("{}\n2", wanted.display()));
    assert!(child.id() != child.program_id());

    // Never silently: by any other way it cannot be had.
    let mut direct = shell(&sandbox, "true");
    let error = direct.user_namespace(open()).spawn().unwrap_err();
    assert_eq!(error.errno(), Some(Errno::EOPNOTSUPP));
    // What is no user namespace is refused with its own subject.
    let mut command = by(&server, &sandbox, "true");
    command.user_namespace(std::fs::File::open("/proc/self/ns/uts").unwrap().into());
    let error = command.spawn().unwrap_err();
    assert_eq!(error.errno(), Some(Errno::EINVAL));
    assert!(
        error.to_string().contains("user namespace to join"),
        "{error}"
    );
    holding.kill().unwrap();
    holding.wait().unwrap();
}

pub(crate) fn large() {
    let server = start();
    let mut spec = builder(&[]);
    let size = 100_000;
    spec.environment
        .as_mut()
        .unwrap()
        .allow
        .insert("LARGE".into());
    let sandbox = spec.build().unwrap();
    let mut command = by(&server, &sandbox, "echo ${#LARGE}; ls /proc/$$/fd | wc -l");
    command.env("LARGE", "x".repeat(size));
    for number in 0..200 {
        command.pass_fd(
            std::fs::File::open("/dev/null").unwrap().into(),
            20 + number,
        );
    }
    let (exit, text) = finish(&mut command);
    assert_eq!(exit, Exit::Code(0));
    let (length, open) = text.split_once('\n').unwrap();
    assert_eq!(length, size.to_string());
    assert!(open.trim().parse::<usize>().unwrap() >= 203, "{open}");
}

/// One failing description for each stage that can be made to fail.
fn failing() -> Vec<(Stage, Spec)> {
    let bind = |source: &str| Mount::Bind {
        source: source.into(),
        target: "/x".into(),
        access: Access::ReadOnly,
        optional: false,
    };
    let limits = Limits {
        open_files: Some(u64::MAX - 1),
        ..Limits::default()
    };
    let one = IdRange {
        inside: 0,
        outside: 4_000_000_000,
        count: 1,
    };
    vec![
        (
            Stage::Mount,
            Spec {
                mounts: vec![bind("/no/such")],
                ..builder(&[Namespace::User, Namespace::Mount])
            },
        ),
        (
            Stage::Mount,
            Spec {
                mounts: vec![Mount::Tmpfs {
                    target: "/no/such".into(),
                    size: None,
                }],
                ..builder(&[Namespace::User, Namespace::Mount])
            },
        ),
        (
            Stage::Limits,
            Spec {
                limits,
                ..builder(&[Namespace::User])
            },
        ),
        (
            Stage::WorkingDirectory,
            Spec {
                working_directory: WorkingDirectory::Path("/no/such".into()),
                ..builder(&[])
            },
        ),
        (
            Stage::Ids,
            Spec {
                ids: Some(Ids {
                    uid: 77,
                    gid: 4_000_000,
                    uid_map: vec![IdRange {
                        inside: 77,
                        outside: one.outside,
                        count: 1,
                    }],
                    gid_map: vec![IdRange {
                        inside: 4_000_000,
                        outside: 1,
                        count: 1,
                    }],
                }),
                limits: Limits::default(),
                ..builder(&[Namespace::User])
            },
        ),
        (
            Stage::Time,
            Spec {
                time: Some(TimeOffsets {
                    monotonic: i64::MAX / 2,
                    boottime: 0,
                }),
                ..builder(&[Namespace::User, Namespace::Time])
            },
        ),
        (
            Stage::Exec,
            Spec {
                root: Some(Root::default()),
                ..builder(&[Namespace::User, Namespace::Mount])
            },
        ),
    ]
}

pub(crate) fn failures() {
    let server = start();
    for (stage, spec) in failing() {
        let sandbox = spec.build().unwrap();
        let direct = shell(&sandbox, "true").spawn().map(drop);
        let served = by(&server, &sandbox, "true").spawn().map(drop);
        match (&direct, &served) {
            // Not every host refuses the same ids.
            (Ok(()), Ok(())) if stage == Stage::Ids => continue,
            (Err(_), Err(_)) => {}
            other => panic!("{stage:?}: {other:?}"),
        }
        let (direct, served) = (direct.unwrap_err(), served.unwrap_err());
        assert_eq!(direct.to_string(), served.to_string());
        assert_eq!(direct.errno(), served.errno());
        if stage != Stage::Ids {
            assert_eq!(served.stage(), Some(stage), "{served}");
        }
    }
    // The clone itself: a process group of no session of ours, and a program
    // that is not there.
    let sandbox = builder(&[]).build().unwrap();
    let mut command = by(&server, &sandbox, "true");
    let error = command
        .process_group(nix::unistd::Pid::from_raw(1))
        .spawn()
        .unwrap_err();
    assert_eq!(
        (error.stage(), error.errno()),
        (Some(Stage::Session), Some(Errno::EPERM))
    );
    assert_eq!(crate::children(server.id()), [0; 0]);
}

pub(crate) fn lost() {
    // The server makes neither call itself; what it launches dies of them.
    let calls = [libc::SYS_setsid, libc::SYS_execveat];
    let server = with_filter(&calls, Answer::KillProcess, start);
    let killed = Exit::Signal {
        number: libc::SIGSYS,
        core_dumped: false,
    };
    for namespaces in [&[][..], &[Namespace::User, Namespace::Pid]] {
        let lost = |spec: Spec| {
            let sandbox = spec.build().unwrap();
            let mut command = Command::from_descriptor(&sandbox, exits_with_42(), "program");
            let launched = command.server(&server).spawn();
            match launched.and_then(|mut child| child.wait()) {
                Err(Error::Lost { stage, exit }) => (stage, exit),
                other => panic!("{other:?}"),
            }
        };
        let spec = builder(namespaces);
        assert_eq!(lost(spec.clone()), (Stage::Session, killed));
        let spec = Spec {
            session: Session::Inherit,
            limits: Limits {
                core: Some(0),
                ..Limits::default()
            },
            ..spec
        };
        assert_eq!(lost(spec), (Stage::Exec, killed));
    }
}

pub(crate) fn no_server() {
    let spec = Spec {
        strategy: Strategy::ForkServer,
        ..builder(&[])
    };
    let sandbox = spec.build().unwrap();
    let error = shell(&sandbox, "true").spawn().unwrap_err();
    assert_eq!(error.errno(), Some(Errno::ENOTCONN), "{error}");
    let server = start();
    assert_eq!(
        finish(&mut by(&server, &sandbox, "exit 3")).0,
        Exit::Code(3)
    );
}

pub(crate) fn hidden_entry() {
    let server = ForkServer::start(&Setup::this_program(SERVER)).unwrap();
    let sandbox = builder(&[]).build().unwrap();
    assert_eq!(
        finish(&mut by(&server, &sandbox, "exit 3")).0,
        Exit::Code(3)
    );
    assert_eq!(server.shut_down().unwrap(), Exit::Code(0));
}

pub(crate) fn no_such_server() {
    let error = ForkServer::start(&Setup::program("/no/such")).unwrap_err();
    assert_eq!(
        (error.stage(), error.errno()),
        (Some(Stage::Exec), Some(Errno::ENOENT))
    );
    let error = ForkServer::start(&Setup::program("/bin/true")).unwrap_err();
    assert!(
        error.to_string().contains("/bin/true is no fork server"),
        "{error}"
    );
}

/// Under load, beside other sandboxes: what a program finds open is what it was
/// given, and the server's own list is as before.
pub(crate) fn no_leak() {
    let server = start();
    for policy in [Descriptors::Close, Descriptors::Inherit] {
        let spec = Spec {
            descriptors: policy,
            ..builder(&[])
        };
        let sandbox = spec.build().unwrap();
        let others: Vec<_> = (0..8)
            .map(|_| by(&server, &sandbox, "exec sleep 1000").spawn().unwrap())
            .collect();
        let mut command = by(&server, &sandbox, "ls /proc/$$/fd; exit 0");
        command
            .stderr(Stdio::Null)
            .pass_fd(std::fs::File::open("/dev/null").unwrap().into(), 7);
        let (_, text) = finish(&mut command);
        assert_eq!(text, "0\n1\n2\n7");
        // A pidfd and a link for each that lives, and nothing else.
        await_descriptors(&server, IDLE + 16);
        drop(others);
        await_descriptors(&server, IDLE);
    }
    // Pid 1, a copy of the server, keeps three.
    let sandbox = builder(&[Namespace::User, Namespace::Pid]).build().unwrap();
    let child = by(&server, &sandbox, "exec sleep 1000").spawn().unwrap();
    let of_init = std::fs::read_dir(format!("/proc/{}/fd", child.id()));
    // Undumpable: only root can look.
    if let Ok(list) = of_init {
        assert_eq!(list.count(), 3);
    }
}
