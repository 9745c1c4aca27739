//! Reads the environment of a process outside.
//!
//! `/proc/PID/environ` shows the variables that a program was started with:
//! tokens and passwords of the launcher and of everything else that the user
//! runs, where a procfs of the outer pid namespace is left in the sandbox.
//!
//! In a root of its own with a procfs of its own pid namespace the process has
//! no directory there. From a user namespace of its own the file can't be
//! opened (ptrace permission is needed).

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
    refs: &["proc_pid_environ(5)", "ptrace(2) access mode checking"],
    remedy: "mount a procfs of the sandbox's own pid namespace, and use a user namespace",
    attempt,
};

/// More variables than that the canary process does not have.
const VARIABLES: usize = 8;

fn attempt(cx: &mut Context) {
    let Some(victim) = cx.outside_pid("victim") else {
        return;
    };
    let environment = std::fs::read(format!("/proc/{victim}/environ"));
    if let Ok(bytes) = cx.attempt_io("open /proc/PID/environ", environment) {
        for variable in bytes.split(|&byte| byte == 0).take(VARIABLES) {
            cx.secret(variable);
        }
    }
}
