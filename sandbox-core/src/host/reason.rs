//! Why something failed: the settings that are known to be behind it.

use std::collections::BTreeSet;

use nix::errno::Errno;
use nix::unistd::{Uid, User, getuid};

use super::State;
use crate::error::Error;
use crate::spec::{Capability, Namespace};
use crate::stage::Stage;

pub(super) fn missing(reason: String, remedy: &str) -> State {
    State::Missing {
        reason,
        remedy: remedy.to_owned(),
    }
}

/// Names the cause of a failed rehearsal, as far as it can be known.
pub(super) fn explain(error: &Error, namespaces: &BTreeSet<Namespace>) -> State {
    let said = error.to_string();
    let user = namespaces.contains(&Namespace::User);
    let (cause, remedy) = match (error.stage(), error.errno()) {
        (Some(Stage::Clone), Some(Errno::ENOSPC)) => exhausted(namespaces),
        (Some(Stage::Clone), Some(Errno::EUSERS)) => {
            ("user namespaces are nested 32 deep".to_owned(), "run it further out".to_owned())
        }
        (Some(Stage::Clone), Some(Errno::EINVAL)) => (
            "this kernel was built without one of these namespaces".to_owned(),
            "CONFIG_NAMESPACES, CONFIG_USER_NS, CONFIG_PID_NS, CONFIG_NET_NS, CONFIG_TIME_NS …".to_owned(),
        ),
        (Some(Stage::Clone), Some(Errno::EPERM)) if user => forbidden(),
        (Some(Stage::Clone), Some(Errno::EPERM)) if super::has_capability(Capability::SysAdmin) => refused(),
        (Some(Stage::Clone), Some(Errno::EPERM)) => {
            ("making a namespace needs CAP_SYS_ADMIN, or a user namespace with it".to_owned(), String::new())
        }
        (Some(_), Some(Errno::EPERM | Errno::EACCES)) if user && setting("kernel/apparmor_restrict_unprivileged_userns") == Some(1) => (
            "AppArmor takes the capabilities away in an unprivileged user namespace (Ubuntu 23.10 and newer)".to_owned(),
            "sysctl kernel.apparmor_restrict_unprivileged_userns=0, or an AppArmor profile with `userns,` for this program".to_owned(),
        ),
        (Some(Stage::Mount), Some(Errno::EPERM)) => (
            "the kernel shows a fresh proc only where a whole one is visible; here part of it is covered, as in a container".to_owned(),
            "docker run --security-opt systempaths=unconfined, or podman run --security-opt unmask=ALL".to_owned(),
        ),
        _ => (String::new(), String::new()),
    };
    let reason = if cause.is_empty() {
        said
    } else {
        format!("{said}: {cause}")
    };
    State::Missing { reason, remedy }
}

fn exhausted(namespaces: &BTreeSet<Namespace>) -> (String, String) {
    let zero: Vec<String> = namespaces
        .iter()
        .map(|namespace| match namespace {
            Namespace::User => "max_user_namespaces",
            Namespace::Pid => "max_pid_namespaces",
            Namespace::Mount => "max_mnt_namespaces",
            Namespace::Net => "max_net_namespaces",
            Namespace::Ipc => "max_ipc_namespaces",
            Namespace::Uts => "max_uts_namespaces",
            Namespace::Cgroup => "max_cgroup_namespaces",
            Namespace::Time => "max_time_namespaces",
        })
        .filter(|name| setting(&format!("user/{name}")) == Some(0))
        .map(|name| format!("user.{name}"))
        .collect();
    match zero.first() {
        Some(name) => (
            format!("{} is 0", zero.join(" and ")),
            format!("sysctl {name}=15000"),
        ),
        None => (
            "the limit of this or an outer user namespace is used up".to_owned(),
            "end what holds the namespaces, or raise user.max_*_namespaces".to_owned(),
        ),
    }
}

fn forbidden() -> (String, String) {
    if setting("kernel/unprivileged_userns_clone") == Some(0) {
        return (
            "kernel.unprivileged_userns_clone is 0 (Debian's switch)".to_owned(),
            "sysctl kernel.unprivileged_userns_clone=1".to_owned(),
        );
    }
    if setting("kernel/apparmor_restrict_unprivileged_userns") == Some(1) {
        return (
            "AppArmor forbids unprivileged user namespaces (Ubuntu 23.10 and newer)".to_owned(),
            "sysctl kernel.apparmor_restrict_unprivileged_userns=0, or an AppArmor profile with `userns,`".to_owned(),
        );
    }
    if chrooted() {
        return (
            "this process is in a chroot, where the kernel makes no user namespace".to_owned(),
            "enter the root by pivot_root instead".to_owned(),
        );
    }
    refused()
}

/// Refused without a rule of the kernel's own.
fn refused() -> (String, String) {
    if filtered() {
        return (
            "a seccomp filter answers, as Docker's default one does".to_owned(),
            "docker run --security-opt seccomp=unconfined".to_owned(),
        );
    }
    (
        "a security module or an unmapped id forbids it".to_owned(),
        String::new(),
    )
}

/// A number below /proc/sys.
fn setting(name: &str) -> Option<u64> {
    std::fs::read_to_string(format!("/proc/sys/{name}"))
        .ok()?
        .trim()
        .parse()
        .ok()
}

/// A process in a chroot sees no mount at "/".
fn chrooted() -> bool {
    procfs::process::Process::myself()
        .and_then(|process| process.mountinfo())
        .is_ok_and(|infos| infos.iter().all(|info| info.mount_point.as_os_str() != "/"))
}

/// Whether the calling thread, which launches, has a seccomp filter.
fn filtered() -> bool {
    std::fs::read_to_string("/proc/thread-self/status")
        .is_ok_and(|status| status.lines().any(|line| line == "Seccomp:\t2"))
}

/// The first id of the calling user's first range in /etc/subuid or /etc/subgid.
pub(super) fn subordinate(file: &str) -> Option<u32> {
    let uid = getuid();
    let name = User::from_uid(Uid::from_raw(uid.as_raw()))
        .ok()
        .flatten()
        .map(|user| user.name);
    let text = std::fs::read_to_string(file).ok()?;
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let who = fields.next()?;
        let first = fields.next()?.parse().ok()?;
        (Some(who) == name.as_deref() || who == uid.to_string()).then_some(first)
    })
}
