//! What client and server say to each other.
//!
//! Each request is one message on the socket that the server was started with,
//! with all its descriptors and the end of a pair of its own, its link, on which
//! the server answers. Large ones travel in a sealed memory file.

use std::fs::File;
use std::io::{IoSlice, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, sendmsg, socketpair,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::child::Usage;
use crate::error::Error;
use crate::launch::Seen;
use crate::plan::Plan;
use crate::stage::Stage;
use crate::sys::process::Ended;
use crate::sys::socket;

/// Changes with every change of what is said.
pub(super) const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " 1");

/// Messages beyond this many bytes travel in a memory file.
const INLINE_MAX: usize = 32 << 10;

/// From the client.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Request {
    /// The first: how to set up.
    Setup { version: String, pre_pivot: bool },
    /// Launch this.
    Launch(Box<Launch>),
}

/// One launch. The descriptors that come along, in this order: the progress
/// page, the report socket, then those that are marked, then the program's, then
/// the sources of the plan's moves.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Launch {
    pub(super) plan: Plan,
    pub(super) leash: bool,
    /// Its directory and its `cgroup.procs`.
    pub(super) cgroup: bool,
    pub(super) user_namespace: bool,
    /// The launcher's working directory.
    pub(super) directory: bool,
    /// Whether the process group that the child leads is killed at its end.
    pub(super) kill_group: bool,
}

