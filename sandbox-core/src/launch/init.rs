//! A minimal pid 1: reaps, watches the leash, says how the program ended.
//!
//! It runs in a copy of the launcher's memory and must keep that to itself:
//! undumpable, so that nobody inside can trace it, with every descriptor closed
//! but its leash. Its end is the end of the pid namespace (pid_namespaces(7)).

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::sys::signalfd::{SfdFlags, SigSet, SignalFd};
use nix::sys::socket::{MsgFlags, recv, send};

use crate::stage::Stage;
use crate::sys::{exec, fd, process};

/// How the program ended, as pid 1 saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Farewell {
    /// CLD_EXITED, CLD_KILLED or CLD_DUMPED.
    pub(crate) code: i32,
    /// Exit code or signal.
    pub(crate) status: i32,
    /// Whether its process had executed it; only a keeper looks. Pid 1 leaves
    /// that to the launcher, for which it keeps a program that was killed.
    pub(crate) executed: Option<bool>,
}

/// In a farewell's code: a keeper saw that the program was never executed.
const NEVER: i32 = 0x100;
/// In a farewell's code: a keeper saw that it was.
const EXECUTED: i32 = 0x200;

impl Farewell {
    /// Tells the launcher.
    pub(super) fn send(self, leash: BorrowedFd<'_>) -> nix::Result<()> {
        let looked = match self.executed {
            Some(true) => EXECUTED,
            Some(false) => NEVER,
            None => 0,
        };
        let [a, b, c, d] = (self.code | looked).to_ne_bytes();
        let [e, f, g, h] = self.status.to_ne_bytes();
        let bytes = [a, b, c, d, e, f, g, h];
        send(leash.as_raw_fd(), &bytes, MsgFlags::MSG_NOSIGNAL).map(drop)
    }

    fn from_bytes([a, b, c, d, e, f, g, h]: [u8; 8]) -> Self {
        let code = i32::from_ne_bytes([a, b, c, d]);
        Self {
            code: code & !(NEVER | EXECUTED),
            status: i32::from_ne_bytes([e, f, g, h]),
            executed: match code & (NEVER | EXECUTED) {
                0 => None,
                looked => Some(looked == EXECUTED),
            },
        }
    }
}

/// Pid 1, once it holds nothing of the launcher's any more.
pub(super) struct Init {
    program: libc::pid_t,
    leash: BorrowedFd<'static>,
    /// Whose end is the sandbox's own, where it is.
    launcher: Option<BorrowedFd<'static>>,
    children: SignalFd,
}

impl Init {
    /// Sets it up; the report socket, which this closes, says what failed.
    pub(super) fn new(
        program: libc::pid_t,
        leash: RawFd,
        launcher: Option<RawFd>,
    ) -> Result<Self, (Stage, Errno)> {
        let children = settle([leash, launcher.unwrap_or(leash), leash])?;
        Ok(Self {
            program,
            leash: fd::borrow(leash).ok_or((Stage::Init, Errno::EBADF))?,
            launcher: launcher.and_then(fd::borrow),
            children,
        })
    }

    /// Runs until the program ends, or the launcher it is tied to.
    pub(super) fn run(self) -> ! {
        exec::exit(self.serve().unwrap_or(1))
    }

    fn serve(&self) -> nix::Result<i32> {
        // Nobody to be tied to: the leash's end means nothing then.
        let mut ready = [
            PollFd::new(self.children.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.launcher.unwrap_or(self.leash), PollFlags::POLLIN),
            PollFd::new(self.leash, PollFlags::empty()),
        ];
        let watched = if self.launcher.is_some() { 3 } else { 1 };
        loop {
            while let Some(ended) =
                process::wait(process::Wait::Any, libc::WNOHANG | libc::WNOWAIT, None)?
            {
                if ended.pid == self.program {
                    return farewell(self.leash, ended);
                }
                reap(ended.pid)?;
            }
            let ready = ready.get_mut(..watched).unwrap_or_default();
            match poll(ready, PollTimeout::NONE) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno),
            }
            if ready.iter().skip(1).any(|fd| fd.any() == Some(true)) {
                // The launcher is gone. So is everything here, when this returns.
                return Ok(1);
            }
            while let Ok(Some(_)) = self.children.read_signal() {}
        }
    }
}

/// Makes a process that forked the program a quiet one: untied from the
/// launching thread, with no descriptor but these and the one that it gives,
/// readable when a child has ended.
pub(super) fn settle(kept: [RawFd; 3]) -> Result<SignalFd, (Stage, Errno)> {
    let failed = |errno| (Stage::Init, errno);
    // The launcher's descriptor does it better: the signal is raised when
    // the launching *thread* ends.
    nix::sys::prctl::set_pdeathsig(None).map_err(failed)?;
    // Signals are all blocked since before the clone: SIGCHLD waits here.
    let mut mask = SigSet::empty();
    mask.add(Signal::SIGCHLD);
    let children = SignalFd::with_flags(&mask, SfdFlags::SFD_NONBLOCK).map_err(failed)?;
    let [a, b, c] = kept;
    let mut kept = [a, b, c, children.as_fd().as_raw_fd()];
    kept.sort_unstable();
    fd::close_all_but(0, kept.into_iter()).map_err(|errno| (Stage::Descriptors, errno))?;
    Ok(children)
}

pub(super) fn reap(pid: i32) -> nix::Result<()> {
    match nix::sys::wait::waitpid(
        nix::unistd::Pid::from_raw(pid),
        Some(nix::sys::wait::WaitPidFlag::WNOHANG),
    ) {
        Ok(_) | Err(Errno::ECHILD) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// Passes the program's end on. One that was killed is kept as a zombie until
/// the launcher has seen whether it ever was the program (see `Child::wait`).
fn farewell(leash: BorrowedFd<'_>, ended: process::Ended) -> nix::Result<i32> {
    Farewell {
        code: ended.code,
        status: ended.status,
        executed: None,
    }
    .send(leash)?;
    if ended.code == libc::CLD_EXITED {
        reap(ended.pid)?;
        return Ok(ended.status);
    }
    // All the others go now: the launcher may be in no hurry to answer.
    process::kill_all_others();
    let mut byte = [0_u8];
    // An answer or the launcher's end: either releases it.
    let _ = recv(leash.as_raw_fd(), &mut byte, MsgFlags::empty());
    reap(ended.pid)?;
    Ok(128 + ended.status)
}

/// What the launcher's end of the leash has to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Nothing so far.
    Nothing,
    /// How the program ended.
    Farewell(Farewell),
    /// Pid 1 is gone, or on its way: nothing more will come.
    HungUp,
}

/// The launcher's side: what has come.
pub(crate) fn hear(leash: BorrowedFd<'_>) -> nix::Result<Heard> {
    let mut bytes = [0_u8; 8];
    match recv(leash.as_raw_fd(), &mut bytes, MsgFlags::MSG_DONTWAIT) {
        Ok(8) => Ok(Heard::Farewell(Farewell::from_bytes(bytes))),
        Err(Errno::EAGAIN | Errno::EINTR) => Ok(Heard::Nothing),
        Ok(_) | Err(Errno::ECONNRESET) => Ok(Heard::HungUp),
        Err(errno) => Err(errno),
    }
}

/// Lets pid 1 end after a farewell of a program that was killed.
pub(crate) fn release(leash: BorrowedFd<'_>) {
    let _ = send(
        leash.as_raw_fd(),
        b"+",
        MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT,
    );
}
