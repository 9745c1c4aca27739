//! Descriptors that arrive: through a socket, or by inheritance.
#![expect(unsafe_code, reason = "descriptors arrive as numbers")]

use std::io::IoSliceMut;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};

/// The most that one message can carry (SCM_MAX_FD, [unix(7)]).
///
/// [unix(7)]: https://man7.org/linux/man-pages/man7/unix.7.html
pub(crate) const DESCRIPTORS_MAX: usize = 253;

/// A message and the descriptors that came with it; nothing at the end of the
/// conversation ([recvmsg(2)]). EMFILE where not all of them could be opened.
///
/// [recvmsg(2)]: https://man7.org/linux/man-pages/man2/recvmsg.2.html
pub(crate) fn receive(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
    flags: MsgFlags,
) -> nix::Result<(usize, Vec<OwnedFd>, bool)> {
    let mut control = nix::cmsg_space!([RawFd; DESCRIPTORS_MAX]);
    let mut parts = [IoSliceMut::new(buffer)];
    let flags = flags | MsgFlags::MSG_CMSG_CLOEXEC;
    let message = loop {
        match recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut control), flags) {
            Err(Errno::EINTR) => {}
            other => break other?,
        }
    };
    let whole = !message
        .flags
        .intersects(MsgFlags::MSG_TRUNC | MsgFlags::MSG_CTRUNC);
    let mut descriptors = Vec::new();
    for part in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(numbers) = part {
            // SAFETY: the kernel has just opened them, close-on-exec, for this
            // message, and nothing else knows the numbers.
            descriptors.extend(
                numbers
                    .into_iter()
                    .map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }),
            );
        }
    }
    Ok((message.bytes, descriptors, whole))
}

/// A descriptor that this program was started with; it gets close-on-exec.
/// EBADF where there is none.
///
/// The program must take each number once, before it opens anything.
pub(crate) fn inherited(number: RawFd) -> nix::Result<OwnedFd> {
    // SAFETY: `borrow_raw` requires an open descriptor other than -1; one that
    // is not open gives EBADF, and nothing else is done with it then.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    fcntl(borrowed, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    // SAFETY: it is open, and the program that was started with it owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}
