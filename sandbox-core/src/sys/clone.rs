//! Making processes.
#![expect(
    unsafe_code,
    reason = "clone3, clone and fork have no safe wrapper that keeps the child's rules visible"
)]

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::unistd::Pid;

/// `CLONE_CLEAR_SIGHAND` (linux/sched.h, since 5.5).
pub(crate) const CLEAR_SIGHAND: u64 = 0x1_0000_0000;
/// `CLONE_INTO_CGROUP` (linux/sched.h, since 5.7).
pub(crate) const INTO_CGROUP: u64 = 0x2_0000_0000;
/// `CLONE_NEWTIME` (linux/sched.h, since 5.6): clone3(2) and unshare(2) only.
pub(crate) const NEWTIME: u64 = 0x80;

/// Which side of a clone this is.
#[derive(Debug)]
pub(crate) enum Cloned {
    /// The new process. Only async-signal-safe code may run from here to exec.
    Child,
    /// The caller.
    Parent {
        /// The child's pid in the caller's pid namespace.
        pid: Pid,
        /// Refers to it whatever becomes of the number.
        pidfd: OwnedFd,
    },
}

/// As `struct clone_args` up to `cgroup` (88 bytes, since 5.7).
#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// [clone3(2)] with these namespace flags, a pidfd, and SIGCHLD at the end.
///
/// In the child, which is a copy of a process that may have other threads, only
/// async-signal-safe code may run: `launch::child` walks a prepared plan, and
/// the test `no_alloc_after_clone` holds it to that.
///
/// [clone3(2)]: https://man7.org/linux/man-pages/man2/clone3.2.html
pub(crate) fn clone3(flags: u64, cgroup: Option<BorrowedFd<'_>>) -> nix::Result<Cloned> {
    let mut pidfd: RawFd = -1;
    let mut arguments = CloneArgs {
        flags: flags | CLEAR_SIGHAND | pidfd_flag(),
        pidfd: (&raw mut pidfd).addr() as u64,
        exit_signal: libc::SIGCHLD as u64,
        ..CloneArgs::default()
    };
    if let Some(cgroup) = cgroup {
        arguments.flags |= INTO_CGROUP;
        arguments.cgroup = u64::from(cgroup.as_raw_fd().unsigned_abs());
    }
    // SAFETY: clone3 reads `arguments`, whose size is given, and writes the
    // pidfd through a pointer to a live local. Without CLONE_VM the child has a
    // copy of this address space and stack, so nothing is shared with it.
    let result = unsafe {
        libc::syscall(
            libc::SYS_clone3,
            &raw const arguments,
            size_of::<CloneArgs>(),
        )
    };
    finish(result, &raw const pidfd)
}

/// [clone(2)] with these namespace flags, for kernels and filters that answer
/// clone3 with ENOSYS: no new time namespace, no cgroup, handlers stay.
///
/// [clone(2)]: https://man7.org/linux/man-pages/man2/clone.2.html
pub(crate) fn clone(flags: u64) -> nix::Result<Cloned> {
    let mut pidfd: RawFd = -1;
    let flags = flags | pidfd_flag() | libc::SIGCHLD as u64;
    // SAFETY: as for clone3. The order of the arguments after the parent's tid,
    // where the pidfd goes, differs between machines; all of those are null.
    let result = unsafe {
        libc::syscall(
            libc::SYS_clone,
            flags,
            0_usize,
            &raw mut pidfd,
            0_usize,
            0_usize,
        )
    };
    finish(result, &raw const pidfd)
}

fn pidfd_flag() -> u64 {
    u64::from(libc::CLONE_PIDFD.unsigned_abs())
}

fn finish(result: libc::c_long, pidfd: *const RawFd) -> nix::Result<Cloned> {
    let pid = Errno::result(result)?;
    if pid == 0 {
        return Ok(Cloned::Child);
    }
    // SAFETY: the kernel writes the descriptor before clone returns in the
    // parent, through the pointer to the caller's live local.
    let raw = unsafe { pidfd.read_volatile() };
    // SAFETY: the kernel has just opened it for this process, close-on-exec,
    // and nothing else knows the number.
    let pidfd = unsafe { OwnedFd::from_raw_fd(raw) };
    Ok(Cloned::Parent {
        pid: Pid::from_raw(i32::try_from(pid).unwrap_or(i32::MAX)),
        pidfd,
    })
}

/// A plain fork by the raw call ([fork(2)]): no handlers of pthread_atfork run,
/// no lock is taken. Gives the child's pid, or 0 in the child.
///
/// [fork(2)]: https://man7.org/linux/man-pages/man2/fork.2.html
pub(crate) fn fork() -> nix::Result<libc::pid_t> {
    // SAFETY: without CLONE_VM the child has a copy of everything; all pointers
    // are null.
    let result = unsafe {
        libc::syscall(
            libc::SYS_clone,
            libc::SIGCHLD,
            0_usize,
            0_usize,
            0_usize,
            0_usize,
        )
    };
    Errno::result(result).map(|pid| i32::try_from(pid).unwrap_or(i32::MAX))
}
