//! Sandboxes with one protection less, or with only some: the ablation.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{
    Access, Capabilities, Descriptors, Enter, Guard, Keyring, Limits, Mount, Namespace, Sandbox,
    Session, Spec, WorkingDirectory,
};

/// A sandbox derived from another.
#[derive(Clone, Debug)]
pub struct Derived {
    /// The sandbox.
    pub sandbox: Sandbox,
    /// For [`Sandbox::only`], what had to come along; for
    /// [`Sandbox::without`], what cannot stand alone and had to go too.
    pub also: BTreeSet<Guard>,
}

/// A protection that was left out because the host lacks what it needs and
/// [`Spec::allow_downgrade`] names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Degraded {
    /// The protection.
    pub guard: Guard,
    /// What the host lacks.
    pub reason: String,
}

impl Sandbox {
    /// These protections of this sandbox, what they need, and nothing else.
    ///
    /// `privileged` says whether the launcher has CAP_SYS_ADMIN; where it has
    /// not, every namespace needs a user namespace.
    pub fn only(&self, guards: &[Guard], privileged: bool) -> Derived {
        let mut wanted: BTreeSet<Guard> = guards.iter().copied().collect();
        if wanted.contains(&Guard::PivotRoot) {
            wanted.insert(Guard::Root);
        }
        if wanted.contains(&Guard::Root) || wanted.contains(&Guard::ReadOnly) {
            wanted.insert(Guard::MountNamespace);
        }
        if !privileged
            && wanted.iter().any(|guard| {
                guard
                    .namespace()
                    .is_some_and(|other| other != Namespace::User)
            })
        {
            wanted.insert(Guard::UserNamespace);
        }
        let mut spec = self.0.clone();
        // Largest first: what depends on a part goes with it.
        for guard in Guard::ALL {
            if !wanted.contains(&guard) {
                remove(&mut spec, guard);
            }
        }
        let sandbox = Self(spec);
        let also = sandbox
            .guards()
            .into_iter()
            .filter(|guard| !guards.contains(guard))
            .collect();
        Derived { sandbox, also }
    }

    /// This sandbox without one protection.
    pub fn without(&self, guard: Guard) -> Derived {
        let mut spec = self.0.clone();
        remove(&mut spec, guard);
        let sandbox = Self(spec);
        let left = sandbox.guards();
        let also = self
            .guards()
            .into_iter()
            .filter(|&other| other != guard && !left.contains(&other))
            .collect();
        Derived { sandbox, also }
    }
}

