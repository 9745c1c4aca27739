//! What each subcommand does.

pub mod arena;
pub mod doctor;
pub mod exec;
pub mod run;
pub mod sandboxes;

use std::process::ExitCode;

use sandbox_core::Host;

use crate::cli::{Cli, Command, ExplainArgs, Format, ListArgs};
use crate::select::{self, Nothing};
use crate::{claims, exit_code, explain, list, report, terminal};

/// Why a subcommand could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line makes no sense: exit code 2.
    #[error("{0}")]
    Usage(String),
    /// The harness could not work: exit code 4.
    #[error("failed to {action}")]
    Failed {
        /// What it was about to do.
        action: String,
        /// What was in the way.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Error {
    /// A failure to do something, lower case, as in "failed to …".
    pub fn failed(
        action: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Failed {
            action: action.into(),
            source: source.into(),
        }
    }

    /// The exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => exit_code::USAGE,
            Self::Failed { .. } => exit_code::HARNESS_FAILED,
        }
    }

    /// The error and what is behind it, in one line.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(error) = source {
            text.push_str(": ");
            text.push_str(&error.to_string());
            source = error.source();
        }
        text
    }
}

impl From<Nothing> for Error {
    fn from(nothing: Nothing) -> Self {
        Self::Usage(nothing.to_string())
    }
}

/// Does what the command line says.
///
/// # Errors
/// See [`Error`]; a sandbox that lets something through is an exit code.
pub fn dispatch(cli: &Cli) -> Result<ExitCode, Error> {
    match &cli.command {
        Command::Run(arguments) => run::run(arguments, cli.verbosity),
        Command::List(arguments) => show_list(arguments),
        Command::Explain(arguments) => show_explanation(arguments),
        Command::Doctor(arguments) => doctor::doctor(arguments),
        Command::Exec(arguments) => exec::exec(arguments),
        Command::Schema => print(&report::schema()),
        Command::Arena(_) => arena::arena(),
        Command::ForkServer => Ok(sandbox_core::fork_server::main()),
    }
}

fn show_list(arguments: &ListArgs) -> Result<ExitCode, Error> {
    let width = terminal::width();
    if arguments.claims {
        let host = Host::survey();
        return print(&match arguments.format {
            Format::Text => list::claims(claims::all(), &host, width),
            Format::Json => pretty(&list::claims_json(claims::all(), &host)),
        });
    }
    let text = match (arguments.sandboxes, arguments.format) {
        (false, Format::Text) => list::probes(probes::all(), width),
        (false, Format::Json) => pretty(&list::probes_json(probes::all())),
        (true, Format::Text) => list::sandboxes(&sandboxes::built_in()?, width),
        (true, Format::Json) => pretty(&list::sandboxes_json(&sandboxes::built_in()?)),
    };
    print(&text)
}

fn show_explanation(arguments: &ExplainArgs) -> Result<ExitCode, Error> {
    let probe = select::probe(&arguments.probe)?;
    print(&explain::explain(probe, terminal::width()))
}

/// Prints and says that all is well.
pub(crate) fn print(text: &str) -> Result<ExitCode, Error> {
    terminal::print(text).map_err(|error| Error::failed("write to standard output", error))?;
    Ok(ExitCode::SUCCESS)
}

/// JSON for programs that people read as well.
pub(crate) fn pretty(value: &serde_json::Value) -> String {
    format!("{value:#}\n")
}
