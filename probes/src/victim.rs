//! The canary process: counts signals and holds secrets (`escapology-probe victim`).
//!
//! It is what attempts at signals, ptrace and procfs aim at: a process of the
//! same user with no capabilities, that any process of that user may trace.
//! The harness speaks with it over its standard input and output, a line of
//! JSON each way: first [`Orders`], then an empty line for each [`State`]. It
//! ends with its input, with its parent thread, or with its alarm.

use std::collections::BTreeMap;
use std::io::{BufRead as _, Write as _};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicU8, Ordering};

use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use serde::{Deserialize, Serialize};

use crate::raw;

/// The number of the descriptor that holds a secret in a file without a name.
pub const SECRET_DESCRIPTOR: i32 = 77;

/// The length of a secret in the page and in the file: 32 hexadecimal digits.
pub const SECRET_LENGTH: usize = 32;

/// The signals that are counted. All others keep their default.
pub const COUNTED: [Signal; 4] = [
    Signal::SIGUSR1,
    Signal::SIGURG,
    Signal::SIGIO,
    Signal::SIGWINCH,
];

/// The role of one that is undumpable.
pub const UNDUMPABLE: &str = "undumpable";
/// The role of one that was, and made itself dumpable again by prctl(2).
pub const BY_PRCTL: &str = "by-prctl";
/// The role of one that was, and became dumpable by execve(2).
pub const BY_EXEC: &str = "by-exec";
/// What the last one is after that.
const EXECUTED: &str = "executed";

/// Seconds after which the process ends by itself, whatever became of the harness.
const ALARM: u32 = 600;

/// What the canary process is to hold. On its standard input, because its
/// arguments could be read by anybody.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Orders {
    /// The secret of its page.
    pub page: String,
    /// The secret of its descriptor [`SECRET_DESCRIPTOR`].
    pub file: String,
    /// The abstract name to listen at, if any.
    pub listen: Option<String>,
}

/// What the canary process sees of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The address of its page.
    pub address: usize,
    /// What its page holds.
    pub page: String,
    /// What its descriptor [`SECRET_DESCRIPTOR`] holds.
    pub file: String,
    /// How often each signal came since its start, by name. A signal that
    /// comes twice before it is counted counts once (signal(7)).
    pub signals: BTreeMap<String, u32>,
    /// Its nice value.
    pub nice: i32,
}

/// A page of its own, so that what is written next to the secret hits nothing.
#[repr(C, align(4096))]
struct Page([AtomicU8; 4096]);

static PAGE: Page = Page([const { AtomicU8::new(0) }; 4096]);

/// Runs as the canary process until its standard input closes.
pub fn main(arguments: &[String]) -> ExitCode {
    match become_role(arguments.first().map(String::as_str)).and_then(serve) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("canary process: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Prepares the process, by a way of its own where one is asked for: it was, or
/// is, undumpable.
fn become_role(role: Option<&str>) -> std::io::Result<SignalFd> {
    match role {
        Some(UNDUMPABLE) => {
            let signals = prepare()?;
            prctl::set_dumpable(false)?;
            Ok(signals)
        }
        Some(BY_PRCTL) => {
            prctl::set_dumpable(false)?;
            // Makes it dumpable again.
            prepare()
        }
        Some(BY_EXEC) => {
            // Capabilities stay until then: user id 0 would gain them anew by
            // execve, and who gains any is left undumpable.
            prctl::set_dumpable(false)?;
            let program = std::env::current_exe()?;
            Err(Command::new(program).args(["victim", EXECUTED]).exec())
        }
        Some(EXECUTED) if !prctl::get_dumpable()? => {
            Err(std::io::Error::other("execve left it undumpable"))
        }
        _ => prepare(),
    }
}

fn serve(signals: SignalFd) -> std::io::Result<()> {
    let mut lines = std::io::stdin().lock().lines();
    let Some(orders) = lines.next().transpose()? else {
        return Ok(());
    };
    let orders: Orders = serde_json::from_str(&orders)?;

    for (byte, secret) in PAGE.0.iter().zip(orders.page.bytes()) {
        byte.store(secret, Ordering::Relaxed);
    }
    let file = memfd_create(c"secret", MFdFlags::MFD_CLOEXEC)?;
    nix::sys::uio::pwrite(&file, orders.file.as_bytes(), 0)?;
    // It stays open at that number until the process ends.
    let number = fcntl(&file, FcntlArg::F_DUPFD_CLOEXEC(SECRET_DESCRIPTOR))?;
    if number != SECRET_DESCRIPTOR {
        return Err(std::io::Error::other("the secret's descriptor is taken"));
    }
    // Never accepts: a peer's credentials are those of listen(2) (unix(7)).
    let _listener = orders.listen.as_deref().map(listen).transpose()?;

    let mut counts = BTreeMap::new();
    let mut out = std::io::stdout().lock();
    loop {
        while let Some(signal) = signals.read_signal()? {
            if let Some(name) = signal_name(signal.ssi_signo) {
                *counts.entry(name).or_insert(0) += 1;
            }
        }
        let state = State {
            address: PAGE.0.as_ptr().addr(),
            page: page(),
            file: content(&file),
            signals: counts.clone(),
            nice: raw::own_nice(),
        };
        writeln!(out, "{}", serde_json::to_string(&state)?)?;
        out.flush()?;
        if lines.next().transpose()?.is_none() {
            return Ok(());
        }
    }
}

/// Makes the process what probes expect to find: no capabilities, traceable,
/// mortal; and blocks the signals that it counts.
fn prepare() -> std::io::Result<SignalFd> {
    nix::unistd::alarm::set(ALARM);
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    raw::close_from(3)?;
    raw::drop_capabilities()?;
    // After the capabilities: the kernel resets both when credentials change.
    prctl::set_dumpable(true)?;
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    // EINVAL where there is no Yama, and nothing to allow then.
    let _ = raw::allow_any_tracer();
    let counted: SigSet = COUNTED.into_iter().collect();
    counted.thread_block()?;
    let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
    Ok(SignalFd::with_flags(&counted, flags)?)
}

fn listen(name: &str) -> std::io::Result<UnixListener> {
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::net::SocketAddr;
    UnixListener::bind_addr(&SocketAddr::from_abstract_name(name)?)
}

fn signal_name(number: u32) -> Option<String> {
    let signal = Signal::try_from(i32::try_from(number).ok()?).ok()?;
    Some(signal.as_str().to_owned())
}

/// The secret as it stands in memory, however it came there.
fn page() -> String {
    let bytes: Vec<u8> = std::hint::black_box(&PAGE).0[..SECRET_LENGTH]
        .iter()
        .map(|byte| byte.load(Ordering::Relaxed))
        .collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn content(file: &impl std::os::fd::AsFd) -> String {
    let mut bytes = vec![0; 256];
    let length = nix::sys::uio::pread(file.as_fd(), &mut bytes, 0).unwrap_or(0);
    String::from_utf8_lossy(&bytes[..length]).into_owned()
}
