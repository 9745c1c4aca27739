//! The only unsafe code of this crate: one system call, one safe function, one
//! man-page link. What `nix` has without allocating is used from there.

pub(crate) mod caps;
pub(crate) mod clone;
pub(crate) mod exec;
pub(crate) mod fd;
pub(crate) mod ids;
pub(crate) mod keyring;
pub(crate) mod mount;
pub(crate) mod net;
pub(crate) mod page;
pub(crate) mod process;
pub(crate) mod signal;
pub(crate) mod socket;
