//! What this kernel, this user and this container can enforce, and why not.
//!
//! Everything but a cgroup is tried, not looked up: a small sandbox with just the
//! thing in question is set up and left again. Settings are read only to explain a
//! failure.

mod cgroup;
mod reason;

use nix::sys::utsname::uname;
use nix::unistd::geteuid;

pub use cgroup::CgroupMode;

use crate::command::Command;
use crate::error::Error;
use crate::spec::{
    Capabilities, Capability, Descriptors, Enter, Guard, IdRange, Ids, Keyring, Mount, Namespace,
    Root, Spec, TimeOffsets, WorkingDirectory,
};
use crate::sys::{caps, mount, process};

/// Whether something can be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It was tried, and it works.
    Available {
        /// Which version or form of it; may be empty.
        detail: String,
    },
    /// It was tried, and it does not.
    Missing {
        /// What the kernel said, and why.
        reason: String,
        /// What to change; empty where nothing is known.
        remedy: String,
    },
}

/// One thing that a host can enforce, or cannot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feature {
    /// Its name.
    pub name: &'static str,
    /// The protection that needs it, where just one does.
    pub guard: Option<Guard>,
    /// Whether it can be had.
    pub state: State,
}

/// The host as a launcher sees it.
#[derive(Clone, Debug)]
pub struct Host {
    /// Kernel release (uname(2)).
    pub kernel: String,
    /// Machine (uname(2)).
    pub machine: String,
    /// The effective user id.
    pub uid: u32,
    /// Whether the launcher has CAP_SYS_ADMIN in its user namespace.
    pub privileged: bool,
    /// Which cgroup hierarchies are mounted.
    pub cgroup_mode: CgroupMode,
    /// Everything that was tried, in an order for people.
    pub features: Vec<Feature>,
}

impl Host {
    /// Tries everything: a few dozen system calls and short-lived processes.
    pub fn survey() -> Self {
        let name = uname().ok();
        let text = |part: Option<&std::ffi::OsStr>| {
            part.unwrap_or_default().to_string_lossy().into_owned()
        };
        let mut host = Self {
            kernel: text(name.as_ref().map(|name| name.release())),
            machine: text(name.as_ref().map(|name| name.machine())),
            uid: geteuid().as_raw(),
            privileged: has_capability(Capability::SysAdmin),
            cgroup_mode: cgroup::mode(),
            features: Vec::new(),
        };
        host.namespaces();
        host.roots();
        host.identities();
        host.others();
        host
    }

    /// Why a protection cannot be had here, or nothing where it can.
    pub fn lacks(&self, guard: Guard) -> Option<String> {
        self.features
            .iter()
            .filter(|feature| feature.guard == Some(guard))
            .find_map(|feature| match &feature.state {
                State::Missing { reason, .. } => Some(reason.clone()),
                State::Available { .. } => None,
            })
    }

    /// The feature with this name.
    pub fn feature(&self, name: &str) -> Option<&Feature> {
        self.features.iter().find(|feature| feature.name == name)
    }

    fn add(&mut self, name: &'static str, guard: Option<Guard>, state: State) {
        self.features.push(Feature { name, guard, state });
    }

    /// Tries a sandbox; a launcher without privileges gets a user namespace with it.
    fn try_out(&self, mut spec: Spec) -> State {
        if !self.privileged && !spec.namespaces.is_empty() {
            spec.namespaces.insert(Namespace::User);
        }
        rehearse(spec)
    }

    fn namespaces(&mut self) {
        for (name, guard, namespace) in [
            ("user namespace", Guard::UserNamespace, Namespace::User),
            ("pid namespace", Guard::PidNamespace, Namespace::Pid),
            ("mount namespace", Guard::MountNamespace, Namespace::Mount),
            ("network namespace", Guard::NetNamespace, Namespace::Net),
            ("ipc namespace", Guard::IpcNamespace, Namespace::Ipc),
            ("uts namespace", Guard::UtsNamespace, Namespace::Uts),
            (
                "cgroup namespace",
                Guard::CgroupNamespace,
                Namespace::Cgroup,
            ),
            ("time namespace", Guard::TimeNamespace, Namespace::Time),
        ] {
            let state = self.try_out(Spec {
                namespaces: [namespace].into(),
                ..bare()
            });
            self.add(name, Some(guard), state);
        }
        let offsets = Some(TimeOffsets {
            monotonic: 1,
            boottime: 1,
        });
        let state = self.try_out(Spec {
            namespaces: [Namespace::Time].into(),
            time: offsets,
            ..bare()
        });
        self.add("clock offsets", None, state);
    }

