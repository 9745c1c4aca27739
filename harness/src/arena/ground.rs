//! What the arena is: a sandbox like any other.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nix::unistd::{getegid, geteuid};
use sandbox_core::{
    Access, Base, Capabilities, Descriptors, Enter, Guard, Host, IdRange, Ids, Keyring, Mount,
    Namespace, Root, Sandbox, Session, Spec, State, WorkingDirectory,
};

use super::Error;

/// Where the harness keeps its things inside the arena.
pub const HOME: &str = "/escapology";
/// The directory of the probe's program inside the arena.
pub const PROBE_DIRECTORY: &str = "/escapology/probe";
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
/// What lies in a directory that programs write to is shown where it is at
/// least as old as `youngest`: what is younger may be gone before it is mounted.
///
/// # Errors
/// Where the host's root cannot be read.
pub fn sandbox(host: &Host, youngest: Duration) -> Result<Sandbox, Error> {
    // Where the kernel has no keyrings there is none to keep apart either; the
    // probes that need one are unsupported there.
    let keyring = match host.lacks(Guard::Keyring) {
        None => Keyring::New,
        Some(_) => Keyring::Inherit,
    };
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
        ids: Some(ids()?),
        root: Some(Root {
            base: Base::Tmpfs { size: None },
            enter: Enter::PivotRoot,
            writable: false,
        }),
        mounts: mounts(youngest)?,
        hostname: Some("arena".into()),
        environment: None,
        descriptors: Descriptors::Close,
        capabilities: Capabilities::Keep,
        // A launcher under test may need what no_new_privs forbids.
        no_new_privs: false,
        session: Session::New,
        keyring,
        working_directory: WorkingDirectory::Path(working_directory()),
        ..Spec::default()
    };
    spec.build().map_err(|error| Error::Launch(error.into()))
}

/// The same ids inside as outside: all that root's own namespace has, or the
/// user's one. Probes, canaries and launchers then see the user they know.
fn ids() -> Result<Ids, Error> {
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    if !geteuid().is_root() {
        return Ok(Ids {
            uid,
            gid,
            uid_map: Vec::new(),
            gid_map: Vec::new(),
        });
    }
    Ok(Ids {
        uid,
        gid,
        uid_map: identity("/proc/self/uid_map")?,
        gid_map: identity("/proc/self/gid_map")?,
    })
}

/// Maps every id that exists here to itself.
fn identity(map: &str) -> Result<Vec<IdRange>, Error> {
    let text = std::fs::read_to_string(map)?;
    let range = |line: &str| {
        let mut numbers = line.split_whitespace().map(str::parse::<u32>);
        let (inside, _, count) = (
            numbers.next()?.ok()?,
            numbers.next()?,
            numbers.next()?.ok()?,
        );
        Some(IdRange {
            inside,
            outside: inside,
            count,
        })
    };
    Ok(text.lines().filter_map(range).collect())
}

fn working_directory() -> PathBuf {
    std::env::current_dir()
        .ok()
        .filter(|directory| directory.is_absolute())
        .unwrap_or_else(|| "/".into())
}

/// The host's tree, read-only, with places to write that vanish with the arena.
fn mounts(youngest: Duration) -> Result<Vec<Mount>, Error> {
    let mut mounts = Vec::new();
    for entry in std::fs::read_dir("/")? {
        let path = entry?.path();
        let ours = ["/proc", HOME]
            .iter()
            .chain(&SHADOWED)
            .any(|own| path == Path::new(own));
        if !ours {
            mounts.extend(show(&path));
        }
    }
    mounts.push(Mount::Proc {
        target: "/proc".into(),
    });
    for directory in SHADOWED {
        shadow(Path::new(directory), youngest, &mut mounts);
    }
    mounts.push(Mount::Tmpfs {
        target: HOME.into(),
        size: Some(512 << 20),
    });
    Ok(mounts)
}

/// One entry of the host's: a link as it is, a directory or file read-only.
fn show(path: &Path) -> Option<Mount> {
    let kind = path.symlink_metadata().ok()?.file_type();
    if kind.is_symlink() {
        return Some(Mount::Symlink {
            source: std::fs::read_link(path).ok()?,
            target: path.into(),
        });
    }
    (kind.is_dir() || kind.is_file()).then(|| Mount::Bind {
        source: path.into(),
        target: path.into(),
        access: Access::ReadOnly,
        optional: true,
    })
}

fn shadow(directory: &Path, youngest: Duration, mounts: &mut Vec<Mount>) {
    if !directory
        .symlink_metadata()
        .is_ok_and(|metadata| metadata.is_dir())
    {
        // A link, as /var/run is: what it points to is shadowed by itself.
        return;
    }
    mounts.push(Mount::Tmpfs {
        target: directory.into(),
        size: Some(256 << 20),
    });
    let Ok(entries) = std::fs::read_dir(directory) else {
        return;
    };
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    // What the user is working in, and what is newest, is likeliest to be wanted.
    let working = working_directory();
    let age = |path: &Path| {
        path.symlink_metadata()
            .map_or(i64::MAX, |metadata| -metadata.mtime())
    };
    paths.sort_by_cached_key(|path| (!working.starts_with(path), age(path)));
    let now = SystemTime::now();
    let is_settled = |path: &Path| {
        let changed = path.symlink_metadata().and_then(|it| it.modified());
        youngest.is_zero()
            || changed.is_ok_and(|then| now.duration_since(then).is_ok_and(|age| age >= youngest))
    };
    mounts.extend(
        paths
            .iter()
            .filter(|path| is_settled(path))
            .filter_map(|path| show(path))
            .take(ENTRIES_MAX),
    );
}

/// Why no arena can be made here, and what to change; nothing where one can.
pub fn obstacle(host: &Host) -> Option<String> {
    let needed = [
        "user namespace",
        "mount namespace",
        "root by pivot_root",
        "fresh proc",
        "network namespace",
    ];
    needed
        .into_iter()
        .find_map(|name| match &host.feature(name)?.state {
            State::Missing { reason, remedy } if remedy.is_empty() => {
                Some(format!("{name}: {reason}"))
            }
            State::Missing { reason, remedy } => Some(format!("{name}: {reason}; {remedy}")),
            State::Available { .. } => None,
        })
}
