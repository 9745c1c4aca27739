//! The built-in sandboxes.

use super::Error;
use crate::model::SandboxFacts;

/// Not wired up.
///
/// # Errors
/// Always.
pub fn built_in() -> Result<Vec<SandboxFacts>, Error> {
    Err(Error::failed("list the built-in sandboxes", "not wired up"))
}
