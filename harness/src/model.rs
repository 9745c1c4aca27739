//! What a run found out, as data: the JSON report is these types.
//!
//! The schema in `harness/schema/report.json` is generated from them.

use std::collections::BTreeMap;

use probes::wire::Record;
use probes::{Class, Guard, Proof};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use crate::verdict::Verdict;

/// The value of [`Report::schema`].
pub const SCHEMA: &str = "escapology.report/1";

/// One run: the JSON document.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// Always `escapology.report/1`.
    pub schema: String,
    /// The version of the program.
    pub version: String,
    /// When the run began, RFC 3339, UTC.
    pub started: String,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// Where it ran.
    pub host: HostFacts,
    /// What was tested.
    pub sandboxes: Vec<SandboxFacts>,
    /// One row for each probe and sandbox.
    pub results: Vec<ProbeResult>,
    /// The ablation matrix of each sandbox of ours, where it was asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ablation: Vec<Ablation>,
    /// Counts.
    pub summary: Summary,
    /// What the run means for a pipeline.
    pub gate: Gate,
}

/// The host as far as it matters for reading the results.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct HostFacts {
    /// Kernel release, as uname(2) gives it.
    pub kernel: String,
    /// Machine architecture, as uname(2) gives it.
    pub machine: String,
    /// The user id that the run had.
    pub uid: u32,
    /// Where canaries and uncontained legs lived.
    pub arena: String,
    /// What this kernel, user and container can enforce.
    pub features: Vec<Feature>,
}

/// One thing that a host can enforce, or cannot.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Feature {
    /// Its name.
    pub name: String,
    /// Whether it works here, seen by trying it.
    pub available: bool,
    /// Why not, or which version of it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// What to change, where it is not available.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub remedy: String,
}

/// A sandbox under test.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SandboxFacts {
    /// Its name in `results`.
    pub name: String,
    /// One sentence.
    pub description: String,
    /// The foreign launcher's command line; empty for a sandbox of ours.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// The protections that it has; unknown (empty) for a foreign launcher.
    pub guards: Vec<Guard>,
    /// Protections that it was asked for and could not apply, allowed by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub degraded: Vec<String>,
}

/// What one probe came to in one sandbox.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ProbeResult {
    /// The sandbox's name.
    pub sandbox: String,
    /// The probe's id.
    pub probe: String,
    /// The first line of its documentation.
    pub title: String,
    /// Its class.
    pub class: Class,
    /// What an escape proves: its severity.
    pub proof: Proof,
    /// The verdict.
    pub verdict: Verdict,
    /// The fewest protections whose loss lets the probe out, all of them seen
    /// to work alone in this run. 0 is an escape, 1 a single point of failure;
    /// none where the sandbox's protections are not known.
    pub depth: Option<u32>,
    /// Why this verdict: one sentence.
    pub reason: String,
    /// What to change in the sandbox.
    pub remedy: String,
    /// What a gate file says of it, where the verdict is `xfail` or `xpass`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<Expected>,
    /// The evidence.
    pub legs: Legs,
}

impl ProbeResult {
    /// The verdict whatever a gate file expects.
    pub fn observed(&self) -> Verdict {
        self.expected
            .as_ref()
            .map_or(self.verdict, |expected| expected.observed)
    }
}

/// A known gap: what a gate file expects of a result.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Expected {
    /// The verdict that is expected.
    pub verdict: Verdict,
    /// The verdict without the gate file.
    pub observed: Verdict,
    /// Why it is known and borne.
    pub reason: String,
    /// The row of the source documents' claims that says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<String>,
    /// Who takes care of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The last day on which it is borne.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

/// The three legs of a probe.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Legs {
    /// No protection at all: it must touch the canary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bare: Option<Leg>,
    /// Each alternative that stops it, alone: it must not touch it.
    pub only: Vec<OnlyLeg>,
    /// The sandbox under test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<Leg>,
}