    fn roots(&mut self) {
        let rooted = |enter, mounts| Spec {
            namespaces: [Namespace::Mount, Namespace::Pid].into(),
            root: Some(Root {
                enter,
                ..Root::default()
            }),
            mounts,
            // Not the launcher's own, which it may not be able to enter again.
            working_directory: WorkingDirectory::Path("/".into()),
            ..bare()
        };
        let state = self.try_out(rooted(Enter::PivotRoot, Vec::new()));
        self.add("root by pivot_root", Some(Guard::PivotRoot), state);
        let state = self.try_out(rooted(Enter::Chroot, Vec::new()));
        self.add("root by chroot", Some(Guard::Root), state);
        let state = self.try_out(rooted(
            Enter::PivotRoot,
            vec![Mount::Proc {
                target: "/proc".into(),
            }],
        ));
        self.add("fresh proc", None, state);
        let state = if mount::has_set_attributes() {
            State::Available {
                detail: "mount_setattr".into(),
            }
        } else {
            State::Available {
                detail: "by remounting: no mount_setattr before Linux 5.12".into(),
            }
        };
        self.add("recursive read-only mounts", Some(Guard::ReadOnly), state);
    }

    fn identities(&mut self) {
        let ranges = |outside| {
            vec![IdRange {
                inside: 0,
                outside,
                count: 2,
            }]
        };
        let state = if has_capability(Capability::Setuid) && has_capability(Capability::Setgid) {
            let ids = Ids {
                uid: 0,
                gid: 0,
                uid_map: ranges(0),
                gid_map: ranges(0),
            };
            rehearse(Spec {
                namespaces: [Namespace::User].into(),
                ids: Some(ids),
                ..bare()
            })
        } else {
            match (reason::subordinate("/etc/subuid"), reason::subordinate("/etc/subgid")) {
                (Some(uid), Some(gid)) => {
                    let ids = Ids { uid: 0, gid: 0, uid_map: ranges(uid), gid_map: ranges(gid) };
                    rehearse(Spec { namespaces: [Namespace::User].into(), ids: Some(ids), ..bare() })
                }
                _ => State::Missing {
                    reason: "this user has no ranges in /etc/subuid and /etc/subgid".into(),
                    remedy: "usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER, package uidmap"
                        .into(),
                },
            }
        };
        self.add("ranges of ids", None, state);
        let capabilities = Spec {
            capabilities: Capabilities::Only([].into()),
            no_new_privs: true,
            ..bare()
        };
        let state = rehearse(capabilities);
        self.add("dropping capabilities", Some(Guard::Capabilities), state);
    }

    fn others(&mut self) {
        let state = rehearse(Spec {
            keyring: Keyring::New,
            ..bare()
        });
        self.add("session keyring", Some(Guard::Keyring), state);
        let state = rehearse(Spec {
            descriptors: Descriptors::Close,
            ..bare()
        });
        self.add("close_range", Some(Guard::Descriptors), state);
        let state = rehearse(Spec {
            no_new_privs: true,
            ..bare()
        });
        self.add("no_new_privs", Some(Guard::NoNewPrivs), state);
        // Asked and not tried: a launcher that is killed while its trial cgroup
        // stands would leave the directory behind.
        let state = match cgroup::delegated() {
            Ok(parent) => State::Available {
                detail: parent.display().to_string(),
            },
            Err(reason) => reason::missing(
                reason,
                "delegate a cgroup v2 directory (systemd-run --user --scope -p Delegate=yes …)",
            ),
        };
        self.add("cgroup v2 placement", Some(Guard::Cgroup), state);
        let state = match process::landlock_abi() {
            Ok(abi) => State::Available {
                detail: format!("ABI {abi}"),
            },
            Err(nix::errno::Errno::EOPNOTSUPP) => reason::missing(
                "Landlock is built in but off".into(),
                "add landlock to the kernel's lsm= list",
            ),
            Err(errno) => reason::missing(
                format!("landlock_create_ruleset: {errno}"),
                "Linux 5.13 or newer",
            ),
        };
        self.add("Landlock", None, state);
        for (name, action) in [
            ("seccomp filters", libc::SECCOMP_RET_ERRNO),
            ("seccomp user notification", libc::SECCOMP_RET_USER_NOTIF),
        ] {
            let state = match process::seccomp_action(action) {
                Ok(()) => State::Available {
                    detail: String::new(),
                },
                Err(errno) => reason::missing(
                    format!("seccomp: {errno}"),
                    "a kernel with CONFIG_SECCOMP_FILTER",
                ),
            };
            self.add(name, None, state);
        }
    }
}

/// A sandbox with nothing that could fail by itself.
fn bare() -> Spec {
    Spec {
        die_with_parent: false,
        loopback: false,
        ..Spec::nothing()
    }
    .without_ambient()
}

impl Spec {
    fn without_ambient(mut self) -> Self {
        self.capabilities = Capabilities::Inherit;
        self
    }
}

fn has_capability(capability: Capability) -> bool {
    caps::get().is_ok_and(|sets| sets.effective & 1 << capability as u8 != 0)
}

fn rehearse(spec: Spec) -> State {
    let namespaces = spec.namespaces.clone();
    let result = spec.build().map_err(Error::from).and_then(|sandbox| {
        let mut child = Command::rehearsal(&sandbox).launch(&sandbox, Vec::new())?;
        child.wait()
    });
    match result {
        Ok(exit) if exit.success() => State::Available {
            detail: String::new(),
        },
        Ok(exit) => State::Missing {
            reason: exit.to_string(),
            remedy: String::new(),
        },
        Err(error) => reason::explain(&error, &namespaces),
    }
}
