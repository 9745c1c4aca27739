//! `escapology run`: attempt escapes and judge them.

use std::process::ExitCode;

use super::Error;
use crate::cli::{RunArgs, Verbosity};

/// Not wired up.
///
/// # Errors
/// Always.
pub fn run(_arguments: &RunArgs, _verbosity: Verbosity) -> Result<ExitCode, Error> {
    Err(Error::failed(
        "attempt escapes and judge them",
        "not wired up",
    ))
}
