//! Asks a resolver outside for a name that carries a secret.
//!
//! Sends a DNS query over UDP whose name holds the nonce as a label. A
//! resolver passes such a query on to the name's owner: where lookups work,
//! data gets out, whatever else of the network is closed. Access rules for
//! TCP do not see it.
//!
//! A network namespace of its own has no way to the resolver.

use std::net::{Ipv4Addr, UdpSocket};

use nix::errno::Errno;
use simple_dns::{CLASS, Name, Packet, QCLASS, QTYPE, Question, TYPE};

use crate::{Canary, Class, Context, Guard, Probe, Proof, Refusal, Stop};

pub(crate) const PROBE: Probe = Probe {
    class: Class::Network,
    canary: Canary::Resolver,
    stops: &[Stop {
        guards: &[Guard::NetNamespace],
        refusal: Refusal::Errno(&[libc::ENETUNREACH, libc::ECONNREFUSED]),
    }],
    needs: &[],
    proof: Proof::Write,
    claims: &["S6", "S9"],
    refs: &["udp(7)", "RFC 1035", "network_namespaces(7)"],
    remedy: "give the sandbox a network namespace of its own",
    attempt,
};

/// Any number: nobody waits for the answer.
const QUERY: u16 = 0x0e5c;

fn attempt(cx: &mut Context) {
    let Some(port) = cx.number::<u16>("port") else {
        return;
    };
    let Ok(query) = cx.step("make query", query(cx.nonce())) else {
        return;
    };
    let _ = cx.attempt_io("send", ask(port, &query));
}

/// Asks twice: that nobody listens shows only in the call after the first,
/// and only on a connected socket (udp(7)).
fn ask(port: u16, query: &[u8]) -> std::io::Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.connect((Ipv4Addr::LOCALHOST, port))?;
    socket.send(query)?;
    socket.send(query)?;
    Ok(())
}

fn query(nonce: &str) -> nix::Result<Vec<u8>> {
    let name = format!("{nonce}.escapology.test");
    let name = Name::new(&name).map_err(|_| Errno::EINVAL)?.into_owned();
    let mut packet = Packet::new_query(QUERY);
    packet.questions.push(Question::new(
        name,
        QTYPE::TYPE(TYPE::A),
        QCLASS::CLASS(CLASS::IN),
        false,
    ));
    packet.build_bytes_vec().map_err(|_| Errno::EINVAL)
}
