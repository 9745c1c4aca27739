//! The contradictions that a description can have, found before any system call.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use super::{Base, Enter, Init, Mount, Namespace, Spec, Strategy, WorkingDirectory};

/// Why a description makes no sandbox.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// A part needs a namespace that is not asked for.
    #[error("{what} needs the {namespace:?} namespace: add {} to namespaces", .namespace.name())]
    NeedsNamespace {
        /// The part.
        what: String,
        /// The namespace.
        namespace: Namespace,
    },
    /// A path that must be absolute is not, or goes upwards.
    #[error("{what} must be an absolute path without \"..\", not {path:?}")]
    Path {
        /// What the path is for.
        what: &'static str,
        /// The path.
        path: PathBuf,
    },
    /// A text holds a NUL byte, or `=` where a name is meant.
    #[error("{what} {text:?} holds a byte that cannot be passed to the kernel")]
    Text {
        /// What the text is for.
        what: &'static str,
        /// The text.
        text: String,
    },
    /// Two mounts have the same target.
    #[error("two mounts have the same target {0:?}")]
    SameTarget(PathBuf),
    /// The host name is empty or longer than the kernel takes.
    #[error("the host name {0:?} must have 1 to 64 bytes")]
    Hostname(String),
    /// A map of ids that the kernel would refuse.
    #[error("the {which} map is not usable: {why}")]
    IdMap {
        /// `uid` or `gid`.
        which: &'static str,
        /// Why not.
        why: String,
    },
    /// A pool of user ids that cannot be used.
    #[error("the uid pool is not usable: {0}")]
    UidPool(&'static str),
    /// A part that a launch strategy cannot do.
    #[error("the strategy {strategy} cannot do {what}: {why}")]
    Strategy {
        /// The strategy.
        strategy: &'static str,
        /// The part.
        what: &'static str,
        /// Why not.
        why: &'static str,
    },
    /// A keeper where a pid namespace does its work.
    #[error(
        "a keeper is for a sandbox without a pid namespace, whose pid 1 does its work: leave one of them out"
    )]
    KeeperInPidNamespace,
    /// A limit or deadline of nothing.
    #[error("a deadline of zero kills the sandbox at once: leave it out for none")]
    ZeroDeadline,
}

impl Namespace {
    /// As in TOML.
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "\"user\"",
            Self::Pid => "\"pid\"",
            Self::Mount => "\"mount\"",
            Self::Net => "\"net\"",
            Self::Ipc => "\"ipc\"",
            Self::Uts => "\"uts\"",
            Self::Cgroup => "\"cgroup\"",
            Self::Time => "\"time\"",
        }
    }
}

pub(super) fn check(spec: &Spec) -> Result<(), PolicyError> {
    check_strategy(spec)?;
    if spec.has(Namespace::Pid) && spec.init.is_keeper() {
        return Err(PolicyError::KeeperInPidNamespace);
    }
    check_root(spec)?;
    check_mounts(spec)?;
    check_ids(spec)?;
    check_pool(spec)?;
    if let Some(name) = &spec.hostname {
        need(spec, Namespace::Uts, || "a host name".to_owned())?;
        if name.is_empty() || name.len() > 64 {
            return Err(PolicyError::Hostname(name.clone()));
        }
        text("host name", name)?;
    }
    if spec.time.is_some() {
        need(spec, Namespace::Time, || "a clock offset".to_owned())?;
    }
    if let WorkingDirectory::Path(path) = &spec.working_directory {
        absolute("the working directory", path)?;
    }
    if let Some(environment) = &spec.environment {
        for (name, value) in &environment.set {
            text("environment value", value)?;
            variable(name)?;
        }
        environment
            .allow
            .iter()
            .try_for_each(|name| variable(name))?;
    }
    if let Some(cgroup) = &spec.cgroup {
        absolute("the cgroup's parent", &cgroup.parent)?;
    }
    if spec.deadline.is_some_and(|deadline| deadline.is_zero()) {
        return Err(PolicyError::ZeroDeadline);
    }
    Ok(())
}

