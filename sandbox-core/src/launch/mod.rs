//! From a plan to a running process. One file a strategy; the child's code is shared.

mod calls;
mod child;
mod clone;
mod fork_unshare;
mod idmap;
mod inheritance;
mod init;
mod keeper;
mod process;
mod report;
mod served;
mod vfork_clone;
mod watch;

pub(crate) use clone::launch;
pub(crate) use init::{Farewell, Heard, hear, release};
pub(crate) use keeper::ask_to_kill;
pub(crate) use process::{Process, Seen, has_executed};
pub(crate) use served::{Order, make};
pub(crate) use watch::{Launched, Watch};
