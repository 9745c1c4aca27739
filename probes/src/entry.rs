//! The command line of the program that runs inside.
//!
//! `run PROBE nonce=HEX [report=FD:INODE] [NAME=VALUE]…` attempts one probe;
//! `victim …` is a canary process, outside. Nothing but the program's own file
//! and this argument list is needed: where the descriptor of `report` is not
//! the pipe that it should be, records go to standard output.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, RawFd};
use std::process::ExitCode;

use crate::wire::Record;
use crate::{Context, registry, victim};

/// Exit code of a command line that makes no sense.
const USAGE: u8 = 2;

/// Runs the program. Exit code 0 says that the attempt returned, never that
/// it was contained; 2 that the command line made no sense.
pub fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    match arguments.split_first() {
        Some((command, rest)) if command == "run" => run(rest),
        Some((command, rest)) if command == "victim" => victim::main(rest),
        _ => usage("escapology-probe is run by escapology: run PROBE nonce=HEX [NAME=VALUE]..."),
    }
}

fn run(arguments: &[String]) -> ExitCode {
    let Some((id, rest)) = arguments.split_first() else {
        return usage("run: no probe is named");
    };
    let Some(registered) = registry::find(id) else {
        return usage(&format!("run: there is no probe {id:?}"));
    };
    let mut values: BTreeMap<String, String> = rest
        .iter()
        .filter_map(|argument| argument.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let Some(nonce) = values.remove("nonce") else {
        return usage("run: nonce=HEX is missing");
    };
    let out = values
        .remove("report")
        .and_then(|report| report_pipe(&report))
        .unwrap_or_else(standard_output);

    limit();
    let mut context = Context::new(registered.id, nonce, values, out);
    context.report(&Record::Armed {
        probe: registered.id.to_owned(),
    });
    (registered.probe.attempt)(&mut context);
    context.report(&Record::Done);
    ExitCode::SUCCESS
}

/// The pipe that `FD:INODE` means, if it really is the one open there: a
/// launcher may have closed it, or put something else in its place.
fn report_pipe(report: &str) -> Option<BorrowedFd<'static>> {
    let (number, inode) = report.split_once(':')?;
    let descriptor = crate::raw::open_descriptor(number.parse::<RawFd>().ok()?)?;
    let stat = nix::sys::stat::fstat(descriptor).ok()?;
    (stat.st_ino == inode.parse::<u64>().ok()? && stat.st_mode & libc::S_IFMT == libc::S_IFIFO)
        .then_some(descriptor)
}

fn standard_output() -> BorrowedFd<'static> {
    use std::sync::OnceLock;
    static STDOUT: OnceLock<std::io::Stdout> = OnceLock::new();
    STDOUT.get_or_init(std::io::stdout).as_fd()
}

/// Seconds after which a probe that hangs is killed by its own alarm.
const ALARM: u32 = 20;

/// The probe's own alarm and limits, so that an uncontained attempt ends.
fn limit() {
    use nix::sys::resource::{Resource, setrlimit};
    nix::unistd::alarm::set(ALARM);
    for (resource, value) in [
        (Resource::RLIMIT_CORE, 0),
        (Resource::RLIMIT_CPU, u64::from(ALARM)),
        (Resource::RLIMIT_FSIZE, 128 << 20),
        (Resource::RLIMIT_AS, 512 << 20),
    ] {
        // A sandbox whose own limit is lower already has what is wanted here.
        let _ = setrlimit(resource, value, value);
    }
}

fn usage(message: &str) -> ExitCode {
    eprintln!("{message}");
    ExitCode::from(USAGE)
}
