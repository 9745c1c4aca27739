//! One launch of one probe: plant, launch, read, tear down, look.

mod launcher;
mod stream;

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use nix::unistd::{Pid, pipe2};
use probes::{Registered, wire};
use sandbox_core::{Child, Exit, Stdio};

pub use launcher::{Launcher, Prepared};
use stream::Streams;

use crate::canary::{self, Canary, Ground, Lure, Output};
use crate::model::{Leg, Observation, Outcome};
use crate::outcome::{Ended, classify};
use crate::sanitise;

/// The number of the probe's private pipe, below all planted descriptors.
const REPORT: i32 = canary::FIRST_DESCRIPTOR - 1;

/// How many of a launcher's last lines a report has, and how much of each.
const WORDS_LINES: usize = 20;
const WORDS_MAX: usize = 400;

/// What all legs of a run share.
#[derive(Debug)]
pub struct Field {
    /// The probe's program, sealed, for launches by descriptor.
    pub program: File,
    /// The same as a file, for launchers that need a path.
    pub program_path: PathBuf,
    /// Where legs have their directories.
    pub directory: PathBuf,
    /// After how long a launch is killed.
    pub deadline: Duration,
}

impl Field {
    /// A fresh directory and nonce.
    fn ground(&self) -> io::Result<Ground> {
        let nonce = canary::cookie();
        // The name is not the nonce: paths are shown inside.
        let directory = self.directory.join(canary::cookie());
        // Open to every user: what a canary protects it protects itself, and a
        // launcher may change the user.
        std::fs::DirBuilder::new().mode(0o755).create(&directory)?;
        Ok(Ground {
            directory,
            nonce,
            probe_program: self.program_path.clone(),
        })
    }

    /// Runs a probe through a launcher. What goes wrong on the way is part of
    /// the leg, never a reason to have none.
    pub fn run(&self, probe: &Registered, launcher: &Launcher) -> Leg {
        let started = Instant::now();
        let mut leg = match self.ground() {
            Ok(ground) => {
                let leg = self
                    .attempt(probe, launcher, &ground)
                    .unwrap_or_else(|error| broken(&error));
                let _ = std::fs::remove_dir_all(&ground.directory);
                leg
            }
            Err(error) => broken(&error),
        };
        leg.micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        leg
    }

    fn attempt(&self, probe: &Registered, launcher: &Launcher, ground: &Ground) -> io::Result<Leg> {
        let mut canary = canary::plant(probe.probe.canary, ground)?;
        let lure = canary.lure()?;
        match canary.observe(&Output::default()) {
            Observation::Clean => {}
            before => return Ok(unusable(before)),
        }
        let leg = self.launch(probe, launcher, ground, lure, canary.as_mut());
        drop(canary);
        end_survivors(&ground.nonce);
        leg
    }

    fn launch(
        &self,
        probe: &Registered,
        launcher: &Launcher,
        ground: &Ground,
        lure: Lure,
        canary: &mut dyn Canary,
    ) -> io::Result<Leg> {
        let (report, report_inside) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
        let (printed, printed_inside) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
        for writer in [&report_inside, &printed_inside] {
            // Only the reading end is nonblocking: a probe that is faster than
            // the harness waits.
            nix::fcntl::fcntl(writer, nix::fcntl::FcntlArg::F_SETFL(OFlag::empty()))?;
        }
        let arguments = arguments(probe, ground, &report_inside, &lure)?;
        let prepared = launcher.prepare(self, ground, &lure, arguments)?;
        let mut command = prepared.command(self)?;
        for (name, value) in &lure.environment {
            command.env(name, value);
        }
        for (descriptor, number) in lure.descriptors {
            command.inherited_fd(descriptor, number);
        }
        command.pass_fd(report_inside, REPORT);
        command.process_group(lure.process_group.unwrap_or(Pid::from_raw(0)));
        if let Some(directory) = &lure.working_directory {
            command.launcher_dir(directory);
        }
        command
            .stdin(Stdio::Null)
            .stderr(Stdio::Descriptor(printed_inside.try_clone()?));
        command.stdout(Stdio::Descriptor(printed_inside));

        let spawned = command.spawn();
        // The command holds copies of the writing ends.
        drop(command);
        let mut streams = Streams::new(&ground.nonce, report, printed);
        let mut child = match spawned {
            Ok(child) => child,
            Err(error) => {
                let observation = canary.observe(&Output::default());
                return Ok(Leg {
                    exit: error.to_string(),
                    observation,
                    ..empty(Outcome::LaunchFailed)
                });
            }
        };
        let ended = follow(&mut child, &mut streams)?;
        drop(child);
        streams.after_teardown()?;
        Ok(finish(streams.output(), ended, canary))
    }
}

/// Reads what comes until the launched program has ended and is torn down.
fn follow(
    child: &mut Child,
    streams: &mut Streams,
) -> io::Result<Result<Exit, sandbox_core::Error>> {
    loop {
        match child.wait_timeout(Duration::ZERO) {
            Ok(Some(exit)) => return Ok(Ok(exit)),
            Ok(None) => {}
            Err(error) => return Ok(Err(error)),
        }
        streams.wait(child)?;
    }
}

