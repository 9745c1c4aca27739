//! The launch strategy `vfork-clone`: clone3(2) with CLONE_VM and CLONE_VFORK.
//!
//! The child walks the plan in the launcher's own memory, on a stack of its own,
//! while the launching thread is held; other threads go on. No page table is
//! copied, so that a launch costs the same from a launcher of any size. What
//! that rules out, `Spec::build` refuses.

use std::os::fd::{BorrowedFd, OwnedFd};

use nix::unistd::Pid;

use super::child;
use super::clone::{not_made, with_signals_blocked};
use super::inheritance::Inheritance;
use crate::error::Result;
use crate::plan::Plan;
use crate::sys::clone::{Cloned, Stack, vfork_clone3};

/// Makes the process. When this comes back the program runs, or its process has
/// ended.
pub(super) fn make(
    plan: &mut Plan,
    inheritance: Inheritance<'_>,
    directory: Option<BorrowedFd<'_>>,
) -> Result<(Pid, OwnedFd)> {
    let stack = Stack::new().map_err(not_made)?;
    let flags = plan.flags;
    let cloned = with_signals_blocked(|| {
        vfork_clone3(flags, directory, &stack, || child::run(plan, inheritance))
    })?;
    match cloned {
        Ok(Cloned::Parent { pid, pidfd }) => Ok((pid, pidfd)),
        // The child never comes back from the call.
        Ok(Cloned::Child) => Err(not_made(nix::errno::Errno::EPROTO)),
        Err(errno) => Err(not_made(errno)),
    }
}
