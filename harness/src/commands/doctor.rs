//! `escapology doctor`: say what this host can enforce.

use std::process::ExitCode;

use super::Error;
use crate::cli::DoctorArgs;

/// Not wired up.
///
/// # Errors
/// Always.
pub fn doctor(_arguments: &DoctorArgs) -> Result<ExitCode, Error> {
    Err(Error::failed(
        "say what this host can enforce",
        "not wired up",
    ))
}
