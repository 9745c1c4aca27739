//! Takes hold of a process outside with ptrace and writes into it.
//!
//! PTRACE_SEIZE, PTRACE_INTERRUPT, then PTRACE_POKEDATA of the nonce into a
//! page of the process, and PTRACE_DETACH. A process may trace any other of
//! the same user that is dumpable and has no more capabilities than itself:
//! who can do that outside can run any code outside.
//!
//! A pid namespace leaves no number to trace; from a user namespace of its
//! own a process has no rights over those of the outer one, whatever its id.

use nix::errno::Errno;
use nix::sys::ptrace;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

use crate::{Canary, Class, Context, Guard, Probe, Proof, Refusal, Stop};

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
    let seized = ptrace::seize(victim, ptrace::Options::empty());
    if cx.attempt("ptrace PTRACE_SEIZE", seized).is_err() {
        return;
    }
    if let Ok(()) = cx.attempt("ptrace PTRACE_INTERRUPT", stop(victim)) {
        let _ = cx.attempt("ptrace PTRACE_POKEDATA", poke(victim, page, cx.nonce()));
        let _ = cx.attempt("ptrace PTRACE_DETACH", ptrace::detach(victim, None));
    }
}

/// Stops it and waits until it has stopped: only then may memory be written.
fn stop(victim: Pid) -> nix::Result<()> {
    ptrace::interrupt(victim)?;
    waitpid(victim, Some(WaitPidFlag::__WALL)).map(drop)
}

fn poke(victim: Pid, page: usize, nonce: &str) -> nix::Result<()> {
    const WORD: usize = size_of::<libc::c_long>();
    for (index, word) in nonce.as_bytes().chunks_exact(WORD).enumerate() {
        let word = <[u8; WORD]>::try_from(word).map_err(|_| Errno::EINVAL)?;
        let address = std::ptr::without_provenance_mut(page + index * WORD);
        ptrace::write(victim, address, libc::c_long::from_ne_bytes(word))?;
    }
    Ok(())
}
