//! What the harness plants outside a sandbox, and how it looks at it.
//!
//! One file a canary. A canary is planted anew for each leg, looked at before
//! and after, and must first show, in a self-test, that it notices a touch.

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
    /// Records that came after the sandbox was torn down.
    pub after_teardown: Vec<Record>,
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
pub fn plant(kind: probes::Canary, ground: &Ground) -> std::io::Result<Box<dyn Canary>> {
    let _ = ground;
    Err(std::io::Error::other(format!("no canary {kind:?}")))
}

/// A secret or nonce: 32 hexadecimal digits from getrandom(2).
pub fn cookie() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}
