//! A minimal pid 1: reaps, watches the leash, says how the program ended.
//!
//! It runs in a copy of the launcher's memory and must keep that to itself:
//! undumpable, so that nobody inside can trace it, with every descriptor closed
//! but its leash. Its end is the end of the pid namespace (pid_namespaces(7)).

use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::sys::signalfd::{SfdFlags, SigSet, SignalFd};
use nix::sys::socket::{MsgFlags, recv, send};

use crate::sys::{exec, fd, process};

/// How the program ended, as pid 1 saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Farewell {
    /// CLD_EXITED, CLD_KILLED or CLD_DUMPED.
    pub(crate) code: i32,
    /// Exit code or signal.
    pub(crate) status: i32,
}

/// Runs as pid 1 until the program ends or the launcher is gone.
pub(super) fn run(program: libc::pid_t, leash: RawFd) -> ! {
    exec::exit(serve(program, leash).unwrap_or(1))
}

fn serve(program: libc::pid_t, leash: RawFd) -> nix::Result<i32> {
    // The leash does it better: this one fires when the launching *thread* ends.
    nix::sys::prctl::set_pdeathsig(None)?;
    fd::close_range(0, leash.unsigned_abs().saturating_sub(1))?;
    fd::close_range(leash.unsigned_abs() + 1, u32::MAX)?;
    let leash = fd::borrow(leash).ok_or(Errno::EBADF)?;
    // Signals are all blocked since before the clone: SIGCHLD waits here.
    let mut mask = SigSet::empty();
    mask.add(Signal::SIGCHLD);
    let children = SignalFd::with_flags(&mask, SfdFlags::SFD_NONBLOCK)?;
    loop {
        while let Some(ended) =
            process::wait(process::Wait::Any, libc::WNOHANG | libc::WNOWAIT, None)?
        {
            if ended.pid == program {
                return farewell(leash, ended);
            }
            reap(ended.pid)?;
        }
        let mut ready = [
            PollFd::new(leash, PollFlags::empty()),
            PollFd::new(std::os::fd::AsFd::as_fd(&children), PollFlags::POLLIN),
        ];
        match poll(&mut ready, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
        if ready[0]
            .revents()
            .is_some_and(|events| events.contains(PollFlags::POLLHUP))
        {
            // The launcher is gone. So is everything here, when this returns.
            return Ok(1);
        }
        while let Ok(Some(_)) = children.read_signal() {}
    }
}

fn reap(pid: i32) -> nix::Result<()> {
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
    let [a, b, c, d] = ended.code.to_ne_bytes();
    let [e, f, g, h] = ended.status.to_ne_bytes();
    send(
        leash.as_raw_fd(),
        &[a, b, c, d, e, f, g, h],
        MsgFlags::MSG_NOSIGNAL,
    )?;
    if ended.code == libc::CLD_EXITED {
        reap(ended.pid)?;
        return Ok(ended.status);
    }
    let mut byte = [0_u8];
    // An answer or the launcher's end: either releases it.
    let _ = recv(leash.as_raw_fd(), &mut byte, MsgFlags::empty());
    reap(ended.pid)?;
    Ok(128 + ended.status)
}

/// The launcher's side: the farewell, if one has come.
pub(crate) fn receive_farewell(leash: BorrowedFd<'_>) -> nix::Result<Option<Farewell>> {
    let mut bytes = [0_u8; 8];
    match recv(leash.as_raw_fd(), &mut bytes, MsgFlags::MSG_DONTWAIT) {
        Ok(8) => {
            let [a, b, c, d, e, f, g, h] = bytes;
            Ok(Some(Farewell {
                code: i32::from_ne_bytes([a, b, c, d]),
                status: i32::from_ne_bytes([e, f, g, h]),
            }))
        }
        Ok(_) | Err(Errno::EAGAIN | Errno::ECONNRESET) => Ok(None),
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
