//! The process tree: listed, owned, killed, outlived (claims R1 to R5, S7).
//!
//! What a sandbox leaves behind is seen from outside by a pipe that all of it
//! holds: its end of file. Fork storms run in a pid namespace of the test's own,
//! so that a kill that misses some cannot hurt the machine: 48 lineages, each
//! process of which forks one successor and ends, 600 generations at most (3,000
//! for the one that a slow list is to miss).

mod support;

use std::collections::BTreeSet;
use std::io::Read as _;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Trial};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill, raise};
use nix::unistd::{Pid, pipe2};
use sandbox_core::{
    Cgroup, Child, Command, Exit, Host, Init, Means, Mount, Namespace, Owners, Sandbox, Spec,
    State, Stdio,
};
use support::{assert_end_of_file, builder, inside, shell, trial};

const PATIENCE: Duration = Duration::from_secs(60);

/// Says `up` once it rages.
const STORM: &str = r#"f() { [ "$1" -gt 0 ] || exit 0; f $(($1-1)) & exit 0; }
i=0; while [ $i -lt 48 ]; do f 600 & i=$((i+1)); done; echo up; exec sleep 1000"#;

/// Four processes besides the shell: a child, one that left the session, an orphan,
/// and one that did all of it and ignores every signal.
const FAMILY: &str = "sleep 1000 & setsid sleep 1000 & (sleep 1000 &) ; \
    (setsid sh -c 'trap \"\" HUP INT TERM QUIT USR1; echo up; exec sleep 1000' &) ; exec sleep 1000";

/// How many pids a list has at most.
const LISTED: usize = 500;

/// How often a storm is killed by each means.
const ROUNDS: usize = 5;

fn main() {
    if std::env::var_os("ESCAPOLOGY_TRACED").is_some() {
        return traced();
    }
    let mut trials = vec![
        trial("r2_a_fork_storm_survives_a_list_of_pids", listed_storm),
        trial("r2_nothing_of_a_fork_storm_survives::pid-namespace", || {
            let sandbox = namespace().build().unwrap();
            storms(&sandbox, Means::PidNamespace);
        }),
        trial("r2_nothing_of_a_fork_storm_survives::keeper", || {
            let test = "r2_nothing_of_a_fork_storm_survives::keeper";
            inside(test, apart(), || {
                storms(&keeper(Init::Keeper), Means::Keeper);
            });
        }),
        trial(
            "r4_a_patient_keeper_stays_until_the_last_has_ended",
            patient,
        ),
        trial(
            "r4_the_pids_of_one_sandbox_are_killed_and_no_others",
            killed,
        ),
        trial("r5_the_owner_of_a_pid", owned),
        trial("s7_processes_of_one_sandbox_signal_each_other", siblings),
        trial("a_keeper_keeps_the_programs_exit", exits),
        trial("kill_zero_inside_spares_the_keeper", kill_zero),
    ];
    trials.extend(each_kind("r3_every_process_is_listed_once", all_listed));
    trials.extend(each_kind("r1_what_fled_the_session_dies_with_it", fled));
    trials.extend(each_kind(
        "a_program_that_has_itself_traced_is_killed",
        hijacked,
    ));
    let parent = cgroup();
    for (name, means) in [
        ("cgroup-kill", Means::CgroupKill),
        ("cgroup-freeze", Means::CgroupFreeze),
    ] {
        let (found, ignored) = (parent.clone(), parent.is_none());
        let name = format!("r2_nothing_of_a_fork_storm_survives::{name}");
        let test = trial(name, move || {
            let spec = Spec {
                cgroup: found.map(|parent| Cgroup { parent }),
                ..namespace()
            };
            storms(&spec.build().unwrap(), means);
        });
        trials.push(test.with_ignored_flag(ignored));
    }
    // One at a time: a child of another launch under way has a copy of a pipe whose
    // end of file is looked at.
    let arguments = Arguments {
        test_threads: Some(1),
        ..Arguments::from_args()
    };
    libtest_mimic::run(&arguments, trials).exit();
}

