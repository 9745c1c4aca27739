//! What an attempt gets: its canary's addresses, and a way to report.

use std::collections::BTreeMap;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::path::PathBuf;

use nix::errno::Errno;
use nix::unistd::Pid;

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

    /// An argument as the number of an inherited descriptor, if one is open
    /// there; reports it as missing otherwise.
    pub fn descriptor(&self, name: &str) -> Option<BorrowedFd<'static>> {
        let number: RawFd = self.number(name)?;
        let open = crate::raw::open_descriptor(number);
        if open.is_none() {
            self.missing(&format!("descriptor {number} ({name})"));
        }
        open
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
        self.attempt(
            call,
            result.map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(0))),
        )
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
        let Some(frame) = wire::frame(&self.nonce, record) else {
            return;
        };
        let mut rest = frame.as_slice();
        while !rest.is_empty() {
            match nix::unistd::write(self.out, rest) {
                Ok(0) => return,
                Ok(written) => rest = &rest[written..],
                Err(Errno::EINTR) => {}
                Err(_) => return,
            }
        }
    }

    /// The number of the descriptor that the records go to; an attempt that
    /// closes or writes to descriptors leaves this one alone.
    pub fn report_descriptor(&self) -> RawFd {
        self.out.as_raw_fd()
    }
}
