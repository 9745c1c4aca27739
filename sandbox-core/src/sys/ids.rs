//! User and group ids, by the raw calls.
//!
//! The C library's wrappers set the ids of *all* threads (nptl(7)): in the
//! child of a process with threads they wait for threads that it does not have.
#![expect(
    unsafe_code,
    reason = "the C library's wrappers, and so nix's, must not be called in the child"
)]

use nix::errno::Errno;

/// [setgroups(2)] to none.
///
/// [setgroups(2)]: https://man7.org/linux/man-pages/man2/setgroups.2.html
pub(crate) fn clear_groups() -> nix::Result<()> {
    // SAFETY: a size of 0 reads nothing through the pointer.
    Errno::result(unsafe { libc::syscall(libc::SYS_setgroups, 0, 0_usize) }).map(drop)
}

/// [setresgid(2)] with the same id three times.
///
/// [setresgid(2)]: https://man7.org/linux/man-pages/man2/setresuid.2.html
pub(crate) fn set_group(gid: u32) -> nix::Result<()> {
    // SAFETY: takes no pointer.
    Errno::result(unsafe { libc::syscall(libc::SYS_setresgid, gid, gid, gid) }).map(drop)
}

/// [setresuid(2)] with the same id three times.
///
/// [setresuid(2)]: https://man7.org/linux/man-pages/man2/setresuid.2.html
pub(crate) fn set_user(uid: u32) -> nix::Result<()> {
    // SAFETY: takes no pointer.
    Errno::result(unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) }).map(drop)
}
