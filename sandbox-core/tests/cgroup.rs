//! A cgroup of the sandbox's own, where one may be made. Where none may, these
//! tests are ignored, not passed.

mod support;

use std::path::{Path, PathBuf};

use libtest_mimic::Arguments;
use sandbox_core::{Cgroup, Command, Exit, Host, Namespace, Spec, State, Stdio};
use support::{assert_end_of_file, builder, filter, shell, trial};

fn main() {
    let parent = match Host::survey().feature("cgroup v2 placement") {
        Some(feature) => match &feature.state {
            State::Available { detail } => Ok(PathBuf::from(detail)),
            State::Missing { reason, .. } => Err(reason.clone()),
        },
        None => Err("not surveyed".to_owned()),
    };
    if let Err(reason) = &parent {
        eprintln!("ignored, no cgroup can be made here: {reason}");
    }
    let test = |name: &str, test: fn(&Path)| {
        let parent = parent.clone();
        let ignored = parent.is_err();
        trial(name, move || test(&parent.unwrap())).with_ignored_flag(ignored)
    };
    let trials = vec![
        test("the_program_is_born_in_its_cgroup", born_inside),
        test("the_old_clone_places_it_too", placed_by_hand),
        test(
            "a_daemon_without_a_pid_namespace_dies_with_the_child",
            daemon,
        ),
        test("a_dropped_child_takes_its_cgroup_with_it", dropped),
        test("a_failed_launch_leaves_no_cgroup", failed),
        test("cgroups_made_inside_go_too", nested),
        test("a_directory_of_an_earlier_launcher_is_no_obstacle", taken),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn spec(parent: &Path, namespaces: &[Namespace]) -> Spec {
    Spec {
        cgroup: Some(Cgroup {
            parent: parent.into(),
        }),
        ..builder(namespaces)
    }
}

/// The cgroups that launches of this process have made and not removed.
fn left(parent: &Path) -> Vec<PathBuf> {
    let mine = format!("escapology-{}-", std::process::id());
    std::fs::read_dir(parent)
        .unwrap()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with(&mine))
        })
        .collect()
}

