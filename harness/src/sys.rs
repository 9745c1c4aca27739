//! The system calls that the harness needs and `nix` lacks: this crate's only
//! unsafe code. One call, one safe function, one man-page link.
#![expect(
    unsafe_code,
    reason = "the only module of this crate that calls the kernel itself"
)]

use std::ffi::CStr;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::ptr::NonNull;

use nix::errno::Errno;
use nix::unistd::Pid;

/// A handle for a process that pid reuse can't turn to another ([pidfd_open(2)]).
///
/// [pidfd_open(2)]: https://man7.org/linux/man-pages/man2/pidfd_open.2.html
pub(crate) fn pidfd_open(pid: Pid) -> nix::Result<OwnedFd> {
    // SAFETY: pidfd_open takes two numbers and no pointer.
    let result = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) };
    let number = RawFd::try_from(Errno::result(result)?).map_err(|_| Errno::EBADF)?;
    // SAFETY: `from_raw_fd` requires a descriptor that nobody else owns. The
    // kernel has just opened it for this call.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Kills a process ([pidfd_send_signal(2)]).
///
/// [pidfd_send_signal(2)]: https://man7.org/linux/man-pages/man2/pidfd_send_signal.2.html
pub(crate) fn pidfd_kill(pidfd: BorrowedFd<'_>) -> nix::Result<()> {
    let no_info = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: a null siginfo is allowed: the kernel then fills in its own.
    let result = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            libc::SIGKILL,
            no_info,
            0,
        )
    };
    Errno::result(result).map(drop)
}

/// Makes a segment that only its owner may use, and gives its id. EEXIST: the
/// key is taken ([shmget(2)]).
///
/// [shmget(2)]: https://man7.org/linux/man-pages/man2/shmget.2.html
pub(crate) fn create_segment(key: i32, bytes: usize) -> nix::Result<i32> {
    // SAFETY: shmget takes three numbers and no pointer.
    Errno::result(unsafe { libc::shmget(key, bytes, libc::IPC_CREAT | libc::IPC_EXCL | 0o600) })
}

/// Marks a segment to go with its last user ([shmctl(2)]).
///
/// [shmctl(2)]: https://man7.org/linux/man-pages/man2/shmctl.2.html
pub(crate) fn remove_segment(id: i32) -> nix::Result<()> {
    // SAFETY: IPC_RMID ignores the buffer, which may be null.
    let result = unsafe { libc::shmctl(id, libc::IPC_RMID, std::ptr::null_mut()) };
    Errno::result(result).map(drop)
}

/// A shared memory segment in the harness's address space.
#[derive(Debug)]
pub(crate) struct Segment(NonNull<u8>);

// SAFETY: the mapping belongs to the process and not to a thread, and `Segment`
// is the only way to it.
unsafe impl Send for Segment {}

/// Attaches a segment of at least a page ([shmat(2)]).
///
/// [shmat(2)]: https://man7.org/linux/man-pages/man2/shmat.2.html
pub(crate) fn attach_segment(id: i32) -> nix::Result<Segment> {
    // SAFETY: with a null address the kernel picks a free range.
    let address = unsafe { libc::shmat(id, std::ptr::null(), 0) };
    if address.addr() == usize::MAX {
        return Err(Errno::last());
    }
    NonNull::new(address.cast())
        .map(Segment)
        .ok_or(Errno::EFAULT)
}

impl Segment {
    /// The bytes that are looked at: no segment is smaller than a page.
    const LOOKED_AT: usize = 4096;

    /// The first page.
    pub(crate) fn read(&self) -> Vec<u8> {
        let page = self.0.cast::<[u8; Self::LOOKED_AT]>();
        // SAFETY: the page is mapped until `self` is dropped, and bytes have no
        // alignment to keep. The read is volatile: others write there.
        unsafe { page.read_volatile() }.to_vec()
    }

