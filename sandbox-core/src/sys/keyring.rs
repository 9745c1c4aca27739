//! Keyrings.
#![expect(unsafe_code, reason = "neither libc nor nix wraps keyctl")]

use nix::errno::Errno;

const KEYCTL_JOIN_SESSION_KEYRING: libc::c_int = 1;

/// [keyctl_join_session_keyring(3)] with no name: a fresh, anonymous one.
///
/// [keyctl_join_session_keyring(3)]: https://man7.org/linux/man-pages/man3/keyctl_join_session_keyring.3.html
pub(crate) fn join_session_keyring() -> nix::Result<()> {
    // SAFETY: a null name asks for an anonymous keyring; no other pointer.
    Errno::result(unsafe {
        libc::syscall(
            libc::SYS_keyctl,
            KEYCTL_JOIN_SESSION_KEYRING,
            0_usize,
            0,
            0,
            0,
        )
    })
    .map(drop)
}
