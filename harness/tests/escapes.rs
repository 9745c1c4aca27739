//! Every probe in every built-in sandbox: a trial for each.
//!
//! What must come out is written down where it can be: for `none` everything
//! escapes, for `chroot` there is a table. For the others it is what the probes
//! declare, against the protections that the sandbox has.

#[path = "common/program.rs"]
mod program;
#[path = "common/trials.rs"]
mod trials;

use std::process::ExitCode;

use harness::depth::expected_escape;
use harness::model::{Observation, Verdict};
use harness::{arena, catalog, guards, needs};
use libtest_mimic::{Arguments, Trial};
use probes::{Guard, Registered};
use sandbox_core::Host;

const SANDBOXES: [&str; 4] = ["none", "chroot", "namespaces", "strict"];

/// How many probes there are. A registry that lost some must not be green.
const PROBES: usize = 26;

/// What a chroot alone holds: whatever needs a path, as long as nobody calls
/// chroot a second time. Everything else escapes from it.
const HELD_BY_CHROOT: [&str; 8] = [
    "fs-cwd-unreachable",
    "fs-metadata-write",
    "fs-read-outside",
    "fs-ro-bind-write",
    "fs-write-outside",
    "net-unix-path",
    "proc-pid-environ",
    "proc-pid-root",
];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let host = Host::survey();
    let obstacle = arena::obstacle(&host).map(|obstacle| format!("no arena: {obstacle}"));
    let mut list = vec![trials::trial("every_cell_is_there", None, || {
        assert_eq!(probes::all().len(), PROBES);
        let mut built_in = catalog::built_in().expect("they are sound").into_iter();
        assert!(
            SANDBOXES
                .iter()
                .all(|name| built_in.any(|entry| entry.name == *name))
        );
        assert_eq!(
            built_in.next().map(|entry| entry.name),
            None,
            "not in SANDBOXES"
        );
    })];
    for sandbox in SANDBOXES {
        let whole = catalog::find(sandbox).expect("it is built in").sandbox;
        let ignored = obstacle.clone().or_else(|| lost(&host, whole.guards()));
        let guards = guards::names(whole.guards());
        list.extend(probes::all().iter().map(|probe| {
            // Each leg with one protection alone must be possible as well.
            let named = probe.probe.stops.iter().flat_map(|stop| stop.guards);
            let lacking = ignored
                .clone()
                .or_else(|| needs::lacking(probe, &host.kernel))
                .or_else(|| lost(&host, named.map(|&guard| guards::part(guard))));
            cell(sandbox, probe, guards.clone(), lacking.as_deref())
        }));
    }
    trials::main(&arguments, list)
}

/// The first of these protections that cannot be had here, and why.
fn lost(host: &Host, guards: impl IntoIterator<Item = sandbox_core::Guard>) -> Option<String> {
    guards.into_iter().find_map(|guard| {
        let reason = host.lacks(guard)?;
        Some(format!("no {}: {reason}", guard.name()))
    })
}

fn cell(
    sandbox: &'static str,
    probe: &'static Registered,
    guards: Vec<Guard>,
    ignored: Option<&str>,
) -> Trial {
    let escapes = match sandbox {
        "none" => true,
        "chroot" => !HELD_BY_CHROOT.contains(&probe.id),
        _ => expected_escape(probe.probe.stops, &guards),
    };
    let name = format!("{sandbox}::{}", probe.id);
    trials::trial(name, ignored, move || check(sandbox, probe, escapes))
}

fn check(sandbox: &str, probe: &Registered, escapes: bool) {
    let ran = program::run(["--probe", probe.id, "--sandbox", sandbox]);
    let result = ran.only_result();
    let (verdict, exit_code) = if escapes {
        (Verdict::Escaped, 1)
    } else {
        (Verdict::Contained, 0)
    };
    assert_eq!(result.verdict, verdict, "{}", result.reason);
    assert_eq!(ran.report.gate.exit_code, exit_code);
    assert_eq!((&*result.probe, &*result.sandbox), (probe.id, sandbox));
    // A chroot holds some probes by what is not there rather than by a guard.
    if escapes || sandbox != "chroot" {
        assert_eq!(result.depth.map(|depth| depth == 0), Some(escapes));
    }

    let bare = result.legs.bare.as_ref().expect("a bare leg was run");
    assert!(bare.observation.is_touched(), "the bare leg: {bare:?}");
    let named: Vec<&[Guard]> = probe.probe.stops.iter().map(|stop| stop.guards).collect();
    let tried: Vec<&[Guard]> = result.legs.only.iter().map(|only| &*only.guards).collect();
    assert_eq!(tried, named, "a leg for each alternative that stops it");
    for only in &result.legs.only {
        assert_eq!(only.leg.observation, Observation::Clean, "{only:?}");
        assert!(only.as_declared, "refused another way: {only:?}");
    }
}
