//! Launches isolated processes.
//!
//! A [`Spec`] says in plain data what a sandbox is; [`Spec::build`] checks it
//! and makes a [`Sandbox`]; a [`Command`] runs a program in it and gives a
//! [`Child`]. All that can be prepared is prepared before clone(2): the child
//! walks a list of system calls, allocates nothing and takes no lock, and every
//! failure comes back as stage, subject and errno.
//!
//! ```
//! use sandbox_core::{Command, Exit, Namespace, Spec};
//!
//! # fn main() -> sandbox_core::Result<()> {
//! let sandbox = Spec { namespaces: [Namespace::User, Namespace::Pid].into(), ..Spec::default() }.build()?;
//! let mut child = match Command::new(&sandbox, "/bin/true").spawn() {
//!     Ok(child) => child,
//!     // Not every host lets every user make namespaces; the error says why.
//!     Err(error) => return Ok(eprintln!("{error}")),
//! };
//! assert_eq!(child.wait()?, Exit::Code(0));
//! # Ok(())
//! # }
//! ```

mod cgroup;
mod child;
mod command;
mod error;
mod exit;
pub mod fork_server;
mod host;
mod launch;
mod plan;
mod spec;
mod stage;
mod sys;
mod tree;
mod uid_pool;

pub use child::{Child, Exit, Timings, Usage};
pub use command::{Command, Stdio};
pub use error::{Error, Result};
pub use fork_server::ForkServer;
pub use host::{CgroupMode, Feature, Host, State};
pub use nix::errno::Errno;
pub use spec::{
    Access, Base, Capabilities, Capability, Cgroup, Degraded, Derived, Descriptors, Enter,
    Environment, Guard, IdRange, Ids, Init, Keyring, Limits, Mount, Namespace, PolicyError, Root,
    Sandbox, Session, Spec, Strategy, TimeOffsets, UidPool, WorkingDirectory,
};
pub use stage::Stage;
pub use tree::{Means, Owners, Teardown, Tree};
