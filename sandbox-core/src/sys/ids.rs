//! User and group ids, of the calling thread alone.
//!
//! The C library's wrappers change the ids of all threads: they take the lock of
//! its list of threads and signal each. In a child of a process with threads
//! that list is a stale copy, and the lock may be held for ever.
#![expect(
    unsafe_code,
    reason = "the C library's wrappers take a lock and signal threads"
)]

use nix::errno::Errno;

/// Empties the supplementary groups ([setgroups(2)]).
///
/// [setgroups(2)]: https://man7.org/linux/man-pages/man2/setgroups.2.html
pub(crate) fn clear_groups() -> nix::Result<()> {
    // SAFETY: with a count of 0 the list is not read.
    Errno::result(unsafe { libc::syscall(libc::SYS_setgroups, 0_usize, 0_usize) }).map(drop)
}

/// Sets real, effective and saved group id ([setresgid(2)]).
///
/// [setresgid(2)]: https://man7.org/linux/man-pages/man2/setresgid.2.html
pub(crate) fn set_group(gid: u32) -> nix::Result<()> {
    // SAFETY: takes no pointer.
    Errno::result(unsafe { libc::syscall(libc::SYS_setresgid, gid, gid, gid) }).map(drop)
}

/// Sets real, effective and saved user id ([setresuid(2)]).
///
/// [setresuid(2)]: https://man7.org/linux/man-pages/man2/setresuid.2.html
pub(crate) fn set_user(uid: u32) -> nix::Result<()> {
    // SAFETY: takes no pointer.
    Errno::result(unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) }).map(drop)
}
