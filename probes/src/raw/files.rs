//! Files, mounts and the kinds of descriptor that are no files.

use std::ffi::CStr;
use std::os::fd::{AsRawFd as _, BorrowedFd};

use nix::errno::Errno;

/// [setxattr(2)].
///
/// [setxattr(2)]: https://man7.org/linux/man-pages/man2/setxattr.2.html
pub(crate) fn set_attribute(path: &CStr, name: &CStr, value: &[u8]) -> nix::Result<()> {
    // SAFETY: both strings are NUL-terminated `CStr`s, and the kernel reads
    // `value.len()` bytes of the value.
    let result = unsafe {
        libc::setxattr(
            path.as_ptr(),
            name.as_ptr(),
            value.as_ptr().cast(),
            value.len(),
            0,
        )
    };
    Errno::result(result).map(drop)
}

/// [fchmodat2(2)], which old kernels and old filters do not know.
///
/// [fchmodat2(2)]: https://man7.org/linux/man-pages/man2/fchmodat.2.html
pub(crate) fn fchmodat2(path: &CStr, mode: libc::mode_t) -> nix::Result<()> {
    // SAFETY: the path is a NUL-terminated `CStr`; the rest are numbers.
    let result =
        unsafe { libc::syscall(libc::SYS_fchmodat2, libc::AT_FDCWD, path.as_ptr(), mode, 0) };
    Errno::result(result).map(drop)
}

/// Takes the read-only flag off a mount ([mount_setattr(2)]).
///
/// [mount_setattr(2)]: https://man7.org/linux/man-pages/man2/mount_setattr.2.html
pub(crate) fn mount_writable(path: &CStr) -> nix::Result<()> {
    let attributes = libc::mount_attr {
        attr_set: 0,
        attr_clr: libc::MOUNT_ATTR_RDONLY,
        propagation: 0,
        userns_fd: 0,
    };
    // SAFETY: the path is a NUL-terminated `CStr`, and the kernel reads as
    // many bytes of the struct as its size says.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            path.as_ptr(),
            0,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    Errno::result(result).map(drop)
}

/// Closes every descriptor from this number on ([close_range(2)]). Only for a
/// program that holds none of them yet.
///
/// [close_range(2)]: https://man7.org/linux/man-pages/man2/close_range.2.html
pub(crate) fn close_from(first: libc::c_uint) -> nix::Result<()> {
    // SAFETY: close_range takes three numbers. It takes descriptors away from
    // whoever owns them: the canary process calls it before it opens any.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, 0) };
    Errno::result(result).map(drop)
}

/// The interval of a timer, in nanoseconds below a second ([timerfd_gettime(2)]).
///
/// [timerfd_gettime(2)]: https://man7.org/linux/man-pages/man2/timerfd_create.2.html
pub(crate) fn timer_interval(timer: BorrowedFd<'_>) -> nix::Result<i64> {
    let mut setting = timer_setting(0);
    // SAFETY: the kernel fills in one `itimerspec`.
    let result = unsafe { libc::timerfd_gettime(timer.as_raw_fd(), &raw mut setting) };
    Errno::result(result).map(|_| setting.it_interval.tv_nsec)
}

/// Sets a timer to an interval of so many nanoseconds and a far first end
/// ([timerfd_settime(2)]).
///
/// [timerfd_settime(2)]: https://man7.org/linux/man-pages/man2/timerfd_create.2.html
pub(crate) fn arm_timer(timer: BorrowedFd<'_>, interval_nanoseconds: i64) -> nix::Result<()> {
    let setting = timer_setting(interval_nanoseconds);
    let no_old_setting = std::ptr::null_mut();
    // SAFETY: the kernel reads one `itimerspec`; null means that the old
    // setting is not wanted.
    let result =
        unsafe { libc::timerfd_settime(timer.as_raw_fd(), 0, &raw const setting, no_old_setting) };
    Errno::result(result).map(drop)
}

fn timer_setting(interval_nanoseconds: i64) -> libc::itimerspec {
    libc::itimerspec {
        it_interval: libc::timespec {
            tv_sec: 0,
            tv_nsec: interval_nanoseconds,
        },
        it_value: libc::timespec {
            tv_sec: 1_000_000,
            tv_nsec: 0,
        },
    }
}
