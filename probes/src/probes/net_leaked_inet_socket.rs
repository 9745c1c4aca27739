//! Connects an inherited socket of the outer network namespace.
//!
//! A socket belongs for ever to the network namespace that it was made in. One
//! that was never connected and came in with the other descriptors connects
//! to the outer loopback, from within a network namespace with nothing in it.
//!
//! Only closing descriptors stops it, or Landlock's rules for TCP.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::AsRawFd as _;

use nix::sys::socket::{MsgFlags, SockaddrIn, connect, send};

use crate::{Canary, Class, Context, Guard, Probe, Proof, Refusal, Stop};

pub(crate) const PROBE: Probe = Probe {
    class: Class::Network,
    canary: Canary::InetSocket,
    stops: &[Stop {
        guards: &[Guard::Descriptors],
        refusal: Refusal::Absent,
    }],
    needs: &[],
    proof: Proof::Write,
    claims: &["S6", "A6"],
    refs: &["network_namespaces(7)", "socket(7)"],
    remedy: "call close_range() as the last step before the program is executed",
    attempt,
};

fn attempt(cx: &mut Context) {
    let (Some(socket), Some(port)) = (cx.descriptor("socket"), cx.number("port")) else {
        return;
    };
    let address = SockaddrIn::from(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port));
    let number = socket.as_raw_fd();
    if cx.attempt("connect", connect(number, &address)).is_ok() {
        let sent = send(number, cx.nonce().as_bytes(), MsgFlags::MSG_NOSIGNAL);
        let _ = cx.attempt("send", sent);
    }
}
