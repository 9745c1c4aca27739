//! The same sandboxes by every launch strategy (M1, M2, M8).

mod support;

use libtest_mimic::Arguments;
use sandbox_core::{
    Access, Errno, Error, Exit, Init, Limits, Mount, Namespace, Root, Spec, Stage, Strategy,
    TimeOffsets,
};
use support::{builder, out, run, shell, trial};

const ALL: [Strategy; 3] = [Strategy::Clone, Strategy::VforkClone, Strategy::ForkUnshare];

/// A test that is made with every strategy.
type Each = (&'static str, fn(Strategy));

/// A description that every strategy can do.
fn by(strategy: Strategy, namespaces: &[Namespace]) -> Spec {
    Spec {
        strategy,
        init: Init::Program,
        ..builder(namespaces)
    }
}

/// `fork-unshare` refuses a launcher with threads: the tests run one after the
/// other in the only one that this program has.
fn main() {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let each: [Each; 4] = [
        (
            "exit_codes_and_signals_come_back",
            exit_codes_and_signals_come_back,
        ),
        (
            "every_namespace_is_new_and_the_root_is_its_own",
            every_namespace_is_new_and_the_root_is_its_own,
        ),
        (
            "the_program_is_a_direct_child_of_the_launcher",
            the_program_is_a_direct_child_of_the_launcher,
        ),
        (
            "a_failure_names_its_stage_and_leaves_nothing",
            a_failure_names_its_stage_and_leaves_nothing,
        ),
    ];
    let mut trials = vec![
        trial(
            "beside_threads_clone_works_and_unshare_is_refused_with_that_reason",
            beside_threads,
        ),
        trial(
            "a_launch_by_vfork_clone_leaves_the_launcher_as_it_was",
            the_launcher_is_as_it_was,
        ),
        trial(
            "clock_offsets_arrive_by_fork_and_unshare",
            clock_offsets_arrive,
        ),
    ];
    for (name, test) in each {
        trials.extend(
            ALL.map(|strategy| trial(format!("{name}::{strategy:?}"), move || test(strategy))),
        );
    }
    libtest_mimic::run(&arguments, trials).exit();
}

fn exit_codes_and_signals_come_back(strategy: Strategy) {
    for namespaces in [&[][..], &[Namespace::User, Namespace::Pid], &Namespace::ALL] {
        assert_eq!(run(by(strategy, namespaces), "exit 7").0, Exit::Code(7));
    }
    let killed = Exit::Signal {
        number: 9,
        core_dumped: false,
    };
    assert_eq!(
        run(by(strategy, &[Namespace::User]), "kill -9 $$").0,
        killed
    );
}

fn every_namespace_is_new_and_the_root_is_its_own(strategy: Strategy) {
    let mut mounts = support::system();
    mounts.push(Mount::Proc {
        target: "/proc".into(),
    });
    mounts.push(Mount::Tmpfs {
        target: "/tmp".into(),
        size: None,
    });
    let spec = Spec {
        root: Some(Root::default()),
        mounts,
        hostname: Some("inside".into()),
        limits: Limits {
            open_files: Some(50),
            ..Limits::default()
        },
        ..by(strategy, &Namespace::ALL)
    };
    let script = "echo $$; uname -n; ulimit -n; ls /; for n in user pid mnt net ipc uts cgroup time; do readlink /proc/self/ns/$n; done";
    let text = out(spec, script);
    assert!(text.starts_with("1\ninside\n50\n"), "{text}");
    for namespace in ["user", "pid", "mnt", "net", "ipc", "uts", "cgroup", "time"] {
        let outside = std::fs::read_link(format!("/proc/self/ns/{namespace}")).unwrap();
        assert!(
            !text.contains(outside.to_str().unwrap()),
            "{namespace} is the launcher's: {text}"
        );
    }
}

fn the_program_is_a_direct_child_of_the_launcher(strategy: Strategy) {
    // M1: by fork and unshare that takes one process more, which is gone again.
    let sandbox = by(strategy, &[Namespace::User, Namespace::Pid])
        .build()
        .unwrap();
    let mut command = shell(&sandbox, "read line");
    let (reader, writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap();
    command.stdin(sandbox_core::Stdio::Descriptor(reader));
    let mut child = command.spawn().unwrap();
    let children = std::fs::read_to_string(format!(
        "/proc/self/task/{}/children",
        nix::unistd::gettid()
    ))
    .unwrap();
    assert_eq!(children.trim(), child.id().to_string());
    assert_eq!(child.id(), child.program_id());
    drop(writer);
    drop(command);
    child.wait().unwrap();
}

fn a_failure_names_its_stage_and_leaves_nothing(strategy: Strategy) {
    let bind = Mount::Bind {
        source: "/no/such".into(),
        target: "/x".into(),
        access: Access::ReadOnly,
        optional: false,
    };
    for (spec, stage, errno) in [
        (
            Spec {
                mounts: vec![bind],
                ..by(strategy, &[Namespace::User, Namespace::Mount])
            },
            Stage::Mount,
            Errno::ENOENT,
        ),
        (
            Spec {
                limits: Limits {
                    open_files: Some(u64::MAX - 1),
                    ..Limits::default()
                },
                ..by(strategy, &[Namespace::User])
            },
            Stage::Limits,
            Errno::EPERM,
        ),
    ] {
        let error = support::spawn_error(spec, "true");
        assert_eq!(
            (error.stage(), error.errno()),
            (Some(stage), Some(errno)),
            "{error}"
        );
    }
    let none = nix::sys::wait::waitpid(None, Some(nix::sys::wait::WaitPidFlag::WNOHANG));
    assert_eq!(none, Err(Errno::ECHILD));
}

fn beside_threads() {
    // M2.
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let stop = std::sync::Arc::clone(&stop);
            std::thread::spawn(move || {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    std::hint::black_box(vec![0_u8; 4096]);
                }
            })
        })
        .collect();
    for strategy in ALL {
        let spec = by(strategy, &[Namespace::User, Namespace::Pid]);
        if strategy == Strategy::ForkUnshare {
            let error = support::spawn_error(spec, "true");
            assert!(
                matches!(&error, Error::Launch { stage: Stage::Clone, errno: Errno::EINVAL, subject: Some(subject) } if subject.contains("one thread")),
                "{error}"
            );
        } else {
            for _ in 0..20 {
                assert_eq!(run(spec.clone(), "exit 3").0, Exit::Code(3), "{strategy:?}");
            }
        }
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
}

