//! What comes out of a launch, read in bounded memory while it runs.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use probes::wire::{Frames, Record};
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
const SURVIVOR: Duration = Duration::from_millis(500);

/// Whoever is gone so soon after the launched program was torn down with it: a
/// launcher may end a moment before the kernel has ended its pid namespace.
const GRACE: Duration = Duration::from_millis(250);

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
    /// Both streams ended within the time of [`GRACE`].
    nobody_stayed: bool,
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
            nobody_stayed: false,
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
    /// as such. Then it waits for the end of both streams, or for a record
    /// from somebody who is still there after the time of [`GRACE`].
    pub(super) fn after_teardown(&mut self) -> io::Result<()> {
        self.read()?;
        let fresh = || Frames::new(&self.nonce);
        let before = (
            std::mem::replace(&mut self.report.frames, fresh()),
            std::mem::replace(&mut self.printed.frames, fresh()),
        );
        self.before = Some(before);
        let began = Instant::now();
        while self.open().next().is_some() {
            let heard = self.survivors().next().is_some();
            let patience = if heard { GRACE } else { SURVIVOR };
            let left = patience.saturating_sub(began.elapsed());
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
        self.nobody_stayed = self.open().next().is_none() && began.elapsed() < GRACE;
        Ok(())
    }

    fn survivors(&self) -> impl Iterator<Item = &Record> {
        self.report
            .frames
            .records()
            .iter()
            .chain(self.printed.frames.records())
    }

    /// All that came, and how many frames were rejected.
    pub(super) fn output(self) -> (Output, usize) {
        let torn_down =
            |record: &&Record| self.nobody_stayed && matches!(record, Record::Beat { .. });
        let after_teardown = self
            .survivors()
            .filter(|record| !torn_down(record))
            .cloned()
            .collect();
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

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use nix::fcntl::OFlag;
    use nix::unistd::pipe2;
    use probes::wire::frame;
    use rstest::rstest;

    use super::*;

    const NONCE: &str = "00112233445566778899aabbccddeeff";

    /// What counts as a survivor's word where this is written after the
    /// teardown, by somebody who stays for so long.
    fn after(record: &Record, stays: Duration) -> Vec<Record> {
        let pipe = || pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).expect("a pipe can be made");
        let ((report, _), (printed, writer)) = (pipe(), pipe());
        let mut streams = Streams::new(NONCE, report, printed);
        let bytes = frame(NONCE, record).expect("it fits");
        let survivor = std::thread::spawn(move || {
            let mut writer = File::from(writer);
            let began = Instant::now();
            // Nobody reads any more where it was heard.
            while writer.write_all(&bytes).is_ok() && began.elapsed() < stays {
                poll(&mut [], PollTimeout::from(10_u8)).expect("nothing to poll");
            }
        });
        streams.after_teardown().expect("it can be read");
        let (output, _) = streams.output();
        survivor.join().expect("it does not panic");
        output.after_teardown
    }

    #[test]
    fn who_is_gone_in_a_moment_was_torn_down() {
        assert_eq!(after(&Record::Beat { count: 1 }, Duration::ZERO), []);
    }

    #[test]
    fn who_stays_is_a_survivor() {
        let said = after(&Record::Beat { count: 1 }, Duration::from_secs(3));
        assert!(said.len() > 1, "{said:?}");
    }

    #[rstest]
    #[case::gone(true, &[Record::Done])]
    #[case::still_there(false, &[Record::Beat { count: 1 }, Record::Done])]
    fn only_beats_are_forgiven(#[case] nobody_stayed: bool, #[case] expected: &[Record]) {
        let pipe = || pipe2(OFlag::O_CLOEXEC).expect("a pipe can be made").0;
        let mut streams = Streams::new(NONCE, pipe(), pipe());
        streams.before = Some((Frames::new(NONCE), Frames::new(NONCE)));
        streams.nobody_stayed = nobody_stayed;
        for record in [Record::Beat { count: 1 }, Record::Done] {
            let bytes = frame(NONCE, &record).expect("it fits");
            streams.printed.frames.push(&bytes);
        }
        assert_eq!(streams.output().0.after_teardown, expected);
    }
}
