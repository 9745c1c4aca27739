//! Kernels and filters that lack a system call: what is used instead protects
//! as much, or the launch fails by name.

mod support;

use std::time::Duration;

use nix::mount::{MsFlags, mount};
use rstest::rstest;
use sandbox_core::{
    Access, Base, Capabilities, Child, Command, Enter, Errno, Error, Exit, Init, Mount, Namespace,
    Root, Spec, Stage, TimeOffsets,
};
use support::filter::{Answer, with_filter, without};
use support::{builder, inside, out, run, shell, spawn_error};

const NO_CALL: &[libc::c_long] = &[];

#[rstest]
#[case::by_clone3(NO_CALL)]
#[case::by_clone(&[libc::SYS_clone3])]
fn every_namespace_is_new_by_the_old_clone_too(
    #[case] missing: &[libc::c_long],
    #[values(None, Some(TimeOffsets { monotonic: 10, boottime: 20 }))] time: Option<TimeOffsets>,
) {
    let names = ["user", "pid", "mnt", "net", "ipc", "uts", "cgroup", "time"];
    let spec = Spec {
        time,
        ..builder(&Namespace::ALL)
    };
    let script = names.map(|name| format!("readlink /proc/self/ns/{name};"));
    let text = without(missing, || out(spec, &script.concat()));
    let inner: Vec<&str> = text.lines().collect();
    assert_eq!(inner.len(), names.len(), "{text}");
    for (name, inner) in names.iter().zip(inner) {
        let outer = std::fs::read_link(format!("/proc/self/ns/{name}")).unwrap();
        assert_ne!(outer.to_str(), Some(inner));
    }
}

#[test]
fn a_refused_clone3_is_an_error_and_not_tried_another_way() {
    let error = with_filter(
        &[libc::SYS_clone3],
        Answer::Errno(libc::EPERM.unsigned_abs()),
        || spawn_error(builder(&[]), "true"),
    );
    assert_eq!(
        (error.stage(), error.errno()),
        (Some(Stage::Clone), Some(Errno::EPERM)),
        "{error}"
    );
}

/// A mount namespace of the test's own, with a mount in a mount in it.
fn nested_mounts() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let tmpfs = |path: &std::path::Path| {
        mount(
            None::<&str>,
            path,
            Some("tmpfs"),
            MsFlags::MS_NODEV,
            None::<&str>,
        )
        .unwrap();
    };
    tmpfs(directory.path());
    // Mounts made here later go wherever copies of it listen.
    mount(
        None::<&str>,
        directory.path(),
        None::<&str>,
        MsFlags::MS_SHARED,
        None::<&str>,
    )
    .unwrap();
    let below = directory.path().join("below");
    std::fs::create_dir(&below).unwrap();
    std::fs::create_dir(directory.path().join("late")).unwrap();
    tmpfs(&below);
    std::fs::write(below.join("there"), "").unwrap();
    directory
}

fn with_mounts() -> Spec {
    Spec {
        capabilities: Capabilities::Keep,
        environment: None,
        ..builder(&[Namespace::User, Namespace::Mount])
    }
}

#[rstest]
#[case::modern("modern", NO_CALL)]
#[case::old("old", &[libc::SYS_mount_setattr])]
fn a_read_only_bind_is_read_only_all_the_way_down(
    #[case] name: &str,
    #[case] missing: &[libc::c_long],
    #[values(Enter::PivotRoot, Enter::Chroot)] enter: Enter,
) {
    let case = match name {
        "modern" => "case_1_modern",
        _ => "case_2_old",
    };
    let enter_case = match enter {
        Enter::PivotRoot => "enter_1_Enter__PivotRoot",
        Enter::Chroot => "enter_2_Enter__Chroot",
    };
    let test = format!("a_read_only_bind_is_read_only_all_the_way_down::{case}::{enter_case}");
    inside(&test, with_mounts(), || {
        let outside = nested_mounts();
        let mut mounts = support::system();
        mounts.push(Mount::Bind {
            source: outside.path().into(),
            target: "/data".into(),
            access: Access::ReadOnly,
            optional: false,
        });
        mounts.push(Mount::Proc {
            target: "/proc".into(),
        });
        let spec = Spec {
            root: Some(Root {
                enter,
                ..Root::default()
            }),
            mounts,
            capabilities: Capabilities::Keep,
            ..builder(&[Namespace::User, Namespace::Mount, Namespace::Pid])
        };
        let script = "test -e /data/below/there || echo NOT-THERE
            for path in / /data /data/below; do (echo > $path/new) 2>&- && echo WROTE $path; done
            grep ' /data' /proc/self/mountinfo | cut -d' ' -f 5,6; grep -c 'shared\\|master' /proc/self/mountinfo";
        let text = without(missing, || out(spec, script));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        for (line, path) in lines.iter().zip(["/data ", "/data/below "]) {
            assert!(line.starts_with(path), "{text}");
            for flag in ["ro", "nosuid", "nodev"] {
                assert!(line.split([' ', ',']).any(|word| word == flag), "{text}");
            }
        }
        if enter == Enter::PivotRoot {
            assert_eq!(
                lines[2], "0",
                "a copy listens to mounts made outside: {text}"
            );
        }
    });
}

