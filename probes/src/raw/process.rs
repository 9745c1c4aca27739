//! Processes: signals, descriptors, priorities and capabilities.

use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::unistd::{ForkResult, Pid};

use super::owned;

/// [tgkill(2)] of a process's main thread.
///
/// [tgkill(2)]: https://man7.org/linux/man-pages/man2/tgkill.2.html
pub(crate) fn signal_thread(pid: Pid, signal: Signal) -> nix::Result<()> {
    // SAFETY: tgkill takes three numbers and no pointer.
    let result =
        unsafe { libc::syscall(libc::SYS_tgkill, pid.as_raw(), pid.as_raw(), signal as i32) };
    Errno::result(result).map(drop)
}

/// [sigqueue(3)], which is rt_sigqueueinfo(2).
///
/// [sigqueue(3)]: https://man7.org/linux/man-pages/man3/sigqueue.3.html
pub(crate) fn queue_signal(pid: Pid, signal: Signal) -> nix::Result<()> {
    let value = libc::sigval {
        sival_ptr: std::ptr::null_mut(),
    };
    // SAFETY: sigqueue passes `value` on to the receiver and does not follow it.
    let result = unsafe { libc::sigqueue(pid.as_raw(), signal as i32, value) };
    Errno::result(result).map(drop)
}

/// [pidfd_open(2)].
///
/// [pidfd_open(2)]: https://man7.org/linux/man-pages/man2/pidfd_open.2.html
pub(crate) fn pidfd_open(pid: Pid) -> nix::Result<OwnedFd> {
    // SAFETY: pidfd_open takes two numbers and no pointer.
    owned(unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) })
}

/// [pidfd_send_signal(2)].
///
/// [pidfd_send_signal(2)]: https://man7.org/linux/man-pages/man2/pidfd_send_signal.2.html
pub(crate) fn pidfd_send_signal(pidfd: BorrowedFd<'_>, signal: Signal) -> nix::Result<()> {
    let no_info = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: a null siginfo is allowed: the kernel then fills in its own.
    let result = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal as i32,
            no_info,
            0,
        )
    };
    Errno::result(result).map(drop)
}

/// [pidfd_getfd(2)]: a copy of another process's descriptor.
///
/// [pidfd_getfd(2)]: https://man7.org/linux/man-pages/man2/pidfd_getfd.2.html
pub(crate) fn pidfd_getfd(pidfd: BorrowedFd<'_>, number: RawFd) -> nix::Result<OwnedFd> {
    // SAFETY: pidfd_getfd takes three numbers and no pointer.
    owned(unsafe { libc::syscall(libc::SYS_pidfd_getfd, pidfd.as_raw_fd(), number, 0) })
}

/// [fcntl(2)] F_SETOWN: who gets SIGIO and SIGURG for a descriptor.
///
/// [fcntl(2)]: https://man7.org/linux/man-pages/man2/fcntl.2.html
pub(crate) fn set_owner(descriptor: BorrowedFd<'_>, pid: Pid) -> nix::Result<()> {
    // SAFETY: F_SETOWN takes a number and no pointer.
    let result = unsafe { libc::fcntl(descriptor.as_raw_fd(), libc::F_SETOWN, pid.as_raw()) };
    Errno::result(result).map(drop)
}

/// [setpriority(2)] of the caller's own process group.
///
/// [setpriority(2)]: https://man7.org/linux/man-pages/man2/setpriority.2.html
pub(crate) fn renice_own_group(nice: i32) -> nix::Result<()> {
    // SAFETY: setpriority takes three numbers and no pointer.
    let result = unsafe { libc::setpriority(libc::PRIO_PGRP, 0, nice) };
    Errno::result(result).map(drop)
}

/// The caller's nice value ([getpriority(2)]). An error reads as -1, which
/// can't happen for the caller itself.
///
/// [getpriority(2)]: https://man7.org/linux/man-pages/man2/getpriority.2.html
pub(crate) fn own_nice() -> i32 {
    // SAFETY: getpriority takes two numbers and no pointer.
    unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) }
}

/// [fork(2)]. Only for the probe program, which has a single thread.
///
/// [fork(2)]: https://man7.org/linux/man-pages/man2/fork.2.html
pub(crate) fn fork() -> nix::Result<ForkResult> {
    // SAFETY: the child of a process with several threads may call only
    // async-signal-safe functions. Attempts run in the probe program alone,
    // and nothing in it starts a thread.
    unsafe { nix::unistd::fork() }
}

/// [clone(2)] with CLONE_PARENT: a fork whose child is the caller's sibling. The
/// pid in the parent is not one to wait for.
///
/// [clone(2)]: https://man7.org/linux/man-pages/man2/clone.2.html
pub(crate) fn fork_sibling() -> nix::Result<ForkResult> {
    let flags = libc::CLONE_PARENT | libc::SIGCHLD;
    // SAFETY: as for `fork`; without CLONE_VM the child has a copy of everything,
    // and all pointers are null.
    let result =
        unsafe { libc::syscall(libc::SYS_clone, flags, 0_usize, 0_usize, 0_usize, 0_usize) };
    Ok(match i32::try_from(Errno::result(result)?) {
        Ok(0) => ForkResult::Child,
        child => ForkResult::Parent {
            child: Pid::from_raw(child.unwrap_or(i32::MAX)),
        },
    })
}

/// [_exit(2)]: ends a forked child without the parent's exit handlers and
/// buffers.
///
/// [_exit(2)]: https://man7.org/linux/man-pages/man2/_exit.2.html
pub(crate) fn exit() -> ! {
    // SAFETY: _exit takes a number and does not return; no handler runs.
    unsafe { libc::_exit(0) }
}

/// Lets every process of the same user trace the caller ([PR_SET_PTRACER]),
/// for hosts where Yama restricts that to ancestors. EINVAL: there is no Yama.
///
/// [PR_SET_PTRACER]: https://man7.org/linux/man-pages/man2/PR_SET_PTRACER.2const.html
pub(crate) fn allow_any_tracer() -> nix::Result<()> {
    // SAFETY: PR_SET_PTRACER takes a number and no pointer.
    let result = unsafe { libc::prctl(libc::PR_SET_PTRACER, libc::PR_SET_PTRACER_ANY, 0, 0, 0) };
    Errno::result(result).map(drop)
}

/// Drops every capability of the caller, the inheritable and ambient ones
/// included ([capset(2)]).
///
/// [capset(2)]: https://man7.org/linux/man-pages/man2/capset.2.html
pub(crate) fn drop_capabilities() -> nix::Result<()> {
    /// _LINUX_CAPABILITY_VERSION_3 with the pid of the caller.
    #[repr(C)]
    struct Header {
        version: u32,
        pid: i32,
    }
    let header = Header {
        version: 0x2008_0522,
        pid: 0,
    };
    let none = [0_u32; 6];
    // SAFETY: version 3 reads one header and two data structs of three 32-bit
    // words each; both live until the call returns.
    let result = unsafe { libc::syscall(libc::SYS_capset, &raw const header, &raw const none) };
    Errno::result(result).map(drop)
}