fn each_kind(name: &str, test: fn(Sandbox)) -> impl Iterator<Item = Trial> {
    type Make = fn() -> Sandbox;
    let pid_namespace: Make = || namespace().build().unwrap();
    [
        ("pid-namespace", pid_namespace),
        ("keeper", || keeper(Init::Keeper)),
        ("patient-keeper", || keeper(Init::PatientKeeper)),
    ]
    .map(|(kind, make)| trial(format!("{name}::{kind}"), move || test(make())))
    .into_iter()
}

fn namespace() -> Spec {
    builder(&[Namespace::User, Namespace::Pid])
}

fn keeper(init: Init) -> Sandbox {
    let spec = Spec {
        init,
        ..builder(&[])
    };
    spec.build().unwrap()
}

/// A pid namespace with its own procfs, to run a test in.
fn apart() -> Spec {
    Spec {
        mounts: vec![Mount::Proc {
            target: "/proc".into(),
        }],
        environment: None,
        ..builder(&[Namespace::User, Namespace::Pid, Namespace::Mount])
    }
}

fn cgroup() -> Option<PathBuf> {
    match &Host::survey().feature("cgroup v2 placement")?.state {
        State::Available { detail } => Some(PathBuf::from(detail)),
        State::Missing { reason, .. } => {
            eprintln!("some are ignored, no cgroup can be made here: {reason}");
            None
        }
    }
}

/// Launches it with a pipe as standard output, and waits until it says `up`.
fn up(command: &mut Command<'_>) -> (Child, OwnedFd) {
    let (oracle, held) = pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap();
    command.stdin(Stdio::Null).stdout(Stdio::Descriptor(held));
    let child = command.spawn().unwrap_or_else(|error| panic!("{error}"));
    // Its copy of the writing end would keep the oracle open.
    command.stdout(Stdio::Null);
    let mut word = [0; 3];
    let mut file = std::fs::File::from(oracle);
    file.read_exact(&mut word).unwrap();
    assert_eq!(&word, b"up\n");
    (child, file.into())
}

/// Who has this pipe as standard output: the oracle of lists.
fn holders(oracle: &OwnedFd) -> BTreeSet<Pid> {
    let inode = nix::sys::stat::fstat(oracle).unwrap().st_ino;
    let holds = |pid: &i32| {
        let link = std::fs::read_link(format!("/proc/{pid}/fd/1"));
        link.is_ok_and(|link| link == Path::new(&format!("pipe:[{inode}]")))
    };
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(holds)
        .map(Pid::from_raw)
        .collect()
}

/// No more waiting: nobody holds the pipe at this moment.
fn is_ended(oracle: &OwnedFd) -> bool {
    let mut ready = [PollFd::new(oracle.as_fd(), PollFlags::POLLIN)];
    poll(&mut ready, PollTimeout::ZERO).unwrap() == 1
        && nix::unistd::read(oracle, &mut [0; 64]).unwrap() == 0
}

fn storms(sandbox: &Sandbox, means: Means) {
    for _ in 0..ROUNDS {
        let (mut child, oracle) = up(&mut shell(sandbox, STORM));
        let teardown = child.tree().kill_by(&[means], PATIENCE);
        eprintln!("{means:?}: {:?}", teardown.took);
        assert_eq!(teardown.means, [(means, Ok(()))]);
        assert_eq!(teardown.survivors, Some(0), "{teardown:?}");
        assert!(is_ended(&oracle), "{:?}", holders(&oracle));
        child.wait().unwrap();
    }
}

/// The control: a list of the session's pids, and then a signal to each. All storm
/// processes stay in the session, so that only the time in between is to blame.
fn listed_storm() {
    inside("r2_a_fork_storm_survives_a_list_of_pids", apart(), || {
        let sandbox = builder(&[]).build().unwrap();
        let mut missed = Vec::new();
        for _ in 0..ROUNDS {
            let (child, oracle) = up(&mut shell(&sandbox, &STORM.replace("600", "3000")));
            let session = child.id().as_raw();
            let listed: Vec<Pid> = procfs::process::all_processes()
                .unwrap()
                .flatten()
                .filter_map(|process| process.stat().ok())
                .filter(|stat| stat.session == session)
                .map(|stat| Pid::from_raw(stat.pid))
                // A list that is slower than the storm would never end.
                .take(LISTED)
                .collect();
            for pid in &listed {
                let _ = kill(*pid, Signal::SIGKILL);
            }
            missed.push((listed.len(), holders(&oracle).len(), is_ended(&oracle)));
            // None of them left the process group, which is killed at once.
            drop(child);
            assert_end_of_file(&oracle);
        }
        eprintln!("listed and killed, seen afterwards, all dead: {missed:?}");
        assert!(missed.iter().any(|(_, _, ended)| !ended), "{missed:?}");
    });
}

