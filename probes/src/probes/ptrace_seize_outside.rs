//! Takes hold of a process outside with ptrace and writes into it.
//!
//! PTRACE_SEIZE, PTRACE_INTERRUPT, then PTRACE_POKEDATA of the nonce into a
//! page of the process, and PTRACE_DETACH. A process may trace any other of
//! the same user that is dumpable and has no more capabilities than itself:
//! who can do that outside can run any code outside.
//!
//! A pid namespace leaves no number to trace; from a user namespace of its
//! own a process has no rights over those of the outer one, whatever its id.

use crate::{Canary, Class, Context, Guard, Probe, Proof, Refusal, Stop, tracing};

pub(crate) const PROBE: Probe = Probe {
    class: Class::Ptrace,
    canary: Canary::Process,
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
    claims: &["S3", "S4"],
    refs: &["ptrace(2)", "prctl(2) PR_SET_DUMPABLE"],
    remedy: "give the sandbox a pid namespace and a user namespace of its own",
    attempt,
};

fn attempt(cx: &mut Context) {
    let (Some(victim), Some(page)) = (cx.outside_pid("victim"), cx.address("page")) else {
        return;
    };
    tracing::overwrite(cx, victim, page, "");
}
