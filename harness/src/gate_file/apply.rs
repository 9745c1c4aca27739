//! What a gate file makes of a run's results.

use super::{Expectation, GateFile};
use crate::model::{Expected, ProbeResult, Verdict};

/// What an expectation may depend on besides the results.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances<'a> {
    /// The day of the run, `YYYY-MM-DD`, UTC.
    pub today: &'a str,
    /// The kernel's release, as uname(2) gives it.
    pub kernel: &'a str,
}

/// Marks each result that meets an expectation `xfail`, and each that was
/// expected to be worse and is contained `xpass`. Every other verdict stays: an
/// expectation excuses what it names and nothing else.
///
/// Returns the rules of the file that do not hold, one sentence each: an entry
/// that no result matches, one that is over, two for the same result.
pub fn apply(
    file: &GateFile,
    results: &mut [ProbeResult],
    circumstances: Circumstances<'_>,
) -> Vec<String> {
    let mut broken = Vec::new();
    for expectation in &file.expectations {
        if !results.iter().any(|result| expectation.matches(result)) {
            broken.push(format!(
                "{} matches no result: take it out, or test what it names",
                expectation.words()
            ));
        } else if let Some(until) = expectation.over(circumstances) {
            broken.push(format!("{} was borne until {until}", expectation.words()));
        }
    }
    for result in results {
        let live = file.expectations.iter().filter(|expectation| {
            expectation.matches(result) && expectation.is_live(circumstances)
        });
        let live: Vec<&Expectation> = live.collect();
        let Some((first, rest)) = live.split_first() else {
            continue;
        };
        if let Some(second) = rest.first() {
            broken.push(format!(
                "lines {} and {} of the gate both expect something of {}/{}",
                first.line, second.line, result.sandbox, result.probe
            ));
        }
        first.meet(result);
    }
    broken
}

impl Expectation {
    fn matches(&self, result: &ProbeResult) -> bool {
        self.entry.sandbox.matches(&result.sandbox) && self.entry.probe.matches(&result.probe)
    }

    fn over(&self, circumstances: Circumstances<'_>) -> Option<&str> {
        let until = self.entry.until.as_deref()?;
        (until < circumstances.today).then_some(until)
    }

    fn is_live(&self, circumstances: Circumstances<'_>) -> bool {
        let kernels = self.entry.kernel.as_ref();
        self.over(circumstances).is_none()
            && kernels.is_none_or(|kernels| kernels.contain(circumstances.kernel))
    }

    fn words(&self) -> String {
        format!(
            "line {} of the gate (probe {} in sandbox {})",
            self.line, self.entry.probe, self.entry.sandbox
        )
    }

    fn meet(&self, result: &mut ProbeResult) {
        let entry = &self.entry;
        let verdict = match result.verdict {
            observed if observed == entry.verdict => Verdict::Xfail,
            Verdict::Contained => Verdict::Xpass,
            _ => return,
        };
        result.expected = Some(Expected {
            verdict: entry.verdict,
            observed: result.verdict,
            reason: entry.reason.clone(),
            claim: entry.claim.clone(),
            owner: entry.owner.clone(),
            until: entry.until.clone(),
        });
        if verdict == Verdict::Xpass {
            result.reason = format!(
                "line {} of the gate expects {} ({}), and it {}: take the entry out",
                self.line,
                entry.verdict.name(),
                entry.reason,
                result.reason
            );
        }
        result.verdict = verdict;
    }
}

#[cfg(test)]
#[path = "apply_cases.rs"]
mod cases;
