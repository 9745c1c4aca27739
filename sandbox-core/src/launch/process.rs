//! A sandbox's direct child, and who hears of its end: its parent, which is the
//! launcher or the fork server.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::Pid;

use crate::child::{Exit, Usage};
use crate::fork_server::{Link, Word};
use crate::sys::process::{self, Ended, Wait};

/// How long a process that was killed may take to end where only its pidfd
/// tells, in milliseconds.
const PATIENCE: u16 = 10_000;

/// A direct child, by pidfd.
#[derive(Debug)]
pub(crate) struct Process {
    pid: Pid,
    pidfd: OwnedFd,
    /// To the server that is its parent, where one is.
    server: Option<Link>,
}

/// An end that has been seen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) ended: Ended,
    /// Whether it ever executed a program.
    pub(crate) executed: bool,
}

impl Process {
    pub(crate) fn new(pid: Pid, pidfd: OwnedFd) -> Self {
        Self {
            pid,
            pidfd,
            server: None,
        }
    }

    pub(crate) fn of_server(pid: Pid, pidfd: OwnedFd, link: Link) -> Self {
        Self {
            pid,
            pidfd,
            server: Some(link),
        }
    }

    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    pub(crate) fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// Readable once there is an end to be seen.
    pub(crate) fn wakeup(&self) -> BorrowedFd<'_> {
        self.server.as_ref().map_or(self.pidfd.as_fd(), AsFd::as_fd)
    }

    /// How it ended, where it has; it is not reaped. EPIPE where its server has
    /// gone, which would have known.
    pub(crate) fn peek(&self) -> nix::Result<Option<Seen>> {
        match &self.server {
            Some(link) => Ok(link.peek()?.and_then(|word| match word {
                Word::Ended { seen, .. } => Some(seen.into()),
                _ => None,
            })),
            None => {
                let ended = process::wait(
                    Wait::Pidfd(self.pidfd.as_fd()),
                    libc::WNOHANG | libc::WNOWAIT,
                    None,
                )?;
                Ok(ended.map(|ended| Seen::of_zombie(ended, self.pid)))
            }
        }
    }

    /// Waits for its end and reaps it. ECHILD where somebody else has, or its
    /// server has gone: it has ended then, too.
    pub(crate) fn reap(&self) -> nix::Result<(Ended, Usage)> {
        if let Some(link) = &self.server {
            return match link.hear() {
                Ok((Word::Ended { seen, usage }, _)) => Ok((Seen::from(seen).ended, usage.into())),
                _ => {
                    self.end_alone();
                    Err(Errno::ECHILD)
                }
            };
        }
        let mut usage = process::no_usage();
        loop {
            match process::wait(Wait::Pidfd(self.pidfd.as_fd()), 0, Some(&mut usage)) {
                Ok(Some(ended)) => return Ok((ended, Usage::from(&usage))),
                Ok(None) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno),
            }
        }
    }

    /// How it ended, once it has.
    pub(crate) fn exit(&self) -> Exit {
        self.reap().map_or(
            Exit::Signal {
                number: libc::SIGKILL,
                core_dumped: false,
            },
            |(ended, _)| Exit::from_wait(ended.code, ended.status),
        )
    }

    pub(crate) fn kill(&self) -> nix::Result<()> {
        process::send_signal(self.pidfd.as_fd(), libc::SIGKILL)
    }

    /// Kills the process group that it leads, which is done by number: only
    /// while it is not reaped. A server does it itself before it reaps.
    pub(crate) fn kill_group(&self) {
        if self.server.is_none() && self.peek().is_ok() {
            let _ = nix::sys::signal::killpg(self.pid, nix::sys::signal::Signal::SIGKILL);
        }
    }

    /// Kills it and waits for its end.
    pub(crate) fn end(&self) {
        let _ = self.kill();
        let _ = self.reap();
    }

    /// As [`Process::end`], where the server that would have reaped it has gone.
    pub(crate) fn end_alone(&self) {
        if self.server.is_none() {
            return;
        }
        let _ = self.kill();
        let mut ready = [PollFd::new(self.pidfd.as_fd(), PollFlags::POLLIN)];
        while poll(&mut ready, PollTimeout::from(PATIENCE)) == Err(Errno::EINTR) {}
    }
}

impl Seen {
    /// Of a process that is not reaped yet.
    pub(crate) fn of_zombie(ended: Ended, pid: Pid) -> Self {
        Self {
            ended,
            executed: ended.code == libc::CLD_EXITED || has_executed(pid),
        }
    }
}

/// Whether a process that is not reaped yet has executed a program since it was
/// forked: PF_FORKNOEXEC in field 9 of /proc/PID/stat (proc_pid_stat(5)). The
/// end of the report socket alone does not tell: a filter can kill execve itself.
pub(crate) fn has_executed(pid: Pid) -> bool {
    const PF_FORKNOEXEC: u32 = 0x40;
    procfs::process::Process::new(pid.as_raw())
        .and_then(|process| process.stat())
        // Where procfs cannot be read nothing is proven either way; the
        // program's own exit status stands.
        .map_or(true, |stat| stat.flags & PF_FORKNOEXEC == 0)
}
