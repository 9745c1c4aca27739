//! A cgroup of a sandbox's own (cgroups(7), version 2).

use std::fs::{File, OpenOptions};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use nix::errno::Errno;

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
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("escapology-{}-{number}", std::process::id()));
        std::fs::create_dir(&path).map_err(|error| failed(&path, &error))?;
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

    /// The pids in it, in the caller's pid namespace.
    pub(crate) fn processes(&self) -> std::io::Result<Vec<i32>> {
        let text = std::fs::read_to_string(self.path.join("cgroup.procs"))?;
        Ok(text.lines().filter_map(|line| line.parse().ok()).collect())
    }
}

impl Drop for CgroupDirectory {
    fn drop(&mut self) {
        // Busy while the last process is still on its way out of it.
        let _ = self.kill();
        for _ in 0..1000 {
            match std::fs::remove_dir(&self.path) {
                Err(error) if error.raw_os_error() == Some(libc::EBUSY) => std::thread::yield_now(),
                _ => return,
            }
        }
    }
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
