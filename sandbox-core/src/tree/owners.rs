//! Given any pid, the sandbox that owns it (claim R5).

use std::collections::HashMap;
use std::os::linux::fs::MetadataExt as _;

use nix::unistd::Pid;

use super::climb;
use crate::child::Child;

/// Some sandboxes, to ask whose a process is.
///
/// The answer takes as many steps as the process has ancestors up to its
/// sandbox's first process, and no list of processes: a parent that has ended
/// leaves its children to pid 1 of the namespace or to the keeper, which are
/// known. Where neither is there, or somebody from outside entered, the pid
/// namespace and the cgroup tell, one read each.
#[derive(Debug)]
pub struct Owners<'a> {
    sandboxes: Vec<&'a Child>,
    /// By the number of a first process: not reaped, so that it is its own.
    first: HashMap<Pid, usize>,
    /// By device and inode of a pid namespace.
    namespaces: HashMap<(u64, u64), usize>,
    /// By the path of a cgroup as this process sees it.
    cgroups: Vec<(String, usize)>,
}

impl<'a> Owners<'a> {
    /// Of these; those that have been waited for own nothing any more.
    pub fn new(sandboxes: impl IntoIterator<Item = &'a Child>) -> Self {
        let mut owners = Self {
            sandboxes: Vec::new(),
            first: HashMap::new(),
            namespaces: HashMap::new(),
            cgroups: Vec::new(),
        };
        for child in sandboxes {
            if child.is_reaped() {
                continue;
            }
            let index = owners.sandboxes.len();
            owners.sandboxes.push(child);
            owners.first.insert(child.id(), index);
            if child.has_pid_namespace()
                && let Some(namespace) = namespace(child.id())
            {
                owners.namespaces.insert(namespace, index);
            }
            if child.cgroup().is_some()
                && let Some(path) = cgroup(child.id())
            {
                owners.cgroups.push((path, index));
            }
        }
        owners
    }

    /// The sandbox of a process: none where it belongs to none, or has ended.
    pub fn owner(&self, pid: Pid) -> Option<&'a Child> {
        let index = climb::to_known(pid, |pid| self.first.get(&pid).copied())
            .or_else(|| self.by_namespace(pid))
            .or_else(|| self.by_cgroup(pid))?;
        self.sandboxes.get(index).copied()
    }

    fn by_namespace(&self, pid: Pid) -> Option<usize> {
        if self.namespaces.is_empty() {
            return None;
        }
        self.namespaces.get(&namespace(pid)?).copied()
    }

    fn by_cgroup(&self, pid: Pid) -> Option<usize> {
        if self.cgroups.is_empty() {
            return None;
        }
        let path = cgroup(pid)?;
        let below = |top: &str| {
            path.strip_prefix(top)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let found = self.cgroups.iter().find(|(top, _)| below(top));
        found.map(|(_, index)| *index)
    }
}

/// Needs the right to look at the process (PTRACE_MODE_READ): of an undumpable one
/// of another user nobody else learns it.
fn namespace(pid: Pid) -> Option<(u64, u64)> {
    let metadata = std::fs::metadata(format!("/proc/{pid}/ns/pid")).ok()?;
    Some((metadata.st_dev(), metadata.st_ino()))
}

fn cgroup(pid: Pid) -> Option<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let path = text.lines().find_map(|line| line.strip_prefix("0::"))?;
    Some(path.to_owned())
}
