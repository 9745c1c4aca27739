//! Signals a process outside by its pid.
//!
//! Sends SIGUSR1 to a process of the same user in every way that there is:
//! kill(2), tgkill(2), rt_sigqueueinfo(2) and a pidfd made from the number.
//! Whoever has the same user id may signal a process that it can name, and
//! every process of the machine has a name in the first pid namespace.
//!
//! In a pid namespace of its own the sandbox has no number for it. A user
//! namespace does not help: the user id outside is still the same.

use std::os::fd::AsFd as _;

use nix::sys::signal::{Signal, kill};

use crate::{Canary, Class, Context, Guard, Probe, Proof, Refusal, Stop, raw};

pub(crate) const PROBE: Probe = Probe {
    class: Class::Signal,
    canary: Canary::Process,
    stops: &[Stop {
        guards: &[Guard::PidNamespace],
        refusal: Refusal::Errno(&[libc::ESRCH]),
    }],
    needs: &[],
    proof: Proof::Write,
    claims: &["S3", "S7"],
    refs: &["kill(2)", "pidfd_send_signal(2)", "pid_namespaces(7)"],
    remedy: "give the sandbox a pid namespace of its own, or Landlock's signal scope",
    attempt,
};

fn attempt(cx: &mut Context) {
    let Some(victim) = cx.outside_pid("victim") else {
        return;
    };
    let signal = Signal::SIGUSR1;
    let _ = cx.attempt("kill 0", kill(victim, None));
    let _ = cx.attempt("kill SIGUSR1", kill(victim, signal));
    let _ = cx.attempt("tgkill", raw::signal_thread(victim, signal));
    let _ = cx.attempt("rt_sigqueueinfo", raw::queue_signal(victim, signal));
    if let Ok(pidfd) = cx.step("pidfd_open", raw::pidfd_open(victim)) {
        let sent = raw::pidfd_send_signal(pidfd.as_fd(), signal);
        let _ = cx.attempt("pidfd_send_signal", sent);
    }
}
