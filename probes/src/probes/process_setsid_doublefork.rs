//! Leaves a process behind that outlives the sandbox.
//!
//! fork, setsid, fork: the grandchild has another parent, another process
//! group and another session than the program that was launched, blocks the
//! signals that it may, and keeps writing to the program's output. Killing
//! the child, or its process group, misses it. It ends by itself after three
//! seconds, or when nobody reads any more.
//!
//! A pid namespace stops it: the end of its first process ends all of them.

use std::io::{PipeWriter, Read as _, Write as _};
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, setsid};

use crate::wire::Record;
use crate::{Canary, Class, Context, Guard, Probe, Proof, Refusal, Stop, raw};

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

/// Seconds that the survivor lives.
const LIFETIME: u32 = 3;

/// How often it says so: often enough to be heard soon after a teardown.
const BEAT: Duration = Duration::from_millis(25);

/// More than fit in its lifetime, fewer than a reader keeps.
const BEATS: u64 = 150;

fn attempt(cx: &mut Context) {
    let Ok((mut started, announce)) = cx.step_io("pipe", std::io::pipe()) else {
        return;
    };
    match raw::fork() {
        Ok(ForkResult::Child) => leave(cx, announce),
        Ok(ForkResult::Parent { child }) => {
            drop(announce);
            let _ = cx.attempt("fork", Ok(()));
            // One byte once the survivor is on its own; none where it never was.
            let came = started.read_exact(&mut [0]);
            let _ = cx.attempt_io("setsid and fork", came);
            let _ = waitpid(child, None);
        }
        Err(errno) => {
            let _ = cx.attempt::<()>("fork", Err(errno));
        }
    }
}

/// In the child: leaves the session and the parent.
fn leave(cx: &Context, announce: PipeWriter) -> ! {
    if cx.step("setsid", setsid()).is_ok()
        && let Ok(ForkResult::Child) = cx.step("fork (again)", raw::fork())
    {
        survive(cx, announce);
    }
    raw::exit()
}

/// In the grandchild: beats until its time is over.
#[expect(
    clippy::disallowed_methods,
    reason = "a beat is something that comes after a time, and there is nothing to wait for"
)]
fn survive(cx: &Context, mut announce: PipeWriter) {
    // Alarms are not inherited through fork, and this one must not be blocked.
    nix::unistd::alarm::set(LIFETIME);
    let mut signals = SigSet::all();
    signals.remove(Signal::SIGALRM);
    let _ = signals.thread_block();
    let _ = announce.write_all(&[1]);
    drop(announce);
    for count in 0..BEATS {
        if cx.try_report(&Record::Beat { count }).is_err() {
            return;
        }
        std::thread::sleep(BEAT);
    }
}