    /// Writes to the beginning, at most a page.
    pub(crate) fn write(&self, bytes: &[u8]) {
        let mut page = [0; Self::LOOKED_AT];
        let length = bytes.len().min(page.len());
        page[..length].copy_from_slice(&bytes[..length]);
        // SAFETY: as in `read`; the segment was attached for writing.
        unsafe { self.0.cast::<[u8; Self::LOOKED_AT]>().write_volatile(page) }
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        // SAFETY: shmdt requires an address that shmat returned; this one was,
        // and nothing borrowed from it outlives `self`.
        unsafe { libc::shmdt(self.0.as_ptr().cast()) };
    }
}

/// Gives the calling thread a fresh session keyring ([KEYCTL_JOIN_SESSION_KEYRING]).
///
/// [KEYCTL_JOIN_SESSION_KEYRING]: https://man7.org/linux/man-pages/man2/KEYCTL_JOIN_SESSION_KEYRING.2const.html
#[cfg(test)]
pub(crate) fn join_session_keyring() -> nix::Result<()> {
    let anonymous = std::ptr::null::<libc::c_char>();
    // SAFETY: a null name is allowed: it asks for an anonymous keyring.
    let result = unsafe {
        libc::syscall(
            libc::SYS_keyctl,
            libc::KEYCTL_JOIN_SESSION_KEYRING,
            anonymous,
        )
    };
    Errno::result(result).map(drop)
}

/// Adds a `user` key to the calling thread's session keyring ([add_key(2)]).
///
/// [add_key(2)]: https://man7.org/linux/man-pages/man2/add_key.2.html
pub(crate) fn add_key(description: &CStr, payload: &[u8]) -> nix::Result<i32> {
    // SAFETY: both strings are NUL-terminated `CStr`s, and the kernel reads
    // `payload.len()` bytes of the payload.
    let result = unsafe {
        libc::syscall(
            libc::SYS_add_key,
            c"user".as_ptr(),
            description.as_ptr(),
            payload.as_ptr(),
            payload.len(),
            libc::KEY_SPEC_SESSION_KEYRING,
        )
    };
    i32::try_from(Errno::result(result)?).map_err(|_| Errno::EOVERFLOW)
}

/// The payload of a key, at most 256 bytes of it ([KEYCTL_READ]).
///
/// [KEYCTL_READ]: https://man7.org/linux/man-pages/man2/KEYCTL_READ.2const.html
pub(crate) fn read_key(serial: i32) -> nix::Result<Vec<u8>> {
    let mut payload = vec![0_u8; 256];
    // SAFETY: the kernel writes at most `payload.len()` bytes to the buffer.
    let result = unsafe {
        libc::syscall(
            libc::SYS_keyctl,
            libc::KEYCTL_READ,
            serial,
            payload.as_mut_ptr(),
            payload.len(),
        )
    };
    let length = usize::try_from(Errno::result(result)?).map_err(|_| Errno::EOVERFLOW)?;
    payload.truncate(length);
    Ok(payload)
}

/// Takes the payload of a key away from everybody ([KEYCTL_REVOKE]).
///
/// [KEYCTL_REVOKE]: https://man7.org/linux/man-pages/man2/KEYCTL_REVOKE.2const.html
pub(crate) fn revoke_key(serial: i32) -> nix::Result<()> {
    // SAFETY: KEYCTL_REVOKE takes a number and no pointer.
    let result = unsafe { libc::syscall(libc::SYS_keyctl, libc::KEYCTL_REVOKE, serial) };
    Errno::result(result).map(drop)
}

/// Takes a key off the calling thread's session keyring ([KEYCTL_UNLINK]).
///
/// [KEYCTL_UNLINK]: https://man7.org/linux/man-pages/man2/KEYCTL_UNLINK.2const.html
pub(crate) fn unlink_key(serial: i32) -> nix::Result<()> {
    // SAFETY: KEYCTL_UNLINK takes two numbers and no pointer.
    let result = unsafe {
        libc::syscall(
            libc::SYS_keyctl,
            libc::KEYCTL_UNLINK,
            serial,
            libc::KEY_SPEC_SESSION_KEYRING,
        )
    };
    Errno::result(result).map(drop)
}

