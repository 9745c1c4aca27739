//! A cgroup of a sandbox's own (cgroups(7), version 2).

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::error::{Error, Result};
use crate::stage::Stage;

/// A directory in a cgroup file system, removed on drop.
#[derive(Debug)]
pub(crate) struct CgroupDirectory {
    path: PathBuf,
    directory: File,
    procs: File,
}

static NEXT: AtomicU64 = AtomicU64::new(0);

impl CgroupDirectory {
    /// Makes one below a delegated directory.
    pub(crate) fn new(parent: &Path) -> Result<Self> {
        if !parent.join("cgroup.procs").exists() {
            return Err(failed(
                parent,
                &std::io::Error::from_raw_os_error(libc::ENOENT),
            ));
        }
        let path = loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = parent.join(format!("escapology-{}-{number}", std::process::id()));
            match std::fs::create_dir(&path) {
                Ok(()) => break path,
                // Of a launcher with this pid in another pid namespace, or of
                // one that was killed.
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed(&path, &error)),
            }
        };
        let open = || -> std::io::Result<(File, File)> {
            Ok((
                File::open(&path)?,
                OpenOptions::new()
                    .write(true)
                    .open(path.join("cgroup.procs"))?,
            ))
        };
        match open() {
            Ok((directory, procs)) => Ok(Self {
                path,
                directory,
                procs,
            }),
            Err(error) => {
                let _ = std::fs::remove_dir(&path);
                Err(failed(&path, &error))
            }
        }
    }

    pub(crate) fn directory(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }

    pub(crate) fn procs(&self) -> BorrowedFd<'_> {
        self.procs.as_fd()
    }

    /// Kills all in it: `cgroup.kill` (since 5.14) is safe against forks.
    pub(crate) fn kill(&self) -> nix::Result<()> {
        std::fs::write(self.path.join("cgroup.kill"), "1").map_err(|error| errno(&error))
    }

    /// Whether this kernel has `cgroup.kill`.
    pub(crate) fn has_kill(&self) -> bool {
        self.path.join("cgroup.kill").exists()
    }

    /// The same without `cgroup.kill` (`cgroup.freeze` since 5.2): what is
    /// frozen can neither fork nor end, so that the list is complete and its
    /// numbers are nobody else's. What is killed thaws by itself.
    pub(crate) fn kill_frozen(&self, patience: Duration) -> nix::Result<()> {
        let freeze = |state: &str| {
            std::fs::write(self.path.join("cgroup.freeze"), state).map_err(|error| errno(&error))
        };
        freeze("1")?;
        let frozen = self.await_event("frozen 1", patience);
        let killed = self.all_processes().map(|pids| {
            for pid in pids {
                let pid = nix::unistd::Pid::from_raw(pid);
                let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
            }
        });
        freeze("0")?;
        killed.map_err(|error| errno(&error))?;
        match frozen.map_err(|error| errno(&error))? {
            true => Ok(()),
            false => Err(Errno::ETIMEDOUT),
        }
    }

    /// The pids in it, in the caller's pid namespace.
    pub(crate) fn processes(&self) -> std::io::Result<Vec<i32>> {
        processes(&self.path)
    }

    /// Those in cgroups that were made below it too.
    pub(crate) fn all_processes(&self) -> std::io::Result<Vec<i32>> {
        let mut pids = Vec::new();
        let mut open = vec![self.path.clone()];
        while let Some(path) = open.pop() {
            pids.extend(processes(&path)?);
            for entry in std::fs::read_dir(&path)?.flatten() {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    open.push(entry.path());
                }
            }
        }
        Ok(pids)
    }

    /// Waits until nothing lives in it: whether that came to be.
    pub(crate) fn await_empty(&self, patience: Duration) -> std::io::Result<bool> {
        self.await_event("populated 0", patience)
    }
}

impl Drop for CgroupDirectory {
    fn drop(&mut self) {
        let _ = self.kill();
        // Busy while the last process is still on its way out of it.
        let _ = self.await_empty(PATIENCE);
        let _ = remove(&self.path);
    }
}

/// How long the killed may take to leave a cgroup before it is left behind.
const PATIENCE: Duration = Duration::from_secs(10);

impl CgroupDirectory {
    /// Waits for a line in cgroup.events, whose changes poll(2) tells.
    fn await_event(&self, event: &str, patience: Duration) -> std::io::Result<bool> {
        let until = Instant::now() + patience;
        let mut events = File::open(self.path.join("cgroup.events"))?;
        loop {
            let mut text = String::new();
            events.rewind()?;
            events.read_to_string(&mut text)?;
            let left = until.saturating_duration_since(Instant::now());
            let came = text.lines().any(|line| line == event);
            if came || left.is_zero() {
                return Ok(came);
            }
            let mut ready = [PollFd::new(events.as_fd(), PollFlags::POLLPRI)];
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            match poll(&mut ready, timeout) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

fn processes(path: &Path) -> std::io::Result<Vec<i32>> {
    let text = std::fs::read_to_string(path.join("cgroup.procs"))?;
    Ok(text.lines().filter_map(|line| line.parse().ok()).collect())
}

/// Removes it and those that were made below it.
fn remove(path: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(path)?.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(&entry.path())?;
        }
    }
    std::fs::remove_dir(path)
}

fn errno(error: &std::io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO))
}

fn failed(path: &Path, error: &std::io::Error) -> Error {
    Error::Launch {
        stage: Stage::Cgroup,
        subject: Some(path.display().to_string()),
        errno: errno(error),
    }
}
