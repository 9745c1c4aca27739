//! The system calls that attempts need and `nix` lacks: this crate's only
//! unsafe code. One call, one safe function, one man-page link.
#![expect(
    unsafe_code,
    reason = "the only module of this crate that calls the kernel itself"
)]

mod files;
mod ipc;
mod process;

use std::os::fd::{BorrowedFd, FromRawFd as _, OwnedFd, RawFd};

use nix::errno::Errno;

pub(crate) use files::{
    arm_timer, close_from, fchmodat2, mount_writable, set_attribute, timer_interval,
};
pub(crate) use ipc::{attach_segment, find_segment, read_key, search_session_keyring};
pub(crate) use process::{
    allow_any_tracer, drop_capabilities, exit, fork, fork_sibling, own_nice, pidfd_getfd,
    pidfd_open, pidfd_send_signal, queue_signal, renice_own_group, set_owner, signal_thread,
};

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

/// Takes the descriptor that a system call has just returned.
fn owned(result: libc::c_long) -> nix::Result<OwnedFd> {
    let number = RawFd::try_from(Errno::result(result)?).map_err(|_| Errno::EBADF)?;
    // SAFETY: `from_raw_fd` requires a descriptor that nobody else owns. The
    // kernel has just opened it for the caller, who hands over the only copy.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}
