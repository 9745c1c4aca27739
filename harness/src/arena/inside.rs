//! The program inside the arena: prepares the ground and does the run.

use std::fs::File;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use nix::sys::utsname::uname;

use super::{EVENTS, HOME, JAIL, PROBE_DIRECTORY, REQUEST, Request};
use crate::event::{self, Event};
use crate::leg::Field;
use crate::runs::Run;
use crate::{catalog, probe_program, sys};

/// Where legs have their directories. Short: a unix socket's path must fit 108 bytes.
const LEGS: &str = "/escapology/legs";

/// Pids in the arena begin here, so that a canary's is not, inside a fresh pid
/// namespace, the number of the probe or of its pid 1.
const FIRST_PID: &str = "20000";

/// Reads the request, does it, and tells what happened.
///
/// # Errors
/// Where the program outside cannot be reached, or this one is not in an arena.
pub fn run() -> io::Result<()> {
    // First of all: nothing that is started from here may get these two.
    let request = sys::take_descriptor(REQUEST).map_err(not_inside)?;
    let events = sys::take_descriptor(EVENTS).map_err(not_inside)?;
    let request: Request = serde_json::from_reader(File::from(request))?;
    let mut events = File::from(events);
    if let Err(message) = serve(&request, &mut events) {
        event::write(&mut events, &Event::Failed { message })?;
    }
    Ok(())
}

fn not_inside(errno: nix::errno::Errno) -> io::Error {
    io::Error::other(format!(
        "`escapology arena` is started by escapology itself: {errno}"
    ))
}

fn serve(request: &Request, events: &mut File) -> Result<(), String> {
    let field = prepare(request)
        .map_err(|error| format!("failed to prepare {HOME} in the arena: {error}"))?;
    let whole = catalog::whole().map_err(|error| error.chain())?;
    let kernel = uname()
        .map(|name| name.release().to_string_lossy().into_owned())
        .unwrap_or_default();
    let run = Run::new(request, whole, &field, &kernel)?;
    run.execute(request.jobs, events)
        .map_err(|error| format!("failed to tell what happened: {error}"))
}

fn prepare(request: &Request) -> io::Result<Field> {
    let open_to_all = |path: &str| std::fs::DirBuilder::new().mode(0o755).create(path);
    for directory in [PROBE_DIRECTORY, LEGS, JAIL] {
        open_to_all(directory)?;
    }
    // Before the first fork: a writer that a child still held would make the
    // program busy (ETXTBSY).
    let program_path = probe_program::write_into(Path::new(PROBE_DIRECTORY))?;
    // Best effort: an old kernel asks for CAP_SYS_ADMIN outside. A canary's pid
    // that is the probe's own is reported as missing then.
    let _ = std::fs::write("/proc/sys/kernel/ns_last_pid", FIRST_PID);
    Ok(Field {
        program: probe_program::sealed()?,
        program_path,
        directory: LEGS.into(),
        deadline: request.deadline,
    })
}
