//! Launches, as whoever runs the tests: root or an ordinary user.

mod support;

use std::time::{Duration, Instant};

use rstest::rstest;
use sandbox_core::{
    Access, Base, Capabilities, Command, Descriptors, Enter, Environment, Errno, Error, Exit,
    IdRange, Ids, Init, Limits, Mount, Namespace, Root, Session, Spec, Stage, TimeOffsets,
    WorkingDirectory,
};
use support::{builder, out, run, shell};

#[test]
fn the_programs_exit_code_comes_back() {
    for code in [0, 1, 42, 255] {
        assert_eq!(
            run(builder(&[]), &format!("exit {code}")).0,
            Exit::Code(code)
        );
        assert_eq!(
            run(builder(&Namespace::ALL), &format!("exit {code}")).0,
            Exit::Code(code)
        );
    }
}

#[rstest]
#[case::direct(&[])]
#[case::under_pid_1(&[Namespace::User, Namespace::Pid])]
fn a_signal_comes_back(#[case] namespaces: &[Namespace]) {
    // The shell dies right after exec, which must not look like a lost launch.
    let (exit, _) = run(builder(namespaces), "kill -9 $$");
    assert_eq!(
        exit,
        Exit::Signal {
            number: 9,
            core_dumped: false
        }
    );
}

#[test]
fn pid_1_reaps_orphans_and_ends_with_the_program() {
    let script = "for i in 1 2 3 4 5 6 7 8; do (sleep 1000 &) ; (true &) ; done; exit 7";
    let started = Instant::now();
    assert_eq!(
        run(builder(&[Namespace::User, Namespace::Pid]), script).0,
        Exit::Code(7)
    );
    assert!(
        started.elapsed() < Duration::from_secs(60),
        "the sandbox waited for its orphans"
    );
}

#[test]
fn the_program_can_be_pid_1_itself() {
    let spec = Spec {
        init: Init::Program,
        ..builder(&[Namespace::User, Namespace::Pid])
    };
    assert_eq!(out(spec, "echo $$"), "1");
    assert_eq!(
        out(builder(&[Namespace::User, Namespace::Pid]), "echo $$"),
        "2"
    );
}

#[test]
fn a_new_session_has_a_new_process_group() {
    let script = "echo $$; cut -d' ' -f 5,6 /proc/$$/stat";
    let new = out(builder(&[]), script);
    let fields: Vec<&str> = new.split_whitespace().collect();
    assert_eq!((fields[1], fields[2]), (fields[0], fields[0]));
    let inherited = out(
        Spec {
            session: Session::Inherit,
            ..builder(&[])
        },
        script,
    );
    let fields: Vec<&str> = inherited.split_whitespace().collect();
    assert_ne!(fields[2], fields[0]);
}

#[test]
fn the_environment_is_an_allow_list() {
    let environment = Environment {
        allow: ["ALLOWED".to_owned(), "PATH".to_owned()].into(),
        set: [("SET".to_owned(), "yes".to_owned())].into(),
    };
    let sandbox = Spec {
        environment: Some(environment),
        ..builder(&[])
    }
    .build()
    .unwrap();
    let mut command = shell(&sandbox, "echo ${ALLOWED-no} ${SECRET-no} ${SET-no}");
    command.env("ALLOWED", "1").env("SECRET", "2");
    assert_eq!(support::finish(&mut command).1, "1 no yes");
}

#[test]
fn only_passed_descriptors_arrive() {
    let null = || std::fs::File::open("/dev/null").unwrap().into();
    let listing = "for n in 3 7 30 31; do test -e /proc/self/fd/$n && echo $n; done; true";
    for (descriptors, expected) in [(Descriptors::Close, "7"), (Descriptors::Inherit, "7\n30")] {
        let sandbox = Spec {
            descriptors,
            ..builder(&[])
        }
        .build()
        .unwrap();
        let mut command = shell(&sandbox, listing);
        command.pass_fd(null(), 7).inherited_fd(null(), 30);
        assert_eq!(support::finish(&mut command).1, expected, "{descriptors:?}");
    }
}

#[test]
fn descriptors_may_trade_numbers() {
    let file = |text: &str| {
        use std::io::{Seek, Write};
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file.rewind().unwrap();
        file
    };
    let files: Vec<_> = ["a", "b", "c", "d", "e", "f"].map(file).into();
    let first = files
        .iter()
        .map(std::os::fd::AsRawFd::as_raw_fd)
        .min()
        .unwrap()
        .max(3);
    // Every number that is a source is also another's target.
    let numbers: Vec<i32> = (0..6).map(|index| first + (index + 1) % 6).collect();
    let sandbox = builder(&[]).build().unwrap();
    let reads: String = numbers
        .iter()
        .map(|number| format!("cat /proc/self/fd/{number}; "))
        .collect();
    let mut command = shell(&sandbox, &reads);
    for (file, number) in files.into_iter().zip(&numbers) {
        command.pass_fd(file.into(), *number);
    }
    assert_eq!(support::finish(&mut command).1, "abcdef");
}

