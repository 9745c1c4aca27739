//! The verdicts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a probe's legs come to. See DESIGN.md's table.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The canary was touched.
    Escaped,
    /// A known gap that is gone: its entry in the gate file must go.
    Xpass,
    /// The sandbox lacks a protection that it was asked for.
    Degraded,
    /// The harness could not work.
    Error,
    /// The harness could not see.
    OracleBroken,
    /// The bare leg could not touch its canary.
    Vacuous,
    /// Never attempted, crashed, timed out, or killed another way than declared.
    Inconclusive,
    /// The machine lacks something that the probe needs; checked.
    Unsupported,
    /// A known gap: what the gate file expects, with its reason.
    Xfail,
    /// Attempted, clean, and the control touched its canary.
    Contained,
}

impl Verdict {
    /// All, worst first.
    pub const ALL: [Self; 10] = [
        Self::Escaped,
        Self::Xpass,
        Self::Degraded,
        Self::Error,
        Self::OracleBroken,
        Self::Vacuous,
        Self::Inconclusive,
        Self::Unsupported,
        Self::Xfail,
        Self::Contained,
    ];

    /// As in the JSON report.
    pub fn name(self) -> &'static str {
        match self {
            Self::Escaped => "escaped",
            Self::Xpass => "xpass",
            Self::Degraded => "degraded",
            Self::Error => "error",
            Self::OracleBroken => "oracle-broken",
            Self::Vacuous => "vacuous",
            Self::Inconclusive => "inconclusive",
            Self::Unsupported => "unsupported",
            Self::Xfail => "xfail",
            Self::Contained => "contained",
        }
    }
}
