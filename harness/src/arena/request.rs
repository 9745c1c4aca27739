//! What the program outside asks of the one inside.

use std::ffi::OsString;
use std::time::Duration;

use sandbox_core::Sandbox;
use serde::{Deserialize, Serialize};

/// One run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Request {
    /// The ids of the probes to attempt.
    pub probes: Vec<String>,
    /// What they are attempted in.
    pub targets: Vec<Target>,
    /// How many launches at a time.
    pub jobs: usize,
    /// After how long a launch is killed.
    pub deadline: Duration,
    /// Whether each protection of the sandboxes is taken away in turn.
    pub ablate: bool,
}

/// A sandbox under test.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// One of ours.
    Sandbox {
        /// Its name in reports.
        name: String,
        /// What it is.
        sandbox: Box<Sandbox>,
    },
    /// A foreign launcher's command line.
    Command {
        /// Its name in reports.
        name: String,
        /// With `{probe}`, `{probe-path}` and `{workdir}` in it.
        command: Vec<OsString>,
    },
}

impl Target {
    /// Its name in reports.
    pub fn name(&self) -> &str {
        match self {
            Self::Sandbox { name, .. } | Self::Command { name, .. } => name,
        }
    }
}