fn all_listed(sandbox: Sandbox) {
    let (child, oracle) = up(&mut shell(&sandbox, FAMILY));
    let (other, _held) = up(&mut shell(&sandbox, FAMILY));
    let mut held = settled(&oracle);
    assert_eq!(held.len(), 5, "{held:?}");
    let listed = child.tree().processes().unwrap();
    let once: BTreeSet<Pid> = listed.iter().copied().collect();
    assert_eq!(once.len(), listed.len(), "{listed:?}");
    // Ours holds no pipe.
    held.insert(child.id());
    assert_eq!(once, held);
    let others = other.tree().processes().unwrap();
    assert!(others.iter().all(|pid| !once.contains(pid)));
    child.kill().unwrap();
}

/// The holders once all shells have become what they run.
fn settled(oracle: &OwnedFd) -> BTreeSet<Pid> {
    let until = Instant::now() + PATIENCE;
    loop {
        let held = holders(oracle);
        let shells = held.iter().any(|pid| {
            std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name != "sleep\n")
        });
        if !shells && held == holders(oracle) || Instant::now() > until {
            return held;
        }
    }
}

fn fled(sandbox: Sandbox) {
    let (mut child, oracle) = up(&mut shell(&sandbox, FAMILY));
    let teardown = child.tree().kill(PATIENCE);
    assert_eq!(teardown.survivors, Some(0), "{teardown:?}");
    assert!(teardown.means.iter().all(|(_, done)| done.is_ok()));
    assert!(is_ended(&oracle), "{:?}", holders(&oracle));
    assert_eq!(child.tree().processes().unwrap(), []);
    // The exit is still to be had, once.
    let exit = child.wait().unwrap();
    assert!(matches!(exit, Exit::Signal { number: 9, .. }), "{exit:?}");
}

fn killed() {
    let sandbox = keeper(Init::Keeper);
    let (one, oracle) = up(&mut shell(&sandbox, FAMILY));
    let (other, others) = up(&mut shell(&sandbox, FAMILY));
    let before = settled(&others);
    assert_eq!(one.tree().kill(PATIENCE).survivors, Some(0));
    assert!(is_ended(&oracle));
    assert_eq!(holders(&others), before);
    drop(other);
    assert_end_of_file(&others);
}

fn patient() {
    let sandbox = keeper(Init::PatientKeeper);
    let (gate, held_gate) = pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap();
    // Two that outlive the program, in sessions of their own, until the gate closes.
    let script = "setsid cat <&3 & (setsid cat <&3 &) ; exec 3<&-; echo up; exit 7";
    let mut command = shell(&sandbox, script);
    command.pass_fd(gate, 3);
    let (mut child, oracle) = up(&mut command);
    drop(command);
    let program = PathBuf::from(format!("/proc/{}", child.program_id()));
    let until = Instant::now() + PATIENCE;
    while program.exists() {
        assert!(Instant::now() < until, "the program is not reaped");
    }
    let mut ready = [PollFd::new(child.as_fd(), PollFlags::POLLIN)];
    assert_eq!(poll(&mut ready, PollTimeout::ZERO), Ok(0));
    assert_eq!(child.wait_timeout(Duration::ZERO).unwrap(), None);
    assert!(!is_ended(&oracle));
    drop(held_gate);
    let mut ready = [PollFd::new(child.as_fd(), PollFlags::POLLIN)];
    assert_eq!(poll(&mut ready, PollTimeout::from(60_000_u16)), Ok(1));
    assert!(is_ended(&oracle), "{:?}", holders(&oracle));
    assert_eq!(child.wait().unwrap(), Exit::Code(7));
}

