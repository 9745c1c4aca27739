//! The loopback device.
#![expect(unsafe_code, reason = "nix has no ioctl for interface flags")]

use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;

/// `IFF_UP` and `IFF_RUNNING` in the width that an `ifreq` has (linux/if.h).
const IFF_UP: libc::c_short = 0x1;
const IFF_RUNNING: libc::c_short = 0x40;

/// Brings up `lo` in the calling thread's network namespace, through any
/// socket of it ([netdevice(7)]).
///
/// [netdevice(7)]: https://man7.org/linux/man-pages/man7/netdevice.7.html
pub(crate) fn bring_up_loopback(socket: BorrowedFd<'_>) -> nix::Result<()> {
    // SAFETY: an all-zero `ifreq` is a valid value of that C structure.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (slot, byte) in request.ifr_name.iter_mut().zip(*b"lo") {
        *slot = byte.cast_signed();
    }
    request.ifr_ifru.ifru_flags = IFF_UP | IFF_RUNNING;
    // SAFETY: SIOCSIFFLAGS reads an `ifreq`, which this is, with the name
    // NUL-terminated by the zeroes around it.
    Errno::result(unsafe {
        libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request)
    })
    .map(drop)
}
