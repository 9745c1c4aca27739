//! `escapology exec`: run a program in a sandbox.

use std::process::ExitCode;

use sandbox_core::{Command, Exit};

use super::Error;
use crate::catalog;
use crate::cli::ExecArgs;

/// What a shell adds to a signal's number.
const SIGNALED: i32 = 128;
/// What timeout(1) exits with.
const TIMED_OUT: u8 = 124;

/// Runs the program with the caller's own streams. The exit code is the
/// program's, 128 and the signal's number, or 124 at the deadline.
///
/// # Errors
/// Where the sandbox cannot be launched: stage, subject and errno.
pub fn exec(arguments: &ExecArgs) -> Result<ExitCode, Error> {
    let entry = match &arguments.sandbox_file {
        Some(path) => catalog::read(path)?,
        None => catalog::find(&arguments.sandbox)?,
    };
    let Some((program, rest)) = arguments.command.split_first() else {
        return Err(Error::Usage("no program is named".to_owned()));
    };
    let failed = |error| {
        Error::failed(
            format!("run a program in sandbox {}", entry.name),
            Box::new(error),
        )
    };
    let mut command = Command::search(&entry.sandbox, program);
    command.args(rest);
    let mut child = command.spawn().map_err(failed)?;
    for lost in child.degraded() {
        anstream::eprintln!(
            "escapology: degraded: {} is left out: {}",
            lost.guard,
            lost.reason
        );
    }
    let code = match child.wait().map_err(failed)? {
        Exit::Code(code) => code,
        Exit::Signal { number, .. } => SIGNALED + number,
        Exit::TimedOut => return Ok(ExitCode::from(TIMED_OUT)),
    };
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX)))
}
