//! A page that parent and child share: how far the child got, and when.
#![expect(
    unsafe_code,
    reason = "a mapping that outlives clone has no safe wrapper"
)]

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use nix::errno::Errno;
use nix::fcntl::SealFlag;

use crate::stage::Stage;

/// A memory file of this shape stays so.
const SHAPE: SealFlag = SealFlag::F_SEAL_SHRINK.union(SealFlag::F_SEAL_GROW);
const SIZE: libc::off_t = size_of::<Laps>() as libc::off_t;

/// What the child writes and the parent reads.
#[repr(C)]
#[derive(Debug)]
struct Laps {
    /// The number of the stage under way.
    stage: AtomicU8,
    /// CLOCK_MONOTONIC in ns at the end of each stage; 0 where it was not passed.
    ended: [AtomicU64; Stage::ALL.len()],
}

/// A shared mapping with the child's progress.
#[derive(Debug)]
pub(crate) struct Progress {
    laps: NonNull<Laps>,
}

// SAFETY: Send requires that the mapping may be used from another thread; it
// holds nothing but atomics.
unsafe impl Send for Progress {}
// SAFETY: Sync requires that it may be used from several threads at once; it
// holds nothing but atomics.
unsafe impl Sync for Progress {}

impl Progress {
    /// A fresh one, all zero.
    pub(crate) fn new() -> nix::Result<Self> {
        Self::map(-1, libc::MAP_SHARED | libc::MAP_ANONYMOUS)
    }

    /// A fresh one that another process can map, and the descriptor for it
    /// ([memfd_create(2)]).
    ///
    /// [memfd_create(2)]: https://man7.org/linux/man-pages/man2/memfd_create.2.html
    pub(crate) fn shared() -> nix::Result<(Self, OwnedFd)> {
        let memory = nix::sys::memfd::memfd_create(
            c"progress",
            nix::sys::memfd::MFdFlags::MFD_CLOEXEC | nix::sys::memfd::MFdFlags::MFD_ALLOW_SEALING,
        )?;
        nix::unistd::ftruncate(&memory, SIZE)?;
        // No page of it can vanish under a mapping.
        nix::fcntl::fcntl(&memory, nix::fcntl::FcntlArg::F_ADD_SEALS(SHAPE))?;
        Ok((Self::open(memory.as_fd())?, memory))
    }

    /// That of another process; EPERM where its pages could vanish.
    pub(crate) fn open(memory: BorrowedFd<'_>) -> nix::Result<Self> {
        let seals = nix::fcntl::fcntl(memory, nix::fcntl::FcntlArg::F_GET_SEALS)?;
        if SealFlag::from_bits_truncate(seals).contains(SHAPE)
            && nix::sys::stat::fstat(memory)?.st_size == SIZE
        {
            return Self::map(memory.as_raw_fd(), libc::MAP_SHARED);
        }
        Err(Errno::EPERM)
    }

    /// Maps it ([mmap(2)]).
    ///
    /// [mmap(2)]: https://man7.org/linux/man-pages/man2/mmap.2.html
    fn map(memory: RawFd, flags: libc::c_int) -> nix::Result<Self> {
        // SAFETY: a new mapping at an address of the kernel's choice touches no
        // memory in use; what it maps is new, or sealed at the size of `Laps`.
        let address = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                size_of::<Laps>(),
                libc::PROT_READ | libc::PROT_WRITE,
                flags,
                memory,
                0,
            )
        };
        if address == libc::MAP_FAILED {
            return Err(Errno::last());
        }
        NonNull::new(address.cast())
            .map(|laps| Self { laps })
            .ok_or(Errno::EFAULT)
    }

    fn laps(&self) -> &Laps {
        // SAFETY: the mapping lives as long as `self`, is page-aligned, was
        // zeroed by the kernel, and zero is a valid value of the atomics.
        unsafe { self.laps.as_ref() }
    }

    /// The child begins a stage.
    pub(crate) fn begin(&self, stage: Stage) {
        self.laps().stage.store(stage as u8, Ordering::Release);
    }

    /// The child has done a step of a stage.
    pub(crate) fn end(&self, stage: Stage, nanoseconds: u64) {
        if let Some(lap) = self.laps().ended.get(stage as usize) {
            lap.store(nanoseconds, Ordering::Release);
        }
    }

    /// The stage that the child is in.
    pub(crate) fn stage(&self) -> Stage {
        Stage::from_index(self.laps().stage.load(Ordering::Acquire)).unwrap_or(Stage::Clone)
    }

    /// When each stage ended, for those that did.
    pub(crate) fn ended(&self) -> impl Iterator<Item = (Stage, u64)> {
        Stage::ALL
            .iter()
            .zip(&self.laps().ended)
            .map(|(&stage, lap)| (stage, lap.load(Ordering::Acquire)))
            .filter(|&(_, nanoseconds)| nanoseconds != 0)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `new` with this size, and no
        // reference into it outlives `self`.
        unsafe { libc::munmap(self.laps.as_ptr().cast(), size_of::<Laps>()) };
    }
}

/// CLOCK_MONOTONIC in nanoseconds ([clock_gettime(2)]).
///
/// [clock_gettime(2)]: https://man7.org/linux/man-pages/man2/clock_gettime.2.html
pub(crate) fn now() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the call writes the timespec that it is pointed to.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}
