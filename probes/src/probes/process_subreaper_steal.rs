//! Keeps its orphans from whoever is to inherit them.
//!
//! A process in a session of its own makes itself a child subreaper (prctl(2)
//! PR_SET_CHILD_SUBREAPER) and leaves an orphan, which now is its own child and not
//! that of a supervisor further up: the supervisor is never told of it, and waits
//! in vain for processes that it will not get. Both ignore what can be ignored and
//! live on, for three seconds at most.
//!
//! A pid namespace stops it: its end kills all in it, whoever their parent is.

use std::io::PipeWriter;

use nix::errno::Errno;
use nix::sys::prctl::set_child_subreaper;
use nix::sys::wait::wait;
use nix::unistd::{ForkResult, Pid, getpid, getppid, setsid};

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
    refs: &["PR_SET_CHILD_SUBREAPER(2const)", "pid_namespaces(7)"],
    remedy: "give the sandbox a pid namespace and kill its init, or a cgroup and write cgroup.kill",
    attempt,
};

/// How often the orphan looks for its new parent.
const LOOKS: u32 = 40;

fn attempt(cx: &mut Context) {
    let made = survivor::send_off(cx, "fork an orphan of a subreaper", raw::fork, reap_as_thief);
    // Not waited for: it outlives this process.
    let _: Option<Pid> = made;
}

fn reap_as_thief(cx: &Context, writer: PipeWriter) {
    survivor::become_mortal();
    if cx.step("setsid", setsid()).is_err() {
        return;
    }
    let set = set_child_subreaper(true);
    if cx.attempt("prctl PR_SET_CHILD_SUBREAPER", set).is_err() {
        return;
    }
    let thief = getpid();
    match cx.step("fork", raw::fork()) {
        Ok(ForkResult::Child) => {
            if let Ok(ForkResult::Child) = cx.step("fork (again)", raw::fork()) {
                orphan(cx, writer, thief);
            }
        }
        Ok(ForkResult::Parent { .. }) => {
            drop(writer);
            while wait().is_ok() {}
        }
        Err(_) => {}
    }
}

/// Announces itself once it is the subreaper's.
#[expect(
    clippy::disallowed_methods,
    reason = "nothing tells a process that it has another parent"
)]
fn orphan(cx: &Context, writer: PipeWriter, thief: Pid) {
    survivor::become_mortal();
    let mut looks = 0..LOOKS;
    while getppid() != thief {
        if looks.next().is_none() {
            let _ = cx.step::<()>("getppid", Err(Errno::ECHILD));
            return;
        }
        std::thread::sleep(survivor::BEAT);
    }
    survivor::announce(writer);
    survivor::live(cx);
}
