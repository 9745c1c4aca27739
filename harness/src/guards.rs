//! The two names of a protection: the probes' and the launcher's.

use probes::Guard as Named;
use sandbox_core::Guard;

/// What a probe names, as a part of a sandbox.
pub fn part(guard: Named) -> Guard {
    match guard {
        Named::UserNamespace => Guard::UserNamespace,
        Named::PidNamespace => Guard::PidNamespace,
        Named::MountNamespace => Guard::MountNamespace,
        Named::NetNamespace => Guard::NetNamespace,
        Named::IpcNamespace => Guard::IpcNamespace,
        Named::UtsNamespace => Guard::UtsNamespace,
        Named::CgroupNamespace => Guard::CgroupNamespace,
        Named::TimeNamespace => Guard::TimeNamespace,
        Named::Root => Guard::Root,
        Named::PivotRoot => Guard::PivotRoot,
        Named::ReadOnly => Guard::ReadOnly,
        Named::Session => Guard::Session,
        Named::Descriptors => Guard::Descriptors,
        Named::Environment => Guard::Environment,
        Named::Keyring => Guard::Keyring,
        Named::WorkingDirectory => Guard::WorkingDirectory,
        Named::Capabilities => Guard::Capabilities,
        Named::NoNewPrivs => Guard::NoNewPrivs,
        Named::Limits => Guard::Limits,
        Named::Cgroup => Guard::Cgroup,
    }
}

/// A part of a sandbox, as probes and reports name it.
pub fn name(guard: Guard) -> Named {
    match guard {
        Guard::UserNamespace => Named::UserNamespace,
        Guard::PidNamespace => Named::PidNamespace,
        Guard::MountNamespace => Named::MountNamespace,
        Guard::NetNamespace => Named::NetNamespace,
        Guard::IpcNamespace => Named::IpcNamespace,
        Guard::UtsNamespace => Named::UtsNamespace,
        Guard::CgroupNamespace => Named::CgroupNamespace,
        Guard::TimeNamespace => Named::TimeNamespace,
        Guard::Root => Named::Root,
        Guard::PivotRoot => Named::PivotRoot,
        Guard::ReadOnly => Named::ReadOnly,
        Guard::Session => Named::Session,
        Guard::Descriptors => Named::Descriptors,
        Guard::Environment => Named::Environment,
        Guard::Keyring => Named::Keyring,
        Guard::WorkingDirectory => Named::WorkingDirectory,
        Guard::Capabilities => Named::Capabilities,
        Guard::NoNewPrivs => Named::NoNewPrivs,
        Guard::Limits => Named::Limits,
        Guard::Cgroup => Named::Cgroup,
    }
}

/// The protections of a sandbox, by name.
pub fn names(guards: impl IntoIterator<Item = Guard>) -> Vec<Named> {
    guards.into_iter().map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_names_mean_the_same() {
        for guard in Guard::ALL {
            assert_eq!(part(name(guard)), guard);
            // The two crates spell them alike, so that a TOML file and a report agree.
            assert_eq!(
                serde_json::to_string(&name(guard)).unwrap(),
                format!("\"{}\"", guard.name())
            );
        }
    }
}