/// From the server.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Word {
    /// Set up.
    Ready { version: String },
    /// The process is made; its pidfd comes along.
    Made { pid: i32 },
    /// It is not.
    Failed {
        stage: Stage,
        subject: Option<String>,
        errno: i32,
    },
    /// The process has ended and is reaped.
    Ended { seen: WireSeen, usage: WireUsage },
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct WireSeen {
    pid: i32,
    code: i32,
    status: i32,
    executed: bool,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct WireUsage {
    user: Duration,
    system: Duration,
    max_rss_bytes: u64,
}

impl From<Seen> for WireSeen {
    fn from(seen: Seen) -> Self {
        Self {
            pid: seen.ended.pid,
            code: seen.ended.code,
            status: seen.ended.status,
            executed: seen.executed,
        }
    }
}

impl From<WireSeen> for Seen {
    fn from(seen: WireSeen) -> Self {
        Self {
            ended: Ended {
                pid: seen.pid,
                code: seen.code,
                status: seen.status,
            },
            executed: seen.executed,
        }
    }
}

impl From<Usage> for WireUsage {
    fn from(usage: Usage) -> Self {
        Self {
            user: usage.user,
            system: usage.system,
            max_rss_bytes: usage.max_rss_bytes,
        }
    }
}

impl From<WireUsage> for Usage {
    fn from(usage: WireUsage) -> Self {
        Self {
            user: usage.user,
            system: usage.system,
            max_rss_bytes: usage.max_rss_bytes,
        }
    }
}

impl Word {
    pub(super) fn failed(error: &Error) -> Self {
        let subject = match error {
            Error::Launch { subject, .. } => subject.clone(),
            other => Some(other.to_string()),
        };
        Self::Failed {
            stage: error.stage().unwrap_or(Stage::Prepare),
            subject,
            errno: error.errno().unwrap_or(Errno::EPROTO) as i32,
        }
    }
}

/// One end of the pair that belongs to a launch.
#[derive(Debug)]
pub(crate) struct Link(OwnedFd);

impl Link {
    pub(super) fn pair() -> nix::Result<(Self, OwnedFd)> {
        let (ours, theirs) = socketpair(
            AddressFamily::Unix,
            SockType::SeqPacket,
            None,
            SockFlag::SOCK_CLOEXEC,
        )?;
        Ok((Self(ours), theirs))
    }

    pub(super) fn new(end: OwnedFd) -> Self {
        Self(end)
    }

    /// The next word; EPIPE where the server has gone.
    pub(crate) fn hear(&self) -> nix::Result<(Word, Option<OwnedFd>)> {
        self.receive(MsgFlags::empty())
    }

    /// The next word, where there is one, which stays to be heard.
    pub(crate) fn peek(&self) -> nix::Result<Option<Word>> {
        match self.receive(MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT) {
            Ok((word, _)) => Ok(Some(word)),
            Err(Errno::EAGAIN) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    fn receive(&self, flags: MsgFlags) -> nix::Result<(Word, Option<OwnedFd>)> {
        // Subjects are paths: at most PATH_MAX and some words.
        let mut buffer = [0_u8; 8 << 10];
        let (length, mut descriptors, _) = match socket::receive(self.as_fd(), &mut buffer, flags) {
            Ok((0, ..)) | Err(Errno::ECONNRESET) => return Err(Errno::EPIPE),
            other => other?,
        };
        let word = buffer.get(..length).unwrap_or_default();
        let word = postcard::from_bytes(word).map_err(|_| Errno::EPROTO)?;
        Ok((word, descriptors.pop()))
    }

    /// Says something to the client; one that has gone is noticed elsewhere.
    pub(super) fn say(&self, word: &Word, descriptor: Option<BorrowedFd<'_>>) {
        if let Ok(bytes) = postcard::to_stdvec(word) {
            let descriptors: Vec<RawFd> = descriptor.iter().map(AsRawFd::as_raw_fd).collect();
            // Two words at most in a link: there is room for them.
            let _ = transmit(self.as_fd(), &bytes, &descriptors, MsgFlags::MSG_DONTWAIT);
        }
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Sends a request; waits while the socket is full.
pub(super) fn send(
    socket: BorrowedFd<'_>,
    request: &Request,
    link: BorrowedFd<'_>,
    descriptors: &[BorrowedFd<'_>],
) -> nix::Result<()> {
    let mut bytes = vec![0];
    bytes = postcard::to_extend(request, bytes).map_err(|_| Errno::EINVAL)?;
    let file;
    let mut numbers = vec![link.as_raw_fd()];
    if bytes.len() > INLINE_MAX {
        file = sealed(bytes.get(1..).unwrap_or_default())?;
        numbers.push(file.as_raw_fd());
        bytes = vec![1];
    }
    numbers.extend(descriptors.iter().map(AsRawFd::as_raw_fd));
    transmit(socket, &bytes, &numbers, MsgFlags::empty())
}

/// A request that has arrived.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) link: Link,
    pub(super) content: nix::Result<(Request, Vec<OwnedFd>)>,
}

/// Receives a request: nothing where nobody can send any more, or where it came
/// without a link, so that nobody waits for an answer.
pub(super) fn receive(
    socket: BorrowedFd<'_>,
    buffer: &mut Vec<u8>,
) -> nix::Result<Option<Arrived>> {
    buffer.resize(INLINE_MAX + 1, 0);
    let (length, descriptors, whole) = socket::receive(socket, buffer, MsgFlags::MSG_DONTWAIT)?;
    if length == 0 {
        return Err(Errno::EPIPE);
    }
    let mut descriptors = descriptors.into_iter();
    let Some(link) = descriptors.next() else {
        return Ok(None);
    };
    let bytes = buffer.get(..length).unwrap_or_default();
    let content = if whole {
        content(bytes, descriptors)
    } else {
        // The table of descriptors is full.
        Err(Errno::EMFILE)
    };
    Ok(Some(Arrived {
        link: Link::new(link),
        content,
    }))
}

fn content(
    bytes: &[u8],
    mut descriptors: std::vec::IntoIter<OwnedFd>,
) -> nix::Result<(Request, Vec<OwnedFd>)> {
    let request = match bytes.split_first() {
        Some((0, bytes)) => decode(bytes)?,
        _ => decode(&unseal(descriptors.next().ok_or(Errno::EPROTO)?)?)?,
    };
    Ok((request, descriptors.collect()))
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> nix::Result<T> {
    postcard::from_bytes(bytes).map_err(|_| Errno::EPROTO)
}

const SEALS: SealFlag = SealFlag::F_SEAL_SHRINK
    .union(SealFlag::F_SEAL_GROW)
    .union(SealFlag::F_SEAL_WRITE);

fn sealed(bytes: &[u8]) -> nix::Result<OwnedFd> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let mut file = File::from(memfd_create(c"request", flags)?);
    file.write_all(bytes).map_err(errno)?;
    fcntl(&file, FcntlArg::F_ADD_SEALS(SEALS))?;
    Ok(file.into())
}

/// What is read is what was checked: nobody can change it.
fn unseal(file: OwnedFd) -> nix::Result<Vec<u8>> {
    let seals = SealFlag::from_bits_truncate(fcntl(&file, FcntlArg::F_GET_SEALS)?);
    if !seals.contains(SEALS) {
        return Err(Errno::EPERM);
    }
    let mut bytes = Vec::new();
    let mut file = File::from(file);
    std::io::Seek::rewind(&mut file).map_err(errno)?;
    file.read_to_end(&mut bytes).map_err(errno)?;
    Ok(bytes)
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "it is what map_err passes on"
)]
fn errno(error: std::io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO))
}

fn transmit(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    descriptors: &[RawFd],
    flags: MsgFlags,
) -> nix::Result<()> {
    let parts = [IoSlice::new(bytes)];
    let rights = [ControlMessage::ScmRights(descriptors)];
    let control = if descriptors.is_empty() {
        &[][..]
    } else {
        &rights[..]
    };
    let flags = flags | MsgFlags::MSG_NOSIGNAL;
    loop {
        match sendmsg::<()>(socket.as_raw_fd(), &parts, control, flags, None) {
            Err(Errno::EINTR) => {}
            other => return other.map(drop),
        }
    }
}
