//! The process tree of a launched sandbox: list it, own it, kill it, wait until it
//! is empty (claims R1 to R5).
//!
//! What holds a tree together is a pid namespace, a cgroup or a keeper
//! ([`Init::Keeper`](crate::Init::Keeper)), each of them from birth on. A sandbox
//! with none of these has only what its direct child leads to: whoever lost its
//! parent is nobody's, which is claim R1.

mod climb;
mod owners;
mod teardown;

use std::collections::BTreeSet;

use nix::errno::Errno;
use nix::unistd::Pid;

pub use owners::Owners;
pub use teardown::{Means, Teardown};

use crate::child::Child;
use crate::error::{Error, Result};

/// All processes of a launched sandbox: [`Child::tree`].
#[derive(Clone, Copy, Debug)]
pub struct Tree<'a> {
    child: &'a Child,
}

impl<'a> Tree<'a> {
    pub(crate) fn new(child: &'a Child) -> Self {
        Self { child }
    }

    /// Every living process of it once, in ascending order: pid 1 or the keeper of
    /// ours too, zombies not. It is a snapshot: what forks meanwhile may be missing
    /// and what ends may be there, so that killing by such a list misses some (R2).
    ///
    /// # Errors
    /// Where procfs or the cgroup cannot be read.
    pub fn processes(&self) -> Result<Vec<Pid>> {
        if self.child.is_reaped() {
            return Ok(Vec::new());
        }
        let failed = |errno| Error::Child {
            action: "list the processes of the sandbox",
            errno,
        };
        let owners = Owners::new([self.child]);
        let mut found = BTreeSet::new();
        for pid in climb::all().map_err(failed)? {
            if climb::is_living(pid) && owners.owner(pid).is_some() {
                found.insert(pid);
            }
        }
        if let Some(cgroup) = self.child.cgroup() {
            let members = cgroup.all_processes();
            let members = members.map_err(|error| {
                failed(Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))
            })?;
            found.extend(members.into_iter().map(Pid::from_raw));
        }
        Ok(found.into_iter().collect())
    }

    /// Whether a process belongs to it, in as many steps as it has ancestors
    /// ([`Owners::owner`]). Of several sandboxes ask [`Owners`] once.
    pub fn owns(&self, pid: Pid) -> bool {
        Owners::new([self.child]).owner(pid).is_some()
    }
}
