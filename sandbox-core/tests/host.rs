//! The survey names what stands in the way.
//!
//! The program runs itself again, in places where things are forbidden, and
//! prints the survey there.

mod support;

use std::process::Command as Process;

use libtest_mimic::Arguments;
use nix::unistd::geteuid;
use sandbox_core::{Guard, Host, State};
use support::filter::without_namespaces;
use support::trial;

fn main() {
    if let Ok(place) = std::env::var("ESCAPOLOGY_SURVEY") {
        return match place.as_str() {
            "row" => launch_with_a_keyring(),
            "row inside" => launch_in_a_row(),
            _ => survey(&place),
        };
    }
    let unprivileged_only = !geteuid().is_root();
    libtest_mimic::run(
        &Arguments::from_args(),
        vec![
            trial("here_all_namespaces_can_be_had", here),
            trial("a_limit_of_0_is_named", limit),
            trial("a_filter_is_named", filter),
            // Making one takes CAP_SYS_CHROOT; entering it from a user
            // namespace of one's own is the same.
            trial("a_chroot_is_named", chroot),
            trial("launches_in_a_row_stay_below_the_key_quota", row)
                .with_ignored_flag(unprivileged_only),
            trial("capabilities_lost_show", unprivileged).with_ignored_flag(unprivileged_only),
        ],
    )
    .exit();
}

/// Prints what is missing, a line each.
fn survey(place: &str) {
    let print = || {
        let host = Host::survey();
        println!("privileged={}", host.privileged);
        for feature in host.features {
            if let State::Missing { reason, remedy } = feature.state {
                println!("{}: {reason} | {remedy}", feature.name);
            }
        }
    };
    match place {
        "filter" => without_namespaces(print),
        _ => print(),
    }
}

/// Whoever has a session keyring, as after a login, may not go beyond the quota.
fn launch_with_a_keyring() {
    let spec = sandbox_core::Spec {
        environment: None,
        ..support::builder(&[])
    };
    let sandbox = spec.build().unwrap();
    let mut command = sandbox_core::Command::new(&sandbox, own());
    command.env("ESCAPOLOGY_SURVEY", "row inside");
    assert!(command.spawn().unwrap().wait().unwrap().success());
}

/// Each with a keyring of its own, as the default is.
fn launch_in_a_row() {
    let sandbox = support::builder(&[]).build().unwrap();
    let launch = |script| {
        let child = support::shell(&sandbox, script).spawn();
        child.unwrap_or_else(|error| panic!("{error}"))
    };
    // Of the 200 that a user may have by default a few are left.
    let _held: Vec<_> = (0..180).map(|_| launch("exec sleep 1000")).collect();
    for _ in 0..200 {
        assert!(launch("exit 0").wait().unwrap().success());
    }
    println!("launched");
}

fn own() -> String {
    std::env::current_exe()
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned()
}

/// The survey, as this command makes it.
fn surveyed(place: &str, program: &str, arguments: &[&str]) -> String {
    // A directory that an unprivileged user could not even enter again.
    let private = tempfile::tempdir().unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(private.path(), mode).unwrap();
    let output = Process::new(program)
        .args(arguments)
        .current_dir(private.path())
        .env("TMPDIR", private.path())
        .env("ESCAPOLOGY_SURVEY", place)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{text}{errors}");
    text
}

fn line<'a>(text: &'a str, name: &str) -> &'a str {
    let start = format!("{name}: ");
    text.lines()
        .find_map(|line| line.strip_prefix(&start))
        .unwrap_or_else(|| panic!("{name} is not missing in {text}"))
}

fn here() {
    let host = Host::survey();
    assert_eq!(host.uid, geteuid().as_raw());
    for guard in Guard::ALL {
        if guard != Guard::Cgroup {
            assert_eq!(host.lacks(guard), None, "{guard}");
        }
    }
    let missing = |name| match &host.feature(name).unwrap().state {
        State::Missing { reason, .. } => Some(reason.clone()),
        State::Available { .. } => None,
    };
    assert_eq!(missing("clock offsets"), None);
    assert_eq!(missing("fresh proc"), None);
}

fn limit() {
    let script = "echo 0 > /proc/sys/user/max_user_namespaces && exec \"$0\"";
    let text = surveyed("here", "unshare", &["-Ur", "sh", "-c", script, &own()]);
    let reason = line(&text, "user namespace");
    assert!(reason.contains("user.max_user_namespaces is 0"), "{text}");
    assert!(
        reason.contains("sysctl user.max_user_namespaces="),
        "{text}"
    );
    // There it is root, which needs none for the others.
    assert!(text.starts_with("privileged=true"), "{text}");
    assert!(!text.contains("pid namespace"), "{text}");

    // Without capabilities every other one needs it, and says the same.
    let drop = "exec setpriv --bounding-set=-all --inh-caps=-all \"$0\"";
    let script = format!("echo 0 > /proc/sys/user/max_user_namespaces && {drop}");
    let text = surveyed("here", "unshare", &["-Ur", "sh", "-c", &script, &own()]);
    assert!(text.starts_with("privileged=false"), "{text}");
    for name in ["user namespace", "pid namespace", "root by pivot_root"] {
        let reason = line(&text, name);
        assert!(reason.contains("user.max_user_namespaces is 0"), "{text}");
    }
}

fn filter() {
    let text = surveyed("filter", &own(), &[]);
    assert!(!text.contains("no_new_privs"), "{text}");
    for name in ["user namespace", "pid namespace", "root by pivot_root"] {
        let reason = line(&text, name);
        assert!(reason.contains("seccomp filter"), "{text}");
        assert!(reason.contains("seccomp=unconfined"), "{text}");
    }
}

fn chroot() {
    // The same tree without a mount at its root: all of "/" bound somewhere
    // would have one, a directory of links to it has not.
    let script = "root=$(mktemp -d) && mkdir $root/inner && cd $root/inner || exit
        for path in /*; do test -d $path && mkdir .$path && mount --rbind $path .$path; done
        exec chroot $root/inner \"$0\"";
    let text = surveyed("here", "unshare", &["-Urm", "sh", "-c", script, &own()]);
    let reason = line(&text, "user namespace");
    assert!(reason.contains("chroot"), "{text}");
    assert!(reason.contains("pivot_root"), "{text}");
}

fn row() {
    assert_eq!(as_somebody("row"), "launched\n");
}

/// As a user without privileges. Root has a key quota that no test exhausts.
fn as_somebody(place: &str) -> String {
    let program = tempfile::tempdir().unwrap();
    let copy = program.path().join("survey");
    std::fs::copy(own(), &copy).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(program.path(), mode).unwrap();
    let arguments = [
        "--reuid=54321",
        "--regid=54321",
        "--clear-groups",
        "--inh-caps=-all",
        "--bounding-set=-all",
        copy.to_str().unwrap(),
    ];
    surveyed(place, "setpriv", &arguments)
}

fn unprivileged() {
    let text = as_somebody("here");
    assert!(text.starts_with("privileged=false"), "{text}");
    let reason = line(&text, "ranges of ids");
    assert!(reason.contains("/etc/subuid"), "{text}");
    for name in ["namespace:", "root by", "fresh proc"] {
        assert!(!text.contains(name), "{text}");
    }
}
