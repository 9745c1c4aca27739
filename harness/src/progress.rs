//! How far a run is, on a terminal; silent elsewhere.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::event::Event;

/// A bar on standard error that follows the events of a run.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// A bar that stands still; none where standard error is no terminal, or
    /// where it is not wanted.
    pub fn new(wanted: bool) -> Self {
        let target = if wanted {
            ProgressDrawTarget::stderr_with_hz(10)
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(Some(0), target);
        bar.set_style(style());
        if !bar.is_hidden() {
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        Self { bar }
    }

    /// Takes note of what happened.
    pub fn follow(&self, event: &Event) {
        match event {
            Event::Planned { legs } => self.bar.inc_length(*legs as u64),
            Event::LegDone {
                probe,
                sandbox,
                leg,
            } => {
                self.bar.set_message(format!("{sandbox}: {probe}, {leg}"));
                self.bar.inc(1);
            }
            Event::Sandbox(_) | Event::Result(_) | Event::Ablated { .. } => {}
            Event::Failed { .. } | Event::Finished => self.bar.finish_and_clear(),
        }
    }

    /// Writes a line above the bar.
    pub fn say(&self, line: &str) {
        self.bar.suspend(|| eprintln!("{line}"));
    }

    /// How many legs have ended, and how many are planned.
    pub fn position(&self) -> (u64, u64) {
        (self.bar.position(), self.bar.length().unwrap_or(0))
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        // A run that failed half-way must not leave its bar in the report.
        self.bar.finish_and_clear();
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{bar:30} {pos}/{len} legs  {wide_msg}")
        .expect("the template is a constant")
        .progress_chars("=> ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn legs_are_counted_as_they_are_planned_and_done() {
        let progress = Progress::new(false);
        progress.follow(&Event::Planned { legs: 3 });
        progress.follow(&Event::Planned { legs: 2 });
        progress.follow(&Event::LegDone {
            probe: "fs-read".to_owned(),
            sandbox: "namespaces".to_owned(),
            leg: "bare".to_owned(),
        });
        assert_eq!(progress.position(), (1, 5));
    }
}
