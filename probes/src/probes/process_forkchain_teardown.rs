//! Forks faster than a list of its processes can be killed.
//!
//! A process in a session of its own forks a successor every 25 ms and ends; the
//! successor leaves the session again and does the same. Whoever lists pids,
//! process groups or sessions and then kills them finds numbers whose owners have
//! gone; whoever follows parents finds none, for they have gone too. One lives at
//! a time, 110 in all, none longer than three seconds.
//!
//! A pid namespace stops it: the kernel kills all in it, forks under way included.

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
    claims: &["R1", "R2"],
    refs: &["fork(2)", "pid_namespaces(7)", "cgroups(7) cgroup.kill"],
    remedy: "kill the init of a pid namespace, or write cgroup.kill, instead of a list of pids",
    attempt,
};

fn attempt(cx: &mut Context) {
    survivor::send_off_and_reap(cx, "setsid and fork, again and again", |cx, writer| {
        survivor::become_mortal();
        if cx.step("setsid", setsid()).is_err() {
            return;
        }
        survivor::announce(writer);
        for count in 0..survivor::BEATS {
            if !survivor::beat(cx, count) {
                return;
            }
            match raw::fork() {
                Ok(ForkResult::Child) => {
                    survivor::become_mortal();
                    let _ = setsid();
                }
                Ok(ForkResult::Parent { .. }) => return,
                // It goes on itself.
                Err(_) => {}
            }
        }
    });
}
