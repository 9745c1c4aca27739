//! Reads a file relative to a working directory that was left outside the root.
//!
//! chroot(2) and pivot_root(2) by themselves leave the working directory of a
//! process where it was: outside. Every relative path still starts there, and
//! `..` goes up from there. The kernel shows it as `(unreachable)` in
//! getcwd(2). CVE-2024-21626 is this, with a directory that was leaked.
//!
//! A chdir(2) into the new root after it was entered stops it.

use std::fs;

use crate::{Canary, Class, Context, Guard, Probe, Proof, Refusal, Stop};

pub(crate) const PROBE: Probe = Probe {
    class: Class::Filesystem,
    canary: Canary::WorkingDirectory,
    stops: &[Stop {
        guards: &[Guard::WorkingDirectory],
        refusal: Refusal::Errno(&[libc::ENOENT]),
    }],
    needs: &[],
    proof: Proof::Read,
    claims: &["S2"],
    refs: &["CVE-2024-21626", "getcwd(2)", "chroot(2)"],
    remedy: "call chdir(\"/\") after the root was entered",
    attempt,
};

fn attempt(cx: &mut Context) {
    for (call, path) in [
        ("open ../secret", "../secret"),
        ("open /proc/self/cwd/../secret", "/proc/self/cwd/../secret"),
    ] {
        if let Ok(bytes) = cx.attempt_io(call, fs::read(path)) {
            cx.secret(&bytes);
        }
    }
}
