//! `escapology arena`: be the process inside the arena.

use std::process::ExitCode;

use super::Error;
use crate::cli::ArenaArgs;

/// Not wired up.
///
/// # Errors
/// Always.
pub fn arena(_arguments: &ArenaArgs) -> Result<ExitCode, Error> {
    Err(Error::failed(
        "be the process inside the arena",
        "not wired up",
    ))
}
