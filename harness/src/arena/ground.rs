//! What the arena is: a sandbox like any other.

use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::{getegid, geteuid};
use procfs::process::Process;
use sandbox_core::{
    Access, Base, Capabilities, Descriptors, Enter, Host, IdRange, Ids, Keyring, Mount, Namespace, Root, Sandbox,
    Session, Spec, State, WorkingDirectory,
};

use super::Error;

/// Where the harness keeps its things inside the arena.
pub(super) const HOME: &str = "/escapology";
/// The probe's program inside the arena.
pub const PROBE_PROGRAM: &str = "/escapology/probe/escapology-probe";
/// An empty directory, for the sandbox `chroot`.
pub const JAIL: &str = "/escapology/jail";

/// Directories that programs write to: each is a tmpfs in the arena, in which
/// the host's entries are shown read-only.
const SHADOWED: [&str; 4] = ["/tmp", "/var/tmp", "/run", "/dev/shm"];
/// How many entries of such a directory are shown; every mount makes every
/// launch with a mount namespace a little slower.
const ENTRIES_MAX: usize = 64;

/// The arena for this user and host.
///
/// # Errors
/// Where the host's root cannot be read.
pub fn sandbox() -> Result<Sandbox, Error> {
    let spec = Spec {
        description: "the arena".into(),
        namespaces: [
            Namespace::User,
            Namespace::Pid,
            Namespace::Mount,
            Namespace::Net,
            Namespace::Ipc,
            Namespace::Uts,
        ]
        .into(),
        ids: Some(ids()),
        root: Some(Root { base: Base::Tmpfs { size: None }, enter: Enter::PivotRoot, writable: false }),
        mounts: mounts()?,
        hostname: Some("arena".into()),
        environment: None,
        descriptors: Descriptors::Close,
        capabilities: Capabilities::Keep,
        // A launcher under test may need what no_new_privs forbids.
        no_new_privs: false,
        session: Session::New,
        keyring: Keyring::New,
        working_directory: WorkingDirectory::Path(working_directory()),
        ..Spec::default()
    };
    spec.build().map_err(|error| Error::Launch(error.into()))
}

/// The same ids inside as outside: all that root's own namespace has, or the
/// user's one. Probes, canaries and launchers then see the user they know.
fn ids() -> Ids {
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    if !geteuid().is_root() {
        return Ids { uid, gid, uid_map: Vec::new(), gid_map: Vec::new() };
    }
    let identity = |map: Option<Vec<(u32, u32)>>, own: u32| match map {
        Some(ranges) if !ranges.is_empty() => {
            ranges.into_iter().map(|(inside, count)| IdRange { inside, outside: inside, count }).collect()
        }
        _ => vec![IdRange { inside: own, outside: own, count: 1 }],
    };
    let process = Process::myself().ok();
    let ranges = |entries: Vec<(u32, u32)>| entries;
    let uid_map = process.as_ref().and_then(|process| process.uid_map().ok()).map(|maps| {
        ranges(maps.into_iter().map(|map| (map.ns_start, map.range)).collect())
    });
    let gid_map = process.as_ref().and_then(|process| process.gid_map().ok()).map(|maps| {
        ranges(maps.into_iter().map(|map| (map.ns_start, map.range)).collect())
    });
    Ids { uid, gid, uid_map: identity(uid_map, uid), gid_map: identity(gid_map, gid) }
}

fn working_directory() -> PathBuf {
    std::env::current_dir().ok().filter(|directory| directory.is_absolute()).unwrap_or_else(|| "/".into())
}

/// The host's tree, read-only, with places to write that vanish with the arena.
fn mounts() -> Result<Vec<Mount>, Error> {
    let mut mounts = Vec::new();
    for entry in std::fs::read_dir("/")? {
        let path = entry?.path();
        if path == Path::new("/proc") || path == Path::new(HOME) || SHADOWED.iter().any(|shadowed| path == Path::new(shadowed)) {
            continue;
        }
        mounts.extend(show(&path));
    }
    mounts.push(Mount::Proc { target: "/proc".into() });
    for shadowed in SHADOWED {
        shadow(Path::new(shadowed), &mut mounts);
    }
    mounts.push(Mount::Tmpfs { target: HOME.into(), size: Some(512 << 20) });
    Ok(mounts)
}

/// One entry of the host's, as it is, or read-only.
fn show(path: &Path) -> Option<Mount> {
    let metadata = path.symlink_metadata().ok()?;
    if metadata.is_symlink() {
        return Some(Mount::Symlink { source: std::fs::read_link(path).ok()?, target: path.into() });
    }
    Some(Mount::Bind { source: path.into(), target: path.into(), access: Access::ReadOnly, optional: true })
}

fn shadow(directory: &Path, mounts: &mut Vec<Mount>) {
    let is_own = |path: &Path| path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir());
    if !is_own(directory) {
        // A link, as /var/run is: what it points to is shadowed by itself.
        return;
    }
    mounts.push(Mount::Tmpfs { target: directory.into(), size: Some(256 << 20) });
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    // What the user is working in, and has made last, is likeliest to be wanted.
    let working = working_directory();
    let age = |path: &PathBuf| path.symlink_metadata().map_or(i64::MAX, |metadata| -metadata.mtime());
    paths.sort_by_key(|path| (!working.starts_with(path), age(path)));
    paths.retain(|path| readable(path));
    mounts.extend(paths.iter().take(ENTRIES_MAX).filter_map(|path| show(path)));
}

/// Whether the user may look at it at all; a bind mount of what one may not
/// would only fail.
fn readable(path: &Path) -> bool {
    path.file_name() != Some(OsStr::new(""))
        && path
            .symlink_metadata()
            .is_ok_and(|metadata| metadata.is_symlink() || metadata.is_dir() || metadata.is_file())
}

/// The arena in a word, and why there is none where there is none.
pub fn describe(host: &Host) -> Result<String, String> {
    for name in ["user namespace", "root by pivot_root", "fresh proc", "network namespace"] {
        if let Some(State::Missing { reason, remedy }) = host.feature(name).map(|feature| feature.state.clone()) {
            let remedy = if remedy.is_empty() { String::new() } else { format!("; {remedy}") };
            return Err(format!("{name}: {reason}{remedy}"));
        }
    }
    Ok("user, pid, mount, net, ipc and uts namespaces of its own".into())
}