fn check_pool(spec: &Spec) -> Result<(), PolicyError> {
    let Some(pool) = spec.uid_pool else {
        return Ok(());
    };
    let why = if spec.has(Namespace::User) {
        "its ids are the launcher's, and a user namespace has its own: leave one of the two out"
    } else if spec.ids.is_some() {
        "it chooses the id, and so does `ids`: leave one of the two out"
    } else if pool.first == 0 || pool.count == 0 {
        "it must hold at least one id, and not 0"
    } else if pool.first.checked_add(pool.count).is_none() {
        "it goes beyond 4294967295"
    } else {
        return Ok(());
    };
    Err(PolicyError::UidPool(why))
}

fn check_strategy(spec: &Spec) -> Result<(), PolicyError> {
    if spec.strategy == Strategy::ForkServer && spec.init.is_keeper() {
        return Err(PolicyError::Strategy {
            strategy: "fork-server",
            what: "a keeper",
            why: "it would be the server's child, and its end the server's to tell",
        });
    }
    if spec.strategy != Strategy::VforkClone {
        return Ok(());
    }
    let refuse = |what, why| {
        Err(PolicyError::Strategy {
            strategy: "vfork-clone",
            what,
            why,
        })
    };
    let ranges = spec.ids.as_ref().is_some_and(|ids| !ids.uid_map.is_empty());
    if ranges {
        return refuse(
            "ranges of ids",
            "the launcher, which would write them, is held until the program runs",
        );
    }
    if (spec.ids.is_some() || spec.uid_pool.is_some()) && !spec.has(Namespace::User) {
        return refuse(
            "ids without a user namespace",
            "the launcher, whose memory it shares, would become undumpable",
        );
    }
    if spec.has(Namespace::Pid) && spec.init == Init::Minimal {
        return refuse(
            "a minimal pid 1",
            "it never executes anything, and would hold the launcher for ever: set init = \"program\"",
        );
    }
    if spec.init.is_keeper() {
        return refuse(
            "a keeper",
            "it never executes anything, and would hold the launcher for ever: set init = \"program\"",
        );
    }
    if spec.time.is_some() {
        return refuse(
            "clock offsets",
            "the kernel lets nobody enter a time namespace who shares memory (EUSERS)",
        );
    }
    Ok(())
}

fn check_root(spec: &Spec) -> Result<(), PolicyError> {
    let Some(root) = &spec.root else {
        return Ok(());
    };
    if let Base::Directory(path) = &root.base {
        absolute("the root directory", path)?;
    }
    if matches!(root.base, Base::Tmpfs { .. }) {
        need(spec, Namespace::Mount, || "a tmpfs root".to_owned())?;
    }
    if root.enter == Enter::PivotRoot {
        need(spec, Namespace::Mount, || {
            "entering the root by pivot_root".to_owned()
        })?;
    }
    Ok(())
}

fn check_mounts(spec: &Spec) -> Result<(), PolicyError> {
    let mut targets: Vec<&Path> = Vec::new();
    for mount in &spec.mounts {
        need(spec, Namespace::Mount, || {
            format!("mounting {}", mount.target().display())
        })?;
        absolute("a mount's target", mount.target())?;
        if let Mount::Bind { source, .. } = mount {
            absolute("a bind mount's source", source)?;
        }
        if let Mount::Symlink { source, .. } = mount {
            bytes("a link's source", source.as_os_str())?;
        }
        if matches!(mount, Mount::Proc { .. }) {
            need(spec, Namespace::Pid, || "a fresh proc".to_owned())?;
        }
        if targets.contains(&mount.target()) {
            return Err(PolicyError::SameTarget(mount.target().to_owned()));
        }
        targets.push(mount.target());
    }
    Ok(())
}

