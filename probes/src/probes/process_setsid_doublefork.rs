//! Leaves a process behind that outlives the sandbox.
//!
//! fork, setsid, fork: the grandchild has another parent, another process
//! group and another session than the program that was launched, blocks the
//! signals that it may, and keeps writing to the program's output. Killing
//! the child, or its process group, misses it. It ends by itself after three
//! seconds, or when nobody reads any more.
//!
//! A pid namespace stops it: the end of its first process ends all of them.

use std::io::PipeWriter;

use nix::unistd::{ForkResult, setsid};

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
    refs: &["setsid(2)", "pid_namespaces(7)", "cgroups(7) cgroup.kill"],
    remedy: "give the sandbox a pid namespace and kill its init, or a cgroup and write cgroup.kill",
    attempt,
};

fn attempt(cx: &mut Context) {
    survivor::send_off_and_reap(cx, "setsid and fork", leave);
}

/// In the child: leaves the session and, by a child of its own, the parent.
fn leave(cx: &Context, announce: PipeWriter) {
    if cx.step("setsid", setsid()).is_ok()
        && let Ok(ForkResult::Child) = cx.step("fork (again)", raw::fork())
    {
        survivor::become_mortal();
        survivor::announce(announce);
        survivor::live(cx);
        raw::exit()
    }
}
