//! What an attempt gets: its canary's addresses, and a way to report.

use std::collections::BTreeMap;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::path::PathBuf;

use nix::errno::Errno;
use nix::sys::signal::SigSet;
use nix::unistd::Pid;

use crate::descriptors;
use crate::victim::COUNTED;
use crate::wire::{self, Record};

/// The addresses of the canary and the way back to the harness.
#[derive(Debug)]
pub struct Context {
    id: String,
    nonce: String,
    values: BTreeMap<String, String>,
    out: BorrowedFd<'static>,
}

impl Context {
    pub(crate) fn new(
        id: &str,
        nonce: String,
        values: BTreeMap<String, String>,
        out: BorrowedFd<'static>,
    ) -> Self {
        Self {
            id: id.to_owned(),
            nonce,
            values,
            out,
        }
    }

    /// The probe's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The leg's nonce: what an attempt writes into a canary, so that a stale
    /// mark can never be taken for a new one. 32 hexadecimal digits.
    pub fn nonce(&self) -> &str {
        &self.nonce
    }

    /// An argument as text; reports it as missing where there is none.
    pub fn value(&self, name: &str) -> Option<&str> {
        let value = self.values.get(name).map(String::as_str);
        if value.is_none() {
            self.missing(&format!("argument {name}"));
        }
        value
    }

    /// An argument as a path.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        self.value(name).map(PathBuf::from)
    }

    /// An argument as a decimal number.
    pub fn number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.value(name)?.parse().ok()
    }

    /// An argument as a pid.
    pub fn pid(&self, name: &str) -> Option<Pid> {
        self.number(name).map(Pid::from_raw)
    }

    /// An argument as a hexadecimal address.
    pub fn address(&self, name: &str) -> Option<usize> {
        usize::from_str_radix(self.value(name)?.trim_start_matches("0x"), 16).ok()
    }

    /// An argument as the pid of a process outside, safe to signal: in a pid
    /// namespace of its own the same number can mean the probe itself, and
    /// that is reported as missing. Blocks the signals that attempts send, so
    /// that a stray one does not end the probe.
    pub fn outside_pid(&self, name: &str) -> Option<Pid> {
        let signals: SigSet = COUNTED.into_iter().collect();
        // It cannot fail with a valid set; a probe that is killed all the same
        // is inconclusive and never contained.
        let _ = signals.thread_block();
        let pid = self.pid(name)?;
        if pid == nix::unistd::getpid() {
            self.missing(&format!("process {pid}: here it is the probe itself"));
            return None;
        }
        Some(pid)
    }

    /// An argument as an inherited descriptor; reports it as missing where it
    /// is not open. `NUMBER:DEVICE.INODE` says which file it must be, and is
    /// looked for under every number; without that, the number alone counts.
    pub fn descriptor(&self, name: &str) -> Option<BorrowedFd<'static>> {
        let value = self.value(name)?;
        let open = descriptors::find(value, self.report_descriptor());
        if open.is_none() {
            self.missing(&format!("descriptor {value} ({name})"));
        }
        open
    }

    /// Every inherited descriptor that is no stream of the probe's own.
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'static>> + use<> {
        descriptors::open(self.report_descriptor())
    }

    /// Reports one call of the attempt and hands its result on.
    pub fn attempt<T>(&self, call: &str, result: nix::Result<T>) -> nix::Result<T> {
        let errno = result.as_ref().err().map(|&errno| errno as i32);
        self.report(&Record::Attempted {
            call: call.to_owned(),
            errno,
        });
        result
    }

    /// As [`Context::attempt`], for a result of the standard library.
    pub fn attempt_io<T>(&self, call: &str, result: std::io::Result<T>) -> nix::Result<T> {
        self.attempt(call, result.map_err(errno_of))
    }

    /// Reports a preparation only where it fails: a call that crosses nothing
    /// by itself must not make a refused attempt look like a successful one.
    pub fn step<T>(&self, call: &str, result: nix::Result<T>) -> nix::Result<T> {
        if result.is_err() {
            return self.attempt(call, result);
        }
        result
    }

    /// As [`Context::step`], for a result of the standard library.
    pub fn step_io<T>(&self, call: &str, result: std::io::Result<T>) -> nix::Result<T> {
        self.step(call, result.map_err(errno_of))
    }

    /// Reports that something the attempt needs is not there.
    pub fn missing(&self, what: &str) {
        self.report(&Record::Missing {
            what: what.to_owned(),
        });
    }

    /// Reports what came out. The harness compares it with the canary's cookie.
    pub fn secret(&self, value: &[u8]) {
        let value = String::from_utf8_lossy(&value[..value.len().min(512)]).into_owned();
        self.report(&Record::Secret { value });
    }

    /// Writes one record. A reader that has gone is not the probe's concern.
    pub fn report(&self, record: &Record) {
        // Nothing to do about it: the harness judges what arrives.
        let _ = self.try_report(record);
    }

    /// As [`Context::report`], and says whether the record left.
    ///
    /// # Errors
    /// EMSGSIZE where the record fits no frame; EPIPE where nobody reads.
    pub fn try_report(&self, record: &Record) -> nix::Result<()> {
        let frame = wire::frame(&self.nonce, record).ok_or(Errno::EMSGSIZE)?;
        let mut rest = frame.as_slice();
        while !rest.is_empty() {
            match nix::unistd::write(self.out, rest) {
                Ok(0) => return Err(Errno::EPIPE),
                Ok(written) => rest = &rest[written..],
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }

    /// The number of the descriptor that the records go to; an attempt that
    /// closes or writes to descriptors leaves this one alone.
    pub fn report_descriptor(&self) -> RawFd {
        self.out.as_raw_fd()
    }
}

/// The errno of an error; EIO for the few that the standard library makes up.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the shape that map_err calls"
)]
fn errno_of(error: std::io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO))
}
