//! What the child says to its parent before the program takes over.
//!
//! Messages on a close-on-exec SOCK_SEQPACKET pair, with the sender's
//! credentials: the kernel translates the pid, so the parent learns what the
//! program's process is called in its own pid namespace.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg, send, setsockopt,
    socketpair, sockopt,
};
use nix::unistd::Pid;

/// One message of eight bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Report {
    kind: u8,
    stage: u8,
    step: u16,
    errno: i32,
}

const FAILED: u8 = 1;
const EXECUTING: u8 = 2;
const STARTED: u8 = 3;

impl Report {
    /// A step failed; the child is about to leave.
    pub(super) fn failed(stage: u8, step: usize, errno: Errno) -> Self {
        Self {
            kind: FAILED,
            stage,
            step: u16::try_from(step).unwrap_or(u16::MAX),
            errno: errno as i32,
        }
    }

    /// All that is left is to execute the program.
    pub(super) fn executing() -> Self {
        Self {
            kind: EXECUTING,
            stage: 0,
            step: 0,
            errno: 0,
        }
    }

    /// The process that will be the sandbox has begun; for strategies in which
    /// the launcher does not make it itself.
    pub(super) fn started() -> Self {
        Self {
            kind: STARTED,
            ..Self::executing()
        }
    }

    fn to_bytes(self) -> [u8; 8] {
        let mut bytes = [self.kind, self.stage, 0, 0, 0, 0, 0, 0];
        bytes[2..4].copy_from_slice(&self.step.to_ne_bytes());
        bytes[4..].copy_from_slice(&self.errno.to_ne_bytes());
        bytes
    }

    /// Sends it; a parent that has gone is noticed elsewhere.
    pub(super) fn send(self, socket: BorrowedFd<'_>) {
        // MSG_NOSIGNAL: every signal is blocked here, and must stay unraised.
        let _ = send(socket.as_raw_fd(), &self.to_bytes(), MsgFlags::MSG_NOSIGNAL);
    }
}

/// What the parent received.
#[derive(Debug)]
pub(super) enum Received {
    /// A step failed.
    Failed {
        stage: u8,
        step: usize,
        errno: Errno,
    },
    /// The program's process is about to execute it; its pid and user id out
    /// here.
    Executing(Pid, u32),
    /// The sandbox's first process has begun; its pid out here.
    Started(Pid),
    /// Every copy of the child's end is closed: executed, or dead.
    End,
}

/// A pair whose first end receives credentials.
pub(super) fn pair() -> nix::Result<(OwnedFd, OwnedFd)> {
    let (parent, child) = socketpair(
        AddressFamily::Unix,
        SockType::SeqPacket,
        None,
        SockFlag::SOCK_CLOEXEC,
    )?;
    setsockopt(&parent, sockopt::PassCred, &true)?;
    Ok((parent, child))
}

/// Waits for the next message.
pub(super) fn receive(socket: BorrowedFd<'_>) -> nix::Result<Received> {
    let mut bytes = [0_u8; 8];
    let mut control = nix::cmsg_space!(nix::sys::socket::UnixCredentials);
    let mut parts = [IoSliceMut::new(&mut bytes)];
    let message = loop {
        match recvmsg::<()>(
            socket.as_raw_fd(),
            &mut parts,
            Some(&mut control),
            MsgFlags::MSG_CMSG_CLOEXEC,
        ) {
            Err(Errno::EINTR) => {}
            // The child's end was closed with our byte unread: the child is gone.
            Err(Errno::ECONNRESET) => return Ok(Received::End),
            other => break other?,
        }
    };
    let length = message.bytes;
    let sender = message.cmsgs()?.find_map(|message| match message {
        ControlMessageOwned::ScmCredentials(credentials) => {
            Some((Pid::from_raw(credentials.pid()), credentials.uid()))
        }
        _ => None,
    });
    if length < bytes.len() {
        return Ok(Received::End);
    }
    let [kind, stage, step_low, step_high, errno @ ..] = bytes;
    match (kind, sender) {
        (FAILED, _) => Ok(Received::Failed {
            stage,
            step: usize::from(u16::from_ne_bytes([step_low, step_high])),
            errno: Errno::from_raw(i32::from_ne_bytes(errno)),
        }),
        (EXECUTING, Some((pid, uid))) => Ok(Received::Executing(pid, uid)),
        (STARTED, Some((pid, _))) => Ok(Received::Started(pid)),
        _ => Err(Errno::EPROTO),
    }
}

/// Tells the child that the parent has done its part (the id maps).
pub(super) fn go_on(socket: BorrowedFd<'_>) -> nix::Result<()> {
    let parts = [IoSlice::new(b"+")];
    nix::sys::socket::sendmsg::<()>(
        socket.as_raw_fd(),
        &parts,
        &[],
        MsgFlags::MSG_NOSIGNAL,
        None,
    )
    .map(drop)
}
