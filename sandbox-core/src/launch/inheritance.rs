//! What the child holds besides the plan.

use std::os::fd::RawFd;

use crate::sys::page;

/// What the child holds besides the plan.
#[derive(Debug)]
pub(super) struct Inheritance<'a> {
    pub(super) progress: &'a page::Progress,
    /// The report socket's end.
    pub(super) report: RawFd,
    /// Pid 1's end of its socket to the parent, where there is a pid 1 of ours.
    pub(super) leash: Option<RawFd>,
    /// Readable once the launcher has ended, where that matters.
    pub(super) launcher: Option<RawFd>,
    /// The launcher's procfs, where there is a keeper.
    pub(super) procfs: Option<RawFd>,
    /// The cgroup's `cgroup.procs`, where clone could not place the child in it.
    pub(super) cgroup_procs: Option<RawFd>,
    /// The call that made the process; the others do less than clone3.
    pub(super) made: Made,
}

/// The call that a process was made by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Made {
    /// clone3(2), which does it all.
    ByClone3,
    /// clone(2), which has fewer flags.
    ByClone,
    /// fork(2), which has none: the namespaces are still to be made.
    ByUnshare,
}

impl Made {
    /// The namespaces that the child makes itself: the bit of CLONE_NEWTIME
    /// means something else to clone(2), and a cgroup namespace has its root
    /// where its maker is, which must be the sandbox's cgroup.
    pub(super) fn later(self) -> u64 {
        match self {
            Self::ByClone3 => 0,
            Self::ByClone => {
                crate::sys::clone::NEWTIME | u64::from(libc::CLONE_NEWCGROUP.unsigned_abs())
            }
            Self::ByUnshare => u64::MAX,
        }
    }
}
