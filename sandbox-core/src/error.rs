//! Errors: stage, subject and errno are kept to the top.

use nix::errno::Errno;

use crate::child::Exit;
use crate::spec::{Guard, PolicyError};
use crate::stage::Stage;

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a sandbox could not be launched or watched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The description contradicts itself. No system call was made.
    #[error("invalid sandbox: {0}")]
    Policy(#[from] PolicyError),
    /// The host lacks what a protection needs, and no downgrade was allowed.
    #[error("this host cannot enforce {guard}: {reason}")]
    Unsupported {
        /// The protection.
        guard: Guard,
        /// What is missing, and what to change.
        reason: String,
    },
    /// A stage of the launch failed. Nothing of it is left.
    #[error("failed to {stage}{}: {}", subject_text(.subject), errno_text(*.errno))]
    Launch {
        /// Where it failed.
        stage: Stage,
        /// What it failed on: a path, a limit, a program.
        subject: Option<String>,
        /// The kernel's answer.
        errno: Errno,
    },
    /// The child ended before the program took over, without a word: killed by
    /// a filter, the memory killer or somebody's signal.
    #[error("the child ended before it could {stage} ({exit})")]
    Lost {
        /// The stage that it was in.
        stage: Stage,
        /// How it ended.
        exit: Exit,
    },
    /// A launched sandbox could not be watched or ended.
    #[error("failed to {action}: {}", errno_text(*.errno))]
    Child {
        /// What was to be done: fits "failed to …".
        action: &'static str,
        /// The kernel's answer.
        errno: Errno,
    },
}

impl Error {
    /// The stage of the launch that failed, where one did.
    pub fn stage(&self) -> Option<Stage> {
        match self {
            Self::Launch { stage, .. } | Self::Lost { stage, .. } => Some(*stage),
            _ => None,
        }
    }

    /// The kernel's answer, where there was one.
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Launch { errno, .. } | Self::Child { errno, .. } => Some(*errno),
            _ => None,
        }
    }
}

fn subject_text(subject: &Option<String>) -> String {
    subject
        .as_ref()
        .map(|subject| format!(" ({subject})"))
        .unwrap_or_default()
}

fn errno_text(errno: Errno) -> String {
    format!("{} ({errno:?})", errno.desc())
}
