//! `escapology arena`: be the program inside the arena.

use std::process::ExitCode;

use super::Error;
use crate::arena;

/// Reads a request, does it, and tells what happened.
///
/// # Errors
/// Where it was not started by `escapology` itself.
pub fn arena() -> Result<ExitCode, Error> {
    arena::run().map_err(|error| Error::failed("be the program inside the arena", error))?;
    Ok(ExitCode::SUCCESS)
}
