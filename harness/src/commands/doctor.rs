//! `escapology doctor`: say what this host can enforce.

use std::process::ExitCode;

use sandbox_core::{Host, State};

use super::{Error, pretty, print};
use crate::cli::{DoctorArgs, Format};
use crate::model::{Feature, HostFacts};
use crate::{arena, exit_code, report, terminal};

/// Tries everything and prints it. The exit code says whether a run is possible.
///
/// # Errors
/// Where standard output cannot be written to.
pub fn doctor(arguments: &DoctorArgs) -> Result<ExitCode, Error> {
    let (facts, obstacle) = facts(&Host::survey());
    let text = match arguments.format {
        Format::Text => report::host(&facts, terminal::width()),
        Format::Json => pretty(&serde_json::json!(facts)),
    };
    print(&text)?;
    Ok(ExitCode::from(if obstacle.is_some() {
        exit_code::EVIDENCE_MISSING
    } else {
        exit_code::GREEN
    }))
}

/// What a report says of the host, and why no arena can be made in it.
pub(super) fn facts(host: &Host) -> (HostFacts, Option<String>) {
    let obstacle = arena::obstacle(host);
    let arena = match &obstacle {
        None => "user, pid, mount, net, ipc and uts namespaces of its own".to_owned(),
        Some(obstacle) => format!("none can be made: {obstacle}"),
    };
    let feature = |feature: &sandbox_core::Feature| {
        let (available, detail, remedy) = match feature.state.clone() {
            State::Available { detail } => (true, detail, String::new()),
            State::Missing { reason, remedy } => (false, reason, remedy),
        };
        Feature {
            name: feature.name.to_owned(),
            available,
            detail,
            remedy,
        }
    };
    let mut features: Vec<Feature> = host.features.iter().map(feature).collect();
    features.push(Feature {
        name: "cgroup hierarchies".to_owned(),
        available: host.cgroup_mode != sandbox_core::CgroupMode::None,
        detail: host.cgroup_mode.to_string(),
        remedy: String::new(),
    });
    let facts = HostFacts {
        kernel: host.kernel.clone(),
        machine: host.machine.clone(),
        uid: host.uid,
        arena,
        features,
    };
    (facts, obstacle)
}
