//! System V shared memory and keys.

use std::ffi::CStr;
use std::ptr::NonNull;

use nix::errno::Errno;

/// The id of the segment with a key ([shmget(2)]).
///
/// [shmget(2)]: https://man7.org/linux/man-pages/man2/shmget.2.html
pub(crate) fn find_segment(key: i32) -> nix::Result<i32> {
    // SAFETY: shmget takes three numbers and no pointer.
    Errno::result(unsafe { libc::shmget(key, 0, 0) })
}

/// A shared memory segment in the caller's address space.
#[derive(Debug)]
pub(crate) struct Attached(NonNull<u8>);

/// Attaches a segment, for reading and writing ([shmat(2)]).
///
/// [shmat(2)]: https://man7.org/linux/man-pages/man2/shmat.2.html
pub(crate) fn attach_segment(id: i32) -> nix::Result<Attached> {
    // SAFETY: with a null address the kernel picks a free range.
    let address = unsafe { libc::shmat(id, std::ptr::null(), 0) };
    if address.addr() == usize::MAX {
        return Err(Errno::last());
    }
    NonNull::new(address.cast())
        .map(Attached)
        .ok_or(Errno::EFAULT)
}

impl Attached {
    /// The first `N` bytes; no segment is smaller than a page.
    pub(crate) fn read<const N: usize>(&self) -> [u8; N] {
        const { assert!(N <= 4096) };
        // SAFETY: the range is mapped until `self` is dropped, its first page
        // holds at least `N` bytes, and bytes have no alignment to keep.
        unsafe { self.0.cast::<[u8; N]>().read_volatile() }
    }

    /// Writes `N` bytes to the beginning.
    pub(crate) fn write<const N: usize>(&self, bytes: [u8; N]) {
        const { assert!(N <= 4096) };
        // SAFETY: as in `read`; the segment was attached for writing.
        unsafe { self.0.cast::<[u8; N]>().write_volatile(bytes) }
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        // SAFETY: shmdt requires an address that shmat returned; this one was,
        // and nothing borrowed from it outlives `self`.
        unsafe { libc::shmdt(self.0.as_ptr().cast()) };
    }
}

/// The serial number of a `user` key in the session keyring ([KEYCTL_SEARCH]).
///
/// [KEYCTL_SEARCH]: https://man7.org/linux/man-pages/man2/KEYCTL_SEARCH.2const.html
pub(crate) fn search_session_keyring(description: &CStr) -> nix::Result<i32> {
    // SAFETY: both strings are NUL-terminated `CStr`s that outlive the call;
    // destination 0 means that the key is linked nowhere.
    let result = unsafe {
        libc::syscall(
            libc::SYS_keyctl,
            libc::KEYCTL_SEARCH,
            libc::KEY_SPEC_SESSION_KEYRING,
            c"user".as_ptr(),
            description.as_ptr(),
            0,
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
