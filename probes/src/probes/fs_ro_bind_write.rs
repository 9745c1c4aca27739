//! Writes into a directory that is shown read-only inside.
//!
//! Writes, creates and removes, opens a read-only descriptor again for
//! writing, and, where the kernel says that the mount is read-only, takes that
//! flag off: by mount(2) with MS_REMOUNT and by mount_setattr(2).
//!
//! A read-only mount alone is not enough for a sandbox that has capabilities
//! over its mount namespace: it needs both, the flag and nobody who may take
//! it off. (A mount that comes from a less privileged mount namespace has the
//! flag locked, mount_namespaces(7).)

use std::fs::{self, File};
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::path::Path;

use nix::NixPath as _;
use nix::errno::Errno;
use nix::mount::{MsFlags, mount};

use crate::{Canary, Class, Context, Guard, Probe, Proof, Refusal, Stop, raw};

pub(crate) const PROBE: Probe = Probe {
    class: Class::Filesystem,
    canary: Canary::ReadOnlyTree,
    stops: &[Stop {
        guards: &[Guard::ReadOnly, Guard::Capabilities],
        refusal: Refusal::Errno(&[libc::EROFS, libc::EPERM]),
    }],
    needs: &[],
    proof: Proof::Write,
    claims: &[],
    refs: &["mount(2)", "mount_setattr(2)", "mount_namespaces(7)"],
    remedy: "bind it read-only and drop CAP_SYS_ADMIN, or nest a user namespace to lock the flag",
    attempt,
};

fn attempt(cx: &mut Context) {
    let Some(tree) = cx.path("tree") else {
        return;
    };
    if write(cx, &tree) != Err(Errno::EROFS) {
        return;
    }
    let by_mount = on_its_mount(&tree, |place| {
        let flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND;
        mount(None::<&str>, place, None::<&str>, flags, None::<&str>)
    });
    let by_mount = cx.attempt("mount MS_REMOUNT", by_mount);
    let by_attribute = on_its_mount(&tree, |place| {
        place.with_nix_path(raw::mount_writable).flatten()
    });
    let by_attribute = cx.attempt("mount_setattr", by_attribute);
    if by_mount.is_ok() || by_attribute.is_ok() {
        let _ = write(cx, &tree);
    }
}

/// Does it to the directory or the nearest one above that is a mount point:
/// EINVAL says that one is none.
fn on_its_mount(tree: &Path, change: impl Fn(&Path) -> nix::Result<()>) -> nix::Result<()> {
    tree.ancestors()
        .map(change)
        .find(|result| *result != Err(Errno::EINVAL))
        .unwrap_or(Err(Errno::EINVAL))
}

/// Every kind of change once; gives what became of the first.
fn write(cx: &Context, tree: &Path) -> nix::Result<()> {
    let file = tree.join("file");
    let nonce = cx.nonce().as_bytes();
    let written = cx.attempt_io("open O_WRONLY", write_to(&file, nonce));
    let _ = cx.attempt_io("open O_CREAT", fs::write(tree.join("made"), nonce));
    if let Ok(reader) = cx.step_io("open O_RDONLY", File::open(&file)) {
        let again = format!("/proc/self/fd/{}", reader.as_raw_fd());
        let _ = cx.attempt_io("open /proc/self/fd O_WRONLY", write_to(again.as_ref(), nonce));
    }
    let _ = cx.attempt_io("unlink", fs::remove_file(tree.join("spare")));
    written
}

fn write_to(path: &Path, nonce: &[u8]) -> std::io::Result<()> {
    File::options().write(true).open(path)?.write_all(nonce)
}
