//! The judge: evidence in, verdict out. No I/O, no clock.
//!
//! The rules apply from the first to the last:
//!
//! 1. The canary was touched in the product: `escaped`, whatever else failed.
//! 2. The machine lacks something, checked: `unsupported`.
//! 3. The oracle's self-test failed: `oracle-broken`.
//! 4. The bare leg: launch failed, `error`; canary out of sight,
//!    `oracle-broken`; missing or clean, `vacuous`.
//! 5. The product: launch failed or missing, `error`; canary out of sight,
//!    `oracle-broken`. An observation is worth something only after a launch,
//!    so a failed launch is named first.
//! 6. The attempt: never started under a launcher that failed, `error`; never
//!    started, idle, cut, timed out, or killed by a signal that no protection
//!    in place declares, `inconclusive`.
//! 7. A protection was asked for and not applied: `degraded`.
//! 8. Otherwise `contained`.

use probes::{Guard, Refusal, Stop};

use crate::depth::{is_present, weakest};
use crate::describe;
use crate::model::{Leg, Observation, OnlyLeg, Outcome, Verdict};

/// All that the judge may look at.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// Why this machine cannot tell, where that was checked.
    pub unsupported: Option<&'a str>,
    /// Protections that the sandbox was asked for and could not apply.
    pub degraded: &'a [String],
    /// Whether the canary noticed when the harness itself touched it.
    pub self_test: Result<(), &'a str>,
    /// What the probe says stops it.
    pub declared: &'a [Stop],
    /// The product's protections; none where they are not known.
    pub present: Option<&'a [Guard]>,
    /// The control.
    pub bare: Option<&'a Leg>,
    /// Each alternative, alone.
    pub only: &'a [OnlyLeg],
    /// The sandbox under test.
    pub product: Option<&'a Leg>,
}

/// What the evidence comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// See [`crate::model::ProbeResult::depth`].
    pub depth: Option<u32>,
    /// Why: one sentence without its full stop.
    pub reason: String,
}

/// Judges one probe in one sandbox.
pub fn judge(evidence: &Evidence<'_>) -> Judgement {
    if let Some(Observation::Touched { evidence }) = evidence.product.map(|leg| &leg.observation) {
        return Judgement {
            verdict: Verdict::Escaped,
            depth: Some(0),
            reason: format!("the canary was touched: {evidence}"),
        };
    }
    match objection(evidence) {
        Some((verdict, reason)) => Judgement {
            verdict,
            depth: None,
            reason,
        },
        None => contained(evidence),
    }
}

/// The first rule that keeps a clean product from being contained.
fn objection(evidence: &Evidence<'_>) -> Option<(Verdict, String)> {
    if let Some(reason) = evidence.unsupported {
        return Some((Verdict::Unsupported, reason.to_owned()));
    }
    if let Err(reason) = evidence.self_test {
        let reason = format!("the canary did not notice the harness's own touch: {reason}");
        return Some((Verdict::OracleBroken, reason));
    }
    if let Some(objection) = control_objection(evidence.bare) {
        return Some(objection);
    }
    let Some(product) = evidence.product else {
        return Some((
            Verdict::Error,
            "the sandbox under test was not run".to_owned(),
        ));
    };
    if let Some(objection) = leg_objection("sandbox", product) {
        return Some(objection);
    }
    if let Some(objection) = attempt_objection(evidence, product) {
        return Some(objection);
    }
    (!evidence.degraded.is_empty()).then(|| {
        let lost = evidence.degraded.join(", ");
        (
            Verdict::Degraded,
            format!("the sandbox lacks what it was asked for: {lost}"),
        )
    })
}

fn control_objection(bare: Option<&Leg>) -> Option<(Verdict, String)> {
    let Some(bare) = bare else {
        let reason = "no bare leg was run, so nothing shows that the attempt can work here";
        return Some((Verdict::Vacuous, reason.to_owned()));
    };
    leg_objection("bare", bare).or_else(|| {
        (!bare.observation.is_touched()).then(|| {
            let fared = account(bare);
            (
                Verdict::Vacuous,
                format!(
                    "without any protection the canary was not touched either: the probe {fared}"
                ),
            )
        })
    })
}

/// A launch that failed, or a canary that could not be looked at.
fn leg_objection(name: &str, leg: &Leg) -> Option<(Verdict, String)> {
    if leg.outcome == Outcome::LaunchFailed {
        let reason = format!("the {name} leg could not be launched: {}", leg.exit);
        return Some((Verdict::Error, reason));
    }
    match &leg.observation {
        Observation::Unknown { reason } => Some((
            Verdict::OracleBroken,
            format!("the canary of the {name} leg could not be looked at: {reason}"),
        )),
        Observation::Clean | Observation::Touched { .. } => None,
    }
}

