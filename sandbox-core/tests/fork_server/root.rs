//! Roots: entered without pivot_root(2) (F3), and empty (F6).

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};
use nix::unistd::{chdir, chroot, getegid, geteuid};
use sandbox_core::{
    Access, Capabilities, Command, Environment, Errno, Error, Exit, IdRange, Ids, Mount, Namespace,
    Root, Session, Spec, WorkingDirectory,
};

use crate::program::exits_with_42;
use crate::support::{builder, finish, shell, system};
use crate::{ROLE, by, says, start, start_pre_pivoted};

/// A root with a system in it.
fn rooted(namespaces: &[Namespace]) -> Spec {
    let mut mounts = system();
    mounts.push(Mount::Proc {
        target: "/proc".into(),
    });
    mounts.push(Mount::Dev {
        target: "/dev".into(),
    });
    mounts.push(Mount::Tmpfs {
        target: "/tmp".into(),
        size: None,
    });
    Spec {
        root: Some(Root::default()),
        mounts,
        hostname: Some("inside".into()),
        ..builder(namespaces)
    }
}

pub(crate) fn empty() {
    for server in [start(), start_pre_pivoted()] {
        let spec = Spec {
            root: Some(Root::default()),
            ..builder(&[Namespace::User, Namespace::Mount, Namespace::Pid])
        };
        let sandbox = spec.build().unwrap();
        for _ in 0..3 {
            let mut command = Command::from_descriptor(&sandbox, exits_with_42(), "program");
            let mut child = command
                .server(&server)
                .spawn()
                .unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(child.wait().unwrap(), Exit::Code(42));
        }
        // By path there is nothing to be run.
        let error = by(&server, &sandbox, "true").spawn().unwrap_err();
        assert_eq!(error.errno(), Some(Errno::ENOENT));
    }
}

const SCRIPT: &str = "id -u; uname -n; ls /; ls /dev; touch /x /usr/x /tmp/x 2>&1; ls /tmp; \
     cut -d' ' -f5 /proc/self/mountinfo; grep -E 'Cap|NoNew' /proc/self/status; pwd";

pub(crate) fn pre_pivot() {
    let server = start_pre_pivoted();
    assert!(server.is_pre_pivoted());
    for ids in [None, Some((0, 0)), Some((1000, 100))] {
        let spec = Spec {
            ids: ids.map(|(uid, gid)| Ids {
                uid,
                gid,
                uid_map: Vec::new(),
                gid_map: Vec::new(),
            }),
            ..rooted(&Namespace::ALL)
        };
        let sandbox = spec.build().unwrap();
        let (_, direct) = finish(&mut shell(&sandbox, SCRIPT));
        let (_, served) = finish(&mut by(&server, &sandbox, SCRIPT));
        assert_eq!(direct, served);
        // Nothing is the launcher's, nor the server's.
        let (links, _) = says(&server, &sandbox, "readlink /proc/self/ns/*");
        for pid in [std::process::id().to_string(), server.id().to_string()] {
            for name in ["user", "pid", "mnt", "net", "ipc", "uts", "cgroup", "time"] {
                let of = std::fs::read_link(format!("/proc/{pid}/ns/{name}")).unwrap();
                assert!(!links.contains(of.to_str().unwrap()), "{name}: {links}");
            }
        }
    }
    // Again and again from the same base, which stays as it was.
    let mounts = || std::fs::read_to_string(format!("/proc/{}/mountinfo", server.id())).unwrap();
    let before = mounts();
    let sandbox = rooted(&Namespace::ALL).build().unwrap();
    for _ in 0..10 {
        assert_eq!(
            finish(&mut by(&server, &sandbox, "exit 7")).0,
            Exit::Code(7)
        );
    }
    assert_eq!(mounts(), before);
}