#[test]
fn capabilities_are_gone_from_every_set() {
    for namespaces in [&[][..], &[Namespace::User]] {
        let status = out(
            builder(namespaces),
            "grep -E '^(Cap(Inh|Prm|Eff|Amb)|NoNewPrivs)' /proc/self/status",
        );
        for line in status.lines().filter(|line| line.starts_with("Cap")) {
            assert!(line.ends_with("0000000000000000"), "{line}");
        }
        assert!(status.contains("NoNewPrivs:\t1"), "{status}");
    }
    let bounding = out(builder(&[Namespace::User]), "grep CapBnd /proc/self/status");
    assert!(bounding.ends_with("0000000000000000"), "{bounding}");
}

#[test]
fn capabilities_can_be_kept() {
    let ids = Some(Ids {
        uid: 1234,
        gid: 1234,
        uid_map: vec![],
        gid_map: vec![],
    });
    let spec = Spec {
        ids,
        capabilities: Capabilities::Keep,
        ..builder(&[Namespace::User])
    };
    let effective = out(spec, "id -u; grep CapEff /proc/self/status");
    assert!(effective.starts_with("1234\n"), "{effective}");
    assert!(!effective.ends_with("0000000000000000"), "{effective}");
}

#[rstest]
#[case::pivot_root(Enter::PivotRoot)]
#[case::chroot(Enter::Chroot)]
fn a_root_of_its_own_holds_what_it_was_given(#[case] enter: Enter) {
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("shown"), "text").unwrap();
    let bind = |source: &std::path::Path, target: &str, access, optional| Mount::Bind {
        source: source.into(),
        target: target.into(),
        access,
        optional,
    };
    let mut mounts = support::system();
    mounts.extend([
        Mount::Proc {
            target: "/proc".into(),
        },
        Mount::Dev {
            target: "/dev".into(),
        },
        Mount::Tmpfs {
            target: "/tmp".into(),
            size: Some(1 << 20),
        },
        bind(outside.path(), "/a/b", Access::ReadOnly, false),
        bind(outside.path(), "/tmp/rw", Access::ReadWrite, false),
        bind("/nowhere".as_ref(), "/optional", Access::ReadOnly, true),
        Mount::Symlink {
            source: "/a".into(),
            target: "/link".into(),
        },
    ]);
    let spec = Spec {
        root: Some(Root {
            enter,
            ..Root::default()
        }),
        mounts,
        ..builder(&[Namespace::User, Namespace::Mount, Namespace::Pid])
    };
    let script = "cat /link/b/shown; echo
        (echo x > /a/b/new) 2>/dev/null && echo WROTE-RO; (echo x > /top) 2>/dev/null && echo WROTE-ROOT
        echo inside > /tmp/rw/made; echo x > /tmp/room; echo x > /dev/null; test -e /dev/sda && echo DISK
        set -- /proc/[0-9]*; echo $#; pwd; ls /";
    let (exit, text) = run(spec, script);
    let mut lines = text.lines();
    assert_eq!(exit, Exit::Code(0), "{text}");
    assert_eq!(lines.next(), Some("text"), "{text}");
    // Pid 1 and the shell.
    assert_eq!(lines.next(), Some("2"), "{text}");
    assert_eq!(lines.next(), Some("/"));
    assert!(!text.contains("nowhere") && !text.contains("optional"));
    assert_eq!(
        std::fs::read_to_string(outside.path().join("made")).unwrap(),
        "inside\n"
    );
    assert!(!outside.path().join("new").exists());
}

#[test]
fn a_link_in_the_root_does_not_lead_mounts_out_of_it() {
    let outside = tempfile::tempdir().unwrap();
    let mut mounts = support::system();
    mounts.extend([
        Mount::Symlink {
            source: outside.path().into(),
            target: "/out".into(),
        },
        Mount::Bind {
            source: "/usr".into(),
            target: "/out/usr".into(),
            access: Access::ReadOnly,
            optional: false,
        },
    ]);
    let spec = Spec {
        root: Some(Root::default()),
        mounts,
        ..builder(&[Namespace::User, Namespace::Mount])
    };
    let error = support::spawn_error(spec, "true");
    // The link is resolved inside the root, where its target does not exist.
    assert_eq!(
        (error.stage(), error.errno()),
        (Some(Stage::Mount), Some(Errno::ENOENT)),
        "{error}"
    );
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
}

