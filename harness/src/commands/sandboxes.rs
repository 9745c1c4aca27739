//! The built-in sandboxes, for `list`.

use super::Error;
use crate::catalog;
use crate::model::SandboxFacts;

/// What each built-in sandbox is.
///
/// # Errors
/// See [`catalog::built_in`].
pub fn built_in() -> Result<Vec<SandboxFacts>, Error> {
    Ok(catalog::built_in()?
        .iter()
        .map(catalog::Entry::facts)
        .collect())
}
