//! `escapology`: escape attempts inside a sandbox, judged from outside.

use std::process::ExitCode;

use clap::Parser as _;
use harness::cli::Cli;
use harness::commands;

fn main() -> ExitCode {
    // clap itself answers --help, and wrong usage with exit code 2.
    let cli = Cli::parse();
    commands::dispatch(&cli).unwrap_or_else(|error| {
        anstream::eprintln!("escapology: {}", error.chain());
        ExitCode::from(error.exit_code())
    })
}
