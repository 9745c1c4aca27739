//! Launching a plan, and the strategy `clone`: one clone3(2) with every flag.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::unistd::{Pid, setpgid};

use super::child;
use super::inheritance::{Inheritance, Made};
use super::keeper;
use super::process::Process;
use super::watch::{Launched, Watch};
use super::{fork_unshare, vfork_clone};
use crate::cgroup::CgroupDirectory;
use crate::child::Exit;
use crate::error::{Error, Result};
use crate::plan::Plan;
use crate::spec::Strategy;
use crate::stage::Stage;
use crate::sys::clone::{Cloned, clone, clone3};
use crate::sys::page::Progress;
use crate::sys::{process, signal};

/// Launches a plan and waits until the program has taken over.
pub(crate) fn launch(plan: &mut Plan, cgroup: Option<&CgroupDirectory>) -> Result<Launched> {
    let progress = Progress::new().map_err(not_prepared)?;
    let (watch, ends) = Watch::new(plan, progress)?;
    let launcher = launcher(plan).map_err(not_prepared)?;
    let procfs = plan.keeper.map(|_| keeper::procfs()).transpose()?;
    let inheritance = Inheritance {
        progress: &watch.progress,
        report: ends.report.as_raw_fd(),
        leash: ends.leash.as_ref().map(AsRawFd::as_raw_fd),
        launcher: launcher.as_ref().map(AsRawFd::as_raw_fd),
        procfs: procfs.as_ref().map(AsRawFd::as_raw_fd),
        cgroup_procs: cgroup.map(|cgroup| cgroup.procs().as_raw_fd()),
        made: Made::ByClone3,
    };
    let directory = cgroup.map(|cgroup| cgroup.directory());
    let made = match plan.strategy {
        Strategy::Clone => by_clone(plan, inheritance, directory),
        Strategy::VforkClone => vfork_clone::make(plan, inheritance, directory),
        Strategy::ForkUnshare => fork_unshare::make(plan, inheritance, &watch.report),
        Strategy::ForkServer => Err(Error::Launch {
            stage: Stage::Prepare,
            subject: Some("the strategy fork-server needs a server: Command::server".into()),
            errno: Errno::ENOTCONN,
        }),
    };
    let (pid, pidfd) = made?;
    drop(ends);
    drop(launcher);
    if let Some(group) = plan.process_group {
        let joined = join_group(pid, group);
        if let Err(error) = joined {
            Process::new(pid, pidfd).end();
            return Err(error);
        }
    }
    watch.follow(plan, Process::new(pid, pidfd))
}

/// A failure before there was anything.
pub(super) fn not_prepared(errno: Errno) -> Error {
    Error::Launch {
        stage: Stage::Prepare,
        subject: Some("sockets".into()),
        errno,
    }
}

/// Puts a child into a process group of its parent's session; in a pid namespace
/// of its own it has no name for that group.
pub(super) fn join_group(pid: Pid, group: i32) -> Result<()> {
    setpgid(pid, Pid::from_raw(group)).map_err(|errno| Error::Launch {
        stage: Stage::Session,
        subject: Some(format!("process group {group}")),
        errno,
    })
}

/// What shows the child that its launcher has gone. The end of the sockets does
/// not: the child, and a child of any other launch under way, has copies.
fn launcher(plan: &Plan) -> nix::Result<Option<OwnedFd>> {
    if !plan.die_with_parent && !plan.ids.by_parent() {
        return Ok(None);
    }
    if plan.init {
        // The launching thread may end before pid 1 does.
        process::own_process().map(Some)
    } else {
        // The thread's end is what raises the parent-death signal.
        process::own_thread().map(Some)
    }
}

/// Runs something with every signal blocked in this thread: a timer could
/// restart a clone for ever, and a handler of the launcher's must not run in the
/// child before exec has reset it.
pub(super) fn with_signals_blocked<T>(body: impl FnOnce() -> T) -> Result<T> {
    let mask = signal::set_mask(u64::MAX).map_err(|errno| Error::Launch {
        stage: Stage::Prepare,
        subject: Some("signal mask".into()),
        errno,
    })?;
    let result = body();
    // Setting a mask cannot fail with these arguments.
    let _ = signal::set_mask(mask);
    Ok(result)
}

/// A failure of the call that makes the process.
pub(super) fn not_made(errno: Errno) -> Error {
    Error::Launch {
        stage: Stage::Clone,
        subject: None,
        errno,
    }
}

pub(super) fn by_clone(
    plan: &mut Plan,
    mut inheritance: Inheritance<'_>,
    directory: Option<BorrowedFd<'_>>,
) -> Result<(Pid, OwnedFd)> {
    let cloned = with_signals_blocked(|| {
        let mut cloned = clone3(plan.flags, directory);
        // An old kernel, or a filter that cannot look behind the pointer to the
        // flags. Not remembered: the filter may be of this thread alone.
        if cloned.as_ref().err() == Some(&Errno::ENOSYS) {
            inheritance.made = Made::ByClone;
            cloned = clone(plan.flags & !Made::ByClone.later());
        }
        match cloned {
            Ok(Cloned::Child) => child::run(plan, inheritance),
            Ok(Cloned::Parent { pid, pidfd }) => Ok((pid, pidfd)),
            Err(errno) => Err(errno),
        }
    })?;
    cloned.map_err(not_made)
}

/// Reaps a child that has ended or is about to.
pub(super) fn reap(pidfd: &OwnedFd) -> Exit {
    loop {
        match process::wait(process::Wait::Pidfd(pidfd.as_fd()), 0, None) {
            Ok(Some(ended)) => return Exit::from_wait(ended.code, ended.status),
            Err(Errno::EINTR) | Ok(None) => {}
            Err(_) => {
                return Exit::Signal {
                    number: libc::SIGKILL,
                    core_dumped: false,
                };
            }
        }
    }
}