fn attempt_objection(evidence: &Evidence<'_>, product: &Leg) -> Option<(Verdict, String)> {
    let verdict = match product.outcome {
        Outcome::Succeeded | Outcome::Refused | Outcome::Absent => return None,
        Outcome::Killed(signal) if dies_by(evidence, signal) => return None,
        Outcome::NotStarted if !product.exited_zero => {
            let reason = format!("the launcher failed before the probe ran: {}", product.exit);
            return Some((Verdict::Error, reason));
        }
        Outcome::NotStarted
        | Outcome::Idle
        | Outcome::Killed(_)
        | Outcome::Cut
        | Outcome::TimedOut
        | Outcome::LaunchFailed => Verdict::Inconclusive,
    };
    Some((verdict, format!("the probe {}", account(product))))
}

/// Whether a protection that is in place declares this death. A foreign
/// launcher may have any of those that the probe names.
fn dies_by(evidence: &Evidence<'_>, signal: i32) -> bool {
    evidence.declared.iter().any(|stop| {
        matches!(stop.refusal, Refusal::Signal(declared) if declared == signal)
            && evidence
                .present
                .is_none_or(|present| is_present(stop, present))
    })
}

/// How a probe fared, as the end of a sentence that begins with it.
fn account(leg: &Leg) -> String {
    let refusal = || match (&leg.call, leg.errno) {
        (Some(call), Some(errno)) => format!(", last {call} with {}", describe::errno(errno)),
        _ => String::new(),
    };
    match leg.outcome {
        Outcome::Succeeded => "says that a call succeeded".to_owned(),
        Outcome::Refused => format!("was refused{}", refusal()),
        Outcome::Absent => "did not find what it looked for".to_owned(),
        Outcome::Idle => "returned without attempting anything".to_owned(),
        Outcome::Killed(signal) => format!(
            "was killed by {}, which no protection here declares",
            describe::signal(signal)
        ),
        Outcome::Cut => format!("ended before its attempt returned: {}", leg.exit),
        Outcome::TimedOut => "ran into the deadline".to_owned(),
        Outcome::NotStarted => format!("never started: {}", leg.exit),
        Outcome::LaunchFailed => format!("was never launched: {}", leg.exit),
    }
}

fn contained(evidence: &Evidence<'_>) -> Judgement {
    let (depth, reason) = match evidence.present {
        None => (
            None,
            "held; which protections the launcher has is not known".to_owned(),
        ),
        Some(present) => defence(evidence, present),
    };
    Judgement {
        verdict: Verdict::Contained,
        depth,
        reason,
    }
}

fn defence(evidence: &Evidence<'_>, present: &[Guard]) -> (Option<u32>, String) {
    let whole: Vec<&Stop> = evidence
        .declared
        .iter()
        .filter(|stop| is_present(stop, present))
        .collect();
    if whole.is_empty() {
        return (
            None,
            "held by a protection that the probe does not name".to_owned(),
        );
    }
    let verified: Vec<&[Guard]> = whole
        .iter()
        .filter(|stop| works_alone(stop, evidence.only))
        .map(|stop| stop.guards)
        .collect();
    let Some(weakest) = weakest(&verified) else {
        return (
            None,
            "held, but none of the protections that the probe names was seen to hold alone"
                .to_owned(),
        );
    };
    let names = describe::guards(&weakest, " and ");
    let reason = match weakest.len() {
        1 => format!("held; losing {names} alone lets it out"),
        _ => format!("held; it takes the loss of {names} to let it out"),
    };
    (u32::try_from(weakest.len()).ok(), reason)
}

/// Whether a stop was seen to hold with nothing else in place.
fn works_alone(stop: &Stop, only: &[OnlyLeg]) -> bool {
    only.iter()
        .filter(|only| same_guards(stop.guards, &only.guards))
        .any(|only| {
            only.leg.observation == Observation::Clean
                && (returned(&only.leg) || refused_as_declared(stop, &only.leg))
        })
}

fn same_guards(one: &[Guard], other: &[Guard]) -> bool {
    one.iter().all(|guard| other.contains(guard)) && other.iter().all(|guard| one.contains(guard))
}

/// Whether the attempt was made and returned.
fn returned(leg: &Leg) -> bool {
    matches!(
        leg.outcome,
        Outcome::Succeeded | Outcome::Refused | Outcome::Absent
    )
}

/// Whether a leg was refused the way a stop declares, its canary clean.
pub fn refused_as_declared(stop: &Stop, leg: &Leg) -> bool {
    use probes::wire::Record;

    if leg.observation != Observation::Clean {
        return false;
    }
    let any = |wanted: &dyn Fn(&Record) -> bool| returned(leg) && leg.records.iter().any(wanted);
    match stop.refusal {
        Refusal::Errno(declared) => any(
            &|record| matches!(record, Record::Attempted { errno: Some(errno), .. } if declared.contains(errno)),
        ),
        Refusal::Signal(signal) => leg.outcome == Outcome::Killed(signal),
        Refusal::Absent => any(&|record| matches!(record, Record::Missing { .. })),
        // A call that fails elsewhere on the way does not matter: what counts
        // is that one succeeded and nothing came of it.
        Refusal::Silent => leg.outcome == Outcome::Succeeded,
    }
}

#[cfg(test)]
#[path = "judge_cases.rs"]
mod cases;