/// What a program tries whose root lies over another: it unmounts it, and has
/// setns(2) put it at the root of its own mount namespace.
pub(crate) fn escape() -> String {
    let outside = std::env::var("ESCAPOLOGY_OUTSIDE").unwrap();
    let own = match std::env::var("ESCAPOLOGY_FORM") {
        Ok(form) => by_hand(form == "nested").unwrap(),
        Err(_) => own_mounts(),
    };
    let unmounted = umount2("/", MntFlags::MNT_DETACH);
    let entered = setns(own, CloneFlags::CLONE_NEWNS);
    let reached = std::path::Path::new(&outside).exists();
    format!("{unmounted:?} {entered:?} {reached}")
}

/// A root over the host's, by MS_MOVE and chroot(2).
fn by_hand(nested: bool) -> nix::Result<std::fs::File> {
    const NONE: Option<&str> = None;
    let (uid, gid) = (geteuid(), getegid());
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS)?;
    for (path, text) in [
        ("setgroups", "deny".to_owned()),
        ("uid_map", format!("0 {uid} 1")),
        ("gid_map", format!("0 {gid} 1")),
    ] {
        std::fs::write(format!("/proc/self/{path}"), text).unwrap();
    }
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE)?;
    let own = own_mounts();
    mount(Some("root"), "/mnt", Some("tmpfs"), MsFlags::empty(), NONE)?;
    chdir("/mnt")?;
    mount(Some("."), "/", NONE, MsFlags::MS_MOVE, NONE)?;
    chroot(".")?;
    if nested {
        unshare(CloneFlags::CLONE_NEWUSER)?;
    }
    Ok(own)
}

fn own_mounts() -> std::fs::File {
    std::fs::File::open("/proc/self/ns/mnt").unwrap()
}

pub(crate) fn nested() {
    let this = std::env::current_exe().unwrap();
    let outside = |command: &mut std::process::Command| {
        let output = command
            .env(ROLE, "escape")
            .env("ESCAPOLOGY_OUTSIDE", &this)
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let hand = |form: &str| outside(std::process::Command::new(&this).env("ESCAPOLOGY_FORM", form));
    let stopped = "Err(EPERM) Err(EPERM) false";
    // The control: the same root without the nested user namespace is none.
    assert_eq!(hand("plain"), "Ok(()) Ok(()) true");
    assert_eq!(hand("nested"), stopped);
    // Ours, for a program that has all the capabilities that there are inside.
    let server = start_pre_pivoted();
    let mut spec = rooted(&Namespace::ALL);
    spec.mounts.push(Mount::Bind {
        source: this.clone(),
        target: "/escape".into(),
        access: Access::ReadOnly,
        optional: false,
    });
    let spec = Spec {
        capabilities: Capabilities::Keep,
        environment: Some(Environment {
            set: [
                (ROLE.to_owned(), "escape".to_owned()),
                ("ESCAPOLOGY_OUTSIDE".to_owned(), this.display().to_string()),
            ]
            .into(),
            ..Environment::default()
        }),
        ..spec
    };
    let sandbox = spec.build().unwrap();
    let mut command = Command::new(&sandbox, "/escape");
    let (exit, text) = finish(command.server(&server));
    assert_eq!((exit, text.as_str()), (Exit::Code(0), stopped));
}

pub(crate) fn refusals() {
    let server = start_pre_pivoted();
    let all = rooted(&Namespace::ALL);
    let range = IdRange {
        inside: 0,
        outside: 0,
        count: 1,
    };
    let ranges = Some(Ids {
        uid: 0,
        gid: 0,
        uid_map: vec![range],
        gid_map: vec![range],
    });
    for (spec, word) in [
        (builder(&[]), "user namespace"),
        (builder(&[Namespace::User]), "root of its own"),
        (
            Spec {
                ids: ranges,
                ..all.clone()
            },
            "ranges",
        ),
        (
            Spec {
                working_directory: WorkingDirectory::Inherit,
                session: Session::Inherit,
                ..all
            },
            "working directory",
        ),
    ] {
        let sandbox = spec.build().unwrap();
        let error = by(&server, &sandbox, "true").spawn().unwrap_err();
        assert_eq!(error.errno(), Some(Errno::EOPNOTSUPP));
        assert!(
            matches!(&error, Error::Launch { subject: Some(text), .. } if text.contains(word)),
            "{error}"
        );
    }
}
