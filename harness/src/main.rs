//! `escapology`: escape attempts inside a sandbox, judged from outside.

use std::process::ExitCode;

use clap::Parser as _;
use harness::cli::Cli;
use harness::{commands, sanitise};

/// The longest error that is shown; it may hold a launcher's own words.
const ERROR_MAX: usize = 2000;

fn main() -> ExitCode {
    // clap itself answers --help, and wrong usage with exit code 2.
    let cli = Cli::parse();
    commands::dispatch(&cli).unwrap_or_else(|error| {
        let message = sanitise::line(&error.chain(), ERROR_MAX);
        anstream::eprintln!("escapology: {message}");
        ExitCode::from(error.exit_code())
    })
}
