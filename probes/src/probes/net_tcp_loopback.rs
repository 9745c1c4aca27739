//! Connects to a TCP listener on the loopback interface outside.
//!
//! Tries 127.0.0.1, ::1, an IPv4 address in IPv6 form, and 0.0.0.0, which
//! connects to the host itself. Databases, debuggers and agents listen there
//! and trust whoever reaches them. A pid namespace and a root of its own do
//! not restrict the network.
//!
//! A network namespace of its own has a loopback interface of its own.

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use crate::{Canary, Class, Context, Guard, Probe, Proof, Refusal, Stop};

pub(crate) const PROBE: Probe = Probe {
    class: Class::Network,
    canary: Canary::TcpListener,
    stops: &[Stop {
        guards: &[Guard::NetNamespace],
        refusal: Refusal::Errno(&[libc::ENETUNREACH, libc::ECONNREFUSED, libc::EADDRNOTAVAIL]),
    }],
    needs: &[],
    proof: Proof::Write,
    claims: &["S6", "S9"],
    refs: &["ip(7)", "network_namespaces(7)"],
    remedy: "give the sandbox a network namespace of its own",
    attempt,
};

/// Loopback answers at once or not at all.
const PATIENCE: Duration = Duration::from_secs(2);

fn attempt(cx: &mut Context) {
    let Some(port) = cx.number("port") else {
        return;
    };
    for address in [
        IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::LOCALHOST),
        IpAddr::V6(Ipv4Addr::LOCALHOST.to_ipv6_mapped()),
        IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    ] {
        let connected = TcpStream::connect_timeout(&SocketAddr::new(address, port), PATIENCE);
        if let Ok(mut stream) = cx.attempt_io(&format!("connect {address}"), connected) {
            let _ = cx.attempt_io("write", stream.write_all(cx.nonce().as_bytes()));
        }
    }
}
