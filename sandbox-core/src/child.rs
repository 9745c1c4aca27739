//! A launched sandbox: wait for it, kill it, ask what it took.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::Pid;

use crate::cgroup::CgroupDirectory;
use crate::error::{Error, Result};
pub use crate::exit::{Exit, Timings, Usage};
use crate::launch::{Farewell, Heard, Launched, Seen, ask_to_kill, has_executed, hear, release};
use crate::spec::{Degraded, Namespace, Spec};
use crate::stage::Stage;
use crate::sys::process;
use crate::tree::Tree;

/// What has become of a sandbox; the same however often it is asked for.
#[derive(Clone, Copy, Debug)]
enum Outcome {
    Exited(Exit),
    /// Before the program had taken over.
    Lost(Exit),
    /// It has ended, and nobody can tell how.
    Unknown(&'static str, Errno),
}

impl Outcome {
    fn tell(self) -> Result<Exit> {
        match self {
            Self::Exited(exit) => Ok(exit),
            Self::Lost(exit) => Err(Error::Lost {
                stage: Stage::Exec,
                exit,
            }),
            Self::Unknown(action, errno) => Err(Error::Child { action, errno }),
        }
    }
}

/// A launched sandbox. It is referred to by pidfd, never by number alone.
///
/// Dropping it kills what is left of the sandbox and reaps it.
#[must_use = "dropping a Child kills the sandbox"]
#[derive(Debug)]
pub struct Child {
    launched: Launched,
    cgroup: Option<CgroupDirectory>,
    deadline: Option<Instant>,
    /// Whether the direct child leads a process group of its own.
    leads_group: bool,
    /// Whether its user id is its own.
    pooled: bool,
    pid_namespace: bool,
    /// Whether the direct child is a keeper.
    keeper: bool,
    degraded: Vec<Degraded>,
    ended: Option<(Outcome, Usage)>,
}

impl Child {
    pub(crate) fn new(
        launched: Launched,
        cgroup: Option<CgroupDirectory>,
        spec: &Spec,
        leads_group: bool,
        degraded: Vec<Degraded>,
    ) -> Self {
        Self {
            launched,
            cgroup,
            deadline: spec
                .deadline
                .and_then(|deadline| Instant::now().checked_add(deadline)),
            leads_group,
            pooled: spec.uid_pool.is_some(),
            pid_namespace: spec.has(Namespace::Pid),
            keeper: spec.init.is_keeper(),
            degraded,
            ended: None,
        }
    }

    /// The direct child's pid: pid 1 of a new pid namespace, or the program.
    pub fn id(&self) -> Pid {
        self.launched.process.pid()
    }

    /// The program's pid, as seen from here.
    pub fn program_id(&self) -> Pid {
        self.launched.program
    }

    /// The program's user id, as seen from here: with a uid pool, the one that it
    /// has claimed.
    pub fn uid(&self) -> u32 {
        self.launched.uid
    }

    /// How long each stage of the launch took.
    pub fn timings(&self) -> &Timings {
        &self.launched.timings
    }

    /// What it used, once it has ended.
    pub fn usage(&self) -> Option<Usage> {
        self.ended.map(|(_, usage)| usage)
    }

    /// Protections that it goes without, because the host lacks them and its
    /// description allows that by name.
    pub fn degraded(&self) -> &[Degraded] {
        &self.degraded
    }

    /// All its processes: to list, to own, to kill.
    pub fn tree(&self) -> Tree<'_> {
        Tree::new(self)
    }

