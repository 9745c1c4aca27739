//! The judge's rules as tables of named cases.

use probes::Guard::{Capabilities, NetNamespace, PidNamespace, Root};
use probes::wire::Record;
use rstest::rstest;

use super::*;

const ROOT: Stop = Stop {
    guards: &[Root],
    refusal: Refusal::Errno(&[libc::ENOENT, libc::EACCES]),
};
const PID: Stop = Stop {
    guards: &[PidNamespace],
    refusal: Refusal::Absent,
};
const FILTER: Stop = Stop {
    guards: &[NetNamespace],
    refusal: Refusal::Signal(libc::SIGSYS),
};
const BOTH: Stop = Stop {
    guards: &[Root, Capabilities],
    refusal: Refusal::Silent,
};

fn leg(outcome: Outcome, observation: Observation) -> Leg {
    Leg {
        outcome,
        call: None,
        errno: None,
        observation,
        records: Vec::new(),
        rejected_frames: 0,
        exit: "exit code 1".to_owned(),
        exited_zero: false,
        output: String::new(),
        micros: 1000,
    }
}

fn touched(outcome: Outcome) -> Leg {
    let evidence = "cookie came out".to_owned();
    leg(outcome, Observation::Touched { evidence })
}

fn clean(outcome: Outcome) -> Leg {
    leg(outcome, Observation::Clean)
}

fn unseen(outcome: Outcome) -> Leg {
    let reason = "no such file".to_owned();
    leg(outcome, Observation::Unknown { reason })
}

fn zero(mut leg: Leg) -> Leg {
    leg.exited_zero = true;
    leg
}

fn only(guards: &[Guard], leg: Leg) -> OnlyLeg {
    OnlyLeg {
        guards: guards.to_vec(),
        pulled_in: Vec::new(),
        as_declared: true,
        leg,
    }
}

/// A case starts contained: what it changes is what it is about.
struct Case {
    unsupported: Option<&'static str>,
    degraded: Vec<String>,
    self_test: Result<(), &'static str>,
    declared: Vec<Stop>,
    present: Option<Vec<Guard>>,
    bare: Option<Leg>,
    only: Vec<OnlyLeg>,
    product: Option<Leg>,
}

impl Default for Case {
    fn default() -> Self {
        Self {
            unsupported: None,
            degraded: Vec::new(),
            self_test: Ok(()),
            declared: vec![ROOT],
            present: Some(vec![Root]),
            bare: Some(touched(Outcome::Succeeded)),
            only: vec![only(&[Root], clean(Outcome::Refused))],
            product: Some(clean(Outcome::Refused)),
        }
    }
}

impl Case {
    fn judge(&self) -> Judgement {
        judge(&Evidence {
            unsupported: self.unsupported,
            degraded: &self.degraded,
            self_test: self.self_test,
            declared: &self.declared,
            present: self.present.as_deref(),
            bare: self.bare.as_ref(),
            only: &self.only,
            product: self.product.as_ref(),
        })
    }

    /// Everything that can be wrong besides the product.
    fn all_wrong() -> Self {
        Self {
            unsupported: Some("no CONFIG_KEYS"),
            degraded: vec!["landlock".to_owned()],
            self_test: Err("blind"),
            bare: Some(unseen(Outcome::LaunchFailed)),
            ..Self::default()
        }
    }
}

