//! A System V shared memory segment.

use std::io;

use nix::errno::Errno;

use super::{Canary, Ground, Lure, Output, cookie, seen};
use crate::model::Observation;
use crate::sys::{self, Segment};

/// A segment that only its owner may use, with a secret at its beginning.
#[derive(Debug)]
pub(super) struct SegmentCanary {
    nonce: String,
    key: i32,
    id: i32,
    segment: Segment,
    cookie: String,
    planted: Vec<u8>,
}

impl SegmentCanary {
    pub(super) fn plant(ground: &Ground) -> io::Result<Self> {
        let (key, id) = create()?;
        let segment = sys::attach_segment(id).inspect_err(|_| {
            // Nobody else knows of it yet.
            let _ = sys::remove_segment(id);
        })?;
        let cookie = cookie();
        segment.write(cookie.as_bytes());
        let planted = segment.read();
        Ok(Self {
            nonce: ground.nonce.clone(),
            key,
            id,
            segment,
            cookie,
            planted,
        })
    }

    fn evidence(&self, output: &Output) -> Vec<String> {
        let mut evidence = Vec::new();
        if self.segment.read() != self.planted {
            evidence.push("the segment was written".to_owned());
        }
        if output.reveals(&self.cookie) {
            evidence.push("the segment's secret came out".to_owned());
        }
        evidence
    }
}

/// A segment with a key that nobody else has.
fn create() -> io::Result<(i32, i32)> {
    loop {
        let key = i32::from_ne_bytes(uuid::Uuid::new_v4().as_fields().0.to_ne_bytes());
        if key == libc::IPC_PRIVATE {
            continue;
        }
        match sys::create_segment(key, 4096) {
            Err(Errno::EEXIST) => {}
            result => return Ok((key, result?)),
        }
    }
}

impl Canary for SegmentCanary {
    fn lure(&mut self) -> io::Result<Lure> {
        Ok(Lure {
            arguments: vec![
                ("key".to_owned(), self.key.to_string()),
                ("id".to_owned(), self.id.to_string()),
            ],
            ..Lure::default()
        })
    }

    fn observe(&mut self, output: &Output) -> Observation {
        seen(Ok(self.evidence(output)))
    }

    fn poke(&mut self) -> io::Result<Output> {
        sys::attach_segment(self.id)?.write(self.nonce.as_bytes());
        Ok(Output::default())
    }
}

impl Drop for SegmentCanary {
    fn drop(&mut self) {
        // It fails only where somebody has removed it already.
        let _ = sys::remove_segment(self.id);
    }
}
