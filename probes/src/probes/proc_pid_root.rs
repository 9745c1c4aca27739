//! Reads a file through the root directory of a process outside.
//!
//! `/proc/PID/root` and `/proc/PID/cwd` are no ordinary links: they lead into
//! the root and the directory that the process itself has, whatever the
//! caller's own root shows. A procfs of the outer pid namespace that is left
//! in the sandbox opens the whole outer file system.
//!
//! In a root of its own with a procfs of its own pid namespace the process has
//! no directory there. From a user namespace of its own the links can't be
//! followed (ptrace permission is needed).

use crate::{Canary, Class, Context, Guard, Probe, Proof, Refusal, Stop};

pub(crate) const PROBE: Probe = Probe {
    class: Class::Proc,
    canary: Canary::Process,
    stops: &[
        Stop {
            guards: &[Guard::UserNamespace],
            refusal: Refusal::Errno(&[libc::EACCES]),
        },
        Stop {
            guards: &[Guard::PidNamespace, Guard::MountNamespace, Guard::Root],
            refusal: Refusal::Errno(&[libc::ENOENT]),
        },
    ],
    needs: &[],
    proof: Proof::Read,
    claims: &["S3"],
    refs: &["proc_pid_root(5)", "proc_pid_cwd(5)", "ptrace(2) access mode checking"],
    remedy: "mount a procfs of the sandbox's own pid namespace, and use a user namespace",
    attempt,
};

fn attempt(cx: &mut Context) {
    let (Some(victim), Some(tree)) = (cx.outside_pid("victim"), cx.path("tree")) else {
        return;
    };
    let through_root = format!("/proc/{victim}/root{}/secret", tree.display());
    let through_directory = format!("/proc/{victim}/cwd/secret");
    for (call, path) in [
        ("open /proc/PID/root", through_root),
        ("open /proc/PID/cwd", through_directory),
    ] {
        if let Ok(secret) = cx.attempt_io(call, std::fs::read(path)) {
            cx.secret(&secret);
        }
    }
}
