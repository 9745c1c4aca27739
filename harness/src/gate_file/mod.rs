//! Gate files: results that are expected although they are not green.
//!
//! Read here, and applied in [`apply()`].

mod apply;
mod kernels;

use std::path::Path;

use serde::{Deserialize, Deserializer};
use toml::Spanned;
use toml::value::Datetime;

use crate::commands::Error;
use crate::model::Verdict;
use crate::{select, toml_error};
pub use apply::{Circumstances, apply};
pub use kernels::Kernels;

/// Name and text of each built-in gate file.
const BUILT_IN: [(&str, &str); 1] = [("historic", include_str!("../../gates/historic.toml"))];

/// What stands before a built-in one's name.
const BUILT_IN_PREFIX: &str = "builtin:";

/// A gate file that makes sense.
#[derive(Clone, Debug, Default)]
pub struct GateFile {
    /// Its name or path, as it was asked for.
    pub name: String,
    /// In the file's order.
    pub expectations: Vec<Expectation>,
}

/// One entry of it: a known gap.
#[derive(Clone, Debug)]
pub struct Expectation {
    /// The line in which it begins.
    pub line: usize,
    /// What it says.
    pub entry: Entry,
}

/// What an entry says.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// In which sandboxes, with `*` and `?`.
    #[serde(deserialize_with = "sandboxes")]
    pub sandbox: glob::Pattern,
    /// Of which probes, with `*` and `?`; at least one has such a name.
    #[serde(deserialize_with = "probes")]
    pub probe: glob::Pattern,
    /// Which verdict.
    #[serde(default = "escaped", deserialize_with = "verdict")]
    pub verdict: Verdict,
    /// Why that is known and borne: one sentence.
    #[serde(deserialize_with = "sentence")]
    pub reason: String,
    /// The row of the source documents' claims that says so.
    #[serde(default)]
    pub claim: Option<String>,
    /// Who takes care of it.
    #[serde(default)]
    pub owner: Option<String>,
    /// The last day on which it is borne, `YYYY-MM-DD`.
    #[serde(default, deserialize_with = "day")]
    pub until: Option<String>,
    /// On which kernels; on others it says nothing.
    #[serde(default)]
    pub kernel: Option<Kernels>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    expect: Vec<Spanned<Entry>>,
}

/// The built-in gate file `builtin:NAME`, or one of the user's own.
///
/// # Errors
/// Wrong usage: a file that cannot be read, is no TOML, or says what means
/// nothing: what and where.
pub fn read(name: &str) -> Result<GateFile, Error> {
    let text = match name.strip_prefix(BUILT_IN_PREFIX) {
        Some(built_in) => built_in_text(built_in)?.to_owned(),
        None => std::fs::read_to_string(Path::new(name))
            .map_err(|error| Error::Usage(format!("cannot read gate file {name}: {error}")))?,
    };
    parse(name, &text)
}

fn built_in_text(name: &str) -> Result<&'static str, Error> {
    let found = BUILT_IN.iter().find(|(other, _)| *other == name);
    found.map(|&(_, text)| text).ok_or_else(|| {
        select::nothing("built-in gate file", name, &BUILT_IN.map(|(name, _)| name)).into()
    })
}

fn parse(name: &str, text: &str) -> Result<GateFile, Error> {
    let file: File = toml::from_str(text)
        .map_err(|error| Error::Usage(format!("{name}: {}", toml_error::one_line(&error, text))))?;
    let expectation = |entry: Spanned<Entry>| Expectation {
        line: toml_error::line(text, entry.span().start),
        entry: entry.into_inner(),
    };
    Ok(GateFile {
        name: name.to_owned(),
        expectations: file.expect.into_iter().map(expectation).collect(),
    })
}

fn escaped() -> Verdict {
    Verdict::Escaped
}

fn sandboxes<'de, D: Deserializer<'de>>(input: D) -> Result<glob::Pattern, D::Error> {
    let text = String::deserialize(input)?;
    glob::Pattern::new(&text)
        .map_err(|error| serde::de::Error::custom(format!("{text:?} is no glob: {}", error.msg)))
}

fn probes<'de, D: Deserializer<'de>>(input: D) -> Result<glob::Pattern, D::Error> {
    let text = String::deserialize(input)?;
    // A name that is mistyped would expect nothing, of nobody.
    select::probes(std::slice::from_ref(&text)).map_err(serde::de::Error::custom)?;
    glob::Pattern::new(&text).map_err(serde::de::Error::custom)
}

fn sentence<'de, D: Deserializer<'de>>(input: D) -> Result<String, D::Error> {
    let text = String::deserialize(input)?;
    if text.trim().is_empty() {
        return Err(serde::de::Error::custom("a reason must say something"));
    }
    Ok(text)
}

/// What can be expected of a sandbox. A harness that fails says nothing of it,
/// and what is contained needs no entry.
fn verdict<'de, D: Deserializer<'de>>(input: D) -> Result<Verdict, D::Error> {
    use Verdict::{Degraded, Escaped, Inconclusive, Unsupported, Vacuous};
    let expectable = [Escaped, Degraded, Vacuous, Inconclusive, Unsupported];
    let text = String::deserialize(input)?;
    let found = expectable
        .into_iter()
        .find(|verdict| verdict.name() == text);
    found.ok_or_else(|| {
        let names = expectable.map(Verdict::name).join(", ");
        serde::de::Error::custom(format!("{text:?} cannot be expected: take one of {names}"))
    })
}

/// A day, as text or as TOML's own date. Days of this form compare as text.
fn day<'de, D: Deserializer<'de>>(input: D) -> Result<Option<String>, D::Error> {
    let value = toml::Value::deserialize(input)?;
    let day: Option<Datetime> = match &value {
        toml::Value::Datetime(day) => Some(*day),
        toml::Value::String(text) => text.parse().ok(),
        _ => None,
    };
    match day {
        Some(Datetime {
            date: Some(day),
            time: None,
            offset: None,
        }) => Ok(Some(day.to_string())),
        _ => Err(serde::de::Error::custom(format!(
            "{value} is no day: write \"YYYY-MM-DD\""
        ))),
    }
}

#[cfg(test)]
#[path = "file_cases.rs"]
mod cases;
