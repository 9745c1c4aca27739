//! Steps of the child that take several system calls, under its rules: no
//! allocation, no lock, no panic.

use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::mount::{MsFlags, mount};
use nix::poll::{PollTimeout, poll};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::stat::Mode;
use nix::unistd::write;

use crate::plan::Step;
use crate::stage::Stage;
use crate::sys::{caps, keyring};

/// A user's quota (kernel.keys.maxkeys, 200) counts the keyrings of sandboxes
/// that have ended until the kernel's collector gets to them, of which nothing
/// tells: what is over the quota is tried again for a second.
pub(super) fn join_keyring() -> nix::Result<()> {
    for _ in 0..1000 {
        match keyring::join_session_keyring() {
            Err(Errno::EDQUOT) => {}
            other => return other,
        }
        poll(&mut [], PollTimeout::from(1_u8))?;
    }
    Err(Errno::EDQUOT)
}

/// The launcher's working directory, to which the child goes back once it is in
/// its root, where it keeps it.
pub(super) fn working_directory(keep: bool) -> nix::Result<Option<OwnedFd>> {
    if !keep {
        return Ok(None);
    }
    open_directory(c".").map(Some)
}

/// Opens a directory to come back to.
pub(super) fn open_directory(path: &CStr) -> nix::Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    open(path, flags, Mode::empty())
}

/// Writes a file of the kernel's, relative to a directory.
pub(super) fn write_at(directory: BorrowedFd<'_>, path: &CStr, data: &[u8]) -> nix::Result<()> {
    let flags = OFlag::O_WRONLY | OFlag::O_CLOEXEC;
    let file = openat(directory, path, flags, Mode::empty())?;
    // In one call: the kernel takes these files no other way.
    match write(&file, data)? {
        written if written == data.len() => Ok(()),
        _ => Err(Errno::EIO),
    }
}

pub(super) fn unshare_time() -> nix::Result<()> {
    unshare(CloneFlags::from_bits_retain(0x80))
}

pub(super) fn enter_time() -> nix::Result<()> {
    let namespace = open(
        c"/proc/self/ns/time_for_children",
        OFlag::O_RDONLY | OFlag::O_CLOEXEC,
        Mode::empty(),
    )?;
    setns(namespace, CloneFlags::from_bits_retain(0x80))
}

/// mount(2) takes a path only: the descriptor's, through the outside's procfs,
/// which is still there at this point.
pub(super) fn remount(target: BorrowedFd<'_>, flags: MsFlags) -> nix::Result<()> {
    let mut path = *b"/proc/self/fd/\0\0\0\0\0\0\0\0\0\0\0";
    let mut digits = [0_u8; 10];
    let mut number = target.as_raw_fd().unsigned_abs();
    let mut count = 0;
    while count == 0 || number > 0 {
        if let Some(digit) = digits.get_mut(count) {
            *digit = b'0' + (number % 10) as u8;
        }
        number /= 10;
        count += 1;
    }
    for (slot, digit) in path
        .iter_mut()
        .skip(14)
        .zip(digits.iter().take(count).rev())
    {
        *slot = *digit;
    }
    let path = std::ffi::CStr::from_bytes_until_nul(&path).map_err(|_| Errno::ENAMETOOLONG)?;
    mount(None::<&str>, path, None::<&str>, flags, None::<&str>)
}

pub(super) fn drop_bounding(keep: u64, steps: &[(Stage, Step)]) -> nix::Result<()> {
    for capability in 0..64_u8 {
        if keep & 1 << capability != 0 {
            continue;
        }
        match caps::in_bounding(capability) {
            Err(_) => break, // beyond this kernel's last
            Ok(false) => {}
            Ok(true) => match caps::drop_bounding(capability) {
                // Without CAP_SETPCAP the set stays as it is; under
                // no_new_privs execve gives nothing out of it.
                Err(Errno::EPERM)
                    if steps
                        .iter()
                        .any(|(_, step)| matches!(step, Step::NoNewPrivs)) =>
                {
                    return Ok(());
                }
                other => other?,
            },
        }
    }
    Ok(())
}

pub(super) fn set_capabilities(mask: Option<u64>) -> nix::Result<()> {
    let mask = match mask {
        Some(mask) => mask,
        None => caps::get()?.permitted,
    };
    caps::set(caps::Sets {
        effective: mask,
        permitted: mask,
        inheritable: mask,
    })?;
    caps::clear_ambient()?;
    for capability in (0..64_u8).filter(|capability| mask & 1 << capability != 0) {
        caps::raise_ambient(capability)?;
    }
    Ok(())
}