fn remove(spec: &mut Spec, guard: Guard) {
    match guard {
        Guard::UserNamespace => {
            spec.namespaces.remove(&Namespace::User);
            // The launcher's own ids stay: taking on others needs privileges
            // that have nothing to do with this protection.
            spec.ids = None;
        }
        Guard::PidNamespace => {
            spec.namespaces.remove(&Namespace::Pid);
            // Without a pid namespace the launcher's procfs is what is left to
            // show; a fresh one would list the same processes.
            for mount in &mut spec.mounts {
                if let Mount::Proc { target } = mount {
                    *mount = Mount::Bind {
                        source: "/proc".into(),
                        target: std::mem::take(target),
                        access: Access::ReadWrite,
                        optional: false,
                    };
                }
            }
        }
        Guard::MountNamespace => {
            spec.namespaces.remove(&Namespace::Mount);
            spec.root = None;
            spec.mounts.clear();
        }
        Guard::UtsNamespace => {
            spec.namespaces.remove(&Namespace::Uts);
            spec.hostname = None;
        }
        Guard::TimeNamespace => {
            spec.namespaces.remove(&Namespace::Time);
            spec.time = None;
        }
        Guard::NetNamespace | Guard::IpcNamespace | Guard::CgroupNamespace => {
            if let Some(namespace) = guard.namespace() {
                spec.namespaces.remove(&namespace);
            }
        }
        Guard::Root => {
            spec.root = None;
            // On the inherited tree only a read-only view is a protection;
            // everything else furnished the root that is gone.
            spec.mounts.retain(|mount| {
                matches!(mount, Mount::Bind { source, target, access: Access::ReadOnly, .. } if source == target)
            });
        }
        Guard::PivotRoot => {
            if let Some(root) = &mut spec.root {
                root.enter = Enter::Chroot;
            }
        }
        Guard::ReadOnly => {
            for mount in &mut spec.mounts {
                if let Mount::Bind { access, .. } = mount {
                    *access = Access::ReadWrite;
                }
            }
        }
        Guard::Session => spec.session = Session::Inherit,
        Guard::Descriptors => spec.descriptors = Descriptors::Inherit,
        Guard::Environment => spec.environment = None,
        Guard::Keyring => spec.keyring = Keyring::Inherit,
        Guard::WorkingDirectory => spec.working_directory = WorkingDirectory::Inherit,
        Guard::Capabilities => spec.capabilities = Capabilities::Keep,
        Guard::NoNewPrivs => spec.no_new_privs = false,
        Guard::Limits => spec.limits = Limits::default(),
        Guard::Cgroup => spec.cgroup = None,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::{Environment, Root, TimeOffsets};
    use super::*;

    /// A sandbox with every protection.
    fn full() -> Sandbox {
        Spec {
            namespaces: Namespace::ALL.into(),
            root: Some(Root::default()),
            mounts: vec![
                Mount::Proc {
                    target: "/proc".into(),
                },
                Mount::Bind {
                    source: "/usr".into(),
                    target: "/usr".into(),
                    access: Access::ReadOnly,
                    optional: false,
                },
            ],
            hostname: Some("box".into()),
            time: Some(TimeOffsets {
                monotonic: 1,
                boottime: 1,
            }),
            limits: Limits {
                processes: Some(10),
                ..Limits::default()
            },
            environment: Some(Environment::default()),
            cgroup: Some(super::super::Cgroup {
                parent: "/sys/fs/cgroup".into(),
            }),
            ..Spec::default()
        }
        .build()
        .unwrap()
    }

    #[test]
    fn the_full_sandbox_has_every_protection() {
        assert_eq!(full().guards(), Guard::ALL.into());
    }

    #[test]
    fn every_ablation_is_a_valid_sandbox_without_that_protection() {
        for guard in Guard::ALL {
            let derived = full().without(guard);
            assert!(!derived.sandbox.has(guard), "{guard} is still there");
            derived
                .sandbox
                .spec()
                .clone()
                .build()
                .unwrap_or_else(|error| panic!("without {guard}: {error}"));
        }
    }

    #[rstest]
    #[case::mount_takes_root_along(Guard::MountNamespace, &[Guard::Root, Guard::PivotRoot, Guard::ReadOnly])]
    #[case::root_takes_pivot_along(Guard::Root, &[Guard::PivotRoot])]
    #[case::pid_stands_alone(Guard::PidNamespace, &[])]
    #[case::read_only_stands_alone(Guard::ReadOnly, &[])]
    #[case::capabilities_stand_alone(Guard::Capabilities, &[])]
    fn without_lists_what_went_too(#[case] guard: Guard, #[case] also: &[Guard]) {
        assert_eq!(full().without(guard).also, also.iter().copied().collect());
    }

    #[rstest]
    #[case::pid_as_root(&[Guard::PidNamespace], true, &[])]
    #[case::pid_as_user(&[Guard::PidNamespace], false, &[Guard::UserNamespace])]
    #[case::root(&[Guard::Root], true, &[Guard::MountNamespace])]
    #[case::pivot(&[Guard::PivotRoot], true, &[Guard::MountNamespace, Guard::Root])]
    #[case::read_only(&[Guard::ReadOnly, Guard::Capabilities], true, &[Guard::MountNamespace])]
    #[case::session(&[Guard::Session], false, &[])]
    fn only_lists_what_came_along(
        #[case] guards: &[Guard],
        #[case] privileged: bool,
        #[case] also: &[Guard],
    ) {
        let derived = full().only(guards, privileged);
        assert_eq!(derived.also, also.iter().copied().collect());
        assert!(guards.iter().all(|&guard| derived.sandbox.has(guard)));
        derived.sandbox.spec().clone().build().unwrap();
    }
}
