//! What the tests of launches share.
#![allow(dead_code, reason = "each test program uses its own part of it")]

pub(crate) mod filter;

use std::io::Read;

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
