//! The id maps that a parent writes, or newuidmap(1) and newgidmap(1) for it.

use std::process::Command;

use nix::errno::Errno;
use nix::unistd::Pid;

use crate::error::{Error, Result};
use crate::plan::IdWriter;
use crate::stage::Stage;

/// Writes the maps of the child's user namespace. The child, which waits, keeps
/// its pid from being used again.
pub(super) fn write(pid: Pid, writer: &IdWriter) -> Result<()> {
    match writer {
        IdWriter::None | IdWriter::Child => Ok(()),
        IdWriter::Parent { uid_map, gid_map } => {
            write_file(&format!("/proc/{pid}/uid_map"), uid_map)?;
            write_file(&format!("/proc/{pid}/gid_map"), gid_map)
        }
        IdWriter::Tools { uid_map, gid_map } => {
            run("newuidmap", pid, uid_map)?;
            run("newgidmap", pid, gid_map)
        }
    }
}

fn write_file(path: &str, map: &str) -> Result<()> {
    std::fs::write(path, map).map_err(|error| failed(path.to_owned(), &error))
}

fn run(tool: &str, pid: Pid, words: &[String]) -> Result<()> {
    let output = Command::new(tool)
        .arg(pid.to_string())
        .args(words)
        .output()
        .map_err(|error| failed(format!("{tool}, package uidmap"), &error))?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Error::Launch {
        stage: Stage::IdMap,
        subject: Some(format!("{tool}: {words}")),
        errno: Errno::EPERM,
    })
}

fn failed(subject: String, error: &std::io::Error) -> Error {
    let errno = Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO));
    Error::Launch {
        stage: Stage::IdMap,
        subject: Some(subject),
        errno,
    }
}
