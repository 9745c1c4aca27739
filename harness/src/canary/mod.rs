//! What the harness plants outside a sandbox, and how it looks at it.
//!
//! One file a canary. A canary is planted anew for each leg, looked at before
//! and after, and must first show, in a self-test, that it notices a touch.

mod decoys;
mod inet;
mod manifest;
mod process;
mod session_key;
mod shared_memory;
mod teardown;
#[cfg(test)]
mod tests;
mod tree;
mod undumpable;
mod unix_socket;
mod variable;
mod victim;

use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use nix::unistd::Pid;
use probes::wire::Record;

use crate::model::Observation;

/// Where a canary may plant: the leg's own directory in the arena, and its nonce.
#[derive(Clone, Debug)]
pub struct Ground {
    /// An empty directory of this leg, below the arena's file system.
    pub directory: PathBuf,
    /// The leg's nonce, which an attempt writes into what it reaches.
    pub nonce: String,
    /// The probe's static program, which is also the canary process.
    pub probe_program: PathBuf,
}

/// What a launch must carry so that the probe can look for its canary.
#[derive(Debug, Default)]
pub struct Lure {
    /// `NAME=VALUE` arguments of the probe.
    pub arguments: Vec<(String, String)>,
    /// Variables in the launcher's environment.
    pub environment: Vec<(String, String)>,
    /// Descriptors that the launcher has open without close-on-exec, with
    /// their numbers there (from [`FIRST_DESCRIPTOR`] on).
    pub descriptors: Vec<(OwnedFd, i32)>,
    /// The launcher's working directory.
    pub working_directory: Option<PathBuf>,
    /// The process group that the launcher joins.
    pub process_group: Option<Pid>,
    /// A directory that the sandbox must show inside, read-only, at its own path.
    pub shown_read_only: Option<PathBuf>,
}

/// The lowest number that a planted descriptor gets in the launcher.
pub const FIRST_DESCRIPTOR: i32 = 20;

/// What came out of a launch: all that an oracle may look at besides its canary.
#[derive(Clone, Debug, Default)]
pub struct Output {
    /// The records, in their order.
    pub records: Vec<Record>,
    /// What was printed on standard output and standard error, bounded.
    pub printed: Vec<u8>,
    /// The end of that: a launcher's last words.
    pub ending: Vec<u8>,
    /// Records that came after the sandbox was torn down.
    pub after_teardown: Vec<Record>,
    /// Whether somebody still held the output when the harness stopped listening.
    pub held_open: bool,
}

impl Output {
    /// Whether this secret came out, in a record or in what was printed.
    pub fn reveals(&self, cookie: &str) -> bool {
        let in_record =
            |record: &Record| matches!(record, Record::Secret { value } if value.contains(cookie));
        self.records.iter().any(in_record)
            || self
                .printed
                .windows(cookie.len())
                .any(|window| window == cookie.as_bytes())
    }
}

/// Something planted outside that shows whether it was touched.
pub trait Canary: Send {
    /// What the launch must carry. Called once, before the launch.
    fn lure(&mut self) -> std::io::Result<Lure>;

    /// Looks at the canary, from outside. Called before the launch with an
    /// empty output, where it must be clean, and after the probe's end.
    fn observe(&mut self, output: &Output) -> Observation;

    /// Touches the canary through a path of the harness's own, and gives the
    /// output that a probe would have left. [`Canary::observe`] must see it.
    fn poke(&mut self) -> std::io::Result<Output>;
}

/// Plants a canary of this kind.
///
/// The calling thread must outlive it, and drop it: the kernel ties a canary
/// process's life, and a key's keyring, to a thread.
///
/// # Errors
/// Whatever kept it from being planted.
pub fn plant(kind: probes::Canary, ground: &Ground) -> io::Result<Box<dyn Canary>> {
    use decoys::DecoyCanary;
    use inet::{ResolverCanary, TcpCanary};
    use probes::Canary as Kind;
    use process::ProcessCanary;
    use tree::{TreeCanary, Way};
    use unix_socket::UnixCanary;
    Ok(match kind {
        Kind::Process => Box::new(ProcessCanary::by_pid(ground)?),
        Kind::ProcessGroup => Box::new(ProcessCanary::by_group(ground)?),
        Kind::PeerSocket => Box::new(ProcessCanary::by_socket(ground)?),
        Kind::FileTree => Box::new(TreeCanary::plant(ground, Way::Path)?),
        Kind::ReadOnlyTree => Box::new(TreeCanary::plant(ground, Way::ReadOnly)?),
        Kind::WorkingDirectory => Box::new(TreeCanary::plant(ground, Way::WorkingDirectory)?),
        Kind::DirectoryDescriptor => Box::new(TreeCanary::plant(ground, Way::Directory)?),
        Kind::ReadOnlyDescriptor => Box::new(TreeCanary::plant(ground, Way::File)?),
        Kind::Decoys => Box::new(DecoyCanary::plant(ground)?),
        Kind::TcpListener => Box::new(TcpCanary::plant(ground, false)?),
        Kind::InetSocket => Box::new(TcpCanary::plant(ground, true)?),
        Kind::Resolver => Box::new(ResolverCanary::plant(ground)?),
        Kind::AbstractSocket => Box::new(UnixCanary::with_abstract_name(ground)?),
        Kind::PathSocket => Box::new(UnixCanary::with_path(ground)?),
        Kind::SharedMemory => Box::new(shared_memory::SegmentCanary::plant(ground)?),
        Kind::SessionKey => Box::new(session_key::KeyCanary::plant(ground)?),
        Kind::Variable => Box::new(variable::VariableCanary::plant()),
        Kind::Undumpable => Box::new(undumpable::UndumpableCanary::plant(ground)?),
        Kind::Teardown => Box::new(teardown::TeardownCanary::plant(ground)),
    })
}

/// What evidence comes to: none is clean, an error is no observation.
fn seen(evidence: io::Result<Vec<String>>) -> Observation {
    match evidence {
        Ok(evidence) if evidence.is_empty() => Observation::Clean,
        Ok(evidence) => Observation::Touched {
            evidence: evidence.join("; "),
        },
        Err(error) => Observation::Unknown {
            reason: error.to_string(),
        },
    }
}

/// What lies in a nonblocking stream, as far as it is looked at.
fn all_of(stream: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    // It ends with an error where the other side is still open. What came
    // before that is kept.
    let _ = stream.take(4096).read_to_end(&mut bytes);
    bytes
}

/// What somebody said to a listener. Even a caller that said nothing got there.
fn greeting(caller: &str, said: &[u8], nonce: &str) -> String {
    let marked = said
        .windows(nonce.len())
        .any(|window| window.eq_ignore_ascii_case(nonce.as_bytes()));
    if marked {
        format!("{caller} brought the nonce")
    } else {
        format!("{caller} brought {} bytes", said.len())
    }
}

/// A secret or nonce: 32 hexadecimal digits from getrandom(2).
pub fn cookie() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}