/// Another user id inside must get through directories that its launcher made.
#[test]
fn directories_are_made_whatever_the_launchers_mask() {
    let mut mounts = support::system();
    mounts.push(Mount::Directory {
        target: "/a/b".into(),
    });
    let spec = Spec {
        root: Some(Root::default()),
        mounts,
        ..builder(&[Namespace::User, Namespace::Mount])
    };
    let private = nix::sys::stat::Mode::from_bits_truncate(0o077);
    let before = nix::sys::stat::umask(private);
    let result = run(spec, "stat -c %a /a /a/b; umask");
    nix::sys::stat::umask(before);
    assert_eq!(result, (Exit::Code(0), "755\n755\n0077".to_owned()));
}

#[test]
fn the_hostname_is_the_sandboxs_own() {
    let before = nix::unistd::gethostname().unwrap();
    let spec = Spec {
        hostname: Some("inside".into()),
        ..builder(&[Namespace::User, Namespace::Uts])
    };
    assert_eq!(out(spec, "uname -n"), "inside");
    assert_eq!(nix::unistd::gethostname().unwrap(), before);
}

#[rstest]
#[case::under_pid_1(Init::Minimal)]
#[case::as_pid_1(Init::Program)]
fn clock_offsets_arrive_and_timings_do_not_show_them(#[case] init: Init) {
    let offsets = TimeOffsets {
        monotonic: 100_000,
        boottime: 1_000_000,
    };
    let spec = Spec {
        time: Some(offsets),
        init,
        ..builder(&[Namespace::User, Namespace::Time, Namespace::Pid])
    };
    let sandbox = spec.build().unwrap();
    let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
    let before: f64 = uptime.split_whitespace().next().unwrap().parse().unwrap();
    let mut command = shell(&sandbox, "cut -d' ' -f1 /proc/uptime");
    let (_, text, child) = support::finish_child(&mut command);
    let inside: f64 = text.parse().unwrap();
    assert!(inside - before >= 1_000_000.0, "{inside} after {before}");
    let longest = child
        .timings()
        .laps
        .iter()
        .map(|&(_, lap)| lap)
        .max()
        .unwrap();
    assert!(longest < Duration::from_secs(1000), "{:?}", child.timings());
}

#[rstest]
#[case::up(true)]
#[case::down(false)]
fn loopback_is_up_where_it_is_asked_for(#[case] loopback: bool) {
    let spec = Spec {
        loopback,
        ..builder(&[Namespace::User, Namespace::Net])
    };
    let script =
        "tail -n +3 /proc/net/dev | cut -d: -f1; grep -c 127.0.0.1 /proc/net/fib_trie; true";
    let text = out(spec, script);
    assert_eq!(text.lines().next().map(str::trim), Some("lo"), "{text}");
    assert_eq!(text.lines().last() != Some("0"), loopback, "{text}");
}

#[test]
fn limits_are_set() {
    let limits = Limits {
        open_files: Some(50),
        core: Some(0),
        ..Limits::default()
    };
    assert_eq!(
        out(
            Spec {
                limits,
                ..builder(&[])
            },
            "ulimit -n; ulimit -c"
        ),
        "50\n0"
    );
}

#[test]
fn a_deadline_kills_the_whole_tree() {
    let spec = Spec {
        deadline: Some(Duration::from_millis(200)),
        ..builder(&[Namespace::User, Namespace::Pid])
    };
    let sandbox = spec.build().unwrap();
    let mut child = shell(&sandbox, "sleep 1000 & sleep 1000").spawn().unwrap();
    assert_eq!(child.wait().unwrap(), Exit::TimedOut);
}