#[rstest]
#[case::all_well(Case::default(), Verdict::Contained, "held")]
#[case::a_touch_is_an_escape(Case { product: Some(touched(Outcome::Succeeded)), ..Case::default() }, Verdict::Escaped, "cookie came out")]
#[case::a_touch_counts_whatever_the_probe_says(Case { product: Some(touched(Outcome::Refused)), ..Case::default() }, Verdict::Escaped, "")]
#[case::a_touch_counts_though_the_probe_timed_out(Case { product: Some(touched(Outcome::TimedOut)), ..Case::default() }, Verdict::Escaped, "")]
#[case::a_touch_counts_though_nothing_started(Case { product: Some(touched(Outcome::NotStarted)), ..Case::default() }, Verdict::Escaped, "")]
#[case::a_touch_counts_though_the_launch_failed(Case { product: Some(touched(Outcome::LaunchFailed)), ..Case::default() }, Verdict::Escaped, "")]
#[case::a_touch_counts_whatever_else_failed(Case { product: Some(touched(Outcome::Cut)), ..Case::all_wrong() }, Verdict::Escaped, "")]
#[case::a_claimed_success_is_no_touch(Case { product: Some(clean(Outcome::Succeeded)), ..Case::default() }, Verdict::Contained, "")]
#[case::absent_is_an_attempt(Case { product: Some(clean(Outcome::Absent)), ..Case::default() }, Verdict::Contained, "")]
#[case::unsupported_comes_before_the_rest(
    Case::all_wrong(),
    Verdict::Unsupported,
    "no CONFIG_KEYS"
)]
#[case::a_blind_oracle(Case { unsupported: None, ..Case::all_wrong() }, Verdict::OracleBroken, "blind")]
#[case::bare_launch_failed(Case { unsupported: None, self_test: Ok(()), ..Case::all_wrong() }, Verdict::Error, "bare leg could not be launched")]
#[case::bare_out_of_sight(Case { bare: Some(unseen(Outcome::Succeeded)), ..Case::default() }, Verdict::OracleBroken, "no such file")]
#[case::no_control(Case { bare: None, ..Case::default() }, Verdict::Vacuous, "no bare leg")]
#[case::the_control_was_refused(Case { bare: Some(clean(Outcome::Refused)), ..Case::default() }, Verdict::Vacuous, "was refused")]
#[case::the_control_claims_success(Case { bare: Some(clean(Outcome::Succeeded)), ..Case::default() }, Verdict::Vacuous, "says")]
#[case::the_control_touched_and_was_cut(Case { bare: Some(touched(Outcome::Cut)), ..Case::default() }, Verdict::Contained, "")]
#[case::no_product(Case { product: None, ..Case::default() }, Verdict::Error, "not run")]
#[case::product_launch_failed(Case { product: Some(clean(Outcome::LaunchFailed)), ..Case::default() }, Verdict::Error, "exit code 1")]
#[case::launch_failed_is_named_before_an_unseen_canary(Case { product: Some(unseen(Outcome::LaunchFailed)), ..Case::default() }, Verdict::Error, "launched")]
#[case::product_out_of_sight(Case { product: Some(unseen(Outcome::Refused)), ..Case::default() }, Verdict::OracleBroken, "no such file")]
#[case::the_launcher_failed(Case { product: Some(clean(Outcome::NotStarted)), ..Case::default() }, Verdict::Error, "exit code 1")]
#[case::the_launcher_dropped_the_probe(Case { product: Some(zero(clean(Outcome::NotStarted))), ..Case::default() }, Verdict::Inconclusive, "never started")]
#[case::idle(Case { product: Some(zero(clean(Outcome::Idle))), ..Case::default() }, Verdict::Inconclusive, "without attempting")]
#[case::timed_out(Case { product: Some(clean(Outcome::TimedOut)), ..Case::default() }, Verdict::Inconclusive, "deadline")]
#[case::cut(Case { product: Some(clean(Outcome::Cut)), ..Case::default() }, Verdict::Inconclusive, "before its attempt returned")]
#[case::a_crash_proves_nothing(Case { product: Some(clean(Outcome::Killed(libc::SIGSEGV))), ..Case::default() }, Verdict::Inconclusive, "SIGSEGV")]
#[case::killed_as_declared(Case { declared: vec![FILTER], present: Some(vec![NetNamespace]), product: Some(clean(Outcome::Killed(libc::SIGSYS))), ..Case::default() }, Verdict::Contained, "")]
#[case::killed_as_declared_by_what_is_not_there(Case { declared: vec![ROOT, FILTER], product: Some(clean(Outcome::Killed(libc::SIGSYS))), ..Case::default() }, Verdict::Inconclusive, "SIGSYS")]
#[case::killed_as_declared_under_a_foreign_launcher(Case { declared: vec![FILTER], present: None, product: Some(clean(Outcome::Killed(libc::SIGSYS))), ..Case::default() }, Verdict::Contained, "")]
#[case::killed_by_another_signal_under_a_foreign_launcher(Case { declared: vec![FILTER], present: None, product: Some(clean(Outcome::Killed(libc::SIGKILL))), ..Case::default() }, Verdict::Inconclusive, "SIGKILL")]
#[case::degraded(Case { degraded: vec!["landlock".to_owned()], ..Case::default() }, Verdict::Degraded, "landlock")]
#[case::no_evidence_comes_before_degraded(Case { degraded: vec!["landlock".to_owned()], product: Some(clean(Outcome::Cut)), ..Case::default() }, Verdict::Inconclusive, "")]
fn evidence_comes_to(#[case] case: Case, #[case] verdict: Verdict, #[case] words: &str) {
    let judgement = case.judge();
    assert_eq!(judgement.verdict, verdict, "{judgement:?}");
    assert!(judgement.reason.contains(words), "{judgement:?}");
}

fn held(outcome: Outcome) -> OnlyLeg {
    only(&[Root], clean(outcome))
}

#[rstest]
#[case::an_escape_is_zero(Case { product: Some(touched(Outcome::Cut)), ..Case::default() }, Some(0), "touched")]
#[case::one_protection(Case::default(), Some(1), "losing root alone")]
#[case::one_of_two_is_enough(
    Case { declared: vec![ROOT, PID], present: Some(vec![Root, PidNamespace]),
           only: vec![held(Outcome::Refused), only(&[PidNamespace], clean(Outcome::Absent))], ..Case::default() },
    Some(2), "loss of pid-namespace and root")]
