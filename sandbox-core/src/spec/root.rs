//! The root directory and what is mounted in it.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// A root directory of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Root {
    /// What it is before anything is mounted in it.
    pub base: Base,
    /// How it is entered.
    pub enter: Enter,
    /// Whether the root itself may be written to.
    pub writable: bool,
}

impl Default for Root {
    fn default() -> Self {
        Self {
            base: Base::Tmpfs { size: None },
            enter: Enter::PivotRoot,
            writable: false,
        }
    }
}

/// What a root is before anything is mounted in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Base {
    /// An empty tmpfs.
    Tmpfs {
        /// Its size in bytes; none is the kernel's default, half the memory.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        size: Option<u64>,
    },
    /// A directory of the launcher's. Nothing is created in it.
    Directory(PathBuf),
}

/// How a root is entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Enter {
    /// pivot_root(2), after which the old root is unmounted.
    PivotRoot,
    /// chroot(2): the old root stays within reach of whoever has CAP_SYS_CHROOT.
    Chroot,
}

/// Whether what is shown from outside may be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// It may not, and all that is mounted below it neither.
    ReadOnly,
    /// It may.
    ReadWrite,
}

/// One entry of the root. Targets are absolute paths inside; symbolic links in
/// them are followed inside the root only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Mount {
    /// A directory or file of the launcher's, with all that is mounted below it.
    /// Set-user-id bits have no effect in it.
    Bind {
        /// The path outside.
        source: PathBuf,
        /// The path inside.
        target: PathBuf,
        /// Whether it may be changed.
        access: Access,
        /// Whether it is left out where the source does not exist.
        #[serde(default)]
        optional: bool,
    },
    /// An empty tmpfs.
    Tmpfs {
        /// The path inside.
        target: PathBuf,
        /// Its size in bytes; none is half the memory.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        size: Option<u64>,
    },
    /// A fresh procfs of the new pid namespace.
    Proc {
        /// The path inside.
        target: PathBuf,
    },
    /// A minimal /dev: null, zero, full, random, urandom, links to the
    /// standard streams, and shm.
    Dev {
        /// The path inside.
        target: PathBuf,
    },
    /// A symbolic link.
    Symlink {
        /// What it points to; not resolved when it is made.
        source: PathBuf,
        /// The path inside.
        target: PathBuf,
    },
    /// An empty directory.
    Directory {
        /// The path inside.
        target: PathBuf,
    },
}

impl Mount {
    /// The path inside.
    pub fn target(&self) -> &Path {
        match self {
            Self::Bind { target, .. }
            | Self::Tmpfs { target, .. }
            | Self::Proc { target }
            | Self::Dev { target }
            | Self::Symlink { target, .. }
            | Self::Directory { target } => target,
        }
    }
}
