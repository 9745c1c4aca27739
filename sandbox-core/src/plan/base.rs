//! Sandboxes made from a base that a fork server pivoted onto once: pivot_root(2)
//! is off the path of each launch.
//!
//! The new root is attached over the base and entered by chroot(2). Whoever has
//! CAP_SYS_ADMIN over that mount namespace could unmount it and come back by
//! setns(2); so the user namespace is made after it, nested, and owns nothing.

use std::os::fd::RawFd;

use nix::errno::Errno;
use nix::unistd::{getegid, geteuid};

use super::Step;
use crate::error::{Error, Result};
use crate::spec::{Enter, Namespace, Spec, WorkingDirectory};
use crate::stage::Stage;

/// The slots of what a child keeps of the base.
#[derive(Debug)]
pub(super) struct Base {
    pub(super) base: usize,
    pub(super) outside: usize,
    pub(super) procfs: usize,
}

/// Adds the first step, after which paths mean what they mean to the launcher.
///
/// # Errors
/// For what a description asks that cannot be had from such a base.
pub(super) fn leave(
    spec: &Spec,
    steps: &mut Vec<(Stage, Step)>,
    slots: &mut Vec<RawFd>,
) -> Result<Base> {
    refuse(spec)?;
    let first = slots.len();
    slots.extend([-1; 3]);
    let base = Base {
        base: first,
        outside: first + 1,
        procfs: first + 2,
    };
    steps.push((
        Stage::Prepare,
        Step::LeaveBase {
            base: base.base,
            outside: base.outside,
            procfs: base.procfs,
        },
    ));
    Ok(base)
}

/// Adds the nested user namespace, and what it may have cleared.
pub(super) fn nest(spec: &Spec, base: &Base, steps: &mut Vec<(Stage, Step)>) {
    let (uid, gid) = (geteuid(), getegid());
    let inside = spec
        .ids
        .as_ref()
        .map_or((uid.as_raw(), gid.as_raw()), |ids| (ids.uid, ids.gid));
    // The server's namespace maps the launcher's ids to themselves.
    steps.push((
        Stage::IdMap,
        Step::NestUser {
            procfs: base.procfs,
            uid_map: format!("{} {uid} 1\n", inside.0).into_bytes(),
            gid_map: format!("{} {gid} 1\n", inside.1).into_bytes(),
        },
    ));
    if spec.die_with_parent {
        // A change of credentials may clear it (prctl(2)).
        steps.push((Stage::ParentDeath, Step::ParentDeathSignal));
    }
}

fn refuse(spec: &Spec) -> Result<()> {
    let root = spec.root.as_ref();
    let ranges = spec.ids.as_ref().is_some_and(|ids| !ids.uid_map.is_empty());
    let why = if !spec.has(Namespace::User) {
        "a user namespace is what makes it safe: add \"user\" to namespaces"
    } else if !root.is_some_and(|root| root.enter == Enter::PivotRoot) {
        "the sandbox needs a root of its own, entered by pivot_root"
    } else if ranges {
        "ranges of ids cannot be mapped from the server's namespace, which has one id"
    } else if spec.working_directory == WorkingDirectory::Inherit {
        "the launcher's working directory cannot be kept"
    } else {
        return Ok(());
    };
    Err(Error::Launch {
        stage: Stage::Prepare,
        subject: Some(format!("pre-pivot: {why}")),
        errno: Errno::EOPNOTSUPP,
    })
}
