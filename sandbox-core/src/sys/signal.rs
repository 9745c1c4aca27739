//! Signal masks and dispositions.
#![expect(
    unsafe_code,
    reason = "nix's sigaction is unsafe to call, and knows no real-time signals"
)]

use nix::errno::Errno;

/// The highest signal number of Linux, real-time signals included.
pub(crate) const LAST: i32 = 64;

/// The kernel's `struct sigaction` with a 64-bit mask: SIG_DFL, no flags.
#[repr(C)]
#[derive(Default)]
struct KernelAction {
    handler: usize,
    flags: libc::c_ulong,
    restorer: usize,
    mask: u64,
}

/// Gives a signal its default disposition ([rt_sigaction(2)]), by the raw call:
/// the C library keeps two real-time signals to itself.
///
/// [rt_sigaction(2)]: https://man7.org/linux/man-pages/man2/sigaction.2.html
pub(crate) fn reset(signal: i32) -> nix::Result<()> {
    let action = KernelAction::default();
    // SAFETY: an all-zero action is SIG_DFL with no flags; the mask is the
    // eight bytes that the size argument says.
    let result = unsafe {
        libc::syscall(
            libc::SYS_rt_sigaction,
            signal,
            &raw const action,
            0_usize,
            size_of::<u64>(),
        )
    };
    Errno::result(result).map(drop)
}

/// Sets the calling thread's mask ([rt_sigprocmask(2)]) and gives the old one;
/// bit n-1 is signal n. By the raw call, for the same reason as [`reset`].
///
/// [rt_sigprocmask(2)]: https://man7.org/linux/man-pages/man2/sigprocmask.2.html
pub(crate) fn set_mask(mask: u64) -> nix::Result<u64> {
    let mut old = 0_u64;
    // SAFETY: both sets are the eight bytes that the size argument says.
    let result = unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const mask,
            &raw mut old,
            size_of::<u64>(),
        )
    };
    Errno::result(result).map(|_| old)
}
