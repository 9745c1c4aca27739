//! The description of a sandbox.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::check::PolicyError;
use super::{Capabilities, Guard, Mount, Root};

/// A namespace (namespaces(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Namespace {
    /// user_namespaces(7). An ordinary user needs it for all others.
    User,
    /// pid_namespaces(7).
    Pid,
    /// mount_namespaces(7).
    Mount,
    /// network_namespaces(7).
    Net,
    /// ipc_namespaces(7).
    Ipc,
    /// uts_namespaces(7).
    Uts,
    /// cgroup_namespaces(7).
    Cgroup,
    /// time_namespaces(7).
    Time,
}

impl Namespace {
    /// All eight.
    pub const ALL: [Self; 8] = [
        Self::User,
        Self::Pid,
        Self::Mount,
        Self::Net,
        Self::Ipc,
        Self::Uts,
        Self::Cgroup,
        Self::Time,
    ];
}

/// How the process of a sandbox is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// One clone3(2) with every namespace flag: the process is the launcher's
    /// direct child, and works beside any number of threads.
    #[default]
    Clone,
    /// The same with CLONE_VM and CLONE_VFORK: no page table is copied, however
    /// large the launcher is, and the launching thread is held until the program
    /// runs. What needs the launcher meanwhile, or outlives that moment in its
    /// memory, cannot be had: ranges of ids, a minimal pid 1, clock offsets, ids
    /// without a user namespace.
    VforkClone,
    /// The old way: fork(2), unshare(2), and another fork for the pid namespace.
    /// As unshare(2) itself, it refuses a launcher that has threads.
    ForkUnshare,
    /// By a small server process that was started once, whatever has become of
    /// the launcher since: its size, its threads. The command says by which
    /// ([`Command::server`](crate::Command::server)); without one the launch
    /// fails.
    ForkServer,
}

/// What a sandbox is made of. Plain data; [`Spec::build`] checks it.
///
/// The default has no namespaces and no root of its own, and every other
/// protection: no capabilities, no_new_privs, a new session and keyring, an
/// empty environment, closed descriptors. [`Spec::nothing`] has none at all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Spec {
    /// One sentence for people.
    pub description: String,
    /// How its process is made.
    pub strategy: Strategy,
    /// The namespaces that are made anew.
    pub namespaces: BTreeSet<Namespace>,
    /// User and group ids inside.
    pub ids: Option<Ids>,
    /// A user id of its own out of a range, instead of `ids`.
    pub uid_pool: Option<UidPool>,
    /// A root directory of its own.
    pub root: Option<Root>,
    /// What is mounted, in this order: inside the root, or over the inherited
    /// tree where there is no root of its own.
    pub mounts: Vec<Mount>,
    /// The host name in the UTS namespace.
    pub hostname: Option<String>,
    /// Whether the loopback device of a new network namespace is brought up.
    pub loopback: bool,
    /// Clock offsets in the time namespace.
    pub time: Option<TimeOffsets>,
    /// Resource limits.
    pub limits: Limits,
    /// The environment; none, in TOML `"inherit"`, is that of the launcher, whole.
    #[serde(with = "super::environment")]
    pub environment: Option<Environment>,
    /// What becomes of descriptors that were not passed on purpose.
    pub descriptors: Descriptors,
    /// Capabilities.
    pub capabilities: Capabilities,
    /// no_new_privs (prctl(2)).
    pub no_new_privs: bool,
    /// Session and process group.
    pub session: Session,
    /// The session keyring.
    pub keyring: Keyring,
    /// Where the program starts.
    pub working_directory: WorkingDirectory,
    /// Who stands between the launcher and the program.
    pub init: Init,
    /// A cgroup of its own.
    pub cgroup: Option<Cgroup>,
    /// How long the sandbox may live; it is killed then.
    #[serde(with = "humantime_serde")]
    pub deadline: Option<Duration>,
    /// Whether the sandbox dies with the process that launched it. Without a
    /// pid 1 of ours only the program does, and already with the launching
    /// *thread* (PR_SET_PDEATHSIG(2const)).
    pub die_with_parent: bool,
    /// Protections that may be left out where the host lacks them. The launch
    /// says which were ([`Degraded`](super::Degraded)); all others are an error.
    pub allow_downgrade: BTreeSet<Guard>,
}

