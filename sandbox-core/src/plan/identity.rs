//! Who the program is: id maps, ids, capabilities.

use std::ffi::CString;
use std::fmt::Write as _;

use nix::unistd::{getegid, geteuid, getgroups};
use serde::{Deserialize, Serialize};

use super::Step;
use crate::error::{Error, Result};
use crate::spec::{Capabilities, Capability, IdRange, Ids, Namespace, Spec, Strategy};
use crate::stage::Stage;
use crate::sys::caps;
use crate::uid_pool::Claim;

/// Who writes the id maps of a new user namespace, and what.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum IdWriter {
    /// Nobody: there is no user namespace, or it shall have none.
    None,
    /// The child itself: a single id.
    Child,
    /// The parent, which has CAP_SETUID and CAP_SETGID.
    Parent { uid_map: String, gid_map: String },
    /// newuidmap(1) and newgidmap(1), with these arguments after the pid.
    Tools {
        uid_map: Vec<String>,
        gid_map: Vec<String>,
    },
}

impl IdWriter {
    /// Whether the child waits for its parent to write them.
    pub(crate) fn by_parent(&self) -> bool {
        matches!(self, Self::Parent { .. } | Self::Tools { .. })
    }
}

/// Decides who writes the maps and adds the child's part of it.
pub(super) fn map_steps(spec: &Spec, steps: &mut Vec<(Stage, Step)>) -> Result<IdWriter> {
    if !spec.has(Namespace::User) {
        return Ok(IdWriter::None);
    }
    let own = Ids {
        uid: geteuid().as_raw(),
        gid: getegid().as_raw(),
        uid_map: Vec::new(),
        gid_map: Vec::new(),
    };
    let ids = spec.ids.as_ref().unwrap_or(&own);
    let privileged = may_set_ids()?;
    if ids.uid_map.is_empty() {
        let range = |inside, outside| {
            vec![IdRange {
                inside,
                outside,
                count: 1,
            }]
        };
        let uid_map = lines(&range(ids.uid, own.uid));
        let gid_map = lines(&range(ids.gid, own.gid));
        // Supplementary groups can be dropped inside only where setgroups was
        // not denied, for which the writer needs CAP_SETGID outside.
        // A launcher that is held until the program runs cannot be the writer.
        let held = spec.strategy == Strategy::VforkClone;
        if privileged && !held && !getgroups().unwrap_or_default().is_empty() {
            steps.push((Stage::IdMap, Step::AwaitParent));
            return Ok(IdWriter::Parent { uid_map, gid_map });
        }
        let write = |path: &str, data: String| {
            let path = CString::new(path).unwrap_or_default();
            (
                Stage::IdMap,
                Step::Write {
                    path,
                    data: data.into_bytes(),
                },
            )
        };
        // setgroups first: without it the kernel refuses an unprivileged gid map.
        steps.push(write("/proc/self/setgroups", "deny".to_owned()));
        steps.push(write("/proc/self/uid_map", uid_map));
        steps.push(write("/proc/self/gid_map", gid_map));
        return Ok(IdWriter::Child);
    }
    steps.push((Stage::IdMap, Step::AwaitParent));
    if privileged {
        return Ok(IdWriter::Parent {
            uid_map: lines(&ids.uid_map),
            gid_map: lines(&ids.gid_map),
        });
    }
    Ok(IdWriter::Tools {
        uid_map: words(&ids.uid_map),
        gid_map: words(&ids.gid_map),
    })
}

/// Adds the steps by which the program takes on its ids.
pub(super) fn id_steps(spec: &Spec, writer: &IdWriter, steps: &mut Vec<(Stage, Step)>) {
    if let Some(pool) = spec.uid_pool {
        steps.push((Stage::Ids, Step::ClearGroups));
        steps.push((Stage::Ids, Step::ClaimUid(Claim::new(pool))));
        if spec.die_with_parent {
            steps.push((Stage::Ids, Step::ParentDeathSignal));
        }
        return;
    }
    let ids = match (&spec.ids, writer) {
        (Some(ids), _) => (ids.uid, ids.gid),
        (None, IdWriter::Parent { .. }) => (geteuid().as_raw(), getegid().as_raw()),
        (None, _) => return,
    };
    if writer.by_parent() || *writer == IdWriter::None {
        steps.push((Stage::Ids, Step::ClearGroups));
    }
    steps.push((
        Stage::Ids,
        Step::SetIds {
            uid: ids.0,
            gid: ids.1,
        },
    ));
    if spec.die_with_parent {
        // A change of ids cleared it (prctl(2)).
        steps.push((Stage::Ids, Step::ParentDeathSignal));
    }
}

/// The capabilities to be kept, as a bit mask.
pub(super) fn mask(capabilities: &Capabilities) -> u64 {
    match capabilities {
        Capabilities::Only(set) => set
            .iter()
            .fold(0, |mask, &capability| mask | 1 << capability as u8),
        Capabilities::Keep | Capabilities::Inherit => u64::MAX,
    }
}

fn may_set_ids() -> Result<bool> {
    let sets = caps::get().map_err(|errno| Error::Launch {
        stage: Stage::Prepare,
        subject: Some("capget".into()),
        errno,
    })?;
    let needed = 1 << Capability::Setuid as u8 | 1 << Capability::Setgid as u8;
    Ok(sets.effective & needed == needed)
}

fn lines(ranges: &[IdRange]) -> String {
    ranges.iter().fold(String::new(), |mut text, range| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{} {} {}", range.inside, range.outside, range.count);
        text
    })
}

fn words(ranges: &[IdRange]) -> Vec<String> {
    ranges
        .iter()
        .flat_map(|range| [range.inside, range.outside, range.count])
        .map(|word| word.to_string())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_become_lines_and_words() {
        let ranges = [
            IdRange {
                inside: 0,
                outside: 100_000,
                count: 10,
            },
            IdRange {
                inside: 10,
                outside: 5,
                count: 1,
            },
        ];
        assert_eq!(lines(&ranges), "0 100000 10\n10 5 1\n");
        assert_eq!(words(&ranges), ["0", "100000", "10", "10", "5", "1"]);
    }

    #[test]
    fn a_mask_has_a_bit_for_each_capability() {
        let set = [Capability::Chown, Capability::CheckpointRestore].into();
        assert_eq!(mask(&Capabilities::Only(set)), 1 | 1 << 40);
    }
}