fn finish(
    (output, rejected_frames): (Output, usize),
    ended: Result<Exit, sandbox_core::Error>,
    canary: &mut dyn Canary,
) -> Leg {
    let observation = canary.observe(&output);
    let (end, exit) = match ended {
        Ok(Exit::Code(code)) => (Ended::Exited(code), Exit::Code(code).to_string()),
        Ok(exit @ Exit::Signal { number, .. }) => (Ended::Signaled(number), exit.to_string()),
        Ok(Exit::TimedOut) => (Ended::TimedOut, Exit::TimedOut.to_string()),
        Err(error) => (Ended::LaunchFailed, error.to_string()),
    };
    let (outcome, call, errno) = classify(&output.records, end);
    let mut records = output.records;
    records.extend(output.after_teardown);
    Leg {
        outcome,
        call,
        errno,
        observation,
        records,
        rejected_frames,
        exited_zero: end == Ended::Exited(0),
        exit,
        output: last_words(&output.ending),
        micros: 0,
    }
}

/// What a launcher printed last, besides records, safe to show.
fn last_words(ending: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(ending)
        .split_inclusive('\n')
        .filter(|line| !line.starts_with(wire::START))
        .collect();
    sanitise::tail(&text, WORDS_LINES, WORDS_MAX).join("\n")
}

/// The probe's own argument list, its program aside.
fn arguments(
    probe: &Registered,
    ground: &Ground,
    report: &std::os::fd::OwnedFd,
    lure: &Lure,
) -> io::Result<Vec<OsString>> {
    let inode = nix::sys::stat::fstat(report)?.st_ino;
    let mut arguments: Vec<OsString> = vec![
        "run".into(),
        probe.id.into(),
        format!("nonce={}", ground.nonce).into(),
        format!("report={REPORT}:{inode}").into(),
    ];
    arguments.extend(
        lure.arguments
            .iter()
            .map(|(name, value)| format!("{name}={value}").into()),
    );
    Ok(arguments)
}

/// Kills what an uncontained probe left behind: whoever has this leg's nonce in
/// its argument list, which nobody else has.
fn end_survivors(nonce: &str) {
    let Ok(processes) = procfs::process::all_processes() else {
        return;
    };
    for process in processes.flatten() {
        let marked =
            |arguments: Vec<String>| arguments.iter().any(|argument| argument.contains(nonce));
        if !process.cmdline().is_ok_and(marked) {
            continue;
        }
        let pid = Pid::from_raw(process.pid());
        // By descriptor, and looked at once more through it: the number may
        // have changed hands.
        let Ok(pidfd) = crate::sys::pidfd_open(pid) else {
            continue;
        };
        let still =
            procfs::process::Process::new(process.pid()).and_then(|process| process.cmdline());
        if still.is_ok_and(marked) {
            let _ = crate::sys::pidfd_kill(std::os::fd::AsFd::as_fd(&pidfd));
        }
    }
}

fn empty(outcome: Outcome) -> Leg {
    Leg {
        outcome,
        call: None,
        errno: None,
        observation: Observation::Clean,
        records: Vec::new(),
        rejected_frames: 0,
        exited_zero: false,
        exit: String::new(),
        output: String::new(),
        micros: 0,
    }
}

/// The harness itself could not do its part.
fn broken(error: &io::Error) -> Leg {
    Leg {
        exit: format!("the harness failed to prepare it: {error}"),
        ..empty(Outcome::LaunchFailed)
    }
}

/// The canary was not clean before anything was launched.
fn unusable(before: Observation) -> Leg {
    let reason = match before {
        Observation::Touched { evidence } => {
            format!("it was touched before the launch: {evidence}")
        }
        Observation::Unknown { reason } => reason,
        Observation::Clean => String::new(),
    };
    Leg {
        observation: Observation::Unknown { reason },
        ..empty(Outcome::NotStarted)
    }
}

/// Plants a canary of this kind, touches it, and sees whether it notices.
///
/// # Errors
/// Why it cannot be relied on.
pub fn self_test(field: &Field, kind: probes::Canary) -> Result<(), String> {
    let text = |error: io::Error| error.to_string();
    let ground = field.ground().map_err(text)?;
    let result = (|| {
        let mut canary = canary::plant(kind, &ground).map_err(text)?;
        if canary.observe(&Output::default()) != Observation::Clean {
            return Err("it was not clean when planted".to_owned());
        }
        let output = canary.poke().map_err(text)?;
        let observation = canary.observe(&output);
        if observation.is_touched() {
            Ok(())
        } else {
            Err(format!("{observation:?}"))
        }
    })();
    let _ = std::fs::remove_dir_all(&ground.directory);
    result
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::plain("one\ntwo\n", "one\ntwo")]
    #[case::between_records("one\n\u{1e}00 {}\ntwo\n", "one\ntwo")]
    #[case::hostile("\u{1b}[2J\n", "\\x1b[2J")]
    #[case::the_end_of_much(&format!("{}last\n", "x\n".repeat(100)), &format!("{}last", "x\n".repeat(WORDS_LINES - 1)))]
    fn a_launchers_last_words(#[case] printed: &str, #[case] expected: &str) {
        assert_eq!(last_words(printed.as_bytes()), expected);
    }
}
