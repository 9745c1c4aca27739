//! Launching a plan, and the strategy `clone`: one clone3(2) with every flag.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use nix::unistd::{Pid, setpgid};

use super::child::{self, Inheritance, Made};
use super::idmap;
use super::init::{Heard, hear};
use super::keeper;
use super::report::{self, Received};
use super::{fork_unshare, vfork_clone};
use crate::cgroup::CgroupDirectory;
use crate::child::{Exit, Timings};
use crate::error::{Error, Result};
use crate::plan::Plan;
use crate::spec::Strategy;
use crate::stage::Stage;
use crate::sys::clone::{Cloned, clone, clone3};
use crate::sys::page::{Progress, now};
use crate::sys::{process, signal};

/// A process that has been launched.
#[derive(Debug)]
pub(crate) struct Launched {
    pub(crate) pid: Pid,
    pub(crate) pidfd: OwnedFd,
    /// The program's own process: a child of pid 1 where there is one of ours.
    pub(crate) program: Pid,
    /// The user id that it has out here.
    pub(crate) uid: u32,
    /// Pid 1 of ours watches the other end, and says goodbye through it.
    pub(crate) leash: Option<OwnedFd>,
    pub(crate) timings: Timings,
}

/// Launches a plan and waits until the program has taken over.
pub(crate) fn launch(plan: &mut Plan, cgroup: Option<&CgroupDirectory>) -> Result<Launched> {
    let prepared = |errno| Error::Launch {
        stage: Stage::Prepare,
        subject: Some("sockets".into()),
        errno,
    };
    let (report, child_report) = report::pair().map_err(prepared)?;
    let leash = if plan.init {
        let pair = socketpair(
            AddressFamily::Unix,
            SockType::SeqPacket,
            None,
            SockFlag::SOCK_CLOEXEC,
        );
        Some(pair.map_err(prepared)?)
    } else {
        None
    };
    let launcher = launcher(plan).map_err(prepared)?;
    let procfs = plan.keeper.map(|_| keeper::procfs()).transpose()?;
    let progress = Progress::new().map_err(prepared)?;
    let started = now();

    let inheritance = Inheritance {
        progress: &progress,
        report: child_report.as_raw_fd(),
        leash: leash.as_ref().map(|(_, child)| child.as_raw_fd()),
        launcher: launcher.as_ref().map(AsRawFd::as_raw_fd),
        procfs: procfs.as_ref().map(AsRawFd::as_raw_fd),
        cgroup_procs: cgroup.map(|cgroup| cgroup.procs().as_raw_fd()),
        made: Made::ByClone3,
    };
    let made = match plan.strategy {
        Strategy::Clone => by_clone(plan, inheritance, cgroup),
        Strategy::VforkClone => vfork_clone::make(plan, inheritance, cgroup),
        Strategy::ForkUnshare => fork_unshare::make(plan, inheritance, &report),
    };
    let (pid, pidfd) = made?;
    drop(child_report);
    drop(launcher);
    let leash = leash.map(|(parent, _)| parent);

    match follow(plan, &report, pid) {
        Ok(Some((program, uid))) => {
            let timings = timings(&progress, started, plan.clock_offset);
            Ok(Launched {
                pid,
                pidfd,
                program,
                uid,
                leash,
                timings,
            })
        }
        Ok(None) => Err(Error::Lost {
            stage: progress.stage(),
            exit: lost(&pidfd, leash),
        }),
        Err(error) => {
            // Killed, not asked: a child that waits for the parent waits for ever.
            let _ = process::send_signal(pidfd.as_fd(), libc::SIGKILL);
            reap(&pidfd);
            Err(error)
        }
    }
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

fn by_clone(
    plan: &mut Plan,
    mut inheritance: Inheritance<'_>,
    cgroup: Option<&CgroupDirectory>,
) -> Result<(Pid, OwnedFd)> {
    let cloned = with_signals_blocked(|| {
        let directory = cgroup.map(|cgroup| cgroup.directory());
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

/// Waits until the program runs: its pid and user id, or nothing where the child ended
/// without a word.
fn follow(plan: &Plan, report: &OwnedFd, pid: Pid) -> Result<Option<(Pid, u32)>> {
    let lost = |errno| Error::Child {
        action: "hear from the child",
        errno,
    };
    if plan.ids.by_parent() || plan.process_group.is_some() {
        idmap::write(pid, &plan.ids)?;
        if let Some(group) = plan.process_group {
            setpgid(pid, group).map_err(|errno| Error::Launch {
                stage: Stage::Session,
                subject: Some(format!("process group {group}")),
                errno,
            })?;
        }
        // A child that is gone already is noticed just below.
        let _ = report::go_on(report.as_fd());
    }
    let mut program = None;
    loop {
        match report::receive(report.as_fd()).map_err(lost)? {
            Received::Executing(pid, uid) => program = Some((pid, uid)),
            Received::Started(_) => {}
            Received::End => return Ok(program),
            Received::Failed { stage, step, errno } => {
                let stage = Stage::from_index(stage).unwrap_or(Stage::Clone);
                return Err(Error::Launch {
                    stage,
                    subject: plan.subject(step),
                    errno,
                });
            }
        }
    }
}

/// How a child ended that said nothing. It is on its way out already, and is
/// not killed: its own way is what is asked for.
fn lost(pidfd: &OwnedFd, leash: Option<OwnedFd>) -> Exit {
    let Some(leash) = leash else {
        return reap(pidfd);
    };
    // Pid 1 is left; it saw how the program's process ended, or it ended first.
    let mut ready = [
        PollFd::new(leash.as_fd(), PollFlags::POLLIN),
        PollFd::new(pidfd.as_fd(), PollFlags::POLLIN),
    ];
    while poll(&mut ready, PollTimeout::NONE) == Err(Errno::EINTR) {}
    let heard = hear(leash.as_fd());
    drop(leash);
    let exit = reap(pidfd);
    match heard {
        Ok(Heard::Farewell(farewell)) => Exit::from_wait(farewell.code, farewell.status),
        _ => exit,
    }
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

fn timings(progress: &Progress, started: u64, clock_offset: i64) -> Timings {
    let offset = i128::from(clock_offset) * 1_000_000_000;
    let mut laps = Vec::new();
    let mut last = i128::from(started);
    let mut shifted = false;
    for (stage, ended) in progress.ended() {
        // From this stage on the child's clock has the offset that it set.
        shifted |= stage == Stage::Time;
        let ended = i128::from(ended) - if shifted { offset } else { 0 };
        let lap = u64::try_from(ended - last).unwrap_or(0);
        laps.push((stage, Duration::from_nanos(lap)));
        last = last.max(ended);
    }
    let total = Duration::from_nanos(now().saturating_sub(started));
    Timings { laps, total }
}
