//! Between clone and exec nothing allocates: a global allocator ends any other
//! process than the test's own with exit code 99.
#![expect(
    unsafe_code,
    reason = "a global allocator, and the control's bare fork"
)]

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicI32, Ordering};

use sandbox_core::{
    Access, Base, Capabilities, Capability, Command, Descriptors, Enter, Environment, Error, Exit,
    Ids, Init, Limits, Mount, Namespace, Root, Session, Spec, Stage, Stdio, TimeOffsets,
    WorkingDirectory,
};
use support::builder;

const TRIPPED: i32 = 99;

/// The test's pid; 0 lets everybody allocate.
static OWNER: AtomicI32 = AtomicI32::new(0);

struct Tripwire;

/// By the raw call: whatever the C library remembers.
fn pid() -> i32 {
    // SAFETY: takes no argument.
    let pid = unsafe { libc::syscall(libc::SYS_getpid) };
    i32::try_from(pid).unwrap_or(-1)
}

fn check() {
    let owner = OWNER.load(Ordering::Relaxed);
    if owner != 0 && owner != pid() {
        // SAFETY: ends the process; there is no requirement.
        unsafe { libc::_exit(TRIPPED) }
    }
}

// SAFETY: `System` does the work, with the caller's arguments as they are.
unsafe impl GlobalAlloc for Tripwire {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        check();
        // SAFETY: the caller keeps GlobalAlloc's contract, which is System's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        check();
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Tripwire = Tripwire;

fn main() {
    // nextest asks for the list of tests.
    if std::env::args().any(|argument| argument == "--list") {
        if !std::env::args().any(|argument| argument == "--ignored") {
            println!("nothing_allocates_between_clone_and_exec: test");
        }
        return;
    }
    OWNER.store(pid(), Ordering::Relaxed);
    the_tripwire_trips();
    for (name, spec) in specs() {
        launches(&name, spec.clone());
        failures(&name, &spec);
    }
    for (stage, spec) in failing() {
        let sandbox = spec.build().unwrap();
        let error = Command::new(&sandbox, "/no/program")
            .spawn()
            .expect_err("it fails");
        assert_eq!(error.stage(), Some(stage), "{error}");
        assert!(matches!(error, Error::Launch { .. }), "{stage:?}: {error}");
    }
    keeper_kills();
    println!("no allocation between clone and exec");
}

/// The control: a child that does allocate.
fn the_tripwire_trips() {
    // SAFETY: the child calls nothing but the allocator, which ends it.
    let child = unsafe { libc::fork() };
    if child == 0 {
        drop(std::hint::black_box(Box::new([0_u8; 64])));
        // SAFETY: ends the process; there is no requirement.
        unsafe { libc::_exit(0) }
    }
    let status = nix::sys::wait::waitpid(nix::unistd::Pid::from_raw(child), None).unwrap();
    assert!(
        matches!(status, nix::sys::wait::WaitStatus::Exited(_, TRIPPED)),
        "{status:?}"
    );
}

fn launches(name: &str, spec: Spec) {
    let sandbox = spec.build().unwrap();
    let open = |path| OwnedFd::from(std::fs::File::open(path).unwrap());
    let mut commands = [
        Command::new(&sandbox, "/bin/true"),
        Command::search(&sandbox, "true"),
        Command::from_descriptor(&sandbox, open("/bin/true"), "true"),
    ];
    for command in &mut commands {
        command.stdin(Stdio::Null).pass_fd(open("/dev/null"), 9);
        command.inherited_fd(open("/dev/null"), 40);
        let exit = command.spawn().and_then(|mut child| child.wait());
        assert!(matches!(exit, Ok(Exit::Code(0))), "{name}: {exit:?}");
    }
}

/// A keeper that looks at a killed program, and kills what it left.
fn keeper_kills() {
    let spec = Spec {
        init: Init::Keeper,
        ..builder(&[])
    };
    let sandbox = spec.build().unwrap();
    let script = "setsid sleep 60 >/dev/null 2>&1 & kill -KILL $$";
    let mut child = support::shell(&sandbox, script).spawn().unwrap();
    let exit = child.wait();
    let killed = matches!(exit, Ok(Exit::Signal { number: 9, .. }));
    assert!(killed, "{exit:?}");
}

fn failures(name: &str, spec: &Spec) {
    let sandbox = spec.clone().build().unwrap();
    let null = || OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
    for mut command in [
        Command::new(&sandbox, "/no/program"),
        Command::search(&sandbox, "no-program"),
        Command::from_descriptor(&sandbox, null(), "no-program"),
    ] {
        let error = command.spawn().expect_err("no such program");
        assert_eq!(error.stage(), Some(Stage::Exec), "{name}: {error}");
        assert!(matches!(error, Error::Launch { .. }), "{name}: {error}");
        command.pass_fd(null(), i32::MAX);
        let error = command.spawn().expect_err("no such number");
        assert_eq!(error.stage(), Some(Stage::Descriptors), "{name}: {error}");
        assert!(matches!(error, Error::Launch { .. }), "{name}: {error}");
    }
}

/// Every feature, with each way to be pid 1.
fn specs() -> Vec<(String, Spec)> {
    let rooted = |enter, base, init| {
        let mut mounts = support::system();
        if matches!(base, Base::Tmpfs { .. }) {
            mounts.extend(furniture());
        }
        Spec {
            root: Some(Root {
                base,
                enter,
                writable: false,
            }),
            mounts,
            init,
            ids: Some(Ids {
                uid: 7,
                gid: 7,
                uid_map: vec![],
                gid_map: vec![],
            }),
            hostname: Some("inside".into()),
            time: Some(TimeOffsets {
                monotonic: 5,
                boottime: 5,
            }),
            limits: Limits {
                processes: Some(1000),
                open_files: Some(64),
                file_size: Some(1 << 30),
                address_space: Some(1 << 40),
                core: Some(0),
                cpu_seconds: Some(100),
                locked_memory: Some(0),
                stack: Some(1 << 20),
            },
            environment: Some(Environment {
                set: [("A".to_owned(), "b".to_owned())].into(),
                allow: ["PATH".to_owned()].into(),
            }),
            ..builder(&Namespace::ALL)
        }
    };
    let mut specs = vec![("nothing".to_owned(), Spec::nothing())];
    for init in [Init::Minimal, Init::Program] {
        for enter in [Enter::PivotRoot, Enter::Chroot] {
            for base in [Base::Tmpfs { size: None }, Base::Directory("/".into())] {
                let name = format!("{init:?} {enter:?} {base:?}");
                let spec = rooted(enter, base, init);
                let kept = [Capability::Chown, Capability::Kill].into();
                specs.push((
                    format!("{name}, two capabilities, careless"),
                    Spec {
                        capabilities: Capabilities::Only(kept),
                        descriptors: Descriptors::Inherit,
                        session: Session::Inherit,
                        working_directory: WorkingDirectory::Inherit,
                        environment: None,
                        time: None,
                        ..spec.clone()
                    },
                ));
                specs.push((name, spec));
            }
        }
    }
    for (init, session) in [
        (Init::Keeper, Session::New),
        (Init::PatientKeeper, Session::Inherit),
    ] {
        let spec = Spec {
            init,
            session,
            ..builder(&[])
        };
        specs.push((format!("{init:?} {session:?}"), spec));
    }
    if nix::unistd::geteuid().is_root() {
        // Ids for real, and without a user namespace.
        let ids = Some(Ids {
            uid: 54_322,
            gid: 54_322,
            uid_map: vec![],
            gid_map: vec![],
        });
        specs.push((
            "ids".into(),
            Spec {
                ids,
                ..builder(&[])
            },
        ));
    }
    specs
}

fn furniture() -> Vec<Mount> {
    vec![
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
        Mount::Directory {
            target: "/a/b/c".into(),
        },
        Mount::Symlink {
            source: "/a/b".into(),
            target: "/link".into(),
        },
        Mount::Bind {
            source: "/etc/passwd".into(),
            target: "/a/passwd".into(),
            access: Access::ReadOnly,
            optional: false,
        },
    ]
}

/// Failures in the middle of the child's way.
fn failing() -> Vec<(Stage, Spec)> {
    let nowhere = || WorkingDirectory::Path("/no/where".into());
    let limits = Limits {
        open_files: Some(u64::MAX - 1),
        ..Limits::default()
    };
    let missing = vec![Mount::Bind {
        source: "/usr".into(),
        target: "/no/where".into(),
        access: Access::ReadOnly,
        optional: false,
    }];
    let mut failing = Vec::new();
    for namespaces in [
        &[Namespace::User, Namespace::Mount][..],
        &[Namespace::User, Namespace::Mount, Namespace::Pid],
    ] {
        failing.push((
            Stage::WorkingDirectory,
            Spec {
                working_directory: nowhere(),
                ..builder(namespaces)
            },
        ));
        failing.push((
            Stage::Limits,
            Spec {
                limits,
                ..builder(namespaces)
            },
        ));
        failing.push((
            Stage::Mount,
            Spec {
                mounts: missing.clone(),
                ..builder(namespaces)
            },
        ));
    }
    failing
}
