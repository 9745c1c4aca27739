//! Tests that know before they run whether this host can run them.
//!
//! A test that skips itself counts as passed. So what a host lacks is looked
//! for when the trials are listed, and a trial that cannot run is *ignored*,
//! with the reason in front of its name.

#![allow(dead_code, reason = "test programs share it, and each uses some of it")]

use std::path::Path;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};
use sandbox_core::Host;

/// Why no arena can be made here, where none can.
pub(crate) fn obstacle() -> Option<String> {
    harness::arena::obstacle(&Host::survey()).map(|obstacle| format!("no arena: {obstacle}"))
}

/// Why these programs cannot be run, where one of them is not installed.
pub(crate) fn missing(programs: &[&str]) -> Option<String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_installed = |program: &str| {
        std::env::split_paths(&path).any(|directory: std::path::PathBuf| {
            let file: &Path = &directory.join(program);
            nix::unistd::access(file, nix::unistd::AccessFlags::X_OK).is_ok()
        })
    };
    programs
        .iter()
        .find(|program| !is_installed(program))
        .map(|program| format!("{program} is not installed"))
}

/// A trial that fails where its body panics, and is ignored where there is a
/// reason for that.
pub(crate) fn trial(
    name: impl Into<String>,
    ignored: Option<&str>,
    body: impl FnOnce() + Send + 'static,
) -> Trial {
    let trial = Trial::test(name, move || {
        body();
        Ok(())
    });
    match ignored {
        // Brackets and line ends would confuse those who read the list.
        Some(reason) => {
            let reason = reason.replace(['[', ']', '\n'], " ");
            trial.with_kind(reason).with_ignored_flag(true)
        }
        None => trial,
    }
}

/// Runs the trials that the command line names.
pub(crate) fn main(arguments: &Arguments, trials: Vec<Trial>) -> ExitCode {
    libtest_mimic::run(arguments, trials).exit_code()
}
