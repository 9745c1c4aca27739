//! The server's children: reaped, told of, ended.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;

use super::OUTSIDE;
use super::wire::{Link, Word};
use crate::child::Usage;
use crate::launch::Seen;
use crate::sys::process::{self, Wait};

/// A sandbox's direct child.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) pidfd: OwnedFd,
    pub(super) kill_group: bool,
    /// Whether it ends with the server.
    pub(super) tied: bool,
}

/// All children.
#[derive(Debug, Default)]
pub(super) struct Family {
    /// By pid, each with the link to the client that asked for it.
    members: HashMap<i32, (Member, Link)>,
    /// Whether there ever was one that may outlive the server.
    untied: bool,
}

impl Family {
    pub(super) fn add(&mut self, pid: Pid, member: Member, link: Link) {
        self.untied |= !member.tied;
        self.members.insert(pid.as_raw(), (member, link));
    }

    /// Reaps all that have ended, orphans from within sandboxes among them.
    pub(super) fn reap(&mut self) -> nix::Result<()> {
        while self.reap_one(libc::WNOHANG)? {}
        Ok(())
    }

    /// Reaps one, where there is one: whether there was.
    fn reap_one(&mut self, options: i32) -> nix::Result<bool> {
        let ended = match process::wait(Wait::Any, options | libc::WNOWAIT, None) {
            Ok(Some(ended)) => ended,
            Ok(None) | Err(Errno::ECHILD) => return Ok(false),
            Err(Errno::EINTR) => return Ok(true),
            Err(errno) => return Err(errno),
        };
        let pid = Pid::from_raw(ended.pid);
        let Some((member, link)) = self.members.remove(&ended.pid) else {
            let _ = waitpid(pid, None);
            return Ok(true);
        };
        // Both while its number is still its own.
        let seen = Seen::of_zombie(ended, pid);
        if member.kill_group {
            let _ = killpg(pid, Signal::SIGKILL);
        }
        let mut usage = process::no_usage();
        process::wait(Wait::Pidfd(member.pidfd.as_fd()), 0, Some(&mut usage))?;
        let usage = Usage::from(&usage).into();
        let seen = seen.into();
        link.say(&Word::Ended { seen, usage }, None);
        Ok(true)
    }

    /// Kills and reaps what ends with the server. Orphans, whose sandbox cannot
    /// be told, are spared where any sandbox may stay.
    pub(super) fn end(mut self) -> nix::Result<()> {
        if self.untied {
            for (member, _) in self.members.values().filter(|(member, _)| member.tied) {
                let _ = process::send_signal(member.pidfd.as_fd(), libc::SIGKILL);
            }
            return Ok(());
        }
        loop {
            for pid in children() {
                if self
                    .members
                    .get(&pid)
                    .is_some_and(|(member, _)| member.kill_group)
                {
                    let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
                }
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
            // Those that the killed had as children come here next.
            if !self.reap_one(0)? {
                return Ok(());
            }
        }
    }
}

/// The pids of this process's children, none of which is reaped by another.
fn children() -> Vec<i32> {
    let path = format!("/proc/self/task/{}/children", nix::unistd::gettid());
    let outside = OUTSIDE.to_str().unwrap_or_default();
    let text = std::fs::read_to_string(&path)
        .or_else(|_| std::fs::read_to_string(format!("{outside}{path}")));
    text.unwrap_or_default()
        .split_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .collect()
}
