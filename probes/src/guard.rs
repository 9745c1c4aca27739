//! The protections that a probe names, and how each of them says no.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One protection that can be there or not, independent of the others.
///
/// The harness maps each to a part of a `sandbox_core::Sandbox` in one
/// exhaustive match, so that it can be taken away or left alone.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Guard {
    /// A user namespace of its own (user_namespaces(7)).
    UserNamespace,
    /// A pid namespace of its own (pid_namespaces(7)); its end kills all in it.
    PidNamespace,
    /// A mount namespace of its own (mount_namespaces(7)).
    MountNamespace,
    /// A network namespace of its own (network_namespaces(7)).
    NetNamespace,
    /// An IPC namespace of its own (ipc_namespaces(7)).
    IpcNamespace,
    /// A UTS namespace of its own (uts_namespaces(7)).
    UtsNamespace,
    /// A cgroup namespace of its own (cgroup_namespaces(7)).
    CgroupNamespace,
    /// A time namespace of its own (time_namespaces(7)).
    TimeNamespace,
    /// A root directory of its own: paths outside of it have no name inside.
    Root,
    /// That root was entered by pivot_root(2) and the old one unmounted.
    PivotRoot,
    /// What is shown inside from outside is mounted read-only.
    ReadOnly,
    /// A session and process group of its own (setsid(2)).
    Session,
    /// Every descriptor that was not passed on purpose is closed.
    Descriptors,
    /// The environment is an allow-list.
    Environment,
    /// A fresh session keyring (keyctl_join_session_keyring(3)).
    Keyring,
    /// The working directory is inside the root.
    WorkingDirectory,
    /// No capabilities, and none to be had (capabilities(7)).
    Capabilities,
    /// no_new_privs is set (prctl(2)).
    NoNewPrivs,
    /// Resource limits (setrlimit(2)).
    Limits,
    /// A cgroup of its own, killed as a whole (cgroups(7)).
    Cgroup,
}

/// How a protection says no to an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The calls fail with one of these errno values.
    Errno(&'static [i32]),
    /// The probe is killed by this signal.
    Signal(i32),
    /// The probe looked for what it needs, and it was not there.
    Absent,
    /// The calls succeed and have no effect outside.
    Silent,
}

/// Protections that together stop a probe. Each one of them is necessary, all
/// together are sufficient; a probe that several alternatives stop names each
/// as a `Stop` of its own.
#[derive(Clone, Copy, Debug)]
pub struct Stop {
    /// All of these must be there.
    pub guards: &'static [Guard],
    /// What the probe sees then.
    pub refusal: Refusal,
}
