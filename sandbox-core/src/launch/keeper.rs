//! A keeper: a child subreaper of ours between the launcher and the program, for
//! sandboxes without a pid namespace (claim R4, "subreaper mode 2").
//!
//! Whatever the program leaves behind becomes the keeper's child (prctl(2)
//! PR_SET_CHILD_SUBREAPER), so that the whole subtree ends in it: it reaps, it
//! kills on request, and it ends after the last of them. Its pidfd is the one
//! thing to poll. Like pid 1 it runs in a copy of the launcher's memory: no
//! allocation, undumpable, every descriptor closed but its own four.
//!
//! Killing: its children are killed by number, which is theirs until the keeper
//! itself reaps them; theirs become its own as they die; and so on until waitid(2)
//! knows of none (ECHILD). That answer is the kernel's and not a scan's, so that
//! the end is never told too early, however fast anything forks.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::signalfd::SignalFd;
use nix::sys::socket::{MsgFlags, recv, send};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, getpgrp, getpid, getppid, getsid, read, setpgid, setsid};

use super::init::{Farewell, reap, settle};
use crate::error::{Error, Result};
use crate::plan::Patience;
use crate::stage::Stage;
use crate::sys::{exec, fd, process};

/// How often the children are listed anew while they are being killed: one that
/// is reparented gives no sign.
const LOOK: u16 = 10;

/// Where the program finds its parent and its process group.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    keeper: Pid,
    group: Pid,
    led_group: bool,
    led_session: bool,
}

impl Place {
    /// Makes the caller the subreaper, and takes it out of the program's process
    /// group: `kill(0)` must not reach it.
    pub(super) fn leave() -> nix::Result<Self> {
        nix::sys::prctl::set_child_subreaper(true)?;
        let (keeper, group) = (getpid(), getpgrp());
        let place = Self {
            keeper,
            group,
            led_group: keeper == group,
            led_session: getsid(None)? == keeper,
        };
        if !place.led_group {
            setpgid(Pid::from_raw(0), Pid::from_raw(0))?;
        }
        Ok(place)
    }

    /// In the program's process: what the keeper was before.
    pub(super) fn take(self) -> nix::Result<()> {
        if self.led_session {
            setsid()?;
        } else if self.led_group {
            setpgid(Pid::from_raw(0), Pid::from_raw(0))?;
        } else {
            setpgid(Pid::from_raw(0), self.group)?;
        }
        nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
        // Nothing raises the signal where the keeper has ended already.
        if getppid() != self.keeper {
            exec::exit(1);
        }
        Ok(())
    }
}

/// The launcher's procfs, which shows a keeper its children.
pub(super) fn procfs() -> Result<OwnedFd> {
    let failed = |errno| Error::Launch {
        stage: Stage::Init,
        subject: Some("/proc/thread-self/children (CONFIG_PROC_CHILDREN)".into()),
        errno,
    };
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let procfs = open("/proc", flags, Mode::empty()).map_err(failed)?;
    open_children(procfs.as_fd()).map_err(failed)?;
    Ok(procfs)
}

fn open_children(procfs: BorrowedFd<'_>) -> nix::Result<OwnedFd> {
    openat(
        procfs,
        c"thread-self/children",
        OFlag::O_RDONLY | OFlag::O_CLOEXEC,
        Mode::empty(),
    )
}

/// Asks a keeper to kill the subtree. It may have ended.
pub(crate) fn ask_to_kill(leash: BorrowedFd<'_>) {
    let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
    let _ = send(leash.as_raw_fd(), b"k", flags);
}

/// The keeper, once it holds nothing of the launcher's any more.
pub(super) struct Keeper {
    program: libc::pid_t,
    patience: Patience,
    leash: BorrowedFd<'static>,
    /// Whose end is the subtree's own, where it is.
    launcher: Option<BorrowedFd<'static>>,
    procfs: BorrowedFd<'static>,
    children: SignalFd,
}

impl Keeper {
    /// Sets it up; the report socket, which this closes, says what failed.
    pub(super) fn new(
        program: libc::pid_t,
        patience: Patience,
        leash: RawFd,
        launcher: Option<RawFd>,
        procfs: RawFd,
    ) -> std::result::Result<Self, (Stage, Errno)> {
        let children = settle([leash, launcher.unwrap_or(leash), procfs])?;
        let bad = (Stage::Init, Errno::EBADF);
        Ok(Self {
            program,
            patience,
            leash: fd::borrow(leash).ok_or(bad)?,
            launcher: launcher.and_then(fd::borrow),
            procfs: fd::borrow(procfs).ok_or(bad)?,
            children,
        })
    }

    /// Runs until nothing is left.
    pub(super) fn run(self) -> ! {
        exec::exit(self.serve().unwrap_or(1))
    }

