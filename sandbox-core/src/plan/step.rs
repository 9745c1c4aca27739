//! One step of the child: at most a handful of system calls.

use std::ffi::{CStr, CString};

use nix::mount::MsFlags;
use nix::sys::resource::Resource;
use nix::unistd::Pid;

use crate::uid_pool::Claim;

/// What the child does, one after the other. Numbers of slots are indices into
/// [`Plan::slots`](super::Plan::slots).
#[derive(Debug)]
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
    JoinProcessGroup(Pid),
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
        kind: &'static CStr,
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
        flags: MsFlags,
    },
    /// Makes the root mount itself read-only.
    SealRoot,
    /// The same, the old way.
    SealRootByRemount,
    /// Enters the root; the old one is unmounted.
    PivotRoot {
        keep_directory: bool,
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
        resource: Resource,
        name: &'static str,
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
            Self::Limit { name, value, .. } => Some(format!("{name} = {value}")),
            Self::SetIds { uid, gid } => Some(format!("uid {uid}, gid {gid}")),
            Self::UnshareTime | Self::EnterTime => Some("time namespace".to_owned()),
            Self::ClaimUid(claim) => Some(claim.to_string()),
            Self::ClearGroups => Some("supplementary groups".to_owned()),
            Self::DropBounding(_) => Some("bounding set".to_owned()),
            Self::PivotRoot { .. } => Some("pivot_root".to_owned()),
            Self::ChrootToRoot { .. } => Some("chroot".to_owned()),
            Self::SealRoot | Self::SealRootByRemount => Some("read-only root".to_owned()),
            _ => None,
        }
    }
}
