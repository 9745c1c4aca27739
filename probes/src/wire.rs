//! Attempt records: nonce-marked, bounded frames on a byte stream.
//!
//! A frame is `RS nonce SP json LF` (RS is 0x1e, as in RFC 7464), at most
//! [`FRAME_MAX`] bytes, so that one write(2) to a pipe never tears it. The
//! stream may be the probe's private pipe or the sandbox's standard output:
//! whatever else stands there is skipped, and a frame with another nonce does
//! not count.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The longest frame in bytes, its first and last byte included (PIPE_BUF).
pub const FRAME_MAX: usize = 4096;

/// The most records that a reader keeps of one probe; the rest are counted.
pub const RECORDS_MAX: usize = 256;

/// What a frame begins with.
pub const START: char = '\u{1e}';

/// What a probe says of itself. The second column: never the verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "stage", rename_all = "kebab-case")]
pub enum Record {
    /// The probe program runs and knows its attempt.
    Armed {
        /// The probe's id.
        probe: String,
    },
    /// One call of the attempt has returned.
    Attempted {
        /// The system call, with what tells it from its siblings.
        call: String,
        /// Its errno; none where it succeeded.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        errno: Option<i32>,
    },
    /// Something that the attempt looked for is not there.
    Missing {
        /// What it looked for.
        what: String,
    },
    /// A secret that came out.
    Secret {
        /// The bytes, as text.
        value: String,
    },
    /// A process that the attempt left behind is alive.
    Beat {
        /// Counts up.
        count: u64,
    },
    /// The attempt has returned.
    Done,
}

/// A frame with this record, or `None` where it would be longer than [`FRAME_MAX`].
pub fn frame(nonce: &str, record: &Record) -> Option<Vec<u8>> {
    let json = serde_json::to_string(record).ok()?;
    let mut bytes = Vec::with_capacity(nonce.len() + json.len() + 3);
    bytes.push(START as u8);
    bytes.extend_from_slice(nonce.as_bytes());
    bytes.push(b' ');
    bytes.extend_from_slice(json.as_bytes());
    bytes.push(b'\n');
    (bytes.len() <= FRAME_MAX).then_some(bytes)
}

/// Picks the frames with one nonce out of a byte stream, in bounded memory.
#[derive(Debug)]
pub struct Frames {
    nonce: Vec<u8>,
    /// The frame under way, from RS on; empty between frames.
    partial: Vec<u8>,
    records: Vec<Record>,
    rejected: usize,
}

impl Frames {
    /// A reader for frames marked with `nonce`.
    pub fn new(nonce: &str) -> Self {
        Self {
            nonce: nonce.as_bytes().to_vec(),
            partial: Vec::new(),
            records: Vec::new(),
            rejected: 0,
        }
    }

    /// Takes the next bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if char::from(byte) == START {
                self.reject_partial();
                self.partial.push(byte);
            } else if self.partial.is_empty() {
                // Outside a frame: somebody else's output.
            } else if byte == b'\n' {
                self.finish();
            } else if self.partial.len() + 1 >= FRAME_MAX {
                self.reject_partial();
            } else {
                self.partial.push(byte);
            }
        }
    }

    fn finish(&mut self) {
        let frame = std::mem::take(&mut self.partial);
        let record = frame[1..]
            .strip_prefix(self.nonce.as_slice())
            .and_then(|rest| rest.strip_prefix(b" "))
            .and_then(|json| serde_json::from_slice(json).ok());
        match record {
            Some(record) if self.records.len() < RECORDS_MAX => self.records.push(record),
            _ => self.rejected += 1,
        }
    }

    fn reject_partial(&mut self) {
        if !self.partial.is_empty() {
            self.partial.clear();
            self.rejected += 1;
        }
    }

    /// The records so far, in their order.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// How many frames were cut off, forged, too long or too many.
    pub fn rejected(&self) -> usize {
        self.rejected
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: &str = "00112233445566778899aabbccddeeff";

    fn read(stream: &[u8]) -> (Vec<Record>, usize) {
        let mut frames = Frames::new(NONCE);
        for chunk in stream.chunks(7) {
            frames.push(chunk);
        }
        (frames.records().to_vec(), frames.rejected())
    }

    #[test]
    fn frames_survive_other_output_around_them() {
        let mut stream = b"hello \x1b]52;c;AAAA\x07\n".to_vec();
        stream.extend(frame(NONCE, &Record::Done).unwrap());
        stream.extend(b"trailing");
        assert_eq!(read(&stream), (vec![Record::Done], 0));
    }

    #[test]
    fn a_frame_with_another_nonce_is_rejected() {
        let forged = frame("ffffffffffffffffffffffffffffffff", &Record::Done).unwrap();
        assert_eq!(read(&forged), (vec![], 1));
    }

    #[test]
    fn a_frame_cut_by_the_next_is_rejected_and_the_next_kept() {
        let whole = frame(NONCE, &Record::Done).unwrap();
        let mut stream = whole[..whole.len() - 4].to_vec();
        stream.extend(&whole);
        assert_eq!(read(&stream), (vec![Record::Done], 1));
    }

    #[test]
    fn an_endless_frame_is_bounded_and_rejected() {
        let mut stream = vec![START as u8];
        stream.extend(std::iter::repeat_n(b'x', 10 * FRAME_MAX));
        assert_eq!(read(&stream), (vec![], 1));
    }

    #[test]
    fn a_flood_of_records_is_counted_and_not_kept() {
        let stream = frame(NONCE, &Record::Done).unwrap().repeat(RECORDS_MAX + 5);
        let (records, rejected) = read(&stream);
        assert_eq!((records.len(), rejected), (RECORDS_MAX, 5));
    }

    #[test]
    fn a_record_that_does_not_fit_a_frame_is_refused() {
        assert_eq!(
            frame(
                NONCE,
                &Record::Secret {
                    value: "x".repeat(FRAME_MAX)
                }
            ),
            None
        );
    }
}
