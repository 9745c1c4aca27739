//! The system calls that attempts need and `nix` lacks: this crate's only
//! unsafe code. One call, one safe function, one man-page link.
#![expect(
    unsafe_code,
    reason = "the only module of this crate that calls the kernel itself"
)]

use std::os::fd::{BorrowedFd, RawFd};

/// The descriptor with this number, if one is open ([fcntl(2)] F_GETFD).
///
/// [fcntl(2)]: https://man7.org/linux/man-pages/man2/fcntl.2.html
pub(crate) fn open_descriptor(number: RawFd) -> Option<BorrowedFd<'static>> {
    // SAFETY: F_GETFD takes no pointer and changes nothing; a number that is
    // not open gives EBADF.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
    if number < 0 || flags < 0 {
        return None;
    }
    // SAFETY: `borrow_raw` requires a descriptor that stays open for the
    // borrow's life. It is open (checked above), and this single-threaded
    // program never closes a descriptor that it did not open itself.
    Some(unsafe { BorrowedFd::borrow_raw(number) })
}
