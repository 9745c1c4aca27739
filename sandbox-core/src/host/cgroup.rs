//! Which cgroup hierarchies there are, and where a sandbox's may be made.

use std::path::{Path, PathBuf};

use procfs::process::{MountInfo, Process};

/// The cgroup hierarchies that are mounted (cgroups(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CgroupMode {
    /// Version 2 alone.
    Unified,
    /// Version 1 with controllers, and version 2 beside it.
    Hybrid,
    /// Version 1 alone.
    Legacy,
    /// None.
    None,
}

impl std::fmt::Display for CgroupMode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Unified => "version 2",
            Self::Hybrid => "hybrid: version 1, and version 2 beside it",
            Self::Legacy => "version 1",
            Self::None => "not mounted",
        })
    }
}

fn mounts() -> Vec<MountInfo> {
    Process::myself()
        .and_then(|process| process.mountinfo())
        .map(|infos| infos.into_iter().collect())
        .unwrap_or_default()
}

pub(super) fn mode() -> CgroupMode {
    let mounts = mounts();
    let has = |kind: &str| mounts.iter().any(|info| info.fs_type == kind);
    match (has("cgroup2"), has("cgroup")) {
        (true, false) => CgroupMode::Unified,
        (true, true) => CgroupMode::Hybrid,
        (false, true) => CgroupMode::Legacy,
        (false, false) => CgroupMode::None,
    }
}

/// The caller's own version 2 cgroup, if directories may be made in it.
pub(super) fn delegated() -> Result<PathBuf, String> {
    let mounts = mounts();
    let Some(mount) = mounts.iter().find(|info| info.fs_type == "cgroup2") else {
        return Err("no cgroup v2 hierarchy is mounted".into());
    };
    let own = Process::myself()
        .and_then(|process| process.cgroups())
        .ok()
        .and_then(|cgroups| cgroups.into_iter().find(|cgroup| cgroup.hierarchy == 0))
        .map(|cgroup| cgroup.pathname)
        .ok_or_else(|| "this process is in no cgroup v2".to_owned())?;
    let root = Path::new(&mount.root);
    let below = Path::new(&own)
        .strip_prefix(root)
        .unwrap_or(Path::new(""))
        .to_owned();
    let path = mount.mount_point.join(below);
    let writable = nix::unistd::access(&path, nix::unistd::AccessFlags::W_OK);
    writable
        .map(|()| path.clone())
        .map_err(|errno| format!("{} is not delegated to this user: {errno}", path.display()))
}