#[case::a_stop_that_is_not_there_does_not_count(
    Case { declared: vec![ROOT, PID],
           only: vec![held(Outcome::Refused), only(&[PidNamespace], clean(Outcome::Absent))], ..Case::default() },
    Some(1), "root")]
#[case::a_stop_that_was_not_measured_does_not_count(
    Case { declared: vec![ROOT, PID], present: Some(vec![Root, PidNamespace]), ..Case::default() },
    Some(1), "root")]
#[case::a_stop_that_let_it_out_does_not_count(
    Case { declared: vec![ROOT, PID], present: Some(vec![Root, PidNamespace]),
           only: vec![held(Outcome::Refused), only(&[PidNamespace], touched(Outcome::Absent))], ..Case::default() },
    Some(1), "root")]
#[case::any_part_of_a_conjunction_breaks_it(
    Case { declared: vec![BOTH], present: Some(vec![Capabilities, Root]),
           only: vec![only(&[Capabilities, Root], clean(Outcome::Succeeded))], ..Case::default() },
    Some(1), "alone")]
#[case::half_a_conjunction_is_not_there(
    Case { declared: vec![BOTH], only: vec![only(&[Capabilities, Root], clean(Outcome::Succeeded))], ..Case::default() },
    None, "does not name")]
#[case::nothing_declared_is_there(Case { present: Some(vec![NetNamespace]), ..Case::default() }, None, "does not name")]
#[case::nothing_was_measured(Case { only: vec![], ..Case::default() }, None, "seen to hold alone")]
#[case::an_only_leg_that_crashed_verifies_nothing(
    Case { only: vec![held(Outcome::Killed(libc::SIGSEGV))], ..Case::default() }, None, "seen to hold alone")]
#[case::an_only_leg_out_of_sight_verifies_nothing(
    Case { only: vec![only(&[Root], unseen(Outcome::Refused))], ..Case::default() }, None, "seen to hold alone")]
#[case::an_only_leg_killed_as_declared_verifies(
    Case { declared: vec![FILTER], present: Some(vec![NetNamespace]),
           only: vec![only(&[NetNamespace], clean(Outcome::Killed(libc::SIGSYS)))], ..Case::default() },
    Some(1), "net-namespace")]
#[case::a_foreign_launcher(Case { present: None, ..Case::default() }, None, "not known")]
#[case::not_for_other_verdicts(Case { degraded: vec!["root".to_owned()], ..Case::default() }, None, "lacks")]
fn depth_is(#[case] case: Case, #[case] depth: Option<u32>, #[case] words: &str) {
    let judgement = case.judge();
    assert_eq!(judgement.depth, depth, "{judgement:?}");
    assert!(judgement.reason.contains(words), "{judgement:?}");
}

fn said(outcome: Outcome, records: &[Record]) -> Leg {
    Leg {
        records: records.to_vec(),
        ..clean(outcome)
    }
}

fn open(errno: Option<i32>) -> Record {
    Record::Attempted {
        call: "open".to_owned(),
        errno,
    }
}

fn missing() -> Record {
    Record::Missing {
        what: "/proc".to_owned(),
    }
}

#[rstest]
#[case::an_errno_in_the_list(ROOT, said(Outcome::Refused, &[open(Some(libc::EACCES))]), true)]
#[case::one_errno_of_several_calls(ROOT, said(Outcome::Succeeded, &[open(None), open(Some(libc::ENOENT))]), true)]
#[case::another_errno(ROOT, said(Outcome::Refused, &[open(Some(libc::EPERM))]), false)]
#[case::no_refusal(ROOT, said(Outcome::Succeeded, &[open(None)]), false)]
#[case::an_attempt_that_was_cut(ROOT, said(Outcome::Cut, &[open(Some(libc::ENOENT))]), false)]
#[case::a_touch_is_no_refusal(ROOT, Leg { records: vec![open(Some(libc::ENOENT))], ..touched(Outcome::Refused) }, false)]
#[case::out_of_sight_is_no_refusal(ROOT, Leg { records: vec![open(Some(libc::ENOENT))], ..unseen(Outcome::Refused) }, false)]
#[case::the_signal(FILTER, clean(Outcome::Killed(libc::SIGSYS)), true)]
#[case::another_signal(FILTER, clean(Outcome::Killed(libc::SIGSEGV)), false)]
#[case::absent(PID, said(Outcome::Absent, &[missing()]), true)]
#[case::not_absent(PID, said(Outcome::Refused, &[open(Some(libc::ENOENT))]), false)]
#[case::silent(BOTH, said(Outcome::Succeeded, &[open(None)]), true)]
#[case::not_silent(BOTH, said(Outcome::Refused, &[open(Some(libc::EPERM))]), false)]
fn a_refusal_is_as_declared(#[case] stop: Stop, #[case] leg: Leg, #[case] expected: bool) {
    assert_eq!(refused_as_declared(&stop, &leg), expected);
}