fn check_ids(spec: &Spec) -> Result<(), PolicyError> {
    let Some(ids) = &spec.ids else { return Ok(()) };
    for (which, id, map) in [
        ("uid", ids.uid, &ids.uid_map),
        ("gid", ids.gid, &ids.gid_map),
    ] {
        let wrong = |why: &str| {
            Err(PolicyError::IdMap {
                which,
                why: why.to_owned(),
            })
        };
        if id == u32::MAX {
            return wrong("4294967295 is no id");
        }
        if map.is_empty() {
            continue;
        }
        need(spec, Namespace::User, || format!("a {which} map"))?;
        if map.len() > 340 {
            return wrong("the kernel takes at most 340 lines");
        }
        let end = |first: u32, count: u32| u64::from(first) + u64::from(count);
        if map.iter().any(|range| {
            range.count == 0
                || end(range.inside, range.count).max(end(range.outside, range.count))
                    > u64::from(u32::MAX)
        }) {
            return wrong("a range is empty or goes beyond 4294967295");
        }
        let overlap = |first: fn(&super::IdRange) -> u32| {
            map.iter().enumerate().any(|(index, a)| {
                map[index + 1..].iter().any(|b| {
                    u64::from(first(a)) < end(first(b), b.count)
                        && u64::from(first(b)) < end(first(a), a.count)
                })
            })
        };
        if overlap(|range| range.inside) || overlap(|range| range.outside) {
            return wrong("two ranges overlap");
        }
        if !map
            .iter()
            .any(|range| id >= range.inside && u64::from(id) < end(range.inside, range.count))
        {
            return wrong("it does not hold the program's own id");
        }
    }
    if ids.uid_map.is_empty() != ids.gid_map.is_empty() {
        return Err(PolicyError::IdMap {
            which: "gid",
            why: "give ranges for both uid and gid, or for neither".to_owned(),
        });
    }
    Ok(())
}

fn need(
    spec: &Spec,
    namespace: Namespace,
    what: impl FnOnce() -> String,
) -> Result<(), PolicyError> {
    if spec.has(namespace) {
        Ok(())
    } else {
        Err(PolicyError::NeedsNamespace {
            what: what(),
            namespace,
        })
    }
}

fn absolute(what: &'static str, path: &Path) -> Result<(), PolicyError> {
    bytes(what, path.as_os_str())?;
    if !path.is_absolute()
        || path
            .components()
            .any(|component| component == Component::ParentDir)
    {
        return Err(PolicyError::Path {
            what,
            path: path.to_owned(),
        });
    }
    Ok(())
}

fn variable(name: &str) -> Result<(), PolicyError> {
    if name.is_empty() || name.contains('=') {
        return Err(PolicyError::Text {
            what: "environment variable",
            text: name.to_owned(),
        });
    }
    text("environment variable", name)
}

fn text(what: &'static str, text: &str) -> Result<(), PolicyError> {
    bytes(what, OsStr::new(text))
}

