//! Processes outside that were made undumpable, and what became of that.

use std::io;

use nix::sys::signal::{Signal, kill};
use probes::victim::{BY_EXEC, BY_PRCTL, UNDUMPABLE};
use probes::wire::Record;

use super::victim::Victim;
use super::{Canary, Ground, Lure, Output, seen};
use crate::model::Observation;

/// A canary process for each role.
#[derive(Debug)]
pub(super) struct UndumpableCanary {
    victims: Vec<(&'static str, Victim)>,
}

impl UndumpableCanary {
    pub(super) fn plant(ground: &Ground) -> io::Result<Self> {
        let start = |role| {
            Ok((
                role,
                Victim::start_as(ground, &ground.directory, None, &[role])?,
            ))
        };
        let victims = [UNDUMPABLE, BY_PRCTL, BY_EXEC].into_iter().map(start);
        Ok(Self {
            victims: victims.collect::<io::Result<_>>()?,
        })
    }
}

impl Canary for UndumpableCanary {
    fn lure(&mut self) -> io::Result<Lure> {
        let mut lure = Lure::default();
        for (role, victim) in &self.victims {
            lure.arguments.extend([
                ((*role).to_owned(), victim.pid().to_string()),
                (format!("{role}-page"), format!("{:x}", victim.page())),
            ]);
        }
        Ok(lure)
    }

    fn observe(&mut self, output: &Output) -> Observation {
        let mut evidence = Vec::new();
        for (role, victim) in &mut self.victims {
            match victim.evidence(output) {
                Ok(found) => evidence.extend(found.iter().map(|what| format!("{role}: {what}"))),
                Err(error) => return seen(Err(error)),
            }
        }
        seen(Ok(evidence))
    }

    fn poke(&mut self) -> io::Result<Output> {
        let mut records = Vec::new();
        for (_, victim) in &self.victims {
            kill(victim.pid(), Signal::SIGURG)?;
            let value = victim.secret("descriptor").unwrap_or_default().to_owned();
            records.push(Record::Secret { value });
        }
        Ok(Output {
            records,
            ..Output::default()
        })
    }
}
