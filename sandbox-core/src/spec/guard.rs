//! The protections of a sandbox, each of which can be taken away or left alone.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{
    Access, Capabilities, Descriptors, Enter, Keyring, Mount, Namespace, Sandbox, Session,
    WorkingDirectory,
};

/// One protection of a sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Guard {
    /// A user namespace.
    UserNamespace,
    /// A pid namespace.
    PidNamespace,
    /// A mount namespace.
    MountNamespace,
    /// A network namespace.
    NetNamespace,
    /// An IPC namespace.
    IpcNamespace,
    /// A UTS namespace.
    UtsNamespace,
    /// A cgroup namespace.
    CgroupNamespace,
    /// A time namespace.
    TimeNamespace,
    /// A root of its own.
    Root,
    /// That root is entered by pivot_root(2).
    PivotRoot,
    /// What is shown from outside is read-only.
    ReadOnly,
    /// A session of its own.
    Session,
    /// Descriptors are closed.
    Descriptors,
    /// The environment is an allow-list.
    Environment,
    /// A session keyring of its own.
    Keyring,
    /// The working directory is inside.
    WorkingDirectory,
    /// Capabilities are dropped.
    Capabilities,
    /// no_new_privs.
    NoNewPrivs,
    /// Resource limits.
    Limits,
    /// A cgroup of its own.
    Cgroup,
}

impl Guard {
    /// All of them.
    pub const ALL: [Self; 20] = [
        Self::UserNamespace,
        Self::PidNamespace,
        Self::MountNamespace,
        Self::NetNamespace,
        Self::IpcNamespace,
        Self::UtsNamespace,
        Self::CgroupNamespace,
        Self::TimeNamespace,
        Self::Root,
        Self::PivotRoot,
        Self::ReadOnly,
        Self::Session,
        Self::Descriptors,
        Self::Environment,
        Self::Keyring,
        Self::WorkingDirectory,
        Self::Capabilities,
        Self::NoNewPrivs,
        Self::Limits,
        Self::Cgroup,
    ];

    /// The namespace that it is, if it is one.
    pub fn namespace(self) -> Option<Namespace> {
        Some(match self {
            Self::UserNamespace => Namespace::User,
            Self::PidNamespace => Namespace::Pid,
            Self::MountNamespace => Namespace::Mount,
            Self::NetNamespace => Namespace::Net,
            Self::IpcNamespace => Namespace::Ipc,
            Self::UtsNamespace => Namespace::Uts,
            Self::CgroupNamespace => Namespace::Cgroup,
            Self::TimeNamespace => Namespace::Time,
            _ => return None,
        })
    }

    /// As in TOML and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::UserNamespace => "user-namespace",
            Self::PidNamespace => "pid-namespace",
            Self::MountNamespace => "mount-namespace",
            Self::NetNamespace => "net-namespace",
            Self::IpcNamespace => "ipc-namespace",
            Self::UtsNamespace => "uts-namespace",
            Self::CgroupNamespace => "cgroup-namespace",
            Self::TimeNamespace => "time-namespace",
            Self::Root => "root",
            Self::PivotRoot => "pivot-root",
            Self::ReadOnly => "read-only",
            Self::Session => "session",
            Self::Descriptors => "descriptors",
            Self::Environment => "environment",
            Self::Keyring => "keyring",
            Self::WorkingDirectory => "working-directory",
            Self::Capabilities => "capabilities",
            Self::NoNewPrivs => "no-new-privs",
            Self::Limits => "limits",
            Self::Cgroup => "cgroup",
        }
    }
}

impl std::fmt::Display for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl Sandbox {
    /// The protections that it has.
    pub fn guards(&self) -> BTreeSet<Guard> {
        Guard::ALL
            .into_iter()
            .filter(|&guard| self.has(guard))
            .collect()
    }

    /// Whether it has this protection.
    pub fn has(&self, guard: Guard) -> bool {
        let spec = self.spec();
        match guard {
            Guard::Root => spec.root.is_some(),
            Guard::PivotRoot => spec
                .root
                .as_ref()
                .is_some_and(|root| root.enter == Enter::PivotRoot),
            Guard::ReadOnly => spec.mounts.iter().any(|mount| {
                matches!(
                    mount,
                    Mount::Bind {
                        access: Access::ReadOnly,
                        ..
                    }
                )
            }),
            Guard::Session => spec.session == Session::New,
            Guard::Descriptors => spec.descriptors == Descriptors::Close,
            Guard::Environment => spec.environment.is_some(),
            Guard::Keyring => spec.keyring == Keyring::New,
            Guard::WorkingDirectory => spec.working_directory != WorkingDirectory::Inherit,
            Guard::Capabilities => matches!(spec.capabilities, Capabilities::Only(_)),
            Guard::NoNewPrivs => spec.no_new_privs,
            Guard::Limits => spec.limits.any(),
            Guard::Cgroup => spec.cgroup.is_some(),
            _ => guard
                .namespace()
                .is_some_and(|namespace| spec.has(namespace)),
        }
    }
}
