//! The canary process, from the harness's side: started, asked, ended.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use probes::victim::{Orders, State};

use super::{Ground, Output, cookie};
use crate::sys;

/// How long the process may take to answer, in milliseconds. It answers at
/// once unless something has stopped it.
const PATIENCE: u16 = 5_000;

/// A running canary process: a process group of its own, the same user, no
/// capabilities. Dropping it kills and reaps it.
#[derive(Debug)]
pub(super) struct Victim {
    pid: Pid,
    pidfd: OwnedFd,
    control: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// Its secrets: of the page, of the descriptor, of the environment.
    secrets: [(&'static str, String); 3],
    first: State,
}

impl Victim {
    /// Starts it. It ends with the calling thread, at the latest.
    pub(super) fn start(
        ground: &Ground,
        directory: &Path,
        listen: Option<String>,
    ) -> io::Result<Self> {
        Self::start_as(ground, directory, listen, &[])
    }

    /// One with a role of its own, as an argument.
    pub(super) fn start_as(
        ground: &Ground,
        directory: &Path,
        listen: Option<String>,
        role: &[&str],
    ) -> io::Result<Self> {
        let orders = Orders {
            page: cookie(),
            file: cookie(),
            listen,
        };
        let variable = cookie();
        let mut child = Command::new(&ground.probe_program)
            .arg("victim")
            .args(role)
            .env_clear()
            .env("ESCAPOLOGY_SECRET", &variable)
            .current_dir(directory)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let (pid, pidfd) = handle(&mut child)?;
        let (control, answers) = child
            .stdin
            .take()
            .zip(child.stdout.take())
            .ok_or_else(|| io::Error::other("the canary process has no pipes"))?;
        let mut victim = Self {
            pid,
            pidfd,
            control,
            answers: BufReader::new(answers),
            secrets: [
                ("page", orders.page.clone()),
                ("descriptor", orders.file.clone()),
                ("environment", variable),
            ],
            first: State {
                address: 0,
                page: String::new(),
                file: String::new(),
                signals: Default::default(),
                nice: 0,
            },
        };
        let orders = serde_json::to_string(&orders)?;
        victim.first = victim.exchange(&orders)?;
        Ok(victim)
    }

    /// Its pid, which is its process group too.
    pub(super) fn pid(&self) -> Pid {
        self.pid
    }

    /// The address of its secret page.
    pub(super) fn page(&self) -> usize {
        self.first.address
    }

    /// What its secret descriptor, and its environment, must not be known for.
    pub(super) fn secret(&self, of: &str) -> Option<&str> {
        let secret = self.secrets.iter().find(|(name, _)| *name == of);
        secret.map(|(_, cookie)| cookie.as_str())
    }

    /// What shows that it was reached. An error: it can't be asked.
    pub(super) fn evidence(&mut self, output: &Output) -> io::Result<Vec<String>> {
        let now = self.exchange("")?;
        let mut evidence: Vec<String> = self
            .secrets
            .iter()
            .filter(|(_, secret)| output.reveals(secret))
            .map(|(place, _)| format!("the secret of a process's {place} came out"))
            .collect();
        for (signal, count) in &now.signals {
            evidence.push(format!("the process got {signal} {count} times"));
        }
        if now.page != self.first.page {
            evidence.push("the process's memory was written".to_owned());
        }
        if now.file != self.first.file {
            evidence.push("the process's file was written".to_owned());
        }
        if now.nice != self.first.nice {
            evidence.push(format!("the process has nice value {}", now.nice));
        }
        Ok(evidence)
    }

    fn exchange(&mut self, request: &str) -> io::Result<State> {
        writeln!(self.control, "{request}")?;
        let mut ready = [PollFd::new(
            self.answers.get_ref().as_fd(),
            PollFlags::POLLIN,
        )];
        if poll(&mut ready, PollTimeout::from(PATIENCE))? == 0 {
            return Err(io::Error::other("the canary process does not answer"));
        }
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            return Err(io::Error::other("the canary process has ended"));
        }
        Ok(serde_json::from_str(&line)?)
    }
}

/// A handle for a child that was just started; kills it where there is none.
fn handle(child: &mut Child) -> io::Result<(Pid, OwnedFd)> {
    let number = i32::try_from(child.id()).map_err(io::Error::other)?;
    let pid = Pid::from_raw(number);
    match sys::pidfd_open(pid) {
        Ok(pidfd) => Ok((pid, pidfd)),
        Err(errno) => {
            child.kill()?;
            child.wait()?;
            Err(errno.into())
        }
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        // Both fail only where the process has ended and was reaped elsewhere.
        let _ = sys::pidfd_kill(self.pidfd.as_fd());
        let _ = waitid(Id::PIDFd(self.pidfd.as_fd()), WaitPidFlag::WEXITED);
    }
}
