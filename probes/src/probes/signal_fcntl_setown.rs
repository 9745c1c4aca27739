//! Has the kernel signal a process outside on behalf of a socket.
//!
//! fcntl(2) F_SETOWN names who gets SIGIO when a descriptor with O_ASYNC
//! becomes readable, and SIGURG when urgent data comes. The probe makes a
//! socket pair, names a process outside as the owner, and writes to itself:
//! the kernel then sends the signals. Filters that deny kill(2) miss this.
//!
//! In a pid namespace of its own the sandbox has no number for the process.
//! Landlock's signal scope lets fcntl() succeed and drops the signal.

use std::os::fd::AsFd as _;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, send, socketpair};

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
    claims: &["S3"],
    refs: &["fcntl(2)", "selftests/landlock/scoped_signal_test.c"],
    remedy: "give the sandbox a pid namespace of its own, or Landlock's signal scope",
    attempt,
};

fn attempt(cx: &mut Context) {
    let Some(victim) = cx.outside_pid("victim") else {
        return;
    };
    let pair = socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::SOCK_CLOEXEC);
    let Ok((near, far)) = cx.step("socketpair", pair) else {
        return;
    };
    if cx.attempt("fcntl F_SETOWN", raw::set_owner(near.as_fd(), victim)).is_err() {
        return;
    }
    let flags = OFlag::O_ASYNC | OFlag::O_NONBLOCK;
    let _ = cx.step("fcntl F_SETFL O_ASYNC", fcntl(&near, FcntlArg::F_SETFL(flags)));
    let far = std::os::fd::AsRawFd::as_raw_fd(&far);
    let _ = cx.attempt("send (SIGIO)", send(far, b"x", MsgFlags::empty()));
    let _ = cx.attempt("send MSG_OOB (SIGURG)", send(far, b"x", MsgFlags::MSG_OOB));
}
