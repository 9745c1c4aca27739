//! The launch strategy `fork-unshare`: the old way, for comparison (M1, M2).
//!
//! fork(2); in the child unshare(2) with every flag; and, where there is a pid
//! or time namespace, which only children enter, another fork. The process in
//! between makes the second one its sibling and leaves.

use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::unistd::Pid;

use super::child;
use super::clone::{not_made, reap, with_signals_blocked};
use super::inheritance::{Inheritance, Made};
use super::report::{self, Received};
use crate::error::{Error, Result};
use crate::plan::Plan;
use crate::stage::Stage;
use crate::sys::clone::fork;
use crate::sys::process;

/// Makes the process.
pub(super) fn make(
    plan: &mut Plan,
    mut inheritance: Inheritance<'_>,
    report: &OwnedFd,
) -> Result<(Pid, OwnedFd)> {
    refuse_threads()?;
    inheritance.made = Made::ByUnshare;
    let first = with_signals_blocked(|| match fork() {
        Ok(0) => child::run(plan, inheritance),
        other => other,
    })?;
    let first = Pid::from_raw(first.map_err(not_made)?);
    let first_pidfd = process::open(first).map_err(not_made)?;
    match report::receive(report.as_fd()) {
        Ok(Received::Started(pid)) if pid == first => Ok((first, first_pidfd)),
        Ok(Received::Started(pid)) => {
            // Not reaped yet by anybody, so that the number is still its own.
            let pidfd = process::open(pid).map_err(not_made);
            reap(&first_pidfd);
            Ok((pid, pidfd?))
        }
        Ok(Received::Failed { stage, step, errno }) => {
            reap(&first_pidfd);
            let stage = Stage::from_index(stage).unwrap_or(Stage::Clone);
            Err(Error::Launch {
                stage,
                subject: plan.subject(step).or(Some("unshare".into())),
                errno,
            })
        }
        Ok(Received::Executing(..) | Received::End) => Err(Error::Lost {
            stage: Stage::Clone,
            exit: reap(&first_pidfd),
        }),
        Err(errno) => {
            let _ = process::send_signal(first_pidfd.as_fd(), libc::SIGKILL);
            reap(&first_pidfd);
            Err(not_made(errno))
        }
    }
}

/// unshare(CLONE_NEWUSER) is for processes with one thread (EINVAL); a launcher
/// with several could use this strategy only through a fork whose child may call
/// next to nothing. It is refused as the kernel would refuse the launcher.
fn refuse_threads() -> Result<()> {
    let threads = std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
    if threads == 1 {
        return Ok(());
    }
    Err(Error::Launch {
        stage: Stage::Clone,
        subject: Some(format!(
            "unshare is for a launcher with one thread, and this one has {threads}"
        )),
        errno: Errno::EINVAL,
    })
}
