//! One step of the child: at most a handful of system calls.

use std::ffi::{CStr, CString};

use nix::sys::resource::Resource;
use serde::{Deserialize, Serialize};

use crate::uid_pool::Claim;

/// What the child does, one after the other. Numbers of slots are indices into
/// [`Plan::slots`](super::Plan::slots).
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Step {
    /// Waits until the parent has done its part: id maps, process group.
    AwaitParent,
    /// Writes a file in one call, as the kernel's interfaces want it.
    Write {
        path: CString,
        data: Vec<u8>,
    },
    /// Asks for SIGKILL when the parent's thread ends.
    ParentDeathSignal,
    /// Joins a process group of its own pid namespace.
    JoinProcessGroup(i32),
    /// Makes a process group of its own.
    LeadProcessGroup,
    NewSession,
    Hostname(CString),
    Loopback,
    /// Makes a time namespace for the process's children.
    UnshareTime,
    /// Enters that time namespace.
    EnterTime,
    JoinKeyring,
    /// Mounts made outside still arrive, those made inside do not leave.
    SlavePropagation,
    /// A detached copy of the mounts at a path outside.
    CloneTree {
        source: CString,
        attributes: u64,
        slot: usize,
        /// Whether a source that has gone since the plan was made is left out.
        optional: bool,
    },
    /// A detached mount of a new file system.
    NewFilesystem {
        kind: CString,
        size: Option<CString>,
        attributes: u64,
        slot: usize,
    },
    /// Attaches a detached mount over a directory outside: the new root.
    AttachRoot {
        slot: usize,
        at: CString,
    },
    /// The inherited root is the one that things are mounted in.
    OpenRoot,
    MakeDirectory {
        parent: CString,
        name: CString,
        path: CString,
    },
    MakeFile {
        parent: CString,
        name: CString,
        path: CString,
    },
    MakeSymlink {
        parent: CString,
        name: CString,
        to: CString,
    },
    /// Attaches a detached mount inside the root.
    Attach {
        slot: usize,
        target: CString,
        /// Whether an empty slot is left out.
        optional: bool,
    },
    /// Sets flags of a mount, or of all below it, the old way, where
    /// mount_setattr(2) is missing.
    Remount {
        target: CString,
        /// Of mount(2).
        flags: libc::c_ulong,
    },
    /// Makes the root mount itself read-only.
    SealRoot,
    /// The same, the old way.
    SealRootByRemount,
    /// Enters the root; the old one is unmounted.
    PivotRoot {
        keep_directory: bool,
    },
    /// Goes from the base that the fork server pivoted onto to the host's tree,
    /// and keeps three ways back: the base, that tree, the process's procfs.
    LeaveBase {
        base: usize,
        outside: usize,
        procfs: usize,
    },
    /// Attaches a detached mount over the base: the new root.
    AttachRootOverBase {
        slot: usize,
        base: usize,
    },
    /// Enters the root that lies over the base, and unmounts the host's tree.
    EnterOverBase {
        outside: usize,
    },
    /// Makes a user namespace that owns none of the others, so that no
    /// capability inside is good for unmounting the root or for setns(2).
    NestUser {
        procfs: usize,
        uid_map: Vec<u8>,
        gid_map: Vec<u8>,
    },
    /// Enters the root; the old one stays.
    ChrootToRoot {
        keep_directory: bool,
    },
    /// Enters a directory outside as the root.
    Chroot(CString),
    ChangeDirectory(CString),
    /// Pid 1 stays here, the program goes on.
    Fork,
    PlaceDescriptors,
    Limit {
        limit: Limit,
        value: u64,
    },
    /// Takes all capabilities but these out of the bounding set.
    DropBounding(u64),
    ClearGroups,
    SetIds {
        uid: u32,
        gid: u32,
    },
    /// Takes on a user id of a pool that nobody else has.
    ClaimUid(Claim),
    /// These in every set, or, for none, all that there are.
    SetCapabilities(Option<u64>),
    /// Leaves it to execve(2) who keeps capabilities.
    ClearAmbient,
    NoNewPrivs,
    Execute,
    /// Leaves with exit code 0 instead of executing anything.
    Leave,
}

impl Step {
    /// What it works on, for an error.
    pub(super) fn subject(&self) -> Option<String> {
        let text = |string: &CStr| Some(string.to_string_lossy().into_owned());
        match self {
            Self::Write { path, .. } => text(path),
            Self::Hostname(name) => text(name),
            Self::CloneTree { source, .. } => Some(format!("bind {}", source.to_string_lossy())),
            Self::NewFilesystem { kind, .. } => Some(format!("new {}", kind.to_string_lossy())),
            Self::AttachRoot { at, .. } => text(at),
            Self::MakeDirectory { path, .. } | Self::MakeFile { path, .. } => {
                Some(format!("mount point /{}", path.to_string_lossy()))
            }
            Self::MakeSymlink { to, .. } => Some(format!("link to {}", to.to_string_lossy())),
            Self::Attach { target, .. } | Self::Remount { target, .. } => {
                Some(format!("/{}", target.to_string_lossy()))
            }
            Self::Chroot(path) | Self::ChangeDirectory(path) => text(path),
            Self::JoinProcessGroup(group) => Some(format!("process group {group}")),
            Self::Limit { limit, value } => Some(format!("{} = {value}", limit.name())),
            Self::SetIds { uid, gid } => Some(format!("uid {uid}, gid {gid}")),
            Self::UnshareTime | Self::EnterTime => Some("time namespace".to_owned()),
            Self::ClaimUid(claim) => Some(claim.to_string()),
            Self::ClearGroups => Some("supplementary groups".to_owned()),
            Self::DropBounding(_) => Some("bounding set".to_owned()),
            Self::LeaveBase { .. } => Some("the host's tree below the base".to_owned()),
            Self::AttachRootOverBase { .. } => Some("the base".to_owned()),
            Self::EnterOverBase { .. } => Some("the root over the base".to_owned()),
            Self::NestUser { .. } => Some("nested user namespace".to_owned()),
            Self::PivotRoot { .. } => Some("pivot_root".to_owned()),
            Self::ChrootToRoot { .. } => Some("chroot".to_owned()),
            Self::SealRoot | Self::SealRootByRemount => Some("read-only root".to_owned()),
            _ => None,
        }
    }
}

/// A resource limit that a description can set.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Limit {
    Core,
    CpuSeconds,
    FileSize,
    LockedMemory,
    Stack,
    AddressSpace,
    OpenFiles,
    Processes,
}

impl Limit {
    pub(crate) fn resource(self) -> Resource {
        match self {
            Self::Core => Resource::RLIMIT_CORE,
            Self::CpuSeconds => Resource::RLIMIT_CPU,
            Self::FileSize => Resource::RLIMIT_FSIZE,
            Self::LockedMemory => Resource::RLIMIT_MEMLOCK,
            Self::Stack => Resource::RLIMIT_STACK,
            Self::AddressSpace => Resource::RLIMIT_AS,
            Self::OpenFiles => Resource::RLIMIT_NOFILE,
            Self::Processes => Resource::RLIMIT_NPROC,
        }
    }

    /// As in a description.
    fn name(self) -> &'static str {
        match self {
            Self::Core => "core",
            Self::CpuSeconds => "cpu_seconds",
            Self::FileSize => "file_size",
            Self::LockedMemory => "locked_memory",
            Self::Stack => "stack",
            Self::AddressSpace => "address_space",
            Self::OpenFiles => "open_files",
            Self::Processes => "processes",
        }
    }
}
