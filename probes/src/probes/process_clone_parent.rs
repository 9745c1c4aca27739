//! Makes the supervisor the parent of a process that it never started.
//!
//! clone(2) with CLONE_PARENT: the new process is a child of the caller's parent,
//! which is the launcher. It is in nobody's list, its end is reported to a
//! supervisor that does not know it, and it lives on in a session of its own, for
//! three seconds at most.
//!
//! In a pid namespace with a pid 1 of the sandbox's own that one is the parent, and
//! its end is the new process's.

use nix::unistd::setsid;

use crate::{Canary, Class, Context, Guard, Probe, Proof, Refusal, Stop, raw, survivor};

pub(crate) const PROBE: Probe = Probe {
    class: Class::Process,
    canary: Canary::Teardown,
    stops: &[Stop {
        guards: &[Guard::PidNamespace],
        refusal: Refusal::Silent,
    }],
    needs: &[],
    proof: Proof::Disrupt,
    claims: &["R1", "R4"],
    refs: &["clone(2) CLONE_PARENT", "pid_namespaces(7)"],
    remedy: "put a process of your own between launcher and program: the init of a pid namespace",
    attempt,
};

fn attempt(cx: &mut Context) {
    survivor::send_off(cx, "clone CLONE_PARENT", raw::fork_sibling, |cx, writer| {
        survivor::become_mortal();
        if cx.step("setsid", setsid()).is_ok() {
            survivor::announce(writer);
            survivor::live(cx);
        }
    });
}
