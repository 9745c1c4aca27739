//! Takes hold of a process that was undumpable and is so no more.
//!
//! Processes of one user may trace each other unless one is undumpable (prctl(2)
//! PR_SET_DUMPABLE), and a sandbox that relies on that has two holes: the process
//! can make itself dumpable again, as crash reporters do, and execve(2) makes it so
//! by itself. One of each is aimed at, and one that still is undumpable, as a
//! control. Capabilities are dropped first: CAP_SYS_PTRACE would look through all.
//!
//! A pid namespace for each job leaves no number to trace; from a user namespace of
//! its own a process has no rights over those of another.

use crate::{Canary, Class, Context, Guard, Probe, Proof, Refusal, Stop, raw, tracing};

pub(crate) const PROBE: Probe = Probe {
    class: Class::Ptrace,
    canary: Canary::Undumpable,
    stops: &[
        Stop {
            guards: &[Guard::PidNamespace],
            refusal: Refusal::Errno(&[libc::ESRCH]),
        },
        Stop {
            guards: &[Guard::UserNamespace],
            refusal: Refusal::Errno(&[libc::EPERM]),
        },
    ],
    needs: &[],
    proof: Proof::Code,
    claims: &["S4"],
    refs: &["ptrace(2)", "PR_SET_DUMPABLE(2const)", "execve(2)"],
    remedy: "give each job a pid namespace or a user namespace of its own: undumpable is not for ever",
    attempt,
};

fn attempt(cx: &mut Context) {
    if cx.step("capset", raw::drop_capabilities()).is_err() {
        return;
    }
    for (which, page, word) in [
        ("undumpable", "undumpable-page", " (undumpable)"),
        ("by-prctl", "by-prctl-page", " (dumpable by prctl)"),
        ("by-exec", "by-exec-page", " (dumpable by exec)"),
    ] {
        if let (Some(victim), Some(page)) = (cx.outside_pid(which), cx.address(page)) {
            tracing::overwrite(cx, victim, page, word);
        }
    }
}
