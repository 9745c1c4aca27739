//! Unix sockets: with an abstract name, and with a path.

use std::io::{self, Write as _};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener, UnixStream};

use super::inet::unless_empty;
use super::{Canary, Ground, Lure, Output, all_of, cookie, greeting, seen};
use crate::model::Observation;

/// A listener, and for an abstract name a datagram socket of the same name.
#[derive(Debug)]
pub(super) struct UnixCanary {
    nonce: String,
    argument: (String, String),
    address: SocketAddr,
    listener: UnixListener,
    datagrams: Option<UnixDatagram>,
    evidence: Vec<String>,
}

impl UnixCanary {
    /// At an abstract name. Names of streams and of datagrams are apart.
    pub(super) fn with_abstract_name(ground: &Ground) -> io::Result<Self> {
        let name = format!("escapology-{}", cookie());
        let address = SocketAddr::from_abstract_name(&name)?;
        let datagrams = UnixDatagram::bind_addr(&address)?;
        datagrams.set_nonblocking(true)?;
        Self::plant(ground, ("name".to_owned(), name), address, Some(datagrams))
    }

    /// At a path in the leg's directory, which the directory's end removes.
    pub(super) fn with_path(ground: &Ground) -> io::Result<Self> {
        let path = ground.directory.join("socket");
        let address = SocketAddr::from_pathname(&path)?;
        let argument = ("socket-path".to_owned(), path.display().to_string());
        Self::plant(ground, argument, address, None)
    }

    fn plant(
        ground: &Ground,
        argument: (String, String),
        address: SocketAddr,
        datagrams: Option<UnixDatagram>,
    ) -> io::Result<Self> {
        let listener = UnixListener::bind_addr(&address)?;
        listener.set_nonblocking(true)?;
        Ok(Self {
            nonce: ground.nonce.clone(),
            argument,
            address,
            listener,
            datagrams,
            evidence: Vec::new(),
        })
    }

    fn take(&mut self) -> io::Result<Vec<String>> {
        while let Some((stream, _)) = unless_empty(self.listener.accept())? {
            stream.set_nonblocking(true)?;
            let said = all_of(stream);
            self.evidence
                .push(greeting("a unix connection", &said, &self.nonce));
        }
        if let Some(socket) = &self.datagrams {
            let mut datagram = [0; 512];
            while let Some(length) = unless_empty(socket.recv(&mut datagram))? {
                let said = &datagram[..length];
                self.evidence
                    .push(greeting("a unix datagram", said, &self.nonce));
            }
        }
        Ok(self.evidence.clone())
    }
}

impl Canary for UnixCanary {
    fn lure(&mut self) -> io::Result<Lure> {
        Ok(Lure {
            arguments: vec![self.argument.clone()],
            ..Lure::default()
        })
    }

    fn observe(&mut self, _output: &Output) -> Observation {
        seen(self.take())
    }

    fn poke(&mut self) -> io::Result<Output> {
        UnixStream::connect_addr(&self.address)?.write_all(self.nonce.as_bytes())?;
        if self.datagrams.is_some() {
            UnixDatagram::unbound()?.send_to_addr(self.nonce.as_bytes(), &self.address)?;
        }
        Ok(Output::default())
    }
}
