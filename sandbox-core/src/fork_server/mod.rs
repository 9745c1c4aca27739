//! The launch strategy `fork-server`: a small process that makes the processes.
//!
//! [`ForkServer::start`] executes a program once, from a launcher of any size by
//! CLONE_VM and CLONE_VFORK. From then on [`Command::server`](crate::Command::server)
//! launches through it: the launcher works out the plan and sends it with all
//! descriptors in one message; the server, which has one thread and little
//! memory, clones; the child walks the same plan as by any other strategy and
//! reports to the launcher itself. Any number of threads may launch at once; a
//! bounded number of requests is under way, the others wait.
//!
//! # Who is whose parent
//! The sandbox is the *server's* child: it ends with the server, the server ends
//! with the launcher's process (never with a mere thread of it), and the
//! launcher has no zombies and no SIGCHLD of it. The server reaps, and tells how
//! and with what usage each ended; [`Child`](crate::Child) hides the difference.
//! What a process inherits comes from the server, as it was when that was
//! started: limits, umask, credentials, keyring, cgroup, controlling terminal.
//! The environment, the standard streams and the working directory are the
//! launcher's at the launch. Descriptors that the launcher leaves open by
//! accident do not get inside, whatever the description says of them.
//!
//! # Pre-pivot
//! With [`Setup::pre_pivot`] the server makes a user and a mount namespace, once,
//! and pivots onto an empty file system, below which the host's tree stays
//! mounted. Sandboxes are made from there without pivot_root(2), which walks
//! every thread on the machine. See `plan::base` for what makes that safe.
//!
//! # Switching it off
//! With `ESCAPOLOGY_NOFORKSERVER=1` in the environment [`ForkServer::start`]
//! fails, and says so; nothing is launched in another way instead.

mod base;
mod client;
mod family;
mod server;
mod wire;

use std::ffi::CStr;

pub(crate) use client::Extra;
pub use client::{ForkServer, Setup};
pub use server::main;
pub(crate) use wire::{Link, Word};

/// Set to 1 it switches fork servers off.
pub const SWITCH: &str = "ESCAPOLOGY_NOFORKSERVER";

/// Where the host's tree is mounted below the base of a pre-pivoted server.
pub(crate) const OUTSIDE: &CStr = c"/outside";

/// The numbers under which a server finds its socket and its launcher's pidfd.
const CONTROL: i32 = 3;
const LAUNCHER: i32 = 4;
