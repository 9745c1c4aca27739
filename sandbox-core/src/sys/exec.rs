//! Running a program, and leaving without one.
#![expect(unsafe_code, reason = "nix's execve allocates; the child must not")]

use std::ffi::{CStr, CString, c_char};
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Strings with the array of pointers that execve(2) takes, made beforehand.
#[derive(Debug)]
pub(crate) struct StringArray {
    /// Keeps what the pointers point to.
    strings: Vec<CString>,
    /// One for each string, and a null one.
    pointers: Vec<*const c_char>,
}

// SAFETY: Send requires that the value may be used from another thread. The
// pointers go to heap memory that the same value owns and never changes.
unsafe impl Send for StringArray {}

impl Serialize for StringArray {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.strings.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for StringArray {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(Self::new)
    }
}

impl StringArray {
    pub(crate) fn new(strings: Vec<CString>) -> Self {
        let pointers = strings
            .iter()
            .map(|string| string.as_ptr())
            .chain([std::ptr::null()])
            .collect();
        Self { strings, pointers }
    }
}

/// [execve(2)]: comes back only with an error.
///
/// [execve(2)]: https://man7.org/linux/man-pages/man2/execve.2.html
pub(crate) fn execve(path: &CStr, arguments: &StringArray, environment: &StringArray) -> Errno {
    // SAFETY: the path is NUL-terminated, and both arrays end with a null
    // pointer and hold only NUL-terminated strings that they own.
    unsafe {
        libc::execve(
            path.as_ptr(),
            arguments.pointers.as_ptr(),
            environment.pointers.as_ptr(),
        )
    };
    Errno::last()
}

/// [execveat(2)] of an open file, with no path: comes back only with an error.
///
/// [execveat(2)]: https://man7.org/linux/man-pages/man2/execveat.2.html
pub(crate) fn fexecve(
    file: BorrowedFd<'_>,
    arguments: &StringArray,
    environment: &StringArray,
) -> Errno {
    // SAFETY: the descriptor is open, the path is the empty string, and the
    // arrays are as for execve.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            file.as_raw_fd(),
            c"".as_ptr(),
            arguments.pointers.as_ptr(),
            environment.pointers.as_ptr(),
            libc::AT_EMPTY_PATH,
        )
    };
    Errno::last()
}

/// [_exit(2)]: runs no destructor and flushes no buffer of the parent's.
///
/// [_exit(2)]: https://man7.org/linux/man-pages/man2/_exit.2.html
pub(crate) fn exit(code: i32) -> ! {
    // SAFETY: ends the process; there is no requirement.
    unsafe { libc::_exit(code) }
}
