//! A process outside: by its pid, in the launcher's process group, or at the
//! other end of an inherited socket.

use std::io;
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixStream};

use nix::sys::signal::{Signal, kill};
use probes::descriptors::identity;
use probes::victim::SECRET_DESCRIPTOR;
use probes::wire::Record;

use super::tree::Tree;
use super::victim::Victim;
use super::{Canary, FIRST_DESCRIPTOR, Ground, Lure, Output, cookie, seen};
use crate::model::Observation;

/// How a probe gets to the process.
#[derive(Debug)]
pub(super) enum Way {
    /// By its pid.
    Pid,
    /// By the process group, which the launcher joins.
    Group,
    /// By a socket that is connected to it; given away with the lure.
    Socket(Option<UnixStream>),
}

/// A canary process, with a tree around its working directory.
#[derive(Debug)]
pub(super) struct ProcessCanary {
    victim: Victim,
    tree: Tree,
    way: Way,
}

impl ProcessCanary {
    /// A process that is reached by its pid.
    pub(super) fn by_pid(ground: &Ground) -> io::Result<Self> {
        Self::plant(ground, None, |_| Ok(Way::Pid))
    }

    /// A process that is reached by its process group.
    pub(super) fn by_group(ground: &Ground) -> io::Result<Self> {
        Self::plant(ground, None, |_| Ok(Way::Group))
    }

    /// A process that is reached by a socket: it listens, and the harness
    /// connects, because the peer that the kernel names for a connected socket
    /// is then the one that called listen(2).
    pub(super) fn by_socket(ground: &Ground) -> io::Result<Self> {
        let name = format!("escapology-{}", cookie());
        Self::plant(ground, Some(name.clone()), |_| {
            let address = SocketAddr::from_abstract_name(name)?;
            Ok(Way::Socket(Some(UnixStream::connect_addr(&address)?)))
        })
    }

    fn plant(
        ground: &Ground,
        listen: Option<String>,
        way: impl FnOnce(&Victim) -> io::Result<Way>,
    ) -> io::Result<Self> {
        let tree = Tree::plant(ground)?;
        let victim = Victim::start(ground, tree.top(), listen)?;
        let way = way(&victim)?;
        Ok(Self { victim, tree, way })
    }
}

impl Canary for ProcessCanary {
    fn lure(&mut self) -> io::Result<Lure> {
        let mut lure = Lure::default();
        let secret_descriptor = ("secret-fd".to_owned(), SECRET_DESCRIPTOR.to_string());
        match &mut self.way {
            Way::Pid => {
                lure.arguments = self.tree.arguments();
                lure.arguments.extend([
                    ("victim".to_owned(), self.victim.pid().to_string()),
                    ("page".to_owned(), format!("{:x}", self.victim.page())),
                    secret_descriptor,
                ]);
            }
            Way::Group => lure.process_group = Some(self.victim.pid()),
            Way::Socket(socket) => {
                let socket = socket
                    .take()
                    .ok_or_else(|| io::Error::other("the socket was given away"))?;
                let socket = OwnedFd::from(socket);
                let place = format!("{FIRST_DESCRIPTOR}:{}", identity(&socket)?);
                lure.arguments = vec![("peer".to_owned(), place), secret_descriptor];
                lure.descriptors = vec![(socket, FIRST_DESCRIPTOR)];
            }
        }
        Ok(lure)
    }

    fn observe(&mut self, output: &Output) -> Observation {
        seen(self.victim.evidence(output).and_then(|mut evidence| {
            evidence.extend(self.tree.evidence(output)?);
            Ok(evidence)
        }))
    }

    fn poke(&mut self) -> io::Result<Output> {
        kill(self.victim.pid(), Signal::SIGURG)?;
        let value = self
            .victim
            .secret("descriptor")
            .unwrap_or_default()
            .to_owned();
        Ok(Output {
            records: vec![Record::Secret { value }],
            ..Output::default()
        })
    }
}
