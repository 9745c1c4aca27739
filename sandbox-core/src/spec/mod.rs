//! What a sandbox is: plain data, checked on build. No system call is made here.

mod capability;
mod check;
mod derive;
mod environment;
mod guard;
mod root;
mod sandbox;

pub use capability::{Capabilities, Capability};
pub use check::PolicyError;
pub use derive::{Degraded, Derived};
pub use guard::Guard;
pub use root::{Access, Base, Enter, Mount, Root};
pub use sandbox::{
    Cgroup, Descriptors, Environment, IdRange, Ids, Init, Keyring, Limits, Namespace, Sandbox,
    Session, Spec, Strategy, TimeOffsets, UidPool, WorkingDirectory,
};
