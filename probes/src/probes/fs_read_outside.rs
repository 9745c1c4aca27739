//! Reads a file outside the root by its absolute path.
//!
//! Tries open(2), openat2(2) and readlink(2) on a file that only its owner may
//! read. A root of its own has no name for it.

use nix::errno::Errno;

use crate::{Canary, Class, Context, Guard, Probe, Proof, Refusal, Stop};

pub(crate) const PROBE: Probe = Probe {
    class: Class::Filesystem,
    canary: Canary::FileTree,
    stops: &[Stop { guards: &[Guard::Root], refusal: Refusal::Errno(&[libc::ENOENT]) }],
    needs: &[],
    proof: Proof::Read,
    claims: &[],
    refs: &["open(2)", "path_resolution(7)"],
    remedy: "give the sandbox a root of its own that does not hold the file",
    attempt,
};

fn attempt(cx: &mut Context) {
    let Some(secret) = cx.path("secret") else { return };
    let read: Result<Vec<u8>, Errno> = cx.attempt_io("open", std::fs::read(&secret));
    if let Ok(bytes) = read {
        cx.secret(&bytes);
    }
}
