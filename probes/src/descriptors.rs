//! Inherited descriptors: which are open, and which file each of them is.
//!
//! A number alone says too little: a launcher may have closed a planted
//! descriptor and opened something of its own at the same number, which an
//! attempt must not touch. So the harness names a descriptor by number and
//! [`identity`].

use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, RawFd};

use nix::sys::stat::fstat;

use crate::raw;

/// The numbers that attempts look at end here.
const SCANNED: RawFd = 4096;

/// What tells a descriptor's file from all others: `DEVICE.INODE`.
///
/// # Errors
/// The errno of fstat(2).
pub fn identity(descriptor: impl AsFd) -> nix::Result<String> {
    let stat = fstat(descriptor)?;
    Ok(format!("{}.{}", stat.st_dev, stat.st_ino))
}

/// Every open descriptor but the standard streams and the one for reports.
pub(crate) fn open(report: RawFd) -> impl Iterator<Item = BorrowedFd<'static>> {
    (3..SCANNED)
        .filter(move |&number| number != report)
        .filter_map(raw::open_descriptor)
}

/// The descriptor that `NUMBER` or `NUMBER:DEVICE.INODE` means.
pub(crate) fn find(value: &str, report: RawFd) -> Option<BorrowedFd<'static>> {
    let Some((number, wanted)) = value.split_once(':') else {
        return raw::open_descriptor(value.parse().ok()?);
    };
    let number: RawFd = number.parse().ok()?;
    let is_wanted =
        |descriptor: &BorrowedFd<'_>| identity(descriptor).is_ok_and(|found| found == wanted);
    let mut matching: Vec<_> = open(report).filter(is_wanted).collect();
    matching.sort_by_key(|descriptor| descriptor.as_raw_fd() != number);
    matching.into_iter().next()
}
