//! Reads a file outside the root by its absolute path.
//!
//! Tries open(2), openat2(2), a path through `/proc/self/root`, and
//! readlink(2) on a link whose target is the secret. The file belongs to the
//! probe's own user and only that user may read it, so permissions do not
//! help: only a root that has no name for it does.
//!
//! A root of its own stops it, made by chroot(2) or by pivot_root(2).

use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, openat2};

use crate::{Canary, Class, Context, Guard, Probe, Proof, Refusal, Stop};

pub(crate) const PROBE: Probe = Probe {
    class: Class::Filesystem,
    canary: Canary::FileTree,
    stops: &[Stop {
        guards: &[Guard::Root],
        refusal: Refusal::Errno(&[libc::ENOENT]),
    }],
    needs: &[],
    proof: Proof::Read,
    claims: &["S6"],
    refs: &["open(2)", "openat2(2)", "path_resolution(7)"],
    remedy: "give the sandbox a root of its own that does not hold the file",
    attempt,
};

fn attempt(cx: &mut Context) {
    let (Some(secret), Some(tree)) = (cx.path("secret"), cx.path("tree")) else {
        return;
    };
    if let Ok(bytes) = cx.attempt_io("open", std::fs::read(&secret)) {
        cx.secret(&bytes);
    }
    if let Ok(bytes) = cx.attempt("openat2", read_by_openat2(&secret)) {
        cx.secret(&bytes);
    }
    let through_proc = format!("/proc/self/root{}", secret.display());
    if let Ok(bytes) = cx.attempt_io("open /proc/self/root", std::fs::read(through_proc)) {
        cx.secret(&bytes);
    }
    if let Ok(target) = cx.attempt_io("readlink", std::fs::read_link(tree.join("link"))) {
        cx.secret(target.as_os_str().as_bytes());
    }
}

fn read_by_openat2(path: &Path) -> nix::Result<Vec<u8>> {
    let how = OpenHow::new().flags(OFlag::O_RDONLY | OFlag::O_CLOEXEC);
    let mut bytes = Vec::new();
    std::fs::File::from(openat2(AT_FDCWD, path, how)?)
        .read_to_end(&mut bytes)
        .map_err(|error| nix::errno::Errno::from_raw(error.raw_os_error().unwrap_or(0)))?;
    Ok(bytes)
}
