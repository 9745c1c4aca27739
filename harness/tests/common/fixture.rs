//! Reports made by hand.

use harness::gate::{Rules, gate, summarise};
use harness::model::{
    Ablation, Leg, Legs, Observation, OnlyLeg, Outcome, ProbeResult, Report, SCHEMA, SandboxFacts,
    Summary, Verdict,
};
use probes::wire::Record;
use probes::{Class, Guard, Proof};

use crate::parts::{ablation, failed, host, known_gaps, leg, only, refused, stale_rules, touched};

struct Row(
    &'static str,
    Class,
    Proof,
    Verdict,
    Option<u32>,
    &'static str,
);

fn result(row: Row, only: Vec<OnlyLeg>, product: Option<Leg>) -> ProbeResult {
    let Row(probe, class, proof, verdict, depth, reason) = row;
    ProbeResult {
        sandbox: "namespaces".to_owned(),
        probe: probe.to_owned(),
        title: "Reaches what the harness planted outside, by a way that has a long name.".to_owned(),
        class,
        proof,
        verdict,
        depth,
        reason: reason.to_owned(),
        expected: None,
        remedy: "give the sandbox a network namespace of its own, so that nothing which listens outside has a name inside".to_owned(),
        legs: Legs {
            bare: Some(touched("open", "the secret came out")),
            only,
            product,
        },
    }
}

fn contained() -> Vec<ProbeResult> {
    use Class::{Filesystem, Proc, Process};
    use Verdict::Contained;
    let absent = Leg {
        records: vec![Record::Missing {
            what: "/proc/1234".to_owned(),
        }],
        ..leg(Outcome::Absent, Observation::Clean)
    };
    let root = only(
        &[Guard::Root],
        &[Guard::UserNamespace, Guard::MountNamespace],
        refused("openat", libc::ENOENT),
    );
    vec![
        result(
            Row(
                "fs-read-outside",
                Filesystem,
                Proof::Read,
                Contained,
                Some(1),
                "held; losing root alone lets it out",
            ),
            vec![root.clone()],
            Some(refused("openat", libc::ENOENT)),
        ),
        result(
            Row(
                "fs-write-read-only",
                Filesystem,
                Proof::Write,
                Contained,
                Some(2),
                "held; it takes the loss of root and read-only to let it out",
            ),
            vec![root],
            Some(refused("openat(O_WRONLY)", libc::EROFS)),
        ),
        result(
            Row(
                "proc-environ-of-the-launcher",
                Proc,
                Proof::Read,
                Contained,
                None,
                "held by a protection that the probe does not name",
            ),
            vec![],
            Some(absent),
        ),
        result(
            Row(
                "process-outlives-teardown",
                Process,
                Proof::Code,
                Contained,
                Some(1),
                "held; losing pid-namespace alone lets it out",
            ),
            vec![],
            Some(leg(Outcome::Succeeded, Observation::Clean)),
        ),
    ]
}