#[rstest]
#[case::pid_namespace(&[Namespace::User, Namespace::Pid])]
#[case::process_group(&[])]
fn dropping_a_child_kills_it_and_what_it_started(#[case] namespaces: &[Namespace]) {
    let sandbox = builder(namespaces).build().unwrap();
    let (reader, writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap();
    let mut command = shell(&sandbox, "sleep 1000 & sleep 1000");
    command.stdout(sandbox_core::Stdio::Descriptor(writer));
    let child = command.spawn().unwrap();
    let pid = child.id();
    drop(command);
    drop(child);
    // End of file says that every process that held the pipe is gone.
    let mut byte = [0];
    assert_eq!(nix::unistd::read(&reader, &mut byte), Ok(0));
    assert_eq!(nix::sys::signal::kill(pid, None), Err(Errno::ESRCH));
}

#[test]
fn ranges_of_ids_are_written_by_a_privileged_parent() {
    let map = vec![
        IdRange {
            inside: 0,
            outside: 0,
            count: 1,
        },
        IdRange {
            inside: 1,
            outside: 70_000,
            count: 100,
        },
    ];
    let ids = Some(Ids {
        uid: 50,
        gid: 60,
        uid_map: map.clone(),
        gid_map: map,
    });
    let spec = Spec {
        ids,
        ..builder(&[Namespace::User])
    };
    if nix::unistd::geteuid().is_root() {
        assert_eq!(
            out(spec, "id -u; id -g; id -G; cat /proc/self/uid_map | wc -l"),
            "50\n60\n60\n2"
        );
    } else {
        // An ordinary user has only what /etc/subuid gives, and is told by whom.
        let error = support::spawn_error(spec, "true");
        assert_eq!(error.stage(), Some(Stage::IdMap), "{error}");
        assert!(error.to_string().contains("newuidmap"), "{error}");
    }
}

#[rstest]
#[case::entered(WorkingDirectory::Path("/".into()), "")]
#[case::inherited(WorkingDirectory::Inherit, "text")]
fn a_directory_outside_the_root_is_left_by_the_working_directory_step_alone(
    #[case] directory: WorkingDirectory,
    #[case] expected: &str,
) {
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("secret"), "text").unwrap();
    let spec = Spec {
        root: Some(Root::default()),
        mounts: support::system(),
        working_directory: directory,
        ..builder(&[Namespace::User, Namespace::Mount])
    };
    let sandbox = spec.build().unwrap();
    let mut command = shell(&sandbox, "cat secret; true");
    command.launcher_dir(outside.path());
    assert_eq!(support::finish(&mut command).1, expected);
}

#[rstest]
#[case::bad_bind_source(
    Spec {
        mounts: vec![Mount::Bind { source: "/no/such".into(), target: "/x".into(), access: Access::ReadOnly, optional: false }],
        root: Some(Root::default()),
        ..builder(&[Namespace::User, Namespace::Mount])
    },
    Stage::Mount, Errno::ENOENT, "bind /no/such"
)]
#[case::root_is_no_directory(
    Spec {
        root: Some(Root { base: Base::Directory("/etc/passwd".into()), ..Root::default() }),
        ..builder(&[Namespace::User, Namespace::Mount])
    },
    Stage::Root, Errno::ENOTDIR, "/etc/passwd"
)]
#[case::chroot_to_nowhere(
    Spec {
        root: Some(Root { base: Base::Directory("/no/root".into()), enter: Enter::Chroot, writable: false }),
        ..builder(&[Namespace::User])
    },
    Stage::Root, Errno::ENOENT, "/no/root"
)]
#[case::no_working_directory(
    Spec { working_directory: WorkingDirectory::Path("/no/where".into()), ..builder(&[]) },
    Stage::WorkingDirectory, Errno::ENOENT, "/no/where"
)]
#[case::missing_program(builder(&[Namespace::User, Namespace::Pid]), Stage::Exec, Errno::ENOENT, "/no/program")]
#[case::missing_cgroup(
    Spec { cgroup: Some(sandbox_core::Cgroup { parent: "/no/cgroup".into() }), ..builder(&[]) },
    Stage::Cgroup, Errno::ENOENT, "/no/cgroup"
)]
#[case::limit_too_high(
    Spec { limits: Limits { open_files: Some(u64::MAX - 1), ..Limits::default() }, ..builder(&[Namespace::User]) },
    Stage::Limits, Errno::EPERM, "open_files"
)]
fn a_failed_launch_names_stage_subject_and_errno(
    #[case] spec: Spec,
    #[case] stage: Stage,
    #[case] errno: Errno,
    #[case] subject: &str,
) {
    let sandbox = spec.build().unwrap();
    let error = Command::new(&sandbox, "/no/program")
        .spawn()
        .expect_err("it cannot be launched");
    assert!(matches!(error, Error::Launch { .. }));
    assert_eq!(
        (error.stage(), error.errno()),
        (Some(stage), Some(errno)),
        "{error}"
    );
    assert!(error.to_string().contains(subject), "{error}");
    // Under nextest each test has a process of its own: no child may be left.
    if std::env::var_os("NEXTEST").is_some() {
        assert_eq!(
            nix::sys::wait::waitpid(None, Some(nix::sys::wait::WaitPidFlag::WNOHANG)),
            Err(Errno::ECHILD)
        );
    }
}
