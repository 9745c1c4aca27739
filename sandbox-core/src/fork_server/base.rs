//! The base of a pre-pivoted server: made once.

use std::path::Path;

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::Mode;
use nix::unistd::{chdir, getegid, geteuid, mkdir, pivot_root};

use super::OUTSIDE;
use crate::error::{Error, Result};
use crate::plan::anchor;
use crate::stage::Stage;

/// Makes a user namespace, in which the ids are what they were, and a mount
/// namespace, and pivots onto an empty, read-only file system with the host's
/// tree below it.
pub(super) fn pivot() -> Result<()> {
    let (uid, gid) = (geteuid(), getegid());
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS)
        .map_err(failed(Stage::Clone, "the fork server's namespaces"))?;
    // setgroups first: without it the kernel refuses an unprivileged gid map.
    for (path, map) in [
        ("/proc/self/setgroups", "deny".to_owned()),
        ("/proc/self/uid_map", format!("{uid} {uid} 1\n")),
        ("/proc/self/gid_map", format!("{gid} {gid} 1\n")),
    ] {
        std::fs::write(path, map).map_err(|error| {
            let errno = Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO));
            failed(Stage::IdMap, path)(errno)
        })?;
    }
    let anchor = anchor()?;
    make(&anchor).map_err(failed(Stage::Root, "the fork server's base"))
}

fn make(anchor: &Path) -> nix::Result<()> {
    const NONE: Option<&str> = None;
    let kept = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_SLAVE, NONE)?;
    mount(
        Some("tmpfs"),
        anchor,
        Some("tmpfs"),
        kept,
        Some("mode=0755,size=64k"),
    )?;
    let outside = OUTSIDE.to_str().unwrap_or_default().trim_start_matches('/');
    chdir(anchor)?;
    mkdir(outside, Mode::from_bits_truncate(0o755))?;
    pivot_root(".", outside)?;
    chdir("/")?;
    let read_only = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY;
    mount(NONE, "/", NONE, read_only | kept, NONE)
}

fn failed(stage: Stage, subject: &str) -> impl Fn(Errno) -> Error {
    move |errno| Error::Launch {
        stage,
        subject: Some(subject.to_owned()),
        errno,
    }
}