fn the_launcher_is_as_it_was() {
    let before = nix::sys::prctl::get_dumpable().unwrap();
    for _ in 0..50 {
        let spec = by(
            Strategy::VforkClone,
            &[Namespace::User, Namespace::Pid, Namespace::Mount],
        );
        assert_eq!(run(spec, "exit 5").0, Exit::Code(5));
    }
    assert_eq!(nix::sys::prctl::get_dumpable().unwrap(), before);
    let mut blocked = nix::sys::signal::SigSet::all();
    nix::sys::signal::pthread_sigmask(
        nix::sys::signal::SigmaskHow::SIG_BLOCK,
        None,
        Some(&mut blocked),
    )
    .unwrap();
    assert!(
        !blocked.contains(nix::sys::signal::Signal::SIGTERM),
        "signals are still blocked"
    );
}

fn clock_offsets_arrive() {
    let spec = Spec {
        time: Some(TimeOffsets {
            monotonic: 0,
            boottime: 1_000_000,
        }),
        ..by(
            Strategy::ForkUnshare,
            &[Namespace::User, Namespace::Time, Namespace::Pid],
        )
    };
    let uptime: f64 = out(spec, "cut -d' ' -f1 /proc/uptime").parse().unwrap();
    assert!(uptime >= 1_000_000.0, "{uptime}");
}