#[rstest]
#[case::modern("modern", NO_CALL)]
#[case::old("old", &[libc::SYS_mount_setattr])]
fn a_directory_as_root_is_read_only_all_the_way_down(
    #[case] name: &str,
    #[case] missing: &[libc::c_long],
) {
    let case = match name {
        "modern" => "case_1_modern",
        _ => "case_2_old",
    };
    let test = format!("a_directory_as_root_is_read_only_all_the_way_down::{case}");
    inside(&test, with_mounts(), || {
        let outside = nested_mounts();
        for (writable, wrote) in [(false, ""), (true, "WROTE /\nWROTE /below")] {
            let directories = ["usr", "bin", "lib", "lib64", "etc", "etc/alternatives"];
            for directory in directories {
                let _ = std::fs::create_dir(outside.path().join(directory));
            }
            let spec = Spec {
                root: Some(Root {
                    base: Base::Directory(outside.path().into()),
                    enter: Enter::PivotRoot,
                    writable,
                }),
                mounts: support::system(),
                ..builder(&[Namespace::User, Namespace::Mount])
            };
            let script = "test -e /below/there || echo NOT-THERE
                for path in / /below; do (echo > $path/new) 2>&- && echo WROTE $path; done; true";
            assert_eq!(without(missing, || out(spec, script)), wrote);
        }
    });
}

#[rstest]
#[case::direct(&[])]
#[case::under_pid_1(&[Namespace::User, Namespace::Pid])]
fn without_close_range_nothing_is_launched_that_should_close(#[case] namespaces: &[Namespace]) {
    for _ in 0..20 {
        let error = without(&[libc::SYS_close_range], || {
            spawn_error(builder(namespaces), "true")
        });
        assert!(matches!(error, Error::Launch { .. }), "{error}");
        assert_eq!(
            (error.stage(), error.errno()),
            (Some(Stage::Descriptors), Some(Errno::ENOSYS)),
            "{error}"
        );
    }
}

#[rstest]
#[case::direct(&[], Init::Minimal)]
#[case::under_pid_1(&[Namespace::User, Namespace::Pid], Init::Minimal)]
#[case::as_pid_1(&[Namespace::User, Namespace::Pid], Init::Program)]
fn a_filter_that_kills_execve_is_a_lost_launch(
    #[case] namespaces: &[Namespace],
    #[case] init: Init,
) {
    let spec = Spec {
        init,
        ..builder(namespaces)
    };
    let sandbox = spec.build().unwrap();
    let error = with_filter(&[libc::SYS_execve], Answer::KillProcess, || {
        shell(&sandbox, "true").spawn().and_then(|mut child| {
            let exit = child.wait_timeout(Duration::from_secs(60));
            assert!(!matches!(exit, Ok(None)), "it hangs");
            // And the same when asked again.
            let again = child.wait().expect_err("it was lost");
            assert_eq!(exit.unwrap_err().to_string(), again.to_string());
            Err::<(), _>(again)
        })
    })
    .expect_err("the program never ran");
    let Error::Lost { stage, exit } = error else {
        panic!("{error}");
    };
    assert_eq!(stage, Stage::Exec);
    assert!(
        matches!(
            exit,
            Exit::Signal {
                number: libc::SIGSYS,
                ..
            }
        ),
        "{exit}"
    );
}

/// A pid 1 that cannot do its work takes the program with it, whose exit code
/// that is not.
#[test]
fn a_failing_pid_1_is_no_exit_of_the_program() {
    let spec = Spec {
        die_with_parent: false,
        ..builder(&[Namespace::User, Namespace::Pid])
    };
    let sandbox = spec.build().unwrap();
    for _ in 0..20 {
        // Only pid 1 polls in there; out here another thread does.
        let launched: Result<Child, Error> =
            without(&[libc::SYS_poll], || shell(&sandbox, "sleep 1000").spawn());
        match launched.and_then(|mut child| child.wait()) {
            Err(Error::Child { errno, .. }) => assert_eq!(errno, Errno::EPIPE),
            Err(Error::Lost { .. }) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// In an empty PATH lies nothing, and in the working directory neither.
#[test]
fn a_name_is_looked_for_in_path_alone() {
    let directory = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/bin/true", directory.path().join("tool")).unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(directory.path(), open).unwrap();
    let spec = Spec {
        working_directory: sandbox_core::WorkingDirectory::Path(directory.path().into()),
        ..builder(&[])
    };
    let sandbox = spec.build().unwrap();
    let mut command = Command::search(&sandbox, "tool");
    command.env("PATH", "/usr/bin:/bin");
    let error = command.spawn().expect_err("it is not in PATH");
    assert_eq!(
        (error.stage(), error.errno()),
        (Some(Stage::Exec), Some(Errno::ENOENT))
    );
    assert!(error.to_string().contains("(tool)"), "{error}");
    command.env("PATH", directory.path());
    assert_eq!(command.spawn().unwrap().wait().unwrap(), Exit::Code(0));
}

/// As many mounts as descriptors: each step closes what it opened.
#[test]
fn building_a_root_takes_few_descriptors() {
    let mut mounts = support::system();
    mounts.extend((0..600).map(|number| Mount::Directory {
        target: format!("/many/{number}/deep").into(),
    }));
    let spec = Spec {
        root: Some(Root::default()),
        mounts,
        ..builder(&[Namespace::User, Namespace::Mount])
    };
    let (soft, hard) =
        nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE).unwrap();
    let limit = |soft| {
        nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE, soft, hard)
            .unwrap();
    };
    limit(soft.min(256));
    let result = run(spec, "ls /many | wc -l");
    limit(soft);
    assert_eq!(result, (Exit::Code(0), "600".to_owned()));
}
