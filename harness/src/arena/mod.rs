//! The arena: throw-away outer namespaces in which canaries and uncontained
//! probes live, so that an escape meets the arena and never the host.
//!
//! The program outside launches itself as the program inside ([`launch`]),
//! hands it a [`Request`] and reads events. The inside has the user's own ids
//! and, in the arena's user namespace, all capabilities, so that an ordinary
//! user's bare legs can do what root's can. Nothing of it is on the host's file
//! system; with the end of either program the kernel takes all of it away.

mod ground;
mod inside;
mod request;

use std::fs::File;
use std::io::{self, BufReader, Seek as _, Write as _};
use std::os::fd::OwnedFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::pipe2;
use sandbox_core::{Child, Command, Exit, Host, Stage, Stdio};

pub use ground::{HOME, JAIL, PROBE_DIRECTORY, obstacle, sandbox};
pub use inside::run;
pub use request::{Request, Target};

use crate::event::{self, Event};

/// The number of the descriptor that the inside reads its request from.
const REQUEST: i32 = 3;
/// The number of the descriptor that the inside writes its events to.
const EVENTS: i32 = 4;

/// How old what is shown of /tmp must be, from the first attempt to the last:
/// where it changes all the time, only what has stayed for a while is shown.
const YOUNGEST: [Duration; 4] = [
    Duration::ZERO,
    Duration::ZERO,
    Duration::from_secs(1),
    Duration::from_secs(10),
];

/// Why there is no arena, or no more.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be made here.
    #[error("no arena can be made")]
    Launch(#[source] sandbox_core::Error),
    /// The program inside could not be prepared or heard.
    #[error("the arena cannot be reached")]
    Io(#[from] io::Error),
    /// The program inside ended before its work was done.
    #[error("the arena ended early ({0})")]
    Ended(Exit),
    /// The program inside gave up.
    #[error("{0}")]
    Failed(String),
}

/// A running arena.
#[derive(Debug)]
pub struct Arena {
    child: Child,
    events: OwnedFd,
}

/// Makes an arena and starts the program inside with this request.
///
/// # Errors
/// [`Error::Launch`] where the host does not allow it.
pub fn launch(request: &Request, host: &Host) -> Result<Arena, Error> {
    let mut result = Err(Error::Failed("no attempt was made".to_owned()));
    for youngest in YOUNGEST {
        result = attempt(request, host, youngest);
        if !result.as_ref().is_err_and(is_stale) {
            break;
        }
    }
    result
}

/// Whether something that was to be shown has gone since it was listed: other
/// programs come and go in /tmp meanwhile.
fn is_stale(error: &Error) -> bool {
    let Error::Launch(error) = error else {
        return false;
    };
    error.stage() == Some(Stage::Mount)
        && matches!(error.errno(), Some(Errno::ENOENT | Errno::ENOTDIR))
}

fn attempt(request: &Request, host: &Host, youngest: Duration) -> Result<Arena, Error> {
    let sandbox = ground::sandbox(host, youngest)?;
    let program = File::open("/proc/self/exe")?;
    let mut written = File::from(
        memfd_create(c"escapology-request", MFdFlags::MFD_CLOEXEC).map_err(io::Error::from)?,
    );
    serde_json::to_writer(&mut written, request).map_err(io::Error::from)?;
    written.flush()?;
    written.rewind()?;
    let (events, inside) = pipe2(OFlag::O_CLOEXEC).map_err(io::Error::from)?;

    let mut command = Command::from_descriptor(&sandbox, program.into(), "escapology");
    command.arg("arena");
    command
        .pass_fd(written.into(), REQUEST)
        .pass_fd(inside, EVENTS);
    command.stdin(Stdio::Null).stdout(Stdio::Null);
    let child = command.spawn().map_err(Error::Launch)?;
    Ok(Arena { child, events })
}

impl Arena {
    /// Hands on what the inside says, until it is done.
    ///
    /// # Errors
    /// Where it ends without having said that it is done.
    pub fn follow(mut self, mut each: impl FnMut(Event)) -> Result<(), Error> {
        let mut finished = false;
        for event in event::read(BufReader::new(File::from(self.events))) {
            match event {
                Ok(Event::Failed { message }) => return Err(Error::Failed(message)),
                Ok(event) => {
                    finished |= matches!(event, Event::Finished);
                    each(event);
                }
                // A line that was cut: the inside has died; how is said below.
                Err(_) => break,
            }
        }
        let exit = self.child.wait().map_err(Error::Launch)?;
        if finished && exit.success() {
            Ok(())
        } else {
            Err(Error::Ended(exit))
        }
    }
}
