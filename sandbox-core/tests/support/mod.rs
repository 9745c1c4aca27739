//! What the tests of launches share.
#![allow(dead_code, reason = "each test program uses its own part of it")]

pub(crate) mod filter;

use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};

use libtest_mimic::Trial;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use sandbox_core::{
    Access, Child, Command, Environment, Error, Exit, Mount, Namespace, Sandbox, Spec, Stdio,
};

/// The default description with a PATH and these namespaces; a user namespace
/// comes along where the others need one.
pub(crate) fn builder(namespaces: &[Namespace]) -> Spec {
    let environment = Environment {
        allow: ["PATH".to_owned()].into(),
        ..Environment::default()
    };
    Spec {
        namespaces: namespaces.iter().copied().collect(),
        environment: Some(environment),
        ..Spec::default()
    }
}

/// What a shell needs of the host's system.
pub(crate) fn system() -> Vec<Mount> {
    ["/usr", "/bin", "/lib", "/lib64", "/etc/alternatives"]
        .map(|path| Mount::Bind {
            source: path.into(),
            target: path.into(),
            access: Access::ReadOnly,
            optional: true,
        })
        .into()
}

pub(crate) fn shell<'a>(sandbox: &'a Sandbox, script: &str) -> Command<'a> {
    let mut command = Command::new(sandbox, "/bin/sh");
    command.args(["-c", script]);
    command
}

pub(crate) fn finish_child(command: &mut Command<'_>) -> (Exit, String, Child) {
    let (reader, writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap();
    command.stdin(Stdio::Null).stdout(Stdio::Descriptor(writer));
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{error}"));
    // Its copy of the writing end would keep the reader waiting.
    command.stdout(Stdio::Null);
    let mut text = String::new();
    std::fs::File::from(reader)
        .read_to_string(&mut text)
        .unwrap();
    let exit = child.wait().unwrap_or_else(|error| panic!("{error}"));
    (exit, text.trim_end().to_owned(), child)
}

pub(crate) fn finish(command: &mut Command<'_>) -> (Exit, String) {
    let (exit, text, _) = finish_child(command);
    (exit, text)
}

pub(crate) fn run(spec: Spec, script: &str) -> (Exit, String) {
    let sandbox = spec.build().unwrap();
    finish(&mut shell(&sandbox, script))
}

pub(crate) fn out(spec: Spec, script: &str) -> String {
    run(spec, script).1
}

pub(crate) fn spawn_error(spec: Spec, script: &str) -> Error {
    let sandbox = spec.build().unwrap();
    shell(&sandbox, script)
        .spawn()
        .expect_err("it cannot be launched")
}

/// Every process that held the other end is gone, or goes within a minute.
pub(crate) fn assert_end_of_file(oracle: &OwnedFd) {
    loop {
        let mut ready = [PollFd::new(oracle.as_fd(), PollFlags::POLLIN)];
        let count = match poll(&mut ready, PollTimeout::from(60_000_u16)) {
            // Another test of this program may have a timer.
            Err(nix::errno::Errno::EINTR) => continue,
            other => other.unwrap(),
        };
        assert_ne!(count, 0, "something of the sandbox is left");
        if nix::unistd::read(oracle, &mut [0; 64]).unwrap() == 0 {
            return;
        }
    }
}

/// Runs the body of this very test in a sandbox: the test program is launched
/// anew in it, with a filter for the test's full name, and must succeed.
pub(crate) fn inside(test: &str, spec: Spec, body: impl FnOnce()) {
    if std::env::var_os("ESCAPOLOGY_INSIDE").is_some() {
        return body();
    }
    // What is mounted inside hinders nobody from removing it out here.
    let room = tempfile::tempdir().unwrap();
    let sandbox = spec.build().unwrap();
    let mut command = Command::new(&sandbox, std::env::current_exe().unwrap());
    command
        .args([test, "--exact", "--nocapture"])
        .env("TMPDIR", room.path())
        .env("ESCAPOLOGY_INSIDE", "1");
    let (exit, text) = finish(&mut command);
    assert_eq!(exit, Exit::Code(0), "{text}");
    assert!(text.contains("1 passed"), "no such test: {text}");
}

/// A test by name, for programs that are their own test runners.
pub(crate) fn trial(name: impl Into<String>, test: impl FnOnce() + Send + 'static) -> Trial {
    Trial::test(name, || {
        test();
        Ok(())
    })
}