impl Default for Spec {
    fn default() -> Self {
        Self {
            description: String::new(),
            strategy: Strategy::Clone,
            namespaces: BTreeSet::new(),
            ids: None,
            uid_pool: None,
            root: None,
            mounts: Vec::new(),
            hostname: None,
            loopback: true,
            time: None,
            limits: Limits::default(),
            environment: Some(Environment::default()),
            descriptors: Descriptors::Close,
            capabilities: Capabilities::Only(BTreeSet::new()),
            no_new_privs: true,
            session: Session::New,
            keyring: Keyring::New,
            working_directory: WorkingDirectory::Path(PathBuf::from("/")),
            init: Init::Minimal,
            cgroup: None,
            deadline: None,
            die_with_parent: true,
            allow_downgrade: BTreeSet::new(),
        }
    }
}

impl Spec {
    /// No protection at all: a launch as by fork(2) and execve(2), except that
    /// the launcher's capabilities stay where the user id is not 0.
    pub fn nothing() -> Self {
        Self {
            environment: None,
            descriptors: Descriptors::Inherit,
            capabilities: Capabilities::Keep,
            no_new_privs: false,
            session: Session::Inherit,
            keyring: Keyring::Inherit,
            working_directory: WorkingDirectory::Inherit,
            ..Self::default()
        }
    }

    /// Checks the description.
    ///
    /// # Errors
    /// A sentence for the first contradiction found.
    pub fn build(self) -> Result<Sandbox, PolicyError> {
        super::check::check(&self)?;
        Ok(Sandbox(self))
    }

    /// Whether this namespace is made anew.
    pub fn has(&self, namespace: Namespace) -> bool {
        self.namespaces.contains(&namespace)
    }
}

/// A checked [`Spec`]: immutable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Spec", into = "Spec")]
pub struct Sandbox(pub(super) Spec);

impl Sandbox {
    /// The description.
    pub fn spec(&self) -> &Spec {
        &self.0
    }
}

impl TryFrom<Spec> for Sandbox {
    type Error = PolicyError;

    fn try_from(spec: Spec) -> Result<Self, PolicyError> {
        spec.build()
    }
}

impl From<Sandbox> for Spec {
    fn from(sandbox: Sandbox) -> Self {
        sandbox.0
    }
}

/// User and group ids inside.
///
/// With a user namespace and no ranges, `uid` and `gid` are the one id inside,
/// mapped to the launcher's effective ids; the child writes that map itself.
/// Ranges are written by the parent, if it has CAP_SETUID and CAP_SETGID, or by
/// newuidmap(1) and newgidmap(1). Without a user namespace the ids are taken on
/// as they are, which needs the same capabilities.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ids {
    /// The program's user id.
    pub uid: u32,
    /// The program's group id.
    pub gid: u32,
    /// Ranges of user ids; empty for the single id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uid_map: Vec<IdRange>,
    /// Ranges of group ids; empty for the single id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gid_map: Vec<IdRange>,
}

/// A range of user ids, of which each sandbox gets one that nobody uses: the
/// setuid() method of Chromium's setuid sandbox, for hosts without namespaces.
///
/// It is claimed without a registry, by a temporary RLIMIT_NPROC of 2 and a fork
/// that must succeed: processes of the id anywhere, in any chroot, make it fail,
/// and so do two claimants at once, for both. The group id is the same number.
/// Whoever has CAP_SETUID can still enter the id afterwards. Needs CAP_SETUID
/// and CAP_SETGID, and is no user namespace's business.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UidPool {
    /// The first id.
    pub first: u32,
    /// How many.
    pub count: u32,
}