/// A leg with some protections and no others.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct OnlyLeg {
    /// The protections that the probe says suffice together.
    pub guards: Vec<Guard>,
    /// What those cannot be had without.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pulled_in: Vec<Guard>,
    /// Whether the probe was refused the way it declares for them.
    pub as_declared: bool,
    /// What happened.
    pub leg: Leg,
}

/// One launch of one probe.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Leg {
    /// How the probe fared by its own account. Never the verdict.
    pub outcome: Outcome,
    /// The call that was refused last, where one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<String>,
    /// Its errno.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errno: Option<i32>,
    /// What the harness saw of the canary, from outside.
    pub observation: Observation,
    /// What the probe said, in its order.
    pub records: Vec<Record>,
    /// Frames that were torn, forged or too many.
    #[serde(default)]
    pub rejected_frames: usize,
    /// How the program that was launched ended, in words.
    pub exit: String,
    /// Whether it ended by itself with exit code 0. With [`Outcome::NotStarted`]
    /// it tells a launcher that dropped the probe from one that gave up.
    #[serde(default)]
    pub exited_zero: bool,
    /// The end of what it printed besides records, made safe to show.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub output: String,
    /// From the request to the end, in microseconds.
    pub micros: u64,
}

/// How a probe fared by its own account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// At least one call succeeded, and the attempt returned.
    Succeeded,
    /// Every call failed, and the attempt returned.
    Refused,
    /// What it looked for was not there, and the attempt returned.
    Absent,
    /// The attempt returned without a single call, and missed nothing: it
    /// proves nothing.
    Idle,
    /// It was killed by this signal after it was armed.
    Killed(i32),
    /// It was armed and ended before its attempt returned.
    Cut,
    /// It ran into the deadline.
    TimedOut,
    /// No record came, although the launch reported none: it never ran, or
    /// nothing of it reached the harness.
    NotStarted,
    /// The launch failed; why is in [`Leg::exit`].
    LaunchFailed,
}

/// What the harness saw of the canary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum Observation {
    /// Untouched.
    Clean,
    /// Touched, and how.
    Touched {
        /// What was seen, in words.
        evidence: String,
    },
    /// The canary could not be looked at.
    Unknown {
        /// Why.
        reason: String,
    },
}

impl Observation {
    /// Whether the canary was touched.
    pub fn is_touched(&self) -> bool {
        matches!(self, Self::Touched { .. })
    }
}

/// What taking each protection away from a sandbox lets out.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Ablation {
    /// The whole sandbox that was taken apart.
    pub sandbox: String,
    /// One row for each protection of it that some probe names.
    pub rows: Vec<AblationRow>,
}

/// A sandbox with one protection less.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct AblationRow {
    /// The protection that was taken away.
    pub without: Guard,
    /// What cannot stand without it and went with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also_lost: Vec<Guard>,
    /// What each probe came to.
    pub cells: Vec<AblationCell>,
}

/// One probe in an ablated sandbox.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct AblationCell {
    /// The probe's id.
    pub probe: String,
    /// Whether its declaration says that it gets out now.
    pub expected_escape: bool,
    /// What happened.
    pub verdict: Verdict,
    /// Why this verdict: one sentence.
    pub reason: String,
}

impl AblationCell {
    /// Whether it came as declared.
    pub fn as_expected(&self) -> bool {
        self.verdict
            == if self.expected_escape {
                Verdict::Escaped
            } else {
                Verdict::Contained
            }
    }
}

/// Counts of verdicts.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    /// How many results there are.
    pub total: usize,
    /// How many of each verdict, all sandboxes together; absent is none.
    pub verdicts: BTreeMap<Verdict, usize>,
    /// The same for each sandbox.
    pub sandboxes: BTreeMap<String, BTreeMap<Verdict, usize>>,
    /// Contained by a single protection: `sandbox/probe`.
    pub single_points_of_failure: Vec<String>,
}

/// What a run means for a pipeline.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Gate {
    /// The gate file with the expected results, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The exit code: 0 green, 1 escape, 3 evidence missing, 4 harness failed.
    pub exit_code: u8,
    /// Why, one sentence each; empty where it is green.
    pub reasons: Vec<String>,
}
