//! Listeners on the loopback interface: TCP, TCP by an inherited socket, DNS.

use std::io::{self, ErrorKind, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use probes::descriptors::identity;
use simple_dns::{CLASS, Name, Packet, QCLASS, QTYPE, Question, TYPE};

use super::{Canary, FIRST_DESCRIPTOR, Ground, Lure, Output, all_of, greeting, seen};
use crate::model::Observation;

/// A TCP listener on 127.0.0.1, and on ::1 where there is one.
#[derive(Debug)]
pub(super) struct TcpCanary {
    nonce: String,
    address: SocketAddr,
    listeners: Vec<TcpListener>,
    /// Whether the launch gets an unconnected socket of this namespace.
    with_socket: bool,
    evidence: Vec<String>,
}

impl TcpCanary {
    pub(super) fn plant(ground: &Ground, with_socket: bool) -> io::Result<Self> {
        let first = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = first.local_addr()?;
        let mut listeners = vec![first];
        // The same port may be taken there, or the host may have no IPv6: the
        // probe's attempt at ::1 then fails bare too, and the others count.
        listeners.extend(TcpListener::bind((Ipv6Addr::LOCALHOST, address.port())));
        for listener in &listeners {
            listener.set_nonblocking(true)?;
        }
        Ok(Self {
            nonce: ground.nonce.clone(),
            address,
            listeners,
            with_socket,
            evidence: Vec::new(),
        })
    }

    /// Takes what has come in. Nothing is waited for: the probe has ended, and
    /// what it sent over loopback lies in this kernel's buffers.
    fn take(&mut self) -> io::Result<Vec<String>> {
        for listener in &self.listeners {
            while let Some((stream, _)) = unless_empty(listener.accept())? {
                stream.set_nonblocking(true)?;
                let said = all_of(stream);
                self.evidence
                    .push(greeting("a TCP connection", &said, &self.nonce));
            }
        }
        Ok(self.evidence.clone())
    }
}

impl Canary for TcpCanary {
    fn lure(&mut self) -> io::Result<Lure> {
        let mut lure = Lure {
            arguments: vec![("port".to_owned(), self.address.port().to_string())],
            ..Lure::default()
        };
        if self.with_socket {
            let flags = SockFlag::SOCK_CLOEXEC;
            let socket = socket(AddressFamily::Inet, SockType::Stream, flags, None)?;
            let place = format!("{FIRST_DESCRIPTOR}:{}", identity(&socket)?);
            lure.arguments.push(("socket".to_owned(), place));
            lure.descriptors.push((socket, FIRST_DESCRIPTOR));
        }
        Ok(lure)
    }

    fn observe(&mut self, _output: &Output) -> Observation {
        seen(self.take())
    }

    fn poke(&mut self) -> io::Result<Output> {
        TcpStream::connect(self.address)?.write_all(self.nonce.as_bytes())?;
        Ok(Output::default())
    }
}

/// A resolver that hears queries and answers none.
#[derive(Debug)]
pub(super) struct ResolverCanary {
    nonce: String,
    socket: UdpSocket,
    evidence: Vec<String>,
}

impl ResolverCanary {
    pub(super) fn plant(ground: &Ground) -> io::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            nonce: ground.nonce.clone(),
            socket,
            evidence: Vec::new(),
        })
    }

    fn take(&mut self) -> io::Result<Vec<String>> {
        let mut datagram = [0; 1500];
        while let Some((length, _)) = unless_empty(self.socket.recv_from(&mut datagram))? {
            let what = match Packet::parse(&datagram[..length]) {
                Ok(query) => {
                    let names: Vec<_> = query
                        .questions
                        .iter()
                        .map(|question| question.qname.to_string())
                        .collect();
                    greeting("a DNS query", names.join(" ").as_bytes(), &self.nonce)
                }
                Err(_) => greeting("a datagram", &datagram[..length], &self.nonce),
            };
            self.evidence.push(what);
        }
        Ok(self.evidence.clone())
    }
}

impl Canary for ResolverCanary {
    fn lure(&mut self) -> io::Result<Lure> {
        let port = self.socket.local_addr()?.port();
        Ok(Lure {
            arguments: vec![("port".to_owned(), port.to_string())],
            ..Lure::default()
        })
    }

    fn observe(&mut self, _output: &Output) -> Observation {
        seen(self.take())
    }

    fn poke(&mut self) -> io::Result<Output> {
        let name = Name::new(&self.nonce)
            .map_err(io::Error::other)?
            .into_owned();
        let mut query = Packet::new_query(1);
        let (kind, class) = (QTYPE::TYPE(TYPE::A), QCLASS::CLASS(CLASS::IN));
        query
            .questions
            .push(Question::new(name, kind, class, false));
        let query = query.build_bytes_vec().map_err(io::Error::other)?;
        let from = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        from.send_to(&query, self.socket.local_addr()?)?;
        Ok(Output::default())
    }
}

/// `None` where a nonblocking call has nothing more to give.
pub(super) fn unless_empty<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}