fn bytes(what: &'static str, text: &OsStr) -> Result<(), PolicyError> {
    if text.as_bytes().contains(&0) {
        return Err(PolicyError::Text {
            what,
            text: text.to_string_lossy().into_owned(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::{Cgroup, IdRange, Ids, Root, TimeOffsets, UidPool};
    use super::*;

    fn spec(namespaces: &[Namespace]) -> Spec {
        Spec {
            namespaces: namespaces.iter().copied().collect(),
            ..Spec::default()
        }
    }

    fn range(inside: u32, outside: u32, count: u32) -> IdRange {
        IdRange {
            inside,
            outside,
            count,
        }
    }

    fn ids(map: Vec<IdRange>) -> Option<Ids> {
        Some(Ids {
            uid: 0,
            gid: 0,
            uid_map: map.clone(),
            gid_map: map,
        })
    }

    #[rstest]
    #[case::default(Spec::default())]
    #[case::nothing(Spec::nothing())]
    #[case::all_namespaces(spec(&Namespace::ALL))]
    #[case::chroot_needs_no_mount_namespace(Spec {
        root: Some(Root { base: Base::Directory("/srv".into()), enter: Enter::Chroot, writable: false }),
        ..Spec::default()
    })]
    #[case::two_ranges(Spec { ids: ids(vec![range(0, 100_000, 10), range(10, 200_000, 10)]), ..spec(&[Namespace::User]) })]
    fn accepted(#[case] spec: Spec) {
        assert_eq!(spec.build().map(|_| ()), Ok(()));
    }

    #[rstest]
    #[case::hostname_without_uts(Spec { hostname: Some("box".into()), ..Spec::default() }, "Uts namespace")]
    #[case::hostname_too_long(Spec { hostname: Some("x".repeat(65)), ..spec(&[Namespace::Uts]) }, "1 to 64 bytes")]
    #[case::tmpfs_root_without_mount(Spec { root: Some(Root::default()), ..Spec::default() }, "Mount namespace")]
    #[case::pivot_without_mount(
        Spec { root: Some(Root { base: Base::Directory("/srv".into()), ..Root::default() }), ..Spec::default() },
        "pivot_root needs the Mount namespace"
    )]
    #[case::mount_without_mount(Spec { mounts: vec![Mount::Tmpfs { target: "/tmp".into(), size: None }], ..Spec::default() }, "Mount namespace")]
    #[case::proc_without_pid(Spec { mounts: vec![Mount::Proc { target: "/proc".into() }], ..spec(&[Namespace::Mount]) }, "Pid namespace")]
    #[case::relative_target(Spec { mounts: vec![Mount::Directory { target: "tmp".into() }], ..spec(&[Namespace::Mount]) }, "absolute path")]
    #[case::upward_target(Spec { mounts: vec![Mount::Directory { target: "/a/../../b".into() }], ..spec(&[Namespace::Mount]) }, "absolute path")]
    #[case::same_target(
        Spec { mounts: vec![Mount::Directory { target: "/a".into() }, Mount::Tmpfs { target: "/a".into(), size: None }], ..spec(&[Namespace::Mount]) },
        "same target"
    )]
    #[case::offset_without_time(Spec { time: Some(TimeOffsets::default()), ..Spec::default() }, "Time namespace")]
    #[case::relative_working_directory(Spec { working_directory: WorkingDirectory::Path("tmp".into()), ..Spec::default() }, "working directory")]
    #[case::relative_cgroup(Spec { cgroup: Some(Cgroup { parent: "x".into() }), ..Spec::default() }, "cgroup's parent")]
    #[case::map_without_user(Spec { ids: ids(vec![range(0, 0, 1)]), ..Spec::default() }, "User namespace")]
    #[case::empty_range(Spec { ids: ids(vec![range(0, 0, 0)]), ..spec(&[Namespace::User]) }, "empty")]
    #[case::overlapping_inside(Spec { ids: ids(vec![range(0, 0, 10), range(5, 100, 10)]), ..spec(&[Namespace::User]) }, "overlap")]
    #[case::overlapping_outside(Spec { ids: ids(vec![range(0, 100, 10), range(50, 105, 10)]), ..spec(&[Namespace::User]) }, "overlap")]
    #[case::map_without_own_id(Spec { ids: ids(vec![range(1, 1, 10)]), ..spec(&[Namespace::User]) }, "program's own id")]
    #[case::nul_in_link(
        Spec { mounts: vec![Mount::Symlink { source: "a\0b".into(), target: "/l".into() }], ..spec(&[Namespace::Mount]) },
        "cannot be passed"
    )]
    #[case::pool_in_a_user_namespace(Spec { uid_pool: Some(UidPool { first: 9, count: 1 }), ..spec(&[Namespace::User]) }, "leave one of the two out")]
    #[case::pool_with_root(Spec { uid_pool: Some(UidPool { first: 0, count: 1 }), ..Spec::default() }, "not 0")]
    #[case::pool_too_long(Spec { uid_pool: Some(UidPool { first: 9, count: u32::MAX }), ..Spec::default() }, "beyond")]
    #[case::vfork_with_ranges(Spec { strategy: Strategy::VforkClone, ids: ids(vec![range(0, 0, 1)]), ..spec(&[Namespace::User]) }, "ranges of ids")]
    #[case::vfork_with_pid_1(Spec { strategy: Strategy::VforkClone, ..spec(&[Namespace::Pid]) }, "minimal pid 1")]
    #[case::vfork_with_offsets(Spec { strategy: Strategy::VforkClone, time: Some(TimeOffsets::default()), ..spec(&[Namespace::Time]) }, "clock offsets")]
    #[case::vfork_with_real_ids(Spec { strategy: Strategy::VforkClone, ids: ids(vec![]), ..Spec::default() }, "ids without a user namespace")]
    #[case::keeper_in_pid_namespace(Spec { init: Init::PatientKeeper, ..spec(&[Namespace::Pid]) }, "without a pid namespace")]
    #[case::vfork_with_keeper(Spec { strategy: Strategy::VforkClone, init: Init::Keeper, ..Spec::default() }, "a keeper")]
    #[case::zero_deadline(Spec { deadline: Some(std::time::Duration::ZERO), ..Spec::default() }, "deadline of zero")]
    fn refused(#[case] spec: Spec, #[case] words: &str) {
        let error = spec
            .build()
            .expect_err("the description contradicts itself");
        assert!(error.to_string().contains(words), "{error}");
    }
}
