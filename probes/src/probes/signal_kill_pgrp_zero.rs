//! Signals and slows down the launcher's own process group.
//!
//! kill(2) with pid 0 and setpriority(2) with PRIO_PGRP and 0 mean the
//! caller's process group, and a child stays in the group of the launcher
//! until somebody calls setsid(2) or setpgid(2). The group is the same object
//! on both sides of a namespace: a pid namespace of its own does not stop this.
//!
//! The calls succeed inside a sandbox too; what counts is that nobody outside
//! is in the group any more. Only signals that are ignored by default are sent.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::{Canary, Class, Context, Guard, Probe, Proof, Refusal, Stop, raw};

pub(crate) const PROBE: Probe = Probe {
    class: Class::Signal,
    canary: Canary::ProcessGroup,
    stops: &[Stop {
        guards: &[Guard::Session],
        refusal: Refusal::Silent,
    }],
    needs: &[],
    proof: Proof::Write,
    claims: &["S7", "R1"],
    refs: &["kill(2)", "setsid(2)", "setpriority(2)"],
    remedy: "call setsid() before the program is executed",
    attempt,
};

/// Nicer by so much; only a raise, because that needs no capability.
const NICE: i32 = 3;

fn attempt(cx: &mut Context) {
    let group = Pid::from_raw(0);
    let _ = cx.attempt("kill(0, SIGURG)", kill(group, Signal::SIGURG));
    let _ = cx.attempt("kill(0, SIGWINCH)", kill(group, Signal::SIGWINCH));
    let _ = cx.attempt("setpriority(PRIO_PGRP)", raw::renice_own_group(NICE));
}
