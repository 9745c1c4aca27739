//! A user id that nobody else uses, claimed out of a range (S8).
//!
//! The recipe is D. J. Bernstein's ("Some thoughts on security after ten years of
//! qmail 1.0", 2007) and Chromium's setuid sandbox: the kernel's own count of a
//! user's processes is the registry, seen by claimants in any chroot. A limit of
//! 1 does not show one other process on today's kernels, which compare after the
//! claimant itself has been counted; a limit of 2 and a fork does, and fails for
//! both of two claimants who are there at once.

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::spec::UidPool;
use crate::sys::{caps, clone, exec, ids};

/// How often the whole range is gone through before it counts as full: claimants
/// that met gave up an id that is free again.
const PASSES: u32 = 4;

/// The claimant alone, and its fork.
const ALONE: u64 = 2;

static CLAIMS: AtomicU32 = AtomicU32::new(0);

/// One claimant's way through a range.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Claim {
    pool: UidPool,
    /// Where it begins: claimants that begin apart seldom meet.
    start: u32,
    /// Whether it goes downwards: two that have met part again.
    down: bool,
}

impl std::fmt::Display for Claim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let last = self.pool.first + (self.pool.count - 1);
        write!(f, "an unused uid of {} to {last}", self.pool.first)
    }
}

impl Claim {
    pub(crate) fn new(pool: UidPool) -> Self {
        let number = CLAIMS.fetch_add(1, Ordering::Relaxed);
        // Consecutive claims of one launcher begin next to each other, those of
        // different launchers anywhere.
        let start = std::process::id()
            .wrapping_mul(0x9e37_79b9)
            .wrapping_add(number);
        Self {
            pool,
            start: start % pool.count,
            down: number % 2 == 1,
        }
    }

    /// Takes on an id, in the child: no allocation, no lock.
    ///
    /// # Errors
    /// EAGAIN where every id of the range is in use.
    pub(crate) fn make(&self) -> nix::Result<()> {
        let (soft, hard) = getrlimit(Resource::RLIMIT_NPROC)?;
        let permitted = caps::get()?.permitted;
        let count = self.pool.count;
        for step in 0..count.saturating_mul(PASSES) {
            let step = step % count;
            let offset = if self.down { count - step } else { step };
            let uid = self.pool.first + (self.start + offset) % count;
            if try_one(uid, permitted, hard)? {
                // What counts for this sandbox is set by its own limits.
                return setrlimit(Resource::RLIMIT_NPROC, soft, hard);
            }
            // Lets another claimant finish that holds the next one for a moment.
            std::thread::yield_now();
        }
        Err(Errno::EAGAIN)
    }
}

/// Enters an id and sees whether it is alone there.
fn try_one(uid: u32, permitted: u64, hard: u64) -> nix::Result<bool> {
    let with = |effective| caps::Sets {
        effective,
        permitted,
        inheritable: 0,
    };
    caps::set(with(permitted))?;
    caps::keep_across_setuid()?;
    ids::set_group(uid)?;
    ids::set_user(uid)?;
    // CAP_SYS_ADMIN and CAP_SYS_RESOURCE are exempt from the limit. From one
    // ordinary id to another the kernel leaves them effective.
    caps::set(with(0))?;
    setrlimit(Resource::RLIMIT_NPROC, ALONE.min(hard), hard)?;
    match clone::fork() {
        Ok(0) => exec::exit(0),
        Ok(pid) => waitpid(Pid::from_raw(pid), None).map(|_| true),
        Err(Errno::EAGAIN) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Kills every process that has this id: kill(-1) as that id, which no fork
/// escapes. The launcher needs CAP_SETUID.
///
/// # Errors
/// Where the id cannot be entered.
pub(crate) fn kill_all(uid: u32) -> nix::Result<()> {
    match clone::fork()? {
        0 => exec::exit(match enter_and_kill(uid) {
            Ok(()) | Err(Errno::ESRCH) => 0,
            Err(errno) => errno as i32,
        }),
        pid => match waitpid(Pid::from_raw(pid), None)? {
            nix::sys::wait::WaitStatus::Exited(_, 0) => Ok(()),
            nix::sys::wait::WaitStatus::Exited(_, errno) => Err(Errno::from_raw(errno)),
            // Somebody of that id was faster; it is killed by the next try.
            _ => Err(Errno::EINTR),
        },
    }
}

fn enter_and_kill(uid: u32) -> nix::Result<()> {
    ids::clear_groups()?;
    ids::set_group(uid)?;
    ids::set_user(uid)?;
    // Every process that this id may signal, except this one.
    kill(Pid::from_raw(-1), Signal::SIGKILL)
}
