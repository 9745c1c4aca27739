//! The launcher's side of a launch under way, whoever makes the process.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use nix::unistd::Pid;

use super::clone::not_prepared;
use super::idmap;
use super::init::{Heard, hear};
use super::process::Process;
use super::report::{self, Received};
use crate::child::{Exit, Timings};
use crate::error::{Error, Result};
use crate::plan::Plan;
use crate::stage::Stage;
use crate::sys::page::{Progress, now};

/// A process that has been launched.
#[derive(Debug)]
pub(crate) struct Launched {
    pub(crate) process: Process,
    /// The program's own process: a child of pid 1 where there is one of ours.
    pub(crate) program: Pid,
    /// The user id that it has out here.
    pub(crate) uid: u32,
    /// Pid 1 of ours watches the other end, and says goodbye through it.
    pub(crate) leash: Option<OwnedFd>,
    pub(crate) timings: Timings,
}

/// What the launcher hears of a launch through.
#[derive(Debug)]
pub(crate) struct Watch {
    pub(super) report: OwnedFd,
    leash: Option<OwnedFd>,
    pub(super) progress: Progress,
    started: u64,
}

/// The other ends. They must be closed once there is a child that has them: the
/// report's end of file says that the program has taken over.
#[derive(Debug)]
pub(crate) struct ChildEnds {
    pub(crate) report: OwnedFd,
    pub(crate) leash: Option<OwnedFd>,
}

impl Watch {
    pub(crate) fn new(plan: &Plan, progress: Progress) -> Result<(Self, ChildEnds)> {
        let (report, child_report) = report::pair().map_err(not_prepared)?;
        let (leash, child_leash) = if plan.init {
            let pair = socketpair(
                AddressFamily::Unix,
                SockType::SeqPacket,
                None,
                SockFlag::SOCK_CLOEXEC,
            );
            let (leash, child_leash) = pair.map_err(not_prepared)?;
            (Some(leash), Some(child_leash))
        } else {
            (None, None)
        };
        let watch = Self {
            report,
            leash,
            progress,
            started: now(),
        };
        let ends = ChildEnds {
            report: child_report,
            leash: child_leash,
        };
        Ok((watch, ends))
    }

    /// Does the launcher's part and waits until the program has taken over.
    pub(crate) fn follow(self, plan: &Plan, process: Process) -> Result<Launched> {
        match self.program(plan, process.pid()) {
            Ok(Some((program, uid))) => Ok(Launched {
                timings: timings(&self.progress, self.started, plan.clock_offset),
                process,
                program,
                uid,
                leash: self.leash,
            }),
            Ok(None) => Err(Error::Lost {
                stage: self.progress.stage(),
                exit: lost(&process, self.leash),
            }),
            Err(error) => {
                // Killed, not asked: a child that waits for the parent waits for ever.
                process.end();
                Err(error)
            }
        }
    }

    /// Waits until the program runs: its pid and user id, or nothing where the
    /// child ended without a word.
    fn program(&self, plan: &Plan, pid: Pid) -> Result<Option<(Pid, u32)>> {
        let lost = |errno| Error::Child {
            action: "hear from the child",
            errno,
        };
        if plan.ids.by_parent() || plan.process_group.is_some() {
            idmap::write(pid, &plan.ids)?;
            // A child that is gone already is noticed just below.
            let _ = report::go_on(self.report.as_fd());
        }
        let mut program = None;
        loop {
            match report::receive(self.report.as_fd()).map_err(lost)? {
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
}

/// How a child ended that said nothing. It is on its way out already, and is
/// not killed: its own way is what is asked for.
fn lost(process: &Process, leash: Option<OwnedFd>) -> Exit {
    let Some(leash) = leash else {
        return process.exit();
    };
    // Pid 1 is left; it saw how the program's process ended, or it ended first.
    let mut ready = [
        PollFd::new(leash.as_fd(), PollFlags::POLLIN),
        PollFd::new(process.wakeup(), PollFlags::POLLIN),
    ];
    while poll(&mut ready, PollTimeout::NONE) == Err(nix::errno::Errno::EINTR) {}
    let heard = hear(leash.as_fd());
    drop(leash);
    let exit = process.exit();
    match heard {
        Ok(Heard::Farewell(farewell)) => Exit::from_wait(farewell.code, farewell.status),
        _ => exit,
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
