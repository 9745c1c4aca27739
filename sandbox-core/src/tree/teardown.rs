//! Killing a whole tree, and saying by what (claim R2).

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::Tree;
use crate::sys::process;

/// A way to kill the processes of a sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Means {
    /// `cgroup.kill` (since 5.14): all in the cgroup, forks under way included.
    CgroupKill,
    /// `cgroup.freeze`, then SIGKILL to each, for kernels without the former.
    CgroupFreeze,
    /// SIGKILL to pid 1 of the pid namespace: the kernel kills all others in it,
    /// before pid 1 itself has ended (pid_namespaces(7)).
    PidNamespace,
    /// The keeper kills its children until it has none.
    Keeper,
    /// SIGKILL to the process group. Whoever left it is missed (R1).
    ProcessGroup,
}

impl Means {
    /// Whether nothing of the tree can be left once it has done its work.
    pub fn is_safe(self) -> bool {
        self != Self::ProcessGroup
    }
}

/// What became of a tree that was killed.
#[derive(Clone, Debug)]
pub struct Teardown {
    /// Each means that was used, and the kernel's answer.
    pub means: Vec<(Means, nix::Result<()>)>,
    /// From the first of them until the tree was empty, or patience over.
    pub took: Duration,
    /// How many of its processes were still alive then ([`Tree::processes`]); none
    /// where nothing holds the tree together, so that nobody can tell.
    pub survivors: Option<usize>,
}

impl Tree<'_> {
    /// The means that this sandbox has, the strongest first.
    pub fn means(&self) -> Vec<Means> {
        let child = self.child;
        [
            (Means::CgroupKill, child.cgroup().is_some()),
            (Means::PidNamespace, child.has_pid_namespace()),
            (Means::Keeper, child.has_keeper()),
            (
                Means::ProcessGroup,
                child.leads_group() && !child.has_pid_namespace() && !child.has_keeper(),
            ),
        ]
        .into_iter()
        .filter_map(|(means, has)| has.then_some(means))
        .collect()
    }

    /// Kills all of it by every means that it has, at once, and waits until it is
    /// empty, at most this long. The exit is still there to be waited for.
    pub fn kill(&self, patience: Duration) -> Teardown {
        let mut means = self.means();
        if self.child.cgroup().is_some_and(|cgroup| !cgroup.has_kill()) {
            means.insert(1, Means::CgroupFreeze);
        }
        self.kill_by(&means, patience)
    }

    /// The same by these means alone; one that the sandbox has not answers
    /// `EOPNOTSUPP`.
    pub fn kill_by(&self, means: &[Means], patience: Duration) -> Teardown {
        let started = Instant::now();
        let means: Vec<_> = means
            .iter()
            .map(|&means| (means, self.use_means(means, patience)))
            .collect();
        // Whoever is still there then is counted.
        let _ = self.await_empty(patience.saturating_sub(started.elapsed()));
        let took = started.elapsed();
        let held = self.means().into_iter().any(Means::is_safe);
        let survivors = held
            .then(|| self.processes().ok())
            .flatten()
            .map(|pids| pids.len());
        Teardown {
            means,
            took,
            survivors,
        }
    }

    fn use_means(&self, means: Means, patience: Duration) -> nix::Result<()> {
        let child = self.child;
        if child.is_reaped() {
            return Err(Errno::ESRCH);
        }
        match (means, child.cgroup()) {
            (Means::CgroupKill, Some(cgroup)) => cgroup.kill(),
            (Means::CgroupFreeze, Some(cgroup)) => cgroup.kill_frozen(patience),
            (Means::PidNamespace, _) if child.has_pid_namespace() => {
                process::send_signal(child.pidfd(), libc::SIGKILL)
            }
            (Means::Keeper, _) if child.has_keeper() => child.kill_direct(),
            (Means::ProcessGroup, _) if self.means().contains(&means) => {
                child.kill_group();
                Ok(())
            }
            _ => Err(Errno::EOPNOTSUPP),
        }
    }

    /// Waits until nothing of it is alive: whether that came to be. Without a pid
    /// namespace, a cgroup and a keeper only the program itself is waited for.
    ///
    /// # Errors
    /// Where the kernel does not say.
    pub fn await_empty(&self, patience: Duration) -> nix::Result<bool> {
        let child = self.child;
        if child.is_reaped() {
            return Ok(true);
        }
        let until = Instant::now() + patience;
        if let Some(cgroup) = child.cgroup() {
            let empty = cgroup.await_empty(patience);
            let empty = empty
                .map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))?;
            if !empty {
                return Ok(false);
            }
        }
        await_end(child.pidfd(), until)
    }
}

/// Waits for a process's end, as its pidfd tells it: readable.
fn await_end(pidfd: BorrowedFd<'_>, until: Instant) -> nix::Result<bool> {
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let millis = i32::try_from(left.as_millis()).unwrap_or(i32::MAX);
        let timeout = PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(pidfd, PollFlags::POLLIN)], timeout) {
            Ok(0) if left.is_zero() || millis == 0 => return Ok(false),
            Ok(0) | Err(Errno::EINTR) => {}
            Ok(_) => return Ok(true),
            Err(errno) => return Err(errno),
        }
    }
}
