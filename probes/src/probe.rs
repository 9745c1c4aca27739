//! What a probe declares of itself.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Context, Stop};

/// An escape attempt: plain data and one function.
#[derive(Debug)]
pub struct Probe {
    /// What part of the system it goes through.
    pub class: Class,
    /// What the harness plants outside, and looks at afterwards. It is also
    /// the probe's control: the bare leg must touch it.
    pub canary: Canary,
    /// Each alternative that stops it; never empty ([`Probe::check`]).
    pub stops: &'static [Stop],
    /// What must be there before the attempt means anything.
    pub needs: &'static [Need],
    /// What a success would prove; the severity of an escape.
    pub proof: Proof,
    /// Rows of the source documents' claims that it shows (`M5`, `S6`, …).
    pub claims: &'static [&'static str],
    /// Man pages, kernel commits, CVEs; never empty ([`Probe::check`]).
    pub refs: &'static [&'static str],
    /// What to change in a sandbox that lets it through: one sentence.
    pub remedy: &'static str,
    /// The attempt. It reports each call through the context and returns.
    pub attempt: fn(&mut Context),
}

impl Probe {
    /// Refuses a declaration without a control, in a constant: the build fails.
    /// The registry calls it for every file.
    pub const fn check(&self) {
        assert!(
            !self.stops.is_empty(),
            "a probe names at least one protection that stops it"
        );
        assert!(
            !self.refs.is_empty(),
            "a probe names at least one reference"
        );
        assert!(!self.remedy.is_empty(), "a probe says what to change");
    }
}

/// The part of the system that a probe goes through.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// The process tree and its end.
    Process,
    /// Signals.
    Signal,
    /// ptrace and the memory of other processes.
    Ptrace,
    /// Paths.
    Filesystem,
    /// procfs.
    Proc,
    /// Sockets.
    Network,
    /// System V and POSIX inter-process communication.
    Ipc,
    /// Inherited descriptors.
    Descriptor,
    /// Keyrings.
    Keyring,
    /// What can be learnt without touching anything.
    Info,
}

/// What the harness plants outside the sandbox for a probe.
///
/// The comment of each names the arguments, descriptors and variables that the
/// probe gets with it ([`Context::value`] and its siblings). A descriptor is
/// named as `NUMBER:DEVICE.INODE` ([`Context::descriptor`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Canary {
    /// A process of the same user that counts signals and holds a secret page,
    /// a secret descriptor and a secret variable. Its working directory is a
    /// tree like [`Canary::FileTree`]. `victim` (pid), `page` (hex address of
    /// the 32-byte cookie), `secret-fd`, `tree`, `secret`, `file`.
    Process,
    /// Such a process in the launcher's own process group. No argument.
    ProcessGroup,
    /// A unix socket whose other end belongs to such a process. `peer` (descriptor), `secret-fd`.
    PeerSocket,
    /// A directory that only its owner may enter, with a secret file, a file to
    /// change and more. Below `tree` lie `secret`, `file`, `spare`, `link`, whose
    /// target is the secret, and `inner`. `tree`, `secret`, `file` (paths).
    FileTree,
    /// Such a tree shown inside, read-only. `tree`.
    ReadOnlyTree,
    /// Such a tree, the working directory of the launcher being its `inner`. No argument.
    WorkingDirectory,
    /// A descriptor of a directory in such a tree. `directory` (descriptor), `tree`.
    DirectoryDescriptor,
    /// A read-only descriptor of a file in such a tree. `file-fd`, `file`.
    ReadOnlyDescriptor,
    /// One descriptor of each kind, and no directory. `decoys`: for each
    /// `KIND=NUMBER:MARK`, with commas. The mark is `DEVICE.INODE`; for a timer
    /// its interval in nanoseconds, for a counter its value in hexadecimal.
    Decoys,
    /// A TCP listener on 127.0.0.1, and on ::1 where it can. `port`.
    TcpListener,
    /// A TCP listener, and an unconnected inet socket of its namespace. `socket` (descriptor), `port`.
    InetSocket,
    /// A resolver on 127.0.0.1, by UDP. `port`.
    Resolver,
    /// A stream listener and a datagram socket with one abstract name. `name`.
    AbstractSocket,
    /// A listener with a path. `socket-path`.
    PathSocket,
    /// A System V shared memory segment. `key`, `id`.
    SharedMemory,
    /// A key in the launcher's session keyring. `description`.
    SessionKey,
    /// A variable in the launcher's environment. `variable` (its name).
    Variable,
    /// Three processes of the same user that made themselves undumpable: one still
    /// is, one made itself dumpable again, one executed a program since. `undumpable`,
    /// `by-prctl`, `by-exec` (pids), and for each `…-page` (hex address).
    Undumpable,
    /// The sandbox's own end: whatever of it still writes to its output
    /// afterwards, or holds it open, was left behind. No argument.
    Teardown,
}

/// What must be there before an attempt means anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Need {
    /// A kernel of at least this version (the interface's first).
    Kernel(u32, u32),
    /// Capabilities in the arena (an ordinary user has them there).
    ArenaRoot,
    /// CONFIG_SYSVIPC.
    SysvIpc,
    /// CONFIG_KEYS.
    Keys,
}

/// What a success would prove, from mild to severe.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Proof {
    /// It learnt something.
    Info,
    /// It read a secret.
    Read,
    /// It disturbed something outside.
    Disrupt,
    /// It changed something outside, or signalled it.
    Write,
    /// It can run code outside.
    Code,
}
