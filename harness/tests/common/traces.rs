//! What a run could leave behind, and a way to see that it did not.
//!
//! The test process makes itself the reaper of its orphans: whatever a killed
//! run leaves becomes its child. So the end of all of it is one event, ECHILD
//! of waitpid(2), and nothing is polled. Only one trial at a time may do this.

#![allow(dead_code, reason = "test programs share it, and each uses some of it")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, getpid};

/// How long the end of everything may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Lets a moment pass between two looks at something that gives no sign.
pub(crate) fn moment() {
    poll(&mut [], PollTimeout::from(10_u8)).expect("nothing to poll");
}

/// Makes this process the parent of every orphan below it.
pub(crate) fn adopt() {
    nix::sys::prctl::set_child_subreaper(true).expect("every kernel here has it");
}

/// Waits until no process below this one is left.
pub(crate) fn all_ended() {
    let (tell, ended) = mpsc::channel();
    let waiting = std::thread::spawn(move || {
        while waitpid(None, None) != Err(Errno::ECHILD) {}
        // Nobody listens where it took too long.
        let _ = tell.send(());
    });
    if ended.recv_timeout(PATIENCE).is_ok() {
        return;
    }
    let left = children(getpid());
    for (pid, _) in &left {
        let _ = kill(*pid, Signal::SIGKILL);
    }
    drop(waiting);
    panic!("still there: {left:?}");
}

/// The children of a process, with their command lines.
pub(crate) fn children(parent: Pid) -> Vec<(Pid, Vec<String>)> {
    let processes = procfs::process::all_processes().expect("there is a procfs");
    processes
        .flatten()
        .filter(|process| {
            process
                .stat()
                .is_ok_and(|stat| stat.ppid == parent.as_raw())
        })
        .map(|process| {
            (
                Pid::from_raw(process.pid()),
                process.cmdline().unwrap_or_default(),
            )
        })
        .collect()
}

/// What there is on the host of all that a run could leave, processes aside.
#[derive(Debug)]
pub(crate) struct Traces(BTreeSet<String>);

impl Traces {
    pub(crate) fn now() -> Self {
        let lines = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let mut found = BTreeSet::new();
        let mounts = lines("/proc/self/mountinfo");
        found.extend(mounts.lines().map(|line| format!("mount {line}")));
        let sockets = lines("/proc/net/unix");
        let ours = sockets.lines().filter(|line| line.contains("escapology"));
        found.extend(ours.map(|line| format!("socket {line}")));
        // Key and id; the columns after them change with use.
        let segments = lines("/proc/sysvipc/shm");
        found.extend(segments.lines().skip(1).map(|line| {
            let columns: Vec<&str> = line.split_whitespace().take(2).collect();
            format!("segment {}", columns.join(" "))
        }));
        groups_below(Path::new("/sys/fs/cgroup"), &mut found);
        Self(found)
    }

    /// Fails where there is more than there was. Others use the host as well:
    /// what they have for a moment goes away again.
    pub(crate) fn no_more(&self) {
        let mut more = Vec::new();
        for _ in 0..200 {
            more = Self::now().0.difference(&self.0).cloned().collect();
            if more.is_empty() {
                return;
            }
            moment();
        }
        panic!("left behind: {more:#?}");
    }
}

/// The control groups that have our name.
fn groups_below(directory: &Path, found: &mut BTreeSet<String>) {
    let Ok(entries) = fs::read_dir(directory) else {
        return;
    };
    for entry in entries.flatten() {
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        if entry.file_name().to_string_lossy().contains("escapology") {
            found.insert(format!("cgroup {}", entry.path().display()));
        }
        groups_below(&entry.path(), found);
    }
}