/// Launches a script that waits for its input's end, and gives its own cgroup.
fn look_inside(parent: &Path, namespaces: &[Namespace]) {
    let sandbox = spec(parent, namespaces).build().unwrap();
    let (reader, writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap();
    let (answers, held) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap();
    let mut command = shell(&sandbox, "grep ^0:: /proc/self/cgroup; read line; exit 8");
    command
        .stdin(Stdio::Descriptor(reader))
        .stdout(Stdio::Descriptor(held));
    let mut child = command.spawn().unwrap();
    drop(command);
    let mut text = [0; 256];
    let length = nix::unistd::read(&answers, &mut text).unwrap();
    let text = String::from_utf8_lossy(&text[..length]).trim().to_owned();
    let pids = child.cgroup_processes().unwrap().unwrap();
    assert!(pids.contains(&child.program_id()), "{pids:?}");
    assert!(pids.contains(&child.id()), "{pids:?}");
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    let mine = left(parent);
    let placed = mine
        .iter()
        .any(|path| text.ends_with(&format!("/{}", name(path))));
    if namespaces.contains(&Namespace::Cgroup) {
        assert_eq!(text, "0::/", "the cgroup namespace has another root");
    } else {
        assert!(placed, "{text} is not among {mine:?}");
    }
    drop(writer);
    assert_eq!(child.wait().unwrap(), Exit::Code(8));
    assert_eq!(child.cgroup_processes().unwrap(), None);
    let gone = mine
        .iter()
        .filter(|path| text.ends_with(&name(path)))
        .any(|path| path.exists());
    assert!(!gone, "its cgroup is left");
}

const NAMESPACES: [&[Namespace]; 3] = [
    &[],
    &[Namespace::User, Namespace::Pid],
    &[Namespace::User, Namespace::Cgroup],
];

fn born_inside(parent: &Path) {
    for namespaces in NAMESPACES {
        look_inside(parent, namespaces);
    }
}

fn placed_by_hand(parent: &Path) {
    for namespaces in NAMESPACES {
        filter::without(&[libc::SYS_clone3], || look_inside(parent, namespaces));
    }
}

const DAEMON: &str =
    "trap '' HUP TERM; setsid -f sleep 1000 <&- ; setsid -f setsid -f sleep 1000; ";

fn daemon(parent: &Path) {
    let sandbox = spec(parent, &[]).build().unwrap();
    let (oracle, held) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap();
    let mut command = shell(&sandbox, &format!("{DAEMON} exit 4"));
    command.pass_fd(held, 9);
    let mut child = command.spawn().unwrap();
    drop(command);
    assert_eq!(child.wait().unwrap(), Exit::Code(4));
    assert_end_of_file(&oracle);
    if std::env::var_os("NEXTEST").is_some() {
        assert_eq!(left(parent), Vec::<PathBuf>::new());
    }
}

fn dropped(parent: &Path) {
    let sandbox = spec(parent, &[]).build().unwrap();
    let (oracle, held) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap();
    // Many, so that they are not gone at once.
    let script = "for i in 1 2 3 4 5 6 7 8 9 10; do for j in 1 2 3 4 5 6 7 8 9 10; do setsid -f sleep 1000; done; done; echo ready; sleep 1000";
    let mut command = shell(&sandbox, script);
    command.stdout(Stdio::Descriptor(held));
    let child = command.spawn().unwrap();
    drop(command);
    assert_eq!(nix::unistd::read(&oracle, &mut [0; 64]), Ok(6));
    drop(child);
    if std::env::var_os("NEXTEST").is_some() {
        assert_eq!(left(parent), Vec::<PathBuf>::new());
    }
    assert_end_of_file(&oracle);
}

fn failed(parent: &Path) {
    let sandbox = spec(parent, &[]).build().unwrap();
    let error = Command::new(&sandbox, "/no/program").spawn().unwrap_err();
    assert_eq!(error.stage(), Some(sandbox_core::Stage::Exec), "{error}");
    if std::env::var_os("NEXTEST").is_some() {
        assert_eq!(left(parent), Vec::<PathBuf>::new());
    }
}

fn nested(parent: &Path) {
    let sandbox = spec(parent, &[]).build().unwrap();
    let (answers, held) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap();
    let mut command = shell(&sandbox, "echo ready; read line; exit 0");
    let (reader, writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap();
    command
        .stdin(Stdio::Descriptor(reader))
        .stdout(Stdio::Descriptor(held));
    let mut child = command.spawn().unwrap();
    drop(command);
    assert_eq!(nix::unistd::read(&answers, &mut [0; 64]), Ok(6));
    let own = procfs::process::Process::new(child.program_id().as_raw())
        .and_then(|process| process.cgroups())
        .unwrap()
        .into_iter()
        .find(|cgroup| cgroup.hierarchy == 0)
        .unwrap();
    let name = Path::new(&own.pathname).file_name().unwrap().to_owned();
    std::fs::create_dir_all(parent.join(&name).join("a/b")).unwrap();
    drop(writer);
    assert_eq!(child.wait().unwrap(), Exit::Code(0));
    assert!(!parent.join(&name).exists());
}

fn taken(parent: &Path) {
    // The next few names are all taken.
    let own = std::process::id();
    let taken: Vec<PathBuf> = (0..200)
        .map(|number| parent.join(format!("escapology-{own}-{number}")))
        .filter(|path| std::fs::create_dir(path).is_ok())
        .collect();
    let sandbox = spec(parent, &[]).build().unwrap();
    let exit = shell(&sandbox, "exit 2")
        .spawn()
        .and_then(|mut child| child.wait());
    for path in taken {
        std::fs::remove_dir(path).unwrap();
    }
    assert_eq!(exit.unwrap(), Exit::Code(2));
}
