//! The descriptor-based mount calls (since 5.2; mount_setattr since 5.12).
#![expect(
    unsafe_code,
    reason = "neither libc nor nix wraps the descriptor-based mount calls"
)]

use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;

pub(crate) const ATTR_RDONLY: u64 = 0x1;
pub(crate) const ATTR_NOSUID: u64 = 0x2;
pub(crate) const ATTR_NODEV: u64 = 0x4;
pub(crate) const ATTR_NOEXEC: u64 = 0x8;

const OPEN_TREE_CLONE: libc::c_uint = 1;
const OPEN_TREE_CLOEXEC: libc::c_uint = libc::O_CLOEXEC.unsigned_abs();
const AT_RECURSIVE: libc::c_uint = 0x8000;
const AT_EMPTY_PATH: libc::c_uint = libc::AT_EMPTY_PATH.unsigned_abs();
const MOVE_MOUNT_F_EMPTY_PATH: libc::c_uint = 0x4;
const MOVE_MOUNT_T_EMPTY_PATH: libc::c_uint = 0x40;
const FSOPEN_CLOEXEC: libc::c_uint = 1;
const FSMOUNT_CLOEXEC: libc::c_uint = 1;
const FSCONFIG_SET_STRING: libc::c_uint = 1;
const FSCONFIG_CMD_CREATE: libc::c_uint = 6;
const RESOLVE_IN_ROOT: u64 = 0x10;
const RESOLVE_NO_MAGICLINKS: u64 = 0x02;

fn descriptor(result: libc::c_long) -> nix::Result<OwnedFd> {
    let raw = RawFd::try_from(Errno::result(result)?).map_err(|_| Errno::EBADF)?;
    // SAFETY: the callers pass the result of a call that opens a descriptor;
    // the kernel has just opened it, and nothing else knows the number.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// A detached copy of the mounts at a path ([open_tree(2)]).
///
/// [open_tree(2)]: https://man7.org/linux/man-pages/man2/open_tree.2.html
pub(crate) fn open_tree(path: &CStr) -> nix::Result<OwnedFd> {
    let flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE;
    // SAFETY: the path is NUL-terminated.
    descriptor(unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags) })
}

/// `struct mount_attr`.
#[repr(C)]
#[derive(Default)]
struct MountAttr {
    attr_set: u64,
    attr_clr: u64,
    propagation: u64,
    userns_fd: u64,
}

/// Sets attributes of a mount and makes it private ([mount_setattr(2)]).
///
/// [mount_setattr(2)]: https://man7.org/linux/man-pages/man2/mount_setattr.2.html
pub(crate) fn set_attributes(
    mount: BorrowedFd<'_>,
    attributes: u64,
    recursive: bool,
) -> nix::Result<()> {
    let attr = MountAttr {
        attr_set: attributes,
        propagation: libc::MS_PRIVATE,
        ..MountAttr::default()
    };
    let flags = AT_EMPTY_PATH | if recursive { AT_RECURSIVE } else { 0 };
    // SAFETY: the path is the empty string, and the structure's size is given.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attr,
            size_of::<MountAttr>(),
        )
    };
    Errno::result(result).map(drop)
}

/// Whether this kernel has [mount_setattr(2)]: asked with a descriptor that is
/// not open.
///
/// [mount_setattr(2)]: https://man7.org/linux/man-pages/man2/mount_setattr.2.html
pub(crate) fn has_set_attributes() -> bool {
    let attr = MountAttr::default();
    // SAFETY: as for set_attributes; descriptor -1 gives EBADF at most.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            -1,
            c"".as_ptr(),
            AT_EMPTY_PATH,
            &raw const attr,
            size_of::<MountAttr>(),
        )
    };
    Errno::result(result) != Err(Errno::ENOSYS)
}

/// Attaches a detached mount on an open directory or file ([move_mount(2)]).
///
/// [move_mount(2)]: https://man7.org/linux/man-pages/man2/move_mount.2.html
pub(crate) fn attach(mount: BorrowedFd<'_>, target: BorrowedFd<'_>) -> nix::Result<()> {
    // SAFETY: both paths are the empty string.
    let result = unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            mount.as_raw_fd(),
            c"".as_ptr(),
            target.as_raw_fd(),
            c"".as_ptr(),
            MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH,
        )
    };
    Errno::result(result).map(drop)
}

/// A new file-system context ([fsopen(2)]).
///
/// [fsopen(2)]: https://man7.org/linux/man-pages/man2/fsopen.2.html
pub(crate) fn open_filesystem(name: &CStr) -> nix::Result<OwnedFd> {
    // SAFETY: the name is NUL-terminated.
    descriptor(unsafe { libc::syscall(libc::SYS_fsopen, name.as_ptr(), FSOPEN_CLOEXEC) })
}

/// Sets an option of a file-system context ([fsconfig(2)]).
///
/// [fsconfig(2)]: https://man7.org/linux/man-pages/man2/fsconfig.2.html
pub(crate) fn configure(context: BorrowedFd<'_>, key: &CStr, value: &CStr) -> nix::Result<()> {
    // SAFETY: key and value are NUL-terminated.
    let result = unsafe {
        libc::syscall(
            libc::SYS_fsconfig,
            context.as_raw_fd(),
            FSCONFIG_SET_STRING,
            key.as_ptr(),
            value.as_ptr(),
            0,
        )
    };
    Errno::result(result).map(drop)
}

/// Makes the file system that a context describes ([fsconfig(2)]).
///
/// [fsconfig(2)]: https://man7.org/linux/man-pages/man2/fsconfig.2.html
pub(crate) fn create(context: BorrowedFd<'_>) -> nix::Result<()> {
    // SAFETY: this command takes neither key nor value.
    let result = unsafe {
        libc::syscall(
            libc::SYS_fsconfig,
            context.as_raw_fd(),
            FSCONFIG_CMD_CREATE,
            0_usize,
            0_usize,
            0,
        )
    };
    Errno::result(result).map(drop)
}

/// A detached mount of the file system made with a context ([fsmount(2)]).
///
/// [fsmount(2)]: https://man7.org/linux/man-pages/man2/fsmount.2.html
pub(crate) fn mount(context: BorrowedFd<'_>, attributes: u64) -> nix::Result<OwnedFd> {
    // SAFETY: takes no pointer.
    descriptor(unsafe {
        libc::syscall(
            libc::SYS_fsmount,
            context.as_raw_fd(),
            FSMOUNT_CLOEXEC,
            attributes,
        )
    })
}

/// `struct open_how`.
#[repr(C)]
struct OpenHow {
    flags: u64,
    mode: u64,
    resolve: u64,
}

/// Opens a place below a directory as if that were the root, so that no link
/// leads out of it ([openat2(2)], since 5.6). O_PATH, close-on-exec.
///
/// [openat2(2)]: https://man7.org/linux/man-pages/man2/openat2.2.html
pub(crate) fn open_in_root(root: BorrowedFd<'_>, path: &CStr) -> nix::Result<OwnedFd> {
    let how = OpenHow {
        flags: (libc::O_PATH | libc::O_CLOEXEC) as u64,
        mode: 0,
        resolve: RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
    };
    // SAFETY: the path is NUL-terminated, and the structure's size is given.
    descriptor(unsafe {
        libc::syscall(
            libc::SYS_openat2,
            root.as_raw_fd(),
            path.as_ptr(),
            &raw const how,
            size_of::<OpenHow>(),
        )
    })
}
