//! A key in the session keyring of the calling thread, which the launch inherits.

use std::ffi::CString;
use std::io;

use probes::wire::Record;

use super::{Canary, Ground, Lure, Output, cookie, seen};
use crate::model::Observation;
use crate::sys;

/// A `user` key. Planted, looked at and dropped by the same thread: keyrings
/// belong to threads.
#[derive(Debug)]
pub(super) struct KeyCanary {
    description: String,
    serial: i32,
    cookie: String,
}

impl KeyCanary {
    pub(super) fn plant(_ground: &Ground) -> io::Result<Self> {
        let description = format!("escapology:{}", cookie());
        let cookie = cookie();
        let serial = sys::add_key(&CString::new(description.as_str())?, cookie.as_bytes())?;
        Ok(Self {
            description,
            serial,
            cookie,
        })
    }

    fn evidence(&self, output: &Output) -> io::Result<Vec<String>> {
        let mut evidence = Vec::new();
        if output.reveals(&self.cookie) {
            evidence.push("the key's secret came out".to_owned());
        }
        if sys::read_key(self.serial)? != self.cookie.as_bytes() {
            evidence.push("the key was changed".to_owned());
        }
        Ok(evidence)
    }
}

impl Canary for KeyCanary {
    fn lure(&mut self) -> io::Result<Lure> {
        Ok(Lure {
            arguments: vec![("description".to_owned(), self.description.clone())],
            ..Lure::default()
        })
    }

    fn observe(&mut self, output: &Output) -> Observation {
        seen(self.evidence(output))
    }

    fn poke(&mut self) -> io::Result<Output> {
        let payload = sys::read_key(self.serial)?;
        let value = String::from_utf8_lossy(&payload).into_owned();
        Ok(Output {
            records: vec![Record::Secret { value }],
            ..Output::default()
        })
    }
}

impl Drop for KeyCanary {
    fn drop(&mut self) {
        // Unlinked from its only keyring the kernel collects it; revoked, its
        // payload is gone at once, wherever else it was linked.
        let _ = sys::revoke_key(self.serial);
        let _ = sys::unlink_key(self.serial);
    }
}
