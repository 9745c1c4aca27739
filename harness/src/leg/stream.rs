//! What comes out of a launch, read in bounded memory while it runs.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use probes::wire::Frames;
use sandbox_core::Child;

use crate::canary::Output;

/// How much of what is printed is kept; the rest is read and dropped.
const PRINTED_MAX: usize = 256 << 10;

/// How much of its end is kept besides.
const ENDING_MAX: usize = 4 << 10;

/// How many buffers are read at a time.
const READS_MAX: usize = 64;

/// How long a survivor has to show itself after the teardown, where its end
/// does not show first. Beats come every 25 ms.
const SURVIVOR: Duration = Duration::from_secs(2);

/// How often a child is looked at that gives no sign by itself, which is also
/// how late its deadline can be noticed.
const LOOK: u16 = 100;

/// The probe's private pipe, and its standard output and error.
#[derive(Debug)]
pub(super) struct Streams {
    nonce: String,
    report: Stream,
    printed: Stream,
    kept: Vec<u8>,
    ending: Vec<u8>,
    before: Option<(Frames, Frames)>,
}

#[derive(Debug)]
struct Stream {
    file: Option<File>,
    frames: Frames,
}

impl Streams {
    /// Nonblocking reading ends.
    pub(super) fn new(nonce: &str, report: OwnedFd, printed: OwnedFd) -> Self {
        let stream = |descriptor: OwnedFd| Stream {
            file: Some(File::from(descriptor)),
            frames: Frames::new(nonce),
        };
        Self {
            nonce: nonce.to_owned(),
            report: stream(report),
            printed: stream(printed),
            kept: Vec::new(),
            ending: Vec::new(),
            before: None,
        }
    }

    /// Waits until there is something to read or to wait for, and reads it.
    pub(super) fn wait(&mut self, child: &Child) -> io::Result<()> {
        {
            let wanted = |fd| PollFd::new(fd, PollFlags::POLLIN);
            let mut ready: Vec<PollFd<'_>> = child.wakeups().map(wanted).collect();
            ready.extend(self.open().map(|file| wanted(file.as_fd())));
            match poll(&mut ready, PollTimeout::from(LOOK)) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        self.read()
    }

    fn open(&self) -> impl Iterator<Item = &File> {
        [&self.report.file, &self.printed.file]
            .into_iter()
            .flatten()
    }

    /// Reads all that is there now.
    fn read(&mut self) -> io::Result<()> {
        self.report.read(|_| {})?;
        let (kept, ending) = (&mut self.kept, &mut self.ending);
        self.printed.read(|bytes| {
            let room = PRINTED_MAX - kept.len();
            kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
            ending.extend_from_slice(bytes);
            ending.drain(..ending.len().saturating_sub(ENDING_MAX));
        })
    }

    /// The sandbox is gone: what comes from now on comes from a survivor.
    ///
    /// Everything that lies in the pipes by now was written before and counts
    /// as such. Then it waits for the end of both streams, or for a record.
    pub(super) fn after_teardown(&mut self) -> io::Result<()> {
        self.read()?;
        let fresh = || Frames::new(&self.nonce);
        let before = (
            std::mem::replace(&mut self.report.frames, fresh()),
            std::mem::replace(&mut self.printed.frames, fresh()),
        );
        self.before = Some(before);
        let until = Instant::now() + SURVIVOR;
        while self.open().next().is_some() && self.survivors().next().is_none() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            {
                let mut ready: Vec<PollFd<'_>> = self
                    .open()
                    .map(|file| PollFd::new(file.as_fd(), PollFlags::POLLIN))
                    .collect();
                let millis = u16::try_from(left.as_millis() + 1).unwrap_or(u16::MAX);
                match poll(&mut ready, PollTimeout::from(millis)) {
                    Ok(_) | Err(Errno::EINTR) => {}
                    Err(errno) => return Err(errno.into()),
                }
            }
            self.read()?;
        }
        Ok(())
    }

    fn survivors(&self) -> impl Iterator<Item = &probes::wire::Record> {
        self.report
            .frames
            .records()
            .iter()
            .chain(self.printed.frames.records())
    }

    /// All that came, and how many frames were rejected.
    pub(super) fn output(self) -> (Output, usize) {
        let after_teardown = self.survivors().cloned().collect();
        let held_open = self.before.is_some() && self.open().next().is_some();
        let late = self.report.frames.rejected() + self.printed.frames.rejected();
        let Some((report, printed)) = self.before else {
            return (
                Output {
                    records: after_teardown,
                    printed: self.kept,
                    ending: self.ending,
                    after_teardown: Vec::new(),
                    held_open,
                },
                late,
            );
        };
        let records = report
            .records()
            .iter()
            .chain(printed.records())
            .cloned()
            .collect();
        let rejected = report.rejected() + printed.rejected() + late;
        (
            Output {
                records,
                printed: self.kept,
                ending: self.ending,
                after_teardown,
                held_open,
            },
            rejected,
        )
    }
}

impl Stream {
    fn read(&mut self, mut each: impl FnMut(&[u8])) -> io::Result<()> {
        let mut buffer = [0; 16 << 10];
        // Bounded: a writer that is always faster must not keep the deadline
        // from being looked at.
        for _ in 0..READS_MAX {
            let Some(file) = &mut self.file else {
                return Ok(());
            };
            match file.read(&mut buffer) {
                Ok(0) => self.file = None,
                Ok(length) => {
                    self.frames.push(&buffer[..length]);
                    each(&buffer[..length]);
                    if length < buffer.len() {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
