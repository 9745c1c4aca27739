//! The fork server's side of a launch: it makes the process, and nothing else.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sched::{CloneFlags, setns};
use nix::unistd::{Pid, pipe2, read, write};

use super::child;
use super::clone::{by_clone, join_group, not_made, with_signals_blocked};
use super::inheritance::{Inheritance, Made};
use super::process::Process;
use crate::error::{Error, Result};
use crate::plan::Plan;
use crate::stage::Stage;
use crate::sys::clone::{Cloned, clone3_sibling, fork};
use crate::sys::page::Progress;
use crate::sys::{exec, process};

/// What the client sent for one launch besides the plan.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) progress: Progress,
    pub(crate) report: OwnedFd,
    pub(crate) leash: Option<OwnedFd>,
    /// The cgroup's directory and its `cgroup.procs`.
    pub(crate) cgroup: Option<(OwnedFd, OwnedFd)>,
    /// A user namespace to make all others in.
    pub(crate) user_namespace: Option<OwnedFd>,
}

/// Makes the process, a child of this one.
pub(crate) fn make(
    plan: &mut Plan,
    order: &Order,
    server: BorrowedFd<'_>,
) -> Result<(Pid, OwnedFd)> {
    let inheritance = Inheritance {
        progress: &order.progress,
        report: order.report.as_raw_fd(),
        leash: order.leash.as_ref().map(AsRawFd::as_raw_fd),
        launcher: (plan.die_with_parent || plan.ids.by_parent()).then_some(server.as_raw_fd()),
        cgroup_procs: order.cgroup.as_ref().map(|(_, procs)| procs.as_raw_fd()),
        procfs: None, // a keeper is refused with this strategy
        made: Made::ByClone3,
    };
    let directory = order
        .cgroup
        .as_ref()
        .map(|(directory, _)| directory.as_fd());
    let group = plan.process_group;
    let (pid, pidfd) = match &order.user_namespace {
        Some(namespace) => make_in(namespace.as_fd(), plan, inheritance, directory)?,
        None => by_clone(plan, inheritance, directory)?,
    };
    if let Some(group) = group
        && let Err(error) = join_group(pid, group)
    {
        Process::new(pid, pidfd).end();
        return Err(error);
    }
    Ok((pid, pidfd))
}

/// Through a process in between, which joins the user namespace (there is no
/// way back from it), makes the child this process's own (CLONE_PARENT), and
/// leaves.
fn make_in(
    namespace: BorrowedFd<'_>,
    plan: &mut Plan,
    inheritance: Inheritance<'_>,
    directory: Option<BorrowedFd<'_>>,
) -> Result<(Pid, OwnedFd)> {
    let failed = |subject: &str, errno| Error::Launch {
        stage: Stage::Clone,
        subject: Some(subject.to_owned()),
        errno,
    };
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC).map_err(not_made)?;
    let between = with_signals_blocked(|| match fork() {
        Ok(0) => {
            let (joined, made) = match setns(namespace, CloneFlags::CLONE_NEWUSER) {
                Err(errno) => (0_i32, Err(errno)),
                Ok(()) => (1, clone3_sibling(plan.flags, directory)),
            };
            let answer = match made {
                Ok(Cloned::Child) => child::run(plan, inheritance),
                Ok(Cloned::Parent { pid, .. }) => pid.as_raw(),
                Err(errno) => -(errno as i32),
            };
            let [a, b, c, d] = answer.to_ne_bytes();
            let [e, f, g, h] = joined.to_ne_bytes();
            let _ = write(&writer, &[a, b, c, d, e, f, g, h]);
            exec::exit(0)
        }
        other => other,
    })?;
    let between = Pid::from_raw(between.map_err(not_made)?);
    drop(writer);
    let mut bytes = [0_u8; 8];
    let length = loop {
        match read(&reader, &mut bytes) {
            Err(Errno::EINTR) => {}
            other => break other,
        }
    };
    while nix::sys::wait::waitpid(between, None) == Err(Errno::EINTR) {}
    let [a, b, c, d, joined, ..] = bytes;
    match (length, i32::from_ne_bytes([a, b, c, d])) {
        (Ok(8), pid) if pid > 0 => {
            // Not reaped yet by anybody, so that the number is still its own.
            let pid = Pid::from_raw(pid);
            Ok((pid, process::open(pid).map_err(not_made)?))
        }
        (Ok(8), errno) if joined == 0 => Err(failed(
            "the user namespace to join",
            Errno::from_raw(-errno),
        )),
        (Ok(8), errno) => Err(not_made(Errno::from_raw(-errno))),
        _ => Err(not_made(Errno::EPROTO)),
    }
}
