//! How a probe fared by its own account: its records and its end, in one word.

use probes::wire::Record;

use crate::model::Outcome;

/// How the program that was launched ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this code.
    Exited(i32),
    /// By this signal. A launcher that ends with 128 + n is
    /// [`Ended::Exited`]: that is a convention of shells, not a fact.
    Signaled(i32),
    /// By the harness, at the deadline.
    TimedOut,
    /// It never began.
    LaunchFailed,
}

/// What the records and the end come to, with the call that was refused last
/// and its errno.
pub fn classify(records: &[Record], ended: Ended) -> (Outcome, Option<String>, Option<i32>) {
    let refused = records.iter().rev().find_map(|record| match record {
        Record::Attempted {
            call,
            errno: Some(errno),
        } => Some((call.clone(), *errno)),
        _ => None,
    });
    let (call, errno) = refused.unzip();
    (outcome(records, ended), call, errno)
}

fn outcome(records: &[Record], ended: Ended) -> Outcome {
    let returned = records.contains(&Record::Done);
    match ended {
        Ended::LaunchFailed => Outcome::LaunchFailed,
        Ended::TimedOut => Outcome::TimedOut,
        // The nonce of a record shows that the probe ran, even where the frame
        // with `Armed` was torn.
        _ if records.is_empty() => Outcome::NotStarted,
        // What ends the sandbox after the attempt has returned is not about it.
        _ if returned => account(records),
        Ended::Signaled(signal) => Outcome::Killed(signal),
        Ended::Exited(_) => Outcome::Cut,
    }
}

/// The account of an attempt that returned.
fn account(records: &[Record]) -> Outcome {
    let succeeded = |record: &Record| matches!(record, Record::Attempted { errno: None, .. });
    let attempted = |record: &Record| matches!(record, Record::Attempted { .. });
    let missing = |record: &Record| matches!(record, Record::Missing { .. });
    if records.iter().any(succeeded) {
        Outcome::Succeeded
    } else if records.iter().any(attempted) {
        Outcome::Refused
    } else if records.iter().any(missing) {
        Outcome::Absent
    } else {
        Outcome::Idle
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn armed() -> Record {
        Record::Armed {
            probe: "fs-read".to_owned(),
        }
    }

    fn call(name: &str, errno: Option<i32>) -> Record {
        Record::Attempted {
            call: name.to_owned(),
            errno,
        }
    }

    fn missing() -> Record {
        Record::Missing {
            what: "/proc".to_owned(),
        }
    }

    #[rstest]
    #[case::one_success_is_enough(
        vec![armed(), call("open", Some(libc::ENOENT)), call("read", None), Record::Done],
        Ended::Exited(0), Outcome::Succeeded, Some(("open", libc::ENOENT)))]
    #[case::the_last_refusal_is_named(
        vec![armed(), call("open", Some(libc::ENOENT)), call("openat2", Some(libc::EXDEV)), Record::Done],
        Ended::Exited(0), Outcome::Refused, Some(("openat2", libc::EXDEV)))]
    #[case::nothing_there(vec![armed(), missing(), Record::Done], Ended::Exited(0), Outcome::Absent, None)]
    #[case::an_attempt_without_a_call_is_idle(vec![armed(), Record::Done], Ended::Exited(0), Outcome::Idle, None)]
    #[case::killed_before_it_returned(
        vec![armed(), call("kill", None)], Ended::Signaled(9), Outcome::Killed(9), None)]
    #[case::killed_after_it_returned(
        vec![armed(), call("kill", None), Record::Done], Ended::Signaled(9), Outcome::Succeeded, None)]
    #[case::ended_before_it_returned(vec![armed()], Ended::Exited(0), Outcome::Cut, None)]
    #[case::a_torn_armed_frame_is_still_a_start(vec![call("open", None)], Ended::Exited(0), Outcome::Cut, None)]
    #[case::the_deadline_wins_over_a_return(
        vec![armed(), call("kill", None), Record::Done], Ended::TimedOut, Outcome::TimedOut, None)]
    #[case::no_record_no_start(vec![], Ended::Exited(0), Outcome::NotStarted, None)]
    #[case::no_record_and_a_signal(vec![], Ended::Signaled(11), Outcome::NotStarted, None)]
    #[case::launch_failed(vec![], Ended::LaunchFailed, Outcome::LaunchFailed, None)]
    fn records_and_end_come_to(
        #[case] records: Vec<Record>,
        #[case] ended: Ended,
        #[case] expected: Outcome,
        #[case] refused: Option<(&str, i32)>,
    ) {
        let (outcome, call, errno) = classify(&records, ended);
        assert_eq!(outcome, expected);
        assert_eq!(call.as_deref().zip(errno), refused);
    }
}
