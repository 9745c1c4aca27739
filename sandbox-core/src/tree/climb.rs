//! From a process to its ancestors, by procfs.

use nix::errno::Errno;
use nix::unistd::Pid;
use procfs::process::{Process, Stat};

/// How often a climb begins anew after somebody on the way has ended.
const TRIES: usize = 32;

/// Every number that names a process now.
pub(super) fn all() -> nix::Result<Vec<Pid>> {
    let entries = std::fs::read_dir("/proc")
        .map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))?;
    let numbers = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    Ok(numbers.map(Pid::from_raw).collect())
}

fn stat(pid: Pid) -> Option<Stat> {
    Process::new(pid.as_raw()).ok()?.stat().ok()
}

/// Whether it is neither gone nor a zombie.
pub(super) fn is_living(pid: Pid) -> bool {
    stat(pid).is_some_and(|stat| !matches!(stat.state, 'Z' | 'X' | 'x'))
}

/// Climbs from a process to its parent and on, until one of them is known.
///
/// Two reads belong together only if nobody ended in between. An ancestor that
/// has gone has given its child another parent: the climb begins anew. A parent
/// that is younger than its child is somebody else with the same number.
pub(super) fn to_known<T>(pid: Pid, known: impl Fn(Pid) -> Option<T>) -> Option<T> {
    'anew: for _ in 0..TRIES {
        let mut at = pid;
        let mut born = u64::MAX;
        loop {
            if let Some(found) = known(at) {
                return Some(found);
            }
            let Some(stat) = stat(at) else {
                if at == pid {
                    return None;
                }
                continue 'anew;
            };
            if stat.starttime > born {
                continue 'anew;
            }
            born = stat.starttime;
            if stat.ppid < 1 {
                return None;
            }
            at = Pid::from_raw(stat.ppid);
        }
    }
    None
}
