//! What the process inside the arena tells the program outside: JSON lines.

use std::io::{self, BufRead, Write};

use serde::{Deserialize, Serialize};

use crate::model::{AblationRow, ProbeResult, SandboxFacts};

/// Something that happened during a run, in order.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// A sandbox will be tested, as far as this host can have it.
    Sandbox(SandboxFacts),
    /// So many legs are to come, besides those planned before.
    Planned {
        /// How many.
        legs: usize,
    },
    /// A leg has ended.
    LegDone {
        /// The probe's id.
        probe: String,
        /// The sandbox's name.
        sandbox: String,
        /// Which leg: `bare`, `only root`, `product`, `without root`.
        leg: String,
    },
    /// A probe has been judged.
    Result(Box<ProbeResult>),
    /// A protection has been taken away and every probe judged without it.
    Ablated {
        /// The whole sandbox's name.
        sandbox: String,
        /// What came of it.
        row: AblationRow,
    },
    /// The run cannot go on.
    Failed {
        /// Why.
        message: String,
    },
    /// The run is over. A stream that ends without it was cut.
    Finished,
}

/// Writes one event as one line.
///
/// # Errors
/// Those of the writer.
pub fn write(out: &mut impl Write, event: &Event) -> io::Result<()> {
    let mut line = serde_json::to_vec(event)?;
    line.push(b'\n');
    out.write_all(&line)?;
    out.flush()
}

/// Reads events, one a line, until the stream ends. A line that is none is an
/// error: the stream is between two processes of ours.
pub fn read(input: impl BufRead) -> impl Iterator<Item = io::Result<Event>> {
    input
        .lines()
        .map(|line| serde_json::from_str(&line?).map_err(io::Error::from))
}

#[cfg(test)]
mod tests {
    use probes::Guard;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::planned(Event::Planned { legs: 3 }, r#"{"event":"planned","legs":3}"#)]
    #[case::leg_done(
        Event::LegDone { probe: "a".to_owned(), sandbox: "b".to_owned(), leg: "only root".to_owned() },
        r#"{"event":"leg-done","probe":"a","sandbox":"b","leg":"only root"}"#)]
    #[case::ablated(
        Event::Ablated {
            sandbox: "a".to_owned(),
            row: AblationRow { without: Guard::Root, also_lost: vec![], cells: vec![] },
        },
        r#"{"event":"ablated","sandbox":"a","row":{"without":"root","cells":[]}}"#)]
    #[case::failed(Event::Failed { message: "a\nb".to_owned() }, r#"{"event":"failed","message":"a\nb"}"#)]
    #[case::finished(Event::Finished, r#"{"event":"finished"}"#)]
    fn an_event_is_one_line_and_comes_back(#[case] event: Event, #[case] line: &str) {
        let mut stream = Vec::new();
        write(&mut stream, &event).unwrap();
        assert_eq!(String::from_utf8_lossy(&stream), format!("{line}\n"));
        let back: Vec<Event> = read(stream.as_slice()).map(Result::unwrap).collect();
        assert_eq!(format!("{back:?}"), format!("{:?}", [event]));
    }

    #[test]
    fn a_line_that_is_no_event_is_an_error() {
        let mut events = read(b"{\"event\":\"finished\"}\nhello\n".as_slice());
        assert!(events.next().unwrap().is_ok());
        assert!(events.next().unwrap().is_err());
    }
}