    pub(crate) fn pidfd(&self) -> BorrowedFd<'_> {
        self.launched.process.pidfd()
    }

    pub(crate) fn cgroup(&self) -> Option<&CgroupDirectory> {
        self.cgroup.as_ref()
    }

    pub(crate) fn has_pid_namespace(&self) -> bool {
        self.pid_namespace
    }

    pub(crate) fn has_keeper(&self) -> bool {
        self.keeper
    }

    pub(crate) fn leads_group(&self) -> bool {
        self.leads_group
    }

    /// Whether it has been waited for; its numbers may be others' from then on.
    pub(crate) fn is_reaped(&self) -> bool {
        self.ended.is_some()
    }

    /// The pids in its cgroup, where it has one.
    ///
    /// # Errors
    /// Where the cgroup cannot be read.
    pub fn cgroup_processes(&self) -> Result<Option<Vec<Pid>>> {
        let Some(cgroup) = &self.cgroup else {
            return Ok(None);
        };
        let pids = cgroup.processes().map_err(|error| Error::Child {
            action: "list the cgroup",
            errno: Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)),
        })?;
        Ok(Some(pids.into_iter().map(Pid::from_raw).collect()))
    }

    /// Waits until the program has ended and the sandbox is torn down: in a pid
    /// namespace, a cgroup or with a keeper nothing of it is left then. With a
    /// patient keeper that is when the last process has ended by itself. At the
    /// deadline it is killed.
    ///
    /// # Errors
    /// [`Error::Lost`] where the program's process was killed before it had
    /// executed the program; [`Error::Child`] where nobody can tell how it ended:
    /// pid 1 failed, or something else in this process reaped it.
    pub fn wait(&mut self) -> Result<Exit> {
        loop {
            if let Some(exit) = self.wait_timeout(Duration::MAX)? {
                return Ok(exit);
            }
        }
    }

    /// As [`Child::wait`], for at most this long: `None` where it still runs.
    ///
    /// # Errors
    /// As for [`Child::wait`].
    pub fn wait_timeout(&mut self, timeout: Duration) -> Result<Option<Exit>> {
        let until = Instant::now().checked_add(timeout);
        loop {
            if let Some((outcome, _)) = self.ended {
                return outcome.tell().map(Some);
            }
            if let Some(farewell) = self.farewell()? {
                self.finish_after(farewell)?;
                continue;
            }
            match self.launched.process.peek() {
                Ok(None) | Err(Errno::EINTR) => {}
                Ok(Some(ended)) => {
                    self.finish(ended)?;
                    continue;
                }
                Err(errno) => {
                    // SIGCHLD is ignored in this process, or something in it
                    // waits for any child; or the fork server has gone.
                    self.launched.process.end_alone();
                    let action = match errno {
                        Errno::EPIPE => "hear from the fork server",
                        _ => "wait for the sandbox",
                    };
                    let lost = Outcome::Unknown(action, errno);
                    self.settle(lost, Usage::default());
                    continue;
                }
            }
            let now = Instant::now();
            if self.deadline.is_some_and(|deadline| now >= deadline) {
                self.kill()?;
                self.reap(Outcome::Exited(Exit::TimedOut))?;
                continue;
            }
            if until.is_some_and(|until| now >= until) {
                return Ok(None);
            }
            self.sleep(now, until)?;
        }
    }

    /// The descriptors that become readable when [`Child::wait`] has something
    /// to do: for a loop of the caller's own, with a timeout of zero.
    pub fn wakeups(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        [
            Some(self.launched.process.wakeup()),
            self.launched.leash.as_ref().map(AsFd::as_fd),
        ]
        .into_iter()
        .flatten()
    }

    /// Kills the whole tree, as far as there is something that holds it
    /// together: the pid namespace, the cgroup, the keeper, and the process group.
    /// Without any of the first three, a process that left the group survives.
    /// [`Tree::kill`] does the same, and waits and counts.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn kill(&self) -> Result<()> {
        if self.ended.is_some() {
            return Ok(());
        }
        let failed = |errno| Error::Child {
            action: "kill the sandbox",
            errno,
        };
        if let Some(cgroup) = &self.cgroup {
            // Kernels before 5.14 have no cgroup.kill; the rest still counts.
            let _ = cgroup.kill();
        }
        self.kill_group();
        let pool = self.kill_pooled();
        match self.kill_direct() {
            Ok(()) | Err(Errno::ESRCH) => pool.map_err(failed),
            Err(errno) => Err(failed(errno)),
        }
    }

    /// Kills all that has the pool's id. The direct child, not reaped yet, still
    /// counts as one of its processes, so that nobody else has claimed it. A pid
    /// 1 or keeper may have reaped the last one; they leave nothing anyway.
    fn kill_pooled(&self) -> nix::Result<()> {
        if self.pooled && !self.pid_namespace && !self.keeper {
            crate::uid_pool::kill_all(self.launched.uid)
        } else {
            Ok(())
        }
    }

    /// Kills the direct child, and by it its namespace; a keeper is asked to kill
    /// its children instead, which would outlive it.
    pub(crate) fn kill_direct(&self) -> nix::Result<()> {
        let pidfd = self.launched.process.pidfd();
        match &self.launched.leash {
            Some(leash) if self.keeper => {
                // The program may have stopped it.
                process::send_signal(pidfd, libc::SIGCONT)?;
                ask_to_kill(leash.as_fd());
                Ok(())
            }
            _ => self.launched.process.kill(),
        }
    }

    /// Only while the leader is not reaped: until then its number is its own.
    pub(crate) fn kill_group(&self) {
        if self.leads_group && !self.pid_namespace && !self.keeper {
            self.launched.process.kill_group();
        }
    }

    fn farewell(&mut self) -> Result<Option<Farewell>> {
        let Some(leash) = &self.launched.leash else {
            return Ok(None);
        };
        match hear(leash.as_fd()) {
            Ok(Heard::Farewell(farewell)) => Ok(Some(farewell)),
            Ok(Heard::Nothing) => Ok(None),
            Ok(Heard::HungUp) => {
                // Readable for ever from here on, while pid 1 may take its time
                // to end with all that is in its namespace.
                self.launched.leash = None;
                Ok(None)
            }
            Err(errno) => Err(Error::Child {
                action: "hear from pid 1",
                errno,
            }),
        }
    }

    /// Pid 1 has told how the program ended.
    fn finish_after(&mut self, farewell: Farewell) -> Result<()> {
        let exit = Exit::from_wait(farewell.code, farewell.status);
        let executed = farewell.executed.unwrap_or_else(|| {
            farewell.code == libc::CLD_EXITED || has_executed(self.launched.program)
        });
        if let Some(leash) = self.launched.leash.take() {
            release(leash.as_fd());
            // Closed only after the release: pid 1 takes either for leave to go.
        }
        self.reap(if executed {
            Outcome::Exited(exit)
        } else {
            Outcome::Lost(exit)
        })
    }

    /// The direct child has ended by itself: the program, or a pid 1 of ours
    /// that was killed.
    fn finish(&mut self, seen: Seen) -> Result<()> {
        let ended = seen.ended;
        // Pid 1 says it before it ends.
        if let Some(farewell) = self.farewell()? {
            return self.finish_after(farewell);
        }
        let exit = Exit::from_wait(ended.code, ended.status);
        let is_program = self.launched.process.pid() == self.launched.program;
        let left = ended.code == libc::CLD_EXITED;
        self.reap(match (is_program, left) {
            // It never leaves by itself without a word; and what a keeper kept
            // may live on, whatever ended it.
            (false, left) if left || self.keeper => {
                Outcome::Unknown("hear how the program ended", Errno::EPIPE)
            }
            (true, false) if !seen.executed => Outcome::Lost(exit),
            _ => Outcome::Exited(exit),
        })
    }

    /// Tears down what is left and reaps the direct child.
    fn reap(&mut self, outcome: Outcome) -> Result<()> {
        self.kill_group();
        // The exit status counts more than a leftover that would not go.
        let _ = self.kill_pooled();
        let usage = match self.launched.process.reap() {
            Ok((_, usage)) => usage,
            // Reaped elsewhere, between the look and this.
            Err(Errno::ECHILD) => Usage::default(),
            Err(errno) => {
                return Err(Error::Child {
                    action: "reap the sandbox",
                    errno,
                });
            }
        };
        self.settle(outcome, usage);
        Ok(())
    }

    fn settle(&mut self, outcome: Outcome, usage: Usage) {
        self.ended = Some((outcome, usage));
        self.launched.leash = None;
        // Kills what the cgroup still holds and removes it.
        self.cgroup = None;
    }

    fn sleep(&self, now: Instant, until: Option<Instant>) -> Result<()> {
        let wake = [self.deadline, until].into_iter().flatten().min();
        let timeout = wake.map_or(PollTimeout::NONE, |wake| {
            // Rounded up, so that the loop does not spin through the last millisecond.
            let millis = wake.saturating_duration_since(now).as_millis() + 1;
            PollTimeout::try_from(i32::try_from(millis).unwrap_or(i32::MAX))
                .unwrap_or(PollTimeout::MAX)
        });
        let mut ready: Vec<PollFd<'_>> = self
            .wakeups()
            .map(|fd| PollFd::new(fd, PollFlags::POLLIN))
            .collect();
        match poll(&mut ready, timeout) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(Error::Child {
                action: "wait for the sandbox",
                errno,
            }),
        }
    }
}

impl AsFd for Child {
    /// Readable once there is an end to [wait](Child::wait) for; for poll(2)
    /// and nothing else. Ask for it anew before each poll.
    fn as_fd(&self) -> BorrowedFd<'_> {
        // A pid 1 of ours ends only when it has been waited for.
        self.launched
            .leash
            .as_ref()
            .map_or(self.launched.process.wakeup(), AsFd::as_fd)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.ended.is_none() && self.kill().is_ok() {
            let _ = self.reap(Outcome::Exited(Exit::TimedOut));
        }
    }
}
