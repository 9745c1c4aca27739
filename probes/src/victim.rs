//! The canary process: counts signals and holds secrets (`escapology-probe victim`).

use std::process::ExitCode;

/// Runs as the canary process until its control channel closes.
pub fn main(_arguments: &[String]) -> ExitCode {
    ExitCode::SUCCESS
}
