//! Waiting for processes and ending them, by descriptor.
#![expect(
    unsafe_code,
    reason = "nix's waitid gives no resource usage, and it has no pidfd_send_signal"
)]

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;

/// What [waitid(2)] says of a process that has ended.
///
/// [waitid(2)]: https://man7.org/linux/man-pages/man2/waitid.2.html
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    /// Its pid in the caller's pid namespace.
    pub(crate) pid: i32,
    /// CLD_EXITED, CLD_KILLED or CLD_DUMPED.
    pub(crate) code: i32,
    /// The exit code, or the signal.
    pub(crate) status: i32,
}

/// Whom to wait for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wait<'a> {
    /// The process that this pidfd refers to (since 5.4).
    Pidfd(BorrowedFd<'a>),
    /// Any child.
    Any,
}

/// [waitid(2)] for an ended child: `None` where WNOHANG is in `options` and
/// there is none. Fills `usage` with what it used, its reaped children included.
///
/// A child that asked to be traced (PTRACE_TRACEME) made its parent its tracer,
/// whom the kernel tells of every stop, wanted or not. Nobody here would ever let
/// it go on, and a stop is no end: it is killed.
///
/// [waitid(2)]: https://man7.org/linux/man-pages/man2/waitid.2.html
pub(crate) fn wait(
    whom: Wait<'_>,
    options: i32,
    mut usage: Option<&mut libc::rusage>,
) -> nix::Result<Option<Ended>> {
    loop {
        let ended = wait_once(whom, options, usage.as_deref_mut())?;
        match ended {
            Some(Ended {
                pid,
                code: libc::CLD_TRAPPED | libc::CLD_STOPPED,
                ..
            }) => {
                // Not reaped, so that the number is still its own.
                let _ = nix::sys::signal::kill(
                    nix::unistd::Pid::from_raw(pid),
                    nix::sys::signal::Signal::SIGKILL,
                );
            }
            ended => return Ok(ended),
        }
    }
}

fn wait_once(
    whom: Wait<'_>,
    options: i32,
    usage: Option<&mut libc::rusage>,
) -> nix::Result<Option<Ended>> {
    let (kind, id) = match whom {
        Wait::Pidfd(pidfd) => (libc::P_PIDFD, pidfd.as_raw_fd()),
        Wait::Any => (libc::P_ALL, 0),
    };
    // SAFETY: an all-zero `siginfo_t` is a valid value of that C structure.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let usage = usage.map_or(std::ptr::null_mut(), std::ptr::from_mut);
    // SAFETY: `info` and, unless null, `usage` are live and of the types that
    // the raw call writes.
    let result = unsafe {
        libc::syscall(
            libc::SYS_waitid,
            kind,
            id,
            &raw mut info,
            options | libc::WEXITED,
            usage,
        )
    };
    Errno::result(result)?;
    // SAFETY: after a successful waitid the fields of SIGCHLD are those in use;
    // they are zero where no child had ended.
    let pid = unsafe { info.si_pid() };
    // SAFETY: as above.
    let status = unsafe { info.si_status() };
    Ok((pid != 0).then_some(Ended {
        pid,
        code: info.si_code,
        status,
    }))
}

/// A descriptor of the calling thread (PIDFD_THREAD, since 6.9), or, on older
/// kernels, as for [`own_process`].
pub(crate) fn own_thread() -> nix::Result<OwnedFd> {
    // SAFETY: takes no pointer.
    let thread = unsafe { libc::gettid() };
    match pidfd_open(thread, libc::PIDFD_THREAD) {
        Err(Errno::EINVAL) => own_process(),
        other => other,
    }
}

/// A descriptor of the calling process, readable once it has ended.
pub(crate) fn own_process() -> nix::Result<OwnedFd> {
    pidfd_open(std::process::id().cast_signed(), 0)
}

/// A descriptor of a child that nobody has reaped yet.
pub(crate) fn open(child: nix::unistd::Pid) -> nix::Result<OwnedFd> {
    pidfd_open(child.as_raw(), 0)
}

/// [pidfd_open(2)] (since 5.3).
///
/// [pidfd_open(2)]: https://man7.org/linux/man-pages/man2/pidfd_open.2.html
fn pidfd_open(pid: libc::pid_t, flags: libc::c_uint) -> nix::Result<OwnedFd> {
    // SAFETY: takes no pointer.
    let result = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, flags) })?;
    let raw = RawFd::try_from(result).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel has just opened it, close-on-exec, and nothing else
    // knows the number.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// Kills every process of the pid namespace but the caller, which must be its
/// pid 1 ([kill(2)] with -1).
///
/// [kill(2)]: https://man7.org/linux/man-pages/man2/kill.2.html
pub(crate) fn kill_all_others() {
    // By number, and only as pid 1 of a namespace of ours: anywhere else -1
    // would mean every process that the caller may signal.
    if std::process::id() == 1 {
        let all = nix::unistd::Pid::from_raw(-1);
        let _ = nix::sys::signal::kill(all, nix::sys::signal::Signal::SIGKILL);
    }
}

/// [pidfd_send_signal(2)] (since 5.1).
///
/// [pidfd_send_signal(2)]: https://man7.org/linux/man-pages/man2/pidfd_send_signal.2.html
pub(crate) fn send_signal(pidfd: BorrowedFd<'_>, signal: i32) -> nix::Result<()> {
    // SAFETY: a null siginfo asks for that of kill(2).
    let result = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal,
            0_usize,
            0,
        )
    };
    Errno::result(result).map(drop)
}

/// An all-zero usage, to be filled by [`wait`].
pub(crate) fn no_usage() -> libc::rusage {
    // SAFETY: an all-zero `rusage` is a valid value of that C structure.
    unsafe { std::mem::zeroed() }
}

/// The version of Landlock's interface, from the kernel
/// ([landlock_create_ruleset(2)] LANDLOCK_CREATE_RULESET_VERSION).
///
/// [landlock_create_ruleset(2)]: https://man7.org/linux/man-pages/man2/landlock_create_ruleset.2.html
pub(crate) fn landlock_abi() -> nix::Result<libc::c_long> {
    // SAFETY: a null attribute with size 0 and this flag asks for the version.
    Errno::result(unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, 0_usize, 0_usize, 1) })
}

/// Whether the kernel knows a seccomp action ([seccomp(2)]
/// SECCOMP_GET_ACTION_AVAIL).
///
/// [seccomp(2)]: https://man7.org/linux/man-pages/man2/seccomp.2.html
pub(crate) fn seccomp_action(action: u32) -> nix::Result<()> {
    const SECCOMP_GET_ACTION_AVAIL: libc::c_int = 2;
    // SAFETY: the operation reads the four bytes that it is pointed to.
    let result = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            SECCOMP_GET_ACTION_AVAIL,
            0,
            &raw const action,
        )
    };
    Errno::result(result).map(drop)
}