fn exits() {
    for (script, expected) in [
        ("exit 3", "exit code 3"),
        ("kill -TERM $$", "killed by SIGTERM"),
    ] {
        for init in [Init::Keeper, Init::PatientKeeper] {
            let sandbox = keeper(init);
            let mut child = shell(&sandbox, script).spawn().unwrap();
            assert_eq!(child.wait().unwrap().to_string(), expected);
        }
    }
    // What it leaves is killed at the program's end, and only then is it waited for.
    let sandbox = keeper(Init::Keeper);
    let script = "(setsid sleep 1000 &) ; echo up; exit 4";
    let (mut child, oracle) = up(&mut shell(&sandbox, script));
    assert_eq!(child.wait().unwrap(), Exit::Code(4));
    assert!(is_ended(&oracle), "{:?}", holders(&oracle));
}

fn kill_zero() {
    let sandbox = keeper(Init::PatientKeeper);
    // Only once the other has left the session.
    let script = "trap 'echo up; kill -KILL 0' USR1; \
        setsid sh -c \"kill -USR1 $$; exec sleep 1000\" & wait";
    let (mut child, oracle) = up(&mut shell(&sandbox, script));
    assert_eq!(child.wait_timeout(Duration::from_millis(50)).unwrap(), None);
    assert!(!is_ended(&oracle));
    child.kill().unwrap();
    let exit = child.wait().unwrap();
    assert!(matches!(exit, Exit::Signal { number: 9, .. }), "{exit:?}");
    assert!(is_ended(&oracle));
}

fn owned() {
    let sandboxes = [
        namespace().build().unwrap(),
        keeper(Init::Keeper),
        keeper(Init::PatientKeeper),
    ];
    let launched: Vec<_> = sandboxes
        .iter()
        .map(|sandbox| up(&mut shell(sandbox, FAMILY)))
        .collect();
    let owners = Owners::new(launched.iter().map(|(child, _)| child));
    let owner = |pid| owners.owner(pid).map(Child::id);
    for (child, oracle) in &launched {
        for pid in settled(oracle) {
            assert_eq!(owner(pid), Some(child.id()), "{pid}");
            assert!(child.tree().owns(pid));
        }
        assert_eq!(owner(child.id()), Some(child.id()));
    }
    for stranger in [
        nix::unistd::getpid(),
        nix::unistd::getppid(),
        Pid::from_raw(1),
    ] {
        assert_eq!(owner(stranger), None);
    }
    let pid = launched[0].0.program_id();
    let started = Instant::now();
    for _ in 0..1000 {
        assert!(owner(pid).is_some());
    }
    let each = started.elapsed() / 1000;
    let started = Instant::now();
    launched[0].0.tree().processes().unwrap();
    eprintln!(
        "the owner of a pid: {each:?}, the list of a tree: {:?}",
        started.elapsed()
    );
}

fn siblings() {
    let sandbox = namespace().build().unwrap();
    let script = "sleep 1000 & kill -USR1 $!; wait $!; echo $?";
    let (_, said) = support::finish(&mut shell(&sandbox, script));
    assert_eq!(said, (128 + libc::SIGUSR1).to_string());
}

/// The program of the next test: its parent becomes its tracer.
fn traced() {
    println!("up");
    nix::sys::ptrace::traceme().unwrap();
    raise(Signal::SIGWINCH).unwrap();
    unreachable!("nobody lets it go on");
}

/// A stop of the program is told to its parent, asked for or not, and is no end.
fn hijacked(sandbox: Sandbox) {
    let bare = Spec::nothing().build().unwrap();
    for sandbox in [&sandbox, &bare] {
        let spec = Spec {
            environment: None,
            ..sandbox.spec().clone()
        };
        let sandbox = spec.build().unwrap();
        let mut command = Command::new(&sandbox, std::env::current_exe().unwrap());
        command.env("ESCAPOLOGY_TRACED", "1");
        let (mut child, oracle) = up(&mut command);
        let until = Instant::now() + PATIENCE;
        // A pidfd tells of no stop: without a process of ours in between it is
        // seen by who looks.
        let exit = loop {
            if let Some(exit) = child.wait_timeout(Duration::from_millis(10)).unwrap() {
                break exit;
            }
            assert!(Instant::now() < until, "it was never seen to be stopped");
        };
        assert!(matches!(exit, Exit::Signal { number: 9, .. }), "{exit:?}");
        assert!(is_ended(&oracle), "{:?}", holders(&oracle));
    }
}
