//! Reads a key from the launcher's session keyring.
//!
//! A process keeps its parent's session keyring through clone, execve and
//! every kind of namespace; Kerberos tickets, disk keys and tokens lie there.
//! Finds the key by its description (KEYCTL_SEARCH) and reads it.
//!
//! No namespace and no Landlock rule stops it: only a fresh session keyring
//! (KEYCTL_JOIN_SESSION_KEYRING), or a filter on keyctl(2).

use std::ffi::CString;

use nix::errno::Errno;

use crate::{Canary, Class, Context, Guard, Need, Probe, Proof, Refusal, Stop, raw};

pub(crate) const PROBE: Probe = Probe {
    class: Class::Keyring,
    canary: Canary::SessionKey,
    stops: &[Stop {
        guards: &[Guard::Keyring],
        refusal: Refusal::Errno(&[libc::ENOKEY]),
    }],
    needs: &[Need::Keys],
    proof: Proof::Read,
    claims: &[],
    refs: &["session-keyring(7)", "keyctl(2)", "keyctl_join_session_keyring(3)"],
    remedy: "join a fresh session keyring before the program is executed",
    attempt,
};

fn attempt(cx: &mut Context) {
    let Some(description) = cx.value("description") else {
        return;
    };
    let found = CString::new(description)
        .map_err(|_| Errno::EINVAL)
        .and_then(|description| raw::search_session_keyring(&description));
    if let Ok(serial) = cx.attempt("keyctl KEYCTL_SEARCH", found)
        && let Ok(payload) = cx.attempt("keyctl KEYCTL_READ", raw::read_key(serial))
    {
        cx.secret(&payload);
    }
}
