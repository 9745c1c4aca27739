//! The sandbox's own end: nothing of it may still be alive afterwards.

use std::io::{self, Read as _};
use std::os::fd::AsFd as _;
use std::process::{Command, Stdio};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use probes::wire::{Frames, Record};

use super::{Canary, Ground, Lure, Output, seen};
use crate::model::Observation;

/// The probe whose survivor the self-test listens to.
const SURVIVOR: &str = "process-setsid-doublefork";

/// How long a living survivor may be silent, in milliseconds.
const PATIENCE: u16 = 2_000;

/// Looks at nothing but what came after the teardown.
#[derive(Debug)]
pub(super) struct TeardownCanary {
    ground: Ground,
}

impl TeardownCanary {
    pub(super) fn plant(ground: &Ground) -> Self {
        Self {
            ground: ground.clone(),
        }
    }
}

impl Canary for TeardownCanary {
    fn lure(&mut self) -> io::Result<Lure> {
        Ok(Lure::default())
    }

    fn observe(&mut self, output: &Output) -> Observation {
        let beats = output
            .after_teardown
            .iter()
            .filter(|record| matches!(record, Record::Beat { .. }))
            .count();
        let mut evidence = Vec::new();
        if beats > 0 {
            evidence.push(format!(
                "a process wrote {beats} times after the sandbox was torn down"
            ));
        } else if output.held_open {
            evidence.push("a process held the output after the sandbox was torn down".to_owned());
        }
        seen(Ok(evidence))
    }

    /// Lets a process outlive its launch, and listens to it until it has been
    /// heard. It ends when nobody reads any more.
    fn poke(&mut self) -> io::Result<Output> {
        let mut child = Command::new(&self.ground.probe_program)
            .args(["run", SURVIVOR])
            .arg(format!("nonce={}", self.ground.nonce))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut stream = child
            .stdout
            .take()
            .ok_or_else(|| io::Error::other("the survivor has no output"))?;
        child.wait()?;
        let is_beat = |record: &Record| matches!(record, Record::Beat { .. });
        let mut frames = Frames::new(&self.ground.nonce);
        let mut bytes = [0; 4096];
        while !frames.records().iter().any(is_beat) {
            let mut ready = [PollFd::new(stream.as_fd(), PollFlags::POLLIN)];
            if poll(&mut ready, PollTimeout::from(PATIENCE))? == 0 {
                break;
            }
            match stream.read(&mut bytes)? {
                0 => break,
                length => frames.push(&bytes[..length]),
            }
        }
        Ok(Output {
            after_teardown: frames.records().to_vec(),
            ..Output::default()
        })
    }
}
