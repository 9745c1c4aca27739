//! `escapology exec`: run a program in a sandbox.

use std::process::ExitCode;

use super::Error;
use crate::cli::ExecArgs;

/// Not wired up.
///
/// # Errors
/// Always.
pub fn exec(_arguments: &ExecArgs) -> Result<ExitCode, Error> {
    Err(Error::failed("run a program in a sandbox", "not wired up"))
}