/// The names of a file's extended attributes, each ended by a NUL; links are
/// not followed ([llistxattr(2)]).
///
/// [llistxattr(2)]: https://man7.org/linux/man-pages/man2/listxattr.2.html
pub(crate) fn attribute_names(path: &CStr) -> nix::Result<Vec<u8>> {
    let mut names = vec![0_u8; 64 << 10];
    // SAFETY: the path is a NUL-terminated `CStr`, and the kernel writes at
    // most `names.len()` bytes to the buffer (XATTR_LIST_MAX is 64 KiB).
    let result = unsafe { libc::llistxattr(path.as_ptr(), names.as_mut_ptr().cast(), names.len()) };
    let length = usize::try_from(Errno::result(result)?).map_err(|_| Errno::EOVERFLOW)?;
    names.truncate(length);
    Ok(names)
}

/// The value of one extended attribute; links are not followed ([lgetxattr(2)]).
///
/// [lgetxattr(2)]: https://man7.org/linux/man-pages/man2/getxattr.2.html
pub(crate) fn attribute(path: &CStr, name: &CStr) -> nix::Result<Vec<u8>> {
    let mut value = vec![0_u8; 64 << 10];
    // SAFETY: both strings are NUL-terminated `CStr`s, and the kernel writes at
    // most `value.len()` bytes to the buffer (XATTR_SIZE_MAX is 64 KiB).
    let result = unsafe {
        libc::lgetxattr(
            path.as_ptr(),
            name.as_ptr(),
            value.as_mut_ptr().cast(),
            value.len(),
        )
    };
    let length = usize::try_from(Errno::result(result)?).map_err(|_| Errno::EOVERFLOW)?;
    value.truncate(length);
    Ok(value)
}

/// Takes over a descriptor that this process was started with. It is not to
/// reach programs that this one starts ([fcntl(2)] F_SETFD).
///
/// [fcntl(2)]: https://man7.org/linux/man-pages/man2/fcntl.2.html
pub(crate) fn take_descriptor(number: RawFd) -> nix::Result<OwnedFd> {
    // SAFETY: F_SETFD takes a number and no pointer; one that is not open gives
    // EBADF.
    Errno::result(unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) })?;
    // SAFETY: `from_raw_fd` requires an open descriptor that nobody else owns.
    // It is open, and the callers, at the start of `escapology arena`, each take
    // a number once that their parent passed to them for this.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// A copy of a descriptor at this number or the next free one ([fcntl(2)]
/// F_DUPFD_CLOEXEC).
///
/// [fcntl(2)]: https://man7.org/linux/man-pages/man2/fcntl.2.html
#[cfg(test)]
pub(crate) fn duplicate_above(descriptor: &OwnedFd, first: RawFd) -> nix::Result<OwnedFd> {
    // SAFETY: F_DUPFD_CLOEXEC takes a number and no pointer.
    let number = unsafe { libc::fcntl(descriptor.as_raw_fd(), libc::F_DUPFD_CLOEXEC, first) };
    let number = Errno::result(number)?;
    // SAFETY: `from_raw_fd` requires a descriptor that nobody else owns. The
    // kernel has just opened it for this call.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Has a command start with copies of these descriptors at these numbers,
/// without close-on-exec. All sources must lie above all numbers.
#[cfg(test)]
pub(crate) fn at_numbers(command: &mut std::process::Command, descriptors: Vec<(OwnedFd, RawFd)>) {
    use std::os::unix::process::CommandExt as _;
    let place = move || {
        for (source, number) in &descriptors {
            // SAFETY: dup2 takes two numbers. It replaces what is open at
            // `number` in the child, which has nothing of its own there.
            Errno::result(unsafe { libc::dup2(source.as_raw_fd(), *number) })?;
        }
        Ok(())
    };
    // SAFETY: the closure runs between fork and exec and must be
    // async-signal-safe: it calls dup2 and allocates nothing.
    unsafe { command.pre_exec(place) };
}
