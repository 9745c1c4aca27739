//! From a plan to a running process. One file a strategy; the child's code is shared.

mod calls;
mod child;
mod clone;
mod fork_unshare;
mod idmap;
mod init;
mod keeper;
mod report;
mod vfork_clone;

pub(crate) use clone::{Launched, launch};
pub(crate) use init::{Farewell, Heard, hear, release};
pub(crate) use keeper::ask_to_kill;