    fn serve(&self) -> nix::Result<i32> {
        let mut ended = None;
        let mut killing = false;
        // What has hung up is not looked at again.
        let (mut leash, mut launcher) = (Some(self.leash), self.launcher);
        while !self.reap_all(&mut ended)? {
            killing |= ended.is_some() && self.patience == Patience::Program;
            let mut timeout = PollTimeout::NONE;
            if killing {
                self.kill_children()?;
                timeout = PollTimeout::from(LOOK);
            }
            // In place of what is not looked at: it never hangs up.
            let nothing = PollFd::new(self.children.as_fd(), PollFlags::empty());
            let wanted = |fd| PollFd::new(fd, PollFlags::POLLIN);
            let mut ready = [
                wanted(self.children.as_fd()),
                leash.map_or_else(|| nothing.clone(), wanted),
                launcher.map_or(nothing, wanted),
            ];
            match poll(&mut ready, timeout) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno),
            }
            let [_, said, gone] = ready.map(|fd| fd.any() == Some(true));
            if said && leash.is_some() {
                let mut byte = [0_u8];
                match recv(self.leash.as_raw_fd(), &mut byte, MsgFlags::MSG_DONTWAIT) {
                    Ok(1) => killing = true,
                    Err(Errno::EAGAIN | Errno::EINTR) => {}
                    Ok(_) | Err(_) => {
                        leash = None;
                        killing |= self.launcher.is_some();
                    }
                }
            }
            if gone && launcher.is_some() {
                launcher = None;
                killing = true;
            }
            while let Ok(Some(_)) = self.children.read_signal() {}
        }
        let Some(ended) = ended else { return Ok(1) };
        // The launcher may have gone.
        let _ = ended.send(self.leash);
        Ok(match ended.code {
            libc::CLD_EXITED => ended.status,
            _ => 128 + ended.status,
        })
    }

    /// Reaps whoever has ended: whether nobody is left.
    fn reap_all(&self, program: &mut Option<Farewell>) -> nix::Result<bool> {
        let options = libc::WNOHANG | libc::WNOWAIT | libc::__WALL;
        loop {
            let ended = match process::wait(process::Wait::Any, options, None) {
                Ok(Some(ended)) => ended,
                Ok(None) => return Ok(false),
                Err(Errno::ECHILD) => return Ok(true),
                Err(Errno::EINTR) => continue,
                Err(errno) => return Err(errno),
            };
            // The number may come again later.
            if ended.pid == self.program && program.is_none() {
                *program = Some(Farewell {
                    code: ended.code,
                    status: ended.status,
                    executed: Some(ended.code == libc::CLD_EXITED || self.has_executed(ended.pid)),
                });
            }
            reap(ended.pid)?;
        }
    }

    /// Kills all that are children now. A child that was born since is found by
    /// the next call.
    fn kill_children(&self) -> nix::Result<()> {
        let file = open_children(self.procfs)?;
        let mut buffer = [0_u8; 1024];
        let mut number = 0_i32;
        loop {
            let length = match read(&file, &mut buffer) {
                Ok(0) => return Ok(()),
                Ok(length) => length,
                Err(Errno::EINTR) => continue,
                Err(errno) => return Err(errno),
            };
            // Each number ends with a space; one can lie across two buffers.
            for byte in buffer.iter().take(length) {
                if byte.is_ascii_digit() {
                    number = number.wrapping_mul(10).wrapping_add(i32::from(byte - b'0'));
                } else if number > 0 {
                    // EPERM: it took on another user; nobody here may kill it.
                    let _ = kill(Pid::from_raw(number), Signal::SIGKILL);
                    number = 0;
                }
            }
        }
    }

    /// Whether a process that is not reaped yet has executed a program since its
    /// fork; see `child::has_executed`. Where procfs does not tell, it has.
    fn has_executed(&self, pid: i32) -> bool {
        const PF_FORKNOEXEC: u32 = 0x40;
        let mut text = [0_u8; 512];
        let length = self.read_stat(pid, &mut text).unwrap_or(0);
        let text = text.get(..length).unwrap_or_default();
        // The name, in parentheses, may hold anything.
        let Some(end) = text.iter().rposition(|&byte| byte == b')') else {
            return true;
        };
        let flags = text
            .split(|&byte| byte == b' ')
            .nth(text.iter().take(end).filter(|&&byte| byte == b' ').count() + 7);
        let flags = flags.and_then(|digits| {
            digits.iter().try_fold(0_u32, |number, byte| {
                let digit = byte.checked_sub(b'0').filter(|digit| *digit < 10)?;
                number.checked_mul(10)?.checked_add(u32::from(digit))
            })
        });
        flags.is_none_or(|flags| flags & PF_FORKNOEXEC == 0)
    }

    fn read_stat(&self, pid: i32, text: &mut [u8]) -> nix::Result<usize> {
        let mut path = [0_u8; 24];
        let mut digits = [0_u8; 10];
        let mut rest = pid.unsigned_abs();
        let mut count = 0;
        for slot in digits.iter_mut().rev() {
            *slot = b'0' + (rest % 10) as u8;
            rest /= 10;
            count += 1;
            if rest == 0 {
                break;
            }
        }
        let digits = digits.iter().skip(10 - count);
        for (slot, byte) in path.iter_mut().zip(digits.chain(b"/stat")) {
            *slot = *byte;
        }
        let path = std::ffi::CStr::from_bytes_until_nul(&path).map_err(|_| Errno::ENAMETOOLONG)?;
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        let file = openat(self.procfs, path, flags, Mode::empty())?;
        read(&file, text)
    }
}
