//! How a program ended, how long its launch took, what it used.

use std::time::Duration;

use crate::stage::Stage;

/// How a program ended. Launch failures are errors, never an exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It left with this code.
    Code(i32),
    /// It was killed by a signal.
    Signal {
        /// The signal's number.
        number: i32,
        /// Whether a core was dumped.
        core_dumped: bool,
    },
    /// The sandbox's deadline passed, and it was killed.
    TimedOut,
}

impl Exit {
    pub(crate) fn from_wait(code: i32, status: i32) -> Self {
        match code {
            libc::CLD_EXITED => Self::Code(status),
            _ => Self::Signal {
                number: status,
                core_dumped: code == libc::CLD_DUMPED,
            },
        }
    }

    /// Whether it left with code 0.
    pub fn success(self) -> bool {
        self == Self::Code(0)
    }
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal { number, .. } => match nix::sys::signal::Signal::try_from(*number) {
                Ok(signal) => write!(f, "killed by {signal}"),
                Err(_) => write!(f, "killed by signal {number}"),
            },
            Self::TimedOut => f.write_str("killed at its deadline"),
        }
    }
}

/// How long each stage of the launch took.
#[derive(Clone, Debug, Default)]
pub struct Timings {
    /// The stages that the child went through, in order.
    pub laps: Vec<(Stage, Duration)>,
    /// From the request until the program had taken over.
    pub total: Duration,
}

/// What a sandbox used, its reaped processes included (getrusage(2)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Processor time in user mode.
    pub user: Duration,
    /// Processor time in the kernel.
    pub system: Duration,
    /// The largest resident set of any one process, in bytes.
    pub max_rss_bytes: u64,
}

impl From<&libc::rusage> for Usage {
    fn from(usage: &libc::rusage) -> Self {
        let duration = |time: libc::timeval| {
            Duration::from_secs(time.tv_sec.unsigned_abs())
                + Duration::from_micros(time.tv_usec.unsigned_abs())
        };
        Self {
            user: duration(usage.ru_utime),
            system: duration(usage.ru_stime),
            max_rss_bytes: usage.ru_maxrss.unsigned_abs() * 1024,
        }
    }
}
