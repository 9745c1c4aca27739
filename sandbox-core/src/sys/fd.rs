//! Descriptors by number, in the child.
#![expect(unsafe_code, reason = "the child arranges descriptors by number")]

use std::os::fd::{BorrowedFd, RawFd};

use nix::errno::Errno;

/// [close_range(2)] (since 5.9): closes all numbers from `first` to `last`.
///
/// [close_range(2)]: https://man7.org/linux/man-pages/man2/close_range.2.html
pub(crate) fn close_range(first: u32, last: u32) -> nix::Result<()> {
    if first > last {
        return Ok(());
    }
    // SAFETY: takes no pointer. It is called in the child only, where no owner
    // of a descriptor is ever dropped, so none is closed behind its owner.
    Errno::result(unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) }).map(drop)
}

/// Closes all numbers from `first` on but these, which ascend.
pub(crate) fn close_all_but(
    mut first: RawFd,
    kept: impl Iterator<Item = RawFd>,
) -> nix::Result<()> {
    for kept in kept {
        if kept > first {
            close_range(first.unsigned_abs(), (kept - 1).unsigned_abs())?;
        }
        first = first.max(kept.saturating_add(1));
    }
    close_range(first.unsigned_abs(), u32::MAX)
}

/// [fcntl(2)] F_DUPFD_CLOEXEC: a copy with a number of at least `floor`.
///
/// [fcntl(2)]: https://man7.org/linux/man-pages/man2/fcntl.2.html
pub(crate) fn duplicate_above(fd: RawFd, floor: RawFd) -> nix::Result<RawFd> {
    // SAFETY: takes no pointer; a number that is not open gives EBADF.
    Errno::result(unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, floor) })
}

/// [dup3(2)] without flags: the copy stays open across exec.
///
/// [dup3(2)]: https://man7.org/linux/man-pages/man2/dup.2.html
pub(crate) fn duplicate_to(fd: RawFd, number: RawFd) -> nix::Result<()> {
    // SAFETY: takes no pointer. It is called in the child only; see close_range.
    Errno::result(unsafe { libc::dup3(fd, number, 0) }).map(drop)
}

/// A descriptor of the child's by number.
///
/// The child holds copies of the parent's descriptors, whose owners live in a
/// memory that it never returns to; it opens and closes by number.
pub(crate) fn borrow<'a>(fd: RawFd) -> Option<BorrowedFd<'a>> {
    if fd < 0 {
        return None;
    }
    // SAFETY: `borrow_raw` requires an open descriptor other than -1. Callers
    // are the child's steps, with numbers that the plan or an earlier step of
    // the same child opened; a number closed since gives EBADF.
    Some(unsafe { BorrowedFd::borrow_raw(fd) })
}