/// One line of a uid map (user_namespaces(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdRange {
    /// The first id inside.
    pub inside: u32,
    /// The first id outside.
    pub outside: u32,
    /// How many.
    pub count: u32,
}

/// Clock offsets in seconds (time_namespaces(7)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TimeOffsets {
    /// Added to CLOCK_MONOTONIC.
    pub monotonic: i64,
    /// Added to CLOCK_BOOTTIME.
    pub boottime: i64,
}

/// Resource limits (setrlimit(2)): soft and hard alike; none leaves the launcher's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Processes and threads of the user id (RLIMIT_NPROC).
    pub processes: Option<u64>,
    /// Open descriptors (RLIMIT_NOFILE).
    pub open_files: Option<u64>,
    /// The longest file in bytes (RLIMIT_FSIZE).
    pub file_size: Option<u64>,
    /// Address space in bytes (RLIMIT_AS).
    pub address_space: Option<u64>,
    /// Core dump in bytes (RLIMIT_CORE).
    pub core: Option<u64>,
    /// Processor time in seconds (RLIMIT_CPU).
    pub cpu_seconds: Option<u64>,
    /// Locked memory in bytes (RLIMIT_MEMLOCK).
    pub locked_memory: Option<u64>,
    /// Stack in bytes (RLIMIT_STACK).
    pub stack: Option<u64>,
}

impl Limits {
    /// Whether any limit is set.
    pub fn any(&self) -> bool {
        *self != Self::default()
    }
}

/// The environment as an allow-list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Environment {
    /// Variables of the launcher that stay.
    pub allow: BTreeSet<String>,
    /// Variables with values of their own.
    pub set: BTreeMap<String, String>,
}

/// What becomes of descriptors that were not passed on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Descriptors {
    /// They are closed (close_range(2)).
    Close,
    /// Those without close-on-exec stay open.
    Inherit,
}

/// Session and process group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Session {
    /// A session of its own: a pid namespace alone does not stop `kill(0)`.
    New,
    /// The launcher's.
    Inherit,
}

/// The session keyring: no namespace separates it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Keyring {
    /// A fresh, anonymous one.
    New,
    /// The launcher's.
    Inherit,
}

/// Who stands between the launcher and the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Init {
    /// In a new pid namespace a minimal pid 1 that reaps, passes the exit status
    /// on and ends with the program or the launcher, whichever goes first.
    /// Without that namespace nobody.
    Minimal,
    /// The program itself. As pid 1 signals without a handler do not reach it
    /// from inside, and it must reap what it inherits.
    Program,
    /// Without a pid namespace: a child subreaper that kills and reaps what the
    /// program leaves behind, whatever session it fled to. A program of the same
    /// user can kill it first, and then what it left before is nobody's.
    Keeper,
    /// As [`Init::Keeper`], but it lets what the program leaves behind live: it
    /// ends with the last process of the whole subtree, and only then does
    /// [`Child::wait`](crate::Child::wait) come back.
    PatientKeeper,
}

impl Init {
    /// Whether it is a child subreaper of ours.
    pub fn is_keeper(self) -> bool {
        matches!(self, Self::Keeper | Self::PatientKeeper)
    }
}

/// Where the program starts: `"inherit"` or an absolute path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum WorkingDirectory {
    /// The launcher's, even where it lies outside the root.
    Inherit,
    /// This one, inside the root.
    Path(PathBuf),
}

impl From<String> for WorkingDirectory {
    fn from(text: String) -> Self {
        if text == "inherit" {
            Self::Inherit
        } else {
            Self::Path(PathBuf::from(text))
        }
    }
}

impl From<WorkingDirectory> for String {
    fn from(directory: WorkingDirectory) -> Self {
        match directory {
            WorkingDirectory::Inherit => "inherit".to_owned(),
            WorkingDirectory::Path(path) => path.to_string_lossy().into_owned(),
        }
    }
}

/// A cgroup of its own (cgroups(7), version 2), killed as a whole at the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cgroup {
    /// The directory below which it is made; it must be writable (delegated).
    pub parent: PathBuf,
}
