//! Who ends with whom, who reaps whom (F5).

use std::io::{BufRead, BufReader, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Command as Process, Stdio as Pipe};
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sandbox_core::fork_server::SWITCH;
use sandbox_core::{Errno, Error, Exit, ForkServer, Init, Namespace, Sandbox, Spec, Stdio};

use crate::support::{assert_end_of_file, builder, finish};
use crate::{ROLE, by, children, setup, start};

/// What shall not survive: children, and one that left session and group.
const LITTER: &str = "sleep 1000 & setsid sleep 1000 & exec sleep 1000";
const SOON: Duration = Duration::from_secs(1);

fn sandbox(kind: &str) -> Sandbox {
    let namespaces: &[Namespace] = match kind {
        "bare" => &[],
        _ => &[Namespace::User, Namespace::Pid],
    };
    let spec = Spec {
        init: match kind {
            "program" => Init::Program,
            _ => Init::Minimal,
        },
        ..builder(namespaces)
    };
    spec.build().unwrap()
}

const KINDS: [&str; 3] = ["minimal", "program", "bare"];

fn script(kind: &str) -> &'static str {
    match kind {
        // Without a pid namespace only the program is tied to a killed server.
        "bare" => "exec sleep 1000",
        _ => LITTER,
    }
}

/// Launches for good, says so, and waits to be killed. Its standard output is
/// what its sandboxes hold.
pub(crate) fn launcher(kind: &str) {
    let server = start();
    let sandbox = sandbox(kind);
    for _ in 0..4 {
        std::mem::forget(by(&server, &sandbox, script(kind)).spawn().unwrap());
    }
    println!("{}", server.id());
    std::io::stdout().flush().unwrap();
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

pub(crate) fn parent() {
    for kind in KINDS {
        let mut process = Process::new(std::env::current_exe().unwrap())
            .env(ROLE, kind)
            .stdin(Pipe::piped())
            .stdout(Pipe::piped())
            .spawn()
            .unwrap();
        let mut oracle = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        oracle.read_line(&mut line).unwrap();
        let server = Pid::from_raw(line.trim().parse().unwrap());
        let server = std::fs::File::open(format!("/proc/{server}/stat"))
            .unwrap()
            .into();
        process.kill().unwrap();
        process.wait().unwrap();
        assert_end_of_file(&OwnedFd::from(oracle.into_inner()));
        assert_ended(&server);
    }
}

/// A process that is gone has no readable stat any more.
fn assert_ended(stat: &OwnedFd) {
    let until = Instant::now() + Duration::from_secs(60);
    while nix::unistd::read(stat, &mut [0; 8]) != Err(Errno::ESRCH) {
        assert!(Instant::now() < until, "the server is still there");
        nix::unistd::lseek(stat.as_fd(), 0, nix::unistd::Whence::SeekSet).unwrap();
        std::thread::yield_now();
    }
}

pub(crate) fn thread() {
    let server = std::thread::spawn(start).join().unwrap();
    let sandbox = sandbox("bare");
    let (reader, writer) = nix::unistd::pipe2(OFlag::O_CLOEXEC).unwrap();
    let mut child = std::thread::scope(|scope| {
        let launch = || {
            let mut command = by(&server, &sandbox, "read line; exit 3");
            command.stdin(Stdio::Descriptor(reader)).spawn().unwrap()
        };
        scope.spawn(launch).join().unwrap()
    });
    drop(writer);
    assert_eq!(child.wait().unwrap(), Exit::Code(3));
}

pub(crate) fn killed() {
    for kind in KINDS {
        let server = start();
        let sandbox = sandbox(kind);
        let (reader, writer) = nix::unistd::pipe2(OFlag::O_CLOEXEC).unwrap();
        let mut command = by(&server, &sandbox, script(kind));
        command.stdout(Stdio::Descriptor(writer));
        let mut children: Vec<_> = (0..4).map(|_| command.spawn().unwrap()).collect();
        drop(command);
        kill(server.id(), Signal::SIGKILL).unwrap();
        let begun = Instant::now();
        for child in &mut children {
            let error = child.wait().unwrap_err();
            assert!(
                matches!(
                    error,
                    Error::Child {
                        errno: Errno::EPIPE,
                        ..
                    }
                ),
                "{error}"
            );
            // And so it stays.
            child.wait().unwrap_err();
        }
        let error = by(&server, &sandbox, "true").spawn().unwrap_err();
        assert!(
            error.to_string().contains("the fork server has gone"),
            "{error}"
        );
        assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
        assert_end_of_file(&reader);
    }
}

/// Launches what leaves its session and group, and a sandbox that ends; the
/// orphan lives until the writing end is closed, and holds the reading one's.
fn orphan(server: &ForkServer) -> (OwnedFd, OwnedFd) {
    let sandbox = sandbox("bare");
    let (reader, writer) = nix::unistd::pipe2(OFlag::O_CLOEXEC).unwrap();
    let (life, held) = nix::unistd::pipe2(OFlag::O_CLOEXEC).unwrap();
    let (gate, open) = nix::unistd::pipe2(OFlag::O_CLOEXEC).unwrap();
    let script = "setsid sh -c 'echo; read line' <&7 & read line; exit 0";
    let mut command = by(server, &sandbox, script);
    command
        .stdin(Stdio::Descriptor(gate))
        .stdout(Stdio::Descriptor(writer))
        .pass_fd(life, 7);
    let mut child = command.spawn().unwrap();
    drop(command);
    // It has left: killing the group at the program's end does not reach it.
    nix::unistd::read(&reader, &mut [0]).unwrap();
    drop(open);
    assert_eq!(child.wait().unwrap(), Exit::Code(0));
    // The server is its parent.
    assert_eq!(children(server.id()).len(), 1);
    (reader, held)
}

pub(crate) fn shut_down() {
    let server = start();
    let (reader, held) = orphan(&server);
    assert_eq!(server.shut_down().unwrap(), Exit::Code(0));
    assert_end_of_file(&reader);
    drop(held);
}

pub(crate) fn zombies() {
    let server = start();
    let sandbox = sandbox("bare");
    for _ in 0..20 {
        let child = by(&server, &sandbox, "exit 3").spawn().unwrap();
        // Nobody ever asks: it is reaped all the same.
        std::mem::forget(child);
    }
    await_no_children(&server);
    // Nor has this process any but the server.
    assert_eq!(children(Pid::this()), [server.id().as_raw()]);
}

fn await_no_children(server: &ForkServer) {
    let until = Instant::now() + Duration::from_secs(60);
    while !children(server.id()).is_empty() {
        assert!(Instant::now() < until, "{:?}", children(server.id()));
        std::thread::yield_now();
    }
}

pub(crate) fn subreaper() {
    let server = start();
    let (reader, held) = orphan(&server);
    drop(held);
    assert_end_of_file(&reader);
    await_no_children(&server);
}

pub(crate) fn off() {
    let output = Process::new(std::env::current_exe().unwrap())
        .env(ROLE, "switched-off")
        .env(SWITCH, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.contains("switched off by ESCAPOLOGY_NOFORKSERVER=1"),
        "{text}"
    );
    // Anything else does not.
    let sandbox = sandbox("bare");
    let server = ForkServer::start(&setup()).unwrap();
    assert_eq!(
        finish(&mut by(&server, &sandbox, "exit 3")).0,
        Exit::Code(3)
    );
}

pub(crate) fn switched_off() {
    match ForkServer::start(&setup()) {
        Ok(_) => println!("started"),
        Err(error) => println!("{error}"),
    }
}
