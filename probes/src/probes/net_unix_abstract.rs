//! Connects to a unix socket with an abstract name outside.
//!
//! Abstract names lie in no file system: no root and no file permission keeps
//! a process from them. They belong to the network namespace. Container
//! shims, display servers and buses listen there (CVE-2020-15257).
//!
//! Tries a stream and a datagram. A network namespace of its own, or
//! Landlock's scope for abstract sockets, stops it.

use std::io::Write as _;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixStream};

use crate::{Canary, Class, Context, Guard, Probe, Proof, Refusal, Stop};

pub(crate) const PROBE: Probe = Probe {
    class: Class::Network,
    canary: Canary::AbstractSocket,
    stops: &[Stop {
        guards: &[Guard::NetNamespace],
        refusal: Refusal::Errno(&[libc::ECONNREFUSED]),
    }],
    needs: &[],
    proof: Proof::Write,
    claims: &["S6", "S9"],
    refs: &["unix(7)", "CVE-2020-15257", "selftests/landlock/scoped_abstract_unix_test.c"],
    remedy: "give the sandbox a network namespace of its own",
    attempt,
};

fn attempt(cx: &mut Context) {
    let Some(name) = cx.value("name") else {
        return;
    };
    let Ok(address) = cx.step_io("abstract name", SocketAddr::from_abstract_name(name)) else {
        return;
    };
    let nonce = cx.nonce().as_bytes();
    let connected = UnixStream::connect_addr(&address);
    if let Ok(mut stream) = cx.attempt_io("connect", connected) {
        let _ = cx.attempt_io("write", stream.write_all(nonce));
    }
    if let Ok(socket) = cx.step_io("socket", UnixDatagram::unbound()) {
        let _ = cx.attempt_io("sendto", socket.send_to_addr(nonce, &address));
    }
}
