//! Making processes.
#![expect(
    unsafe_code,
    reason = "clone3, clone and fork have no safe wrapper that keeps the child's rules visible"
)]

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::NonNull;

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
    clone3_with(flags, libc::SIGCHLD as u64, cgroup)
}

fn clone3_with(
    flags: u64,
    exit_signal: u64,
    cgroup: Option<BorrowedFd<'_>>,
) -> nix::Result<Cloned> {
    let mut pidfd: RawFd = -1;
    let mut arguments = CloneArgs {
        flags: flags | CLEAR_SIGHAND | pidfd_flag(),
        pidfd: (&raw mut pidfd).addr() as u64,
        exit_signal,
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

/// As [`clone3`], with the caller's own parent as the child's (CLONE_PARENT),
/// which gets the signal that the caller's end would have raised.
pub(crate) fn clone3_sibling(flags: u64, cgroup: Option<BorrowedFd<'_>>) -> nix::Result<Cloned> {
    let parent = u64::from(libc::CLONE_PARENT.unsigned_abs());
    // The kernel takes no signal beside this flag (EINVAL): the caller's counts.
    clone3_with(flags | parent, 0, cgroup)
}

/// [clone3(2)] with CLONE_VM and CLONE_VFORK: the child runs `child` in the
/// caller's memory, on a stack of its own, and the calling thread is held until
/// it has executed a program or ended. No page table is copied.
///
/// The same rules hold for `child` as after [`clone3`], and one more: what it
/// writes, the caller sees.
///
/// # Errors
/// ENOSYS also on machines that this is not written for.
///
/// [clone3(2)]: https://man7.org/linux/man-pages/man2/clone3.2.html
pub(crate) fn vfork_clone3<F: FnOnce() -> Never>(
    flags: u64,
    cgroup: Option<BorrowedFd<'_>>,
    stack: &Stack,
    child: F,
) -> nix::Result<Cloned> {
    let mut pidfd: RawFd = -1;
    let shared = u64::from((libc::CLONE_VM | libc::CLONE_VFORK).unsigned_abs());
    let mut arguments = CloneArgs {
        flags: flags | CLEAR_SIGHAND | pidfd_flag() | shared,
        pidfd: (&raw mut pidfd).addr() as u64,
        exit_signal: libc::SIGCHLD as u64,
        stack: stack.bottom() as u64,
        stack_size: Stack::SIZE as u64,
        ..CloneArgs::default()
    };
    if let Some(cgroup) = cgroup {
        arguments.flags |= INTO_CGROUP;
        arguments.cgroup = u64::from(cgroup.as_raw_fd().unsigned_abs());
    }
    let mut child = Some(child);
    let entry = enter::<F> as extern "C" fn(*mut Option<F>) -> !;
    // SAFETY: clone3 reads `arguments`, whose size is given, and writes the
    // pidfd to a live local. The child starts on `stack`, which nobody else
    // uses, and calls `entry` with a pointer to `child`; both outlive it,
    // because CLONE_VFORK holds this thread until the child has left.
    let result = unsafe { jump(&raw const arguments, entry, &raw mut child) };
    match result {
        error @ -4095..=-1 => Err(Errno::from_raw(
            i32::try_from(-error).unwrap_or(libc::EINVAL),
        )),
        pid => finish(pid, &raw const pidfd),
    }
}

/// What a child that never comes back returns.
pub(crate) type Never = std::convert::Infallible;

/// The first function on the child's stack.
extern "C" fn enter<F: FnOnce() -> Never>(child: *mut Option<F>) -> ! {
    // SAFETY: `vfork_clone3` passes a pointer to its live local, which its own
    // thread, being held, does not touch.
    let child = unsafe { child.as_mut() }.and_then(Option::take);
    match child.map(|child| child()) {
        Some(never) => match never {},
        None => super::exec::exit(1),
    }
}

/// The system call and, in the child, the call of `entry`: the child comes back
/// from the system call on an empty stack, where no compiled code can go on.
///
/// # Safety
/// `arguments` names a stack of the child's own; `entry` and `child` stay valid
/// until the child has left.
#[cfg(target_arch = "x86_64")]
unsafe fn jump<F>(
    arguments: *const CloneArgs,
    entry: extern "C" fn(*mut Option<F>) -> !,
    child: *mut Option<F>,
) -> libc::c_long {
    let result: libc::c_long;
    // SAFETY: the caller's. The parent goes on behind label 2 with all
    // registers but rax, rcx and r11 as they were; the child never gets there.
    unsafe {
        std::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, {child}",
            "call {entry}",
            "ud2",
            "2:",
            child = in(reg) child,
            entry = in(reg) entry,
            inlateout("rax") libc::SYS_clone3 => result,
            in("rdi") arguments,
            in("rsi") size_of::<CloneArgs>(),
            out("rcx") _,
            out("r11") _,
        );
    }
    result
}

/// As on x86-64.
///
/// # Safety
/// As on x86-64.
#[cfg(target_arch = "aarch64")]
unsafe fn jump<F>(
    arguments: *const CloneArgs,
    entry: extern "C" fn(*mut Option<F>) -> !,
    child: *mut Option<F>,
) -> libc::c_long {
    let result: libc::c_long;
    // SAFETY: the caller's. The kernel changes no register but x0.
    unsafe {
        std::arch::asm!(
            "svc #0",
            "cbnz x0, 2f",
            "mov x29, xzr",
            "mov x0, {child}",
            "blr {entry}",
            "udf #0",
            "2:",
            child = in(reg) child,
            entry = in(reg) entry,
            inlateout("x0") arguments => result,
            in("x1") size_of::<CloneArgs>(),
            in("x8") libc::SYS_clone3,
        );
    }
    result
}

/// Not written for this machine.
///
/// # Safety
/// None.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
unsafe fn jump<F>(
    _arguments: *const CloneArgs,
    _entry: extern "C" fn(*mut Option<F>) -> !,
    _child: *mut Option<F>,
) -> libc::c_long {
    -libc::c_long::from(libc::ENOSYS)
}

/// Memory for the stack of a child that shares its parent's.
#[derive(Debug)]
pub(crate) struct Stack {
    mapping: NonNull<libc::c_void>,
}

impl Stack {
    /// Enough for the deepest step, in bytes; only what is used is ever filled.
    const SIZE: usize = 256 << 10;
    /// A page that nothing may touch, below it.
    const GUARD: usize = 64 << 10;

    /// A fresh one ([mmap(2)]).
    ///
    /// [mmap(2)]: https://man7.org/linux/man-pages/man2/mmap.2.html
    pub(crate) fn new() -> nix::Result<Self> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new anonymous mapping at an address of the kernel's choice
        // touches no memory in use.
        let mapping = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                Self::SIZE + Self::GUARD,
                libc::PROT_READ | libc::PROT_WRITE,
                flags | libc::MAP_STACK,
                -1,
                0,
            )
        };
        if mapping == libc::MAP_FAILED {
            return Err(Errno::last());
        }
        let stack = Self {
            mapping: NonNull::new(mapping).ok_or(Errno::EFAULT)?,
        };
        // SAFETY: the range is the lowest part of the mapping just made.
        Errno::result(unsafe { libc::mprotect(mapping, Self::GUARD, libc::PROT_NONE) })?;
        Ok(stack)
    }

    fn bottom(&self) -> usize {
        self.mapping.addr().get() + Self::GUARD
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `new` with this size, and the child
        // that ran on it has left.
        unsafe { libc::munmap(self.mapping.as_ptr(), Self::SIZE + Self::GUARD) };
    }
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

/// [clone(2)] with CLONE_PARENT: the child's parent is the caller's own, which
/// reaps it. Gives nothing in the parent, which has no business with it.
///
/// [clone(2)]: https://man7.org/linux/man-pages/man2/clone.2.html
pub(crate) fn fork_sibling() -> nix::Result<libc::pid_t> {
    let flags = libc::CLONE_PARENT | libc::SIGCHLD;
    // SAFETY: without CLONE_VM the child has a copy of everything; all pointers
    // are null.
    let result =
        unsafe { libc::syscall(libc::SYS_clone, flags, 0_usize, 0_usize, 0_usize, 0_usize) };
    Errno::result(result).map(|pid| i32::try_from(pid).unwrap_or(i32::MAX))
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