fn others() -> Vec<ProbeResult> {
    use Class::{Descriptor, Ipc, Keyring, Network, Ptrace, Signal};
    use Verdict::{Degraded, Error, Escaped, Inconclusive, OracleBroken, Unsupported, Vacuous};
    let net = only(
        &[Guard::NetNamespace],
        &[Guard::UserNamespace],
        refused("connect", libc::ECONNREFUSED),
    );
    let escape = touched("connect", "the listener got the nonce from pid 4711");
    let blind = Observation::Unknown {
        reason: "the victim is gone".to_owned(),
    };
    vec![
        result(
            Row(
                "net-connect-abstract-socket",
                Network,
                Proof::Write,
                Escaped,
                Some(0),
                "the canary was touched: the listener got the nonce from pid 4711",
            ),
            vec![net],
            Some(escape),
        ),
        result(
            Row(
                "fd-use-inherited-directory",
                Descriptor,
                Proof::Read,
                Degraded,
                None,
                "the sandbox lacks what it was asked for: close_range",
            ),
            vec![],
            Some(refused("openat", libc::EBADF)),
        ),
        result(
            Row(
                "ptrace-attach",
                Ptrace,
                Proof::Code,
                Error,
                None,
                "the launcher failed before the probe ran: exit code 125",
            ),
            vec![],
            Some(failed(
                Outcome::NotStarted,
                "exit code 125",
                "setting up uid map\nwrite /proc/self/uid_map: Operation not permitted\n",
            )),
        ),
        result(
            Row(
                "signal-kill",
                Signal,
                Proof::Disrupt,
                OracleBroken,
                None,
                "the canary of the sandbox leg could not be looked at: the victim is gone",
            ),
            vec![],
            Some(leg(Outcome::Refused, blind)),
        ),
        result(
            Row(
                "ipc-shared-memory",
                Ipc,
                Proof::Read,
                Vacuous,
                None,
                "without any protection the canary was not touched either: the probe was refused, last shmat with EACCES",
            ),
            vec![],
            Some(refused("shmget", libc::ENOENT)),
        ),
        result(
            Row(
                "ipc-message-queue",
                Ipc,
                Proof::Read,
                Inconclusive,
                None,
                "the probe was killed by SIGSEGV, which no protection here declares",
            ),
            vec![],
            Some(failed(Outcome::Killed(libc::SIGSEGV), "signal 11", "")),
        ),
        result(
            Row(
                "keyring-read-session-key",
                Keyring,
                Proof::Read,
                Unsupported,
                None,
                "the kernel has no keyrings: add_key fails with ENOSYS",
            ),
            vec![],
            None,
        ),
    ]
}

fn report(results: Vec<ProbeResult>, ablation: Vec<Ablation>) -> Report {
    let sandboxes = vec![SandboxFacts {
        name: "namespaces".to_owned(),
        description:
            "User, pid, mount, net, IPC, UTS and cgroup namespaces, pivot_root, no filter."
                .to_owned(),
        command: vec![],
        guards: vec![
            Guard::UserNamespace,
            Guard::PidNamespace,
            Guard::MountNamespace,
            Guard::Root,
            Guard::PivotRoot,
            Guard::ReadOnly,
        ],
        degraded: vec![],
    }];
    let mut report = Report {
        schema: SCHEMA.to_owned(),
        version: "0.1.0".to_owned(),
        started: "2026-01-01T00:00:00Z".to_owned(),
        duration_ms: 4_230,
        host: host(),
        sandboxes,
        results,
        ablation,
        summary: Summary::default(),
        gate: harness::model::Gate::default(),
    };
    report.summary = summarise(&report.sandboxes, &report.results);
    report.gate = gate(&report.summary, &Rules::default());
    report
}

/// A run in which every verdict happened.
pub(crate) fn every_verdict() -> Report {
    let contained = contained();
    let gaps = known_gaps(&contained[0]);
    let results = [contained, others(), gaps].concat();
    let mut report = report(results, vec![ablation()]);
    report.gate = gate(&report.summary, &stale_rules());
    report
}

/// A run without a finding.
pub(crate) fn green() -> Report {
    report(contained(), Vec::new())
}

/// A run in which everything that comes from outside the harness is this text.
pub(crate) fn hostile(text: &str) -> Report {
    let mut report = every_verdict();
    report.sandboxes[0].command = vec![text.to_owned()];
    report.gate.reasons = vec![text.to_owned(), text.repeat(9)];
    for result in &mut report.results {
        result.reason = text.to_owned();
        if let Some(expected) = &mut result.expected {
            expected.reason = text.to_owned();
            expected.claim = Some(text.to_owned());
        }
        let legs = &mut result.legs;
        let only = legs.only.iter_mut().map(|only| &mut only.leg);
        for leg in legs
            .bare
            .iter_mut()
            .chain(legs.product.iter_mut())
            .chain(only)
        {
            leg.exit = text.to_owned();
            leg.output = text.to_owned();
            leg.call = leg.call.is_some().then(|| text.to_owned());
            for record in &mut leg.records {
                match record {
                    Record::Attempted { call, .. } => *call = text.to_owned(),
                    Record::Missing { what } => *what = text.to_owned(),
                    _ => {}
                }
            }
            match &mut leg.observation {
                Observation::Touched { evidence: words }
                | Observation::Unknown { reason: words } => {
                    *words = text.to_owned();
                }
                Observation::Clean => {}
            }
        }
    }
    report
}
