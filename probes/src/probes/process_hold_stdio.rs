//! Holds the program's output open after the program has ended.
//!
//! A process in a session of its own keeps the inherited standard output and says
//! nothing. Whoever reads a program's output until its end of file waits for as
//! long as that process likes: three seconds here.
//!
//! A pid namespace stops it: with its end every descriptor in it is closed.

use nix::unistd::{pause, setsid};

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
    claims: &["R1"],
    refs: &["pipe(7)", "setsid(2)", "pid_namespaces(7)"],
    remedy: "wait for the process and not for the end of its output, and kill the whole tree then",
    attempt,
};

fn attempt(cx: &mut Context) {
    survivor::send_off(cx, "setsid and hold the output", raw::fork, |cx, writer| {
        survivor::become_mortal();
        if cx.step("setsid", setsid()).is_ok() {
            survivor::announce(writer);
            // Its alarm ends it.
            pause();
        }
    });
}
