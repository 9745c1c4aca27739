//! One descriptor of each kind, left open for the launch, and no directory:
//! that one is a canary of its own.

use std::fs::File;
use std::io::{self, PipeReader, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::socket::{getsockopt, setsockopt, sockopt};
use nix::sys::stat::fstat;
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use probes::descriptors::identity;

use super::{Canary, FIRST_DESCRIPTOR, Ground, Lure, Output, all_of, seen};
use crate::model::Observation;

/// The harness's own ends of the descriptors.
#[derive(Debug)]
pub(super) struct DecoyCanary {
    nonce: String,
    file: File,
    memory: File,
    pipe: PipeReader,
    pipe_end: Option<OwnedFd>,
    socket: UnixStream,
    socket_end: Option<OwnedFd>,
    listener: TcpListener,
    timer: TimerFd,
    counter: EventFd,
    /// What timer and counter hold, which nothing else on the machine does.
    mark: u32,
    evidence: Vec<String>,
}

impl DecoyCanary {
    pub(super) fn plant(ground: &Ground) -> io::Result<Self> {
        let (pipe, pipe_end) = io::pipe()?;
        fcntl(&pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        let (socket, socket_end) = UnixStream::pair()?;
        socket.set_nonblocking(true)?;
        // Below a second, as nanoseconds, and above what anybody would choose.
        let mark = 500_000_000 + uuid::Uuid::new_v4().as_fields().0 % 400_000_000;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_CLOEXEC)?;
        let (far, interval) = (
            Duration::from_secs(1 << 20),
            Duration::from_nanos(mark.into()),
        );
        timer.set(
            Expiration::IntervalDelayed(TimeSpec::from(far), TimeSpec::from(interval)),
            TimerSetTimeFlags::empty(),
        )?;
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        Ok(Self {
            nonce: ground.nonce.clone(),
            file: File::options()
                .read(true)
                .write(true)
                .create_new(true)
                .open(ground.directory.join("decoy"))?,
            memory: File::from(memfd_create(c"decoy", MFdFlags::MFD_CLOEXEC)?),
            pipe,
            pipe_end: Some(pipe_end.into()),
            socket,
            socket_end: Some(socket_end.into()),
            listener: TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?,
            timer,
            counter: EventFd::from_value_and_flags(mark, flags)?,
            mark,
            evidence: Vec::new(),
        })
    }

    fn take(&mut self) -> io::Result<Vec<String>> {
        for (kind, bytes) in [
            ("pipe", all_of(&self.pipe)),
            ("socket", all_of(&self.socket)),
        ] {
            if !bytes.is_empty() {
                self.evidence
                    .push(format!("{} bytes came through the {kind}", bytes.len()));
            }
        }
        let mut evidence = self.evidence.clone();
        for (kind, file) in [("file", &self.file), ("memory file", &self.memory)] {
            let size = fstat(file)?.st_size;
            if size != 0 {
                evidence.push(format!("{size} bytes are in the {kind}"));
            }
        }
        if getsockopt(&self.listener, sockopt::KeepAlive)? {
            evidence.push("the listener has another option set".to_owned());
        }
        match self.timer.get()? {
            Some(Expiration::IntervalDelayed(_, interval))
                if interval.tv_nsec() == i64::from(self.mark) => {}
            _ => evidence.push("the timer has another setting".to_owned()),
        }
        let count = self.count()?;
        if count != u64::from(self.mark) {
            evidence.push("the counter has another value".to_owned());
        }
        Ok(evidence)
    }

    /// The counter's value. Reading takes it, so it is put back.
    fn count(&self) -> nix::Result<u64> {
        match self.counter.read() {
            Ok(count) => self.counter.write(count).map(|_| count),
            Err(Errno::EAGAIN) => Ok(0),
            Err(errno) => Err(errno),
        }
    }
}

impl Canary for DecoyCanary {
    fn lure(&mut self) -> io::Result<Lure> {
        let given = || io::Error::other("the descriptors were given away");
        let kinds = [
            ("file", OwnedFd::from(self.file.try_clone()?)),
            ("memory", OwnedFd::from(self.memory.try_clone()?)),
            ("pipe", self.pipe_end.take().ok_or_else(given)?),
            ("socket", self.socket_end.take().ok_or_else(given)?),
            ("listener", OwnedFd::from(self.listener.try_clone()?)),
            ("timer", self.timer.as_fd().try_clone_to_owned()?),
            ("counter", self.counter.as_fd().try_clone_to_owned()?),
        ];
        let mut lure = Lure::default();
        let mut decoys = Vec::new();
        for ((kind, descriptor), number) in kinds.into_iter().zip(FIRST_DESCRIPTOR..) {
            let mark = match kind {
                "timer" => self.mark.to_string(),
                "counter" => format!("{:x}", self.mark),
                _ => identity(&descriptor)?,
            };
            decoys.push(format!("{kind}={number}:{mark}"));
            lure.descriptors.push((descriptor, number));
        }
        lure.arguments = vec![("decoys".to_owned(), decoys.join(","))];
        Ok(lure)
    }

    fn observe(&mut self, _output: &Output) -> Observation {
        seen(self.take())
    }

    fn poke(&mut self) -> io::Result<Output> {
        self.file.write_all(self.nonce.as_bytes())?;
        self.memory.write_all(self.nonce.as_bytes())?;
        setsockopt(&self.listener, sockopt::KeepAlive, &true)?;
        self.timer.unset()?;
        self.counter.write(1)?;
        // Only before the lure has given them away: the self-test's own canary.
        for end in [&self.pipe_end, &self.socket_end].into_iter().flatten() {
            nix::unistd::write(end, self.nonce.as_bytes())?;
        }
        Ok(Output::default())
    }
}
