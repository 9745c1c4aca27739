//! What a run found out, for people and for programs. Only reads a [`Report`].

mod ablation;
mod finding;
mod host;
mod results;
mod text;

pub use host::host;
pub use text::text;

use std::fs;
use std::io;
use std::path::Path;

use crate::cli::{Format, Verbosity};
use crate::model::Report;
use crate::terminal;

/// The report as one JSON document.
///
/// # Errors
/// None with these types; serde's signature.
pub fn json(report: &Report) -> io::Result<String> {
    let mut text = serde_json::to_string_pretty(report)?;
    text.push('\n');
    Ok(text)
}

/// The JSON Schema of a report.
pub fn schema() -> String {
    let schema = schemars::schema_for!(Report);
    format!("{:#}\n", schema.to_value())
}

/// Writes the report where the command line says: to standard output, or to a
/// file, and then the text report to standard output besides.
///
/// # Errors
/// Those of writing.
pub fn write(
    report: &Report,
    format: Format,
    output: Option<&Path>,
    verbosity: Verbosity,
) -> io::Result<()> {
    let Some(path) = output else {
        return terminal::print(&match format {
            Format::Text => text(report, terminal::width(), verbosity),
            Format::Json => json(report)?,
        });
    };
    let document = match format {
        Format::Text => terminal::plain(&text(report, terminal::PLAIN_WIDTH, verbosity)),
        Format::Json => json(report)?,
    };
    fs::write(path, document)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
    terminal::print(&text(report, terminal::width(), verbosity))
}
