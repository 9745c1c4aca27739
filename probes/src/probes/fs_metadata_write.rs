//! Changes mode, owner, times and attributes of a file outside the root.
//!
//! chmod, fchmodat2, chown to the owner that it has, utimensat and setxattr:
//! calls that need no open file for writing. Landlock does not know them, and
//! filters know an older set of them.
//!
//! A root of its own stops it, made by chroot(2) or by pivot_root(2).

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use nix::NixPath as _;
use nix::fcntl::AT_FDCWD;
use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{chown, getgid, getuid};

use crate::{Canary, Class, Context, Guard, Probe, Proof, Refusal, Stop, raw};

pub(crate) const PROBE: Probe = Probe {
    class: Class::Filesystem,
    canary: Canary::FileTree,
    stops: &[Stop {
        guards: &[Guard::Root],
        refusal: Refusal::Errno(&[libc::ENOENT]),
    }],
    needs: &[],
    proof: Proof::Write,
    claims: &[],
    refs: &["chmod(2)", "setxattr(2)", "landlock(7)"],
    remedy: "give the sandbox a root of its own that does not hold the file",
    attempt,
};

fn attempt(cx: &mut Context) {
    let Some(file) = cx.path("file") else {
        return;
    };
    let _ = cx.attempt_io("chmod", fs::set_permissions(&file, fs::Permissions::from_mode(0o640)));
    let _ = cx.attempt("fchmodat2", file.with_nix_path(|path| raw::fchmodat2(path, 0o604)).flatten());
    let _ = cx.attempt("chown", chown(&file, Some(getuid()), Some(getgid())));
    let _ = cx.attempt("utimensat", touch(&file));
    let nonce = cx.nonce().as_bytes();
    let marked = file.with_nix_path(|path| raw::set_attribute(path, c"user.escapology", nonce));
    let _ = cx.attempt("setxattr", marked.flatten());
}

/// Gives it the beginning of time.
fn touch(file: &Path) -> nix::Result<()> {
    let epoch = TimeSpec::new(1, 0);
    utimensat(AT_FDCWD, file, &epoch, &epoch, UtimensatFlags::FollowSymlink)
}
