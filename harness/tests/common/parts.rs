//! Parts of a report made by hand: legs, an ablation, a host.

use harness::gate::Rules;
use harness::model::{
    Ablation, AblationCell, AblationRow, Expected, Feature, HostFacts, Leg, Observation, OnlyLeg,
    Outcome, ProbeResult, Verdict,
};
use probes::Guard;
use probes::wire::Record;

pub(crate) fn leg(outcome: Outcome, observation: Observation) -> Leg {
    Leg {
        outcome,
        call: None,
        errno: None,
        observation,
        records: vec![],
        rejected_frames: 0,
        exit: "exit code 0".to_owned(),
        exited_zero: true,
        output: String::new(),
        micros: 3_200,
    }
}

pub(crate) fn refused(call: &str, errno: i32) -> Leg {
    Leg {
        call: Some(call.to_owned()),
        errno: Some(errno),
        records: vec![Record::Attempted {
            call: call.to_owned(),
            errno: Some(errno),
        }],
        ..leg(Outcome::Refused, Observation::Clean)
    }
}

pub(crate) fn touched(call: &str, evidence: &str) -> Leg {
    let evidence = evidence.to_owned();
    Leg {
        records: vec![Record::Attempted {
            call: call.to_owned(),
            errno: None,
        }],
        ..leg(Outcome::Succeeded, Observation::Touched { evidence })
    }
}

pub(crate) fn failed(outcome: Outcome, exit: &str, output: &str) -> Leg {
    Leg {
        exit: exit.to_owned(),
        exited_zero: false,
        output: output.to_owned(),
        micros: 84_000,
        ..leg(outcome, Observation::Clean)
    }
}

pub(crate) fn only(guards: &[Guard], pulled_in: &[Guard], leg: Leg) -> OnlyLeg {
    OnlyLeg {
        guards: guards.to_vec(),
        pulled_in: pulled_in.to_vec(),
        as_declared: true,
        leg,
    }
}

pub(crate) fn ablation() -> Ablation {
    let row = |without, also_lost: &[Guard], cells: &[(&str, bool, Verdict)]| AblationRow {
        without,
        also_lost: also_lost.to_vec(),
        cells: cells
            .iter()
            .map(|&(probe, expected_escape, verdict)| AblationCell {
                probe: probe.to_owned(),
                expected_escape,
                reason: String::new(),
                verdict,
            })
            .collect(),
    };
    use Verdict::{Contained, Escaped, Inconclusive};
    Ablation {
        sandbox: "namespaces".to_owned(),
        rows: vec![
            row(
                Guard::PidNamespace,
                &[],
                &[
                    ("fs-read-outside", false, Contained),
                    ("process-outlives-teardown", true, Escaped),
                ],
            ),
            row(
                Guard::Root,
                &[Guard::PivotRoot, Guard::ReadOnly],
                &[
                    ("fs-read-outside", true, Escaped),
                    ("process-outlives-teardown", false, Inconclusive),
                ],
            ),
            row(
                Guard::ReadOnly,
                &[],
                &[("fs-read-outside", true, Contained)],
            ),
        ],
    }
}

pub(crate) fn host() -> HostFacts {
    HostFacts {
        kernel: "6.8.0-45-generic".to_owned(),
        machine: "x86_64".to_owned(),
        uid: 1000,
        arena: "user namespace".to_owned(),
        features: vec![
            Feature {
                name: "user namespaces".to_owned(),
                available: true,
                detail: "without privilege".to_owned(),
                remedy: String::new(),
            },
            Feature {
                name: "landlock".to_owned(),
                available: false,
                detail: "landlock_create_ruleset(2) fails with EOPNOTSUPP".to_owned(),
                remedy: "boot with lsm=landlock in front of the modules that are there already"
                    .to_owned(),
            },
        ],
    }
}

/// A known gap, and one that is gone.
pub(crate) fn known_gaps(like: &ProbeResult) -> Vec<ProbeResult> {
    let gap = |probe: &str, verdict, observed, reason: &str| ProbeResult {
        probe: probe.to_owned(),
        verdict,
        reason: reason.to_owned(),
        expected: Some(Expected {
            verdict: Verdict::Escaped,
            observed,
            reason: "the pid namespace and the chroot do not restrict the network".to_owned(),
            claim: Some("S6".to_owned()),
            owner: None,
            until: Some("2027-02-28".to_owned()),
        }),
        ..like.clone()
    };
    vec![
        ProbeResult {
            depth: Some(0),
            ..gap(
                "net-tcp-loopback",
                Verdict::Xfail,
                Verdict::Escaped,
                "the canary was touched: the listener got the nonce",
            )
        },
        gap(
            "net-udp-dns",
            Verdict::Xpass,
            Verdict::Contained,
            "line 3 of the gate expects escaped (the network is the host's), and it held; losing net-namespace alone lets it out: take the entry out",
        ),
    ]
}

/// A gate file of which one entry does not hold any more.
pub(crate) fn stale_rules() -> Rules {
    Rules {
        file: Some("gate.toml".to_owned()),
        broken: vec![
            "line 7 of the gate (probe ipc-* in sandbox sandbox2) matches no result: take it out, or test what it names".to_owned(),
        ],
        ..Rules::default()
    }
}
