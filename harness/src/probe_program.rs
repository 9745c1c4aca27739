//! The program that runs inside: carried in the harness, so that one file is
//! the whole tool and it always has the probe that it was built with.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};

/// The static program `escapology-probe`, as an ELF image.
pub static PROBE_PROGRAM: &[u8] = include_bytes!(env!("ESCAPOLOGY_PROBE_PROGRAM"));

/// The program in a sealed memfd(2): to be executed by descriptor, with no
/// path inside a sandbox, and not to be changed by what it runs.
///
/// # Errors
/// The first system call that failed.
pub fn sealed() -> io::Result<File> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let mut file = File::from(memfd_create(c"escapology-probe", flags)?);
    file.write_all(PROBE_PROGRAM)?;
    let seals = SealFlag::F_SEAL_SEAL
        | SealFlag::F_SEAL_SHRINK
        | SealFlag::F_SEAL_GROW
        | SealFlag::F_SEAL_WRITE;
    fcntl(file.as_fd(), FcntlArg::F_ADD_SEALS(seals))?;
    Ok(file)
}

/// Writes the program into a directory, readable and executable by everybody
/// (a launcher may run it as another user), and gives its path.
///
/// # Errors
/// The first system call that failed; the file must not be there yet.
pub fn write_into(directory: &Path) -> io::Result<PathBuf> {
    let path = directory.join("escapology-probe");
    let mut file = File::options()
        .write(true)
        .create_new(true)
        .mode(0o755)
        .open(&path)?;
    file.write_all(PROBE_PROGRAM)?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd as _;
    use std::process::Command;

    use super::*;

    #[test]
    fn it_runs_from_a_file() {
        let directory = tempfile::tempdir().unwrap();
        let program = write_into(directory.path()).unwrap();
        let status = loop {
            match Command::new(&program).status() {
                // Another test's fork still holds it open for writing.
                Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => {}
                result => break result.unwrap(),
            }
        };
        assert_eq!(status.code(), Some(2), "no arguments are a usage error");
    }

    #[test]
    fn it_runs_from_a_sealed_memory_file_that_nobody_can_change() {
        let mut file = sealed().unwrap();
        let path = format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());
        assert_eq!(Command::new(path).status().unwrap().code(), Some(2));
        let error = file.write_all(b"x").unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EPERM));
    }
}
