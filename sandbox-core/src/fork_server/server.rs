//! The server: one thread, one loop.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::process::ExitCode;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::sys::signalfd::{SfdFlags, SigSet, SignalFd};
use nix::unistd::{Pid, chdir, fchdir};

use super::family::{Family, Member};
use super::wire::{self, Arrived, Launch, Request, VERSION, Word};
use super::{CONTROL, LAUNCHER, base};
use crate::error::{Error, Result};
use crate::launch::{Order, make};
use crate::stage::Stage;
use crate::sys::page::Progress;
use crate::sys::{process, signal, socket};

/// The program of a fork server: what [`ForkServer::start`](super::ForkServer::start)
/// starts calls this first of all, before it opens anything or makes a thread.
pub fn main() -> ExitCode {
    let taken = socket::inherited(CONTROL).and_then(|control| {
        let launcher = socket::inherited(LAUNCHER)?;
        // Neither is what it must be where somebody else started this program.
        nix::sys::socket::getsockopt(&control, nix::sys::socket::sockopt::SockType)?;
        Ok((control, launcher))
    });
    let Ok((control, launcher)) = taken else {
        eprintln!("this program is a fork server: it is started by sandbox_core::ForkServer");
        return ExitCode::from(2);
    };
    match Server::new(control, launcher).and_then(Server::serve) {
        Ok(()) => ExitCode::SUCCESS,
        Err(errno) => {
            eprintln!("fork server: {errno}");
            ExitCode::FAILURE
        }
    }
}

struct Server {
    control: OwnedFd,
    /// Readable once the launcher has ended.
    launcher: OwnedFd,
    /// What the sandboxes watch.
    own: OwnedFd,
    children: SignalFd,
    family: Family,
    buffer: Vec<u8>,
}

impl Server {
    fn new(control: OwnedFd, launcher: OwnedFd) -> nix::Result<Self> {
        // None but SIGKILL ends or stops it: it lives as long as its launcher,
        // whatever the terminal says to both.
        signal::set_mask(u64::MAX)?;
        // What leaves its parents inside a sandbox comes here, and is reaped.
        nix::sys::prctl::set_child_subreaper(true)?;
        let mut mask = SigSet::empty();
        mask.add(Signal::SIGCHLD);
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        Ok(Self {
            children: SignalFd::with_flags(&mask, flags)?,
            own: process::own_process()?,
            control,
            launcher,
            family: Family::default(),
            buffer: Vec::new(),
        })
    }

    /// Runs until the launcher ends or hangs up.
    fn serve(mut self) -> nix::Result<()> {
        loop {
            while let Ok(Some(_)) = self.children.read_signal() {}
            self.family.reap()?;
            let mut ready = [
                PollFd::new(self.children.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.launcher.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.control.as_fd(), PollFlags::POLLIN),
            ];
            match poll(&mut ready, PollTimeout::NONE) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno),
            }
            let [_, launcher, control] = ready.map(|fd| fd.any() == Some(true));
            if launcher {
                break;
            }
            if control {
                match wire::receive(self.control.as_fd(), &mut self.buffer) {
                    Ok(Some(arrived)) => self.answer(arrived),
                    Ok(None) | Err(Errno::EAGAIN) => {}
                    // Nobody is left to send anything.
                    Err(_) => break,
                }
            }
        }
        self.family.end()
    }

    fn answer(&mut self, arrived: Arrived) {
        let Arrived { link, content } = arrived;
        let done = match content.map_err(unreadable) {
            Ok((Request::Setup { pre_pivot, .. }, _)) => set_up(pre_pivot).map(|()| {
                let version = VERSION.to_owned();
                link.say(&Word::Ready { version }, None);
            }),
            Ok((Request::Launch(launch), descriptors)) => match self.launch(*launch, descriptors) {
                Ok((pid, member)) => {
                    let pidfd = member.pidfd.as_fd();
                    link.say(&Word::Made { pid: pid.as_raw() }, Some(pidfd));
                    self.family.add(pid, member, link);
                    return;
                }
                Err(error) => Err(error),
            },
            Err(error) => Err(error),
        };
        if let Err(error) = done {
            link.say(&Word::failed(&error), None);
        }
    }

    /// Everything that came along is closed at the end of it.
    fn launch(&self, launch: Launch, descriptors: Vec<OwnedFd>) -> Result<(Pid, Member)> {
        let mut plan = launch.plan;
        let mut descriptors = descriptors.into_iter();
        let mut take = || descriptors.next().ok_or_else(|| unreadable(Errno::EPROTO));
        let page = take()?;
        let order = Order {
            progress: Progress::open(page.as_fd()).map_err(unreadable)?,
            report: take()?,
            leash: launch.leash.then(&mut take).transpose()?,
            cgroup: if launch.cgroup {
                Some((take()?, take()?))
            } else {
                None
            },
            user_namespace: launch.user_namespace.then(&mut take).transpose()?,
        };
        let directory = launch.directory.then(&mut take).transpose()?;
        let program = plan.executable.map(|_| take()).transpose()?;
        plan.executable = program.as_ref().map(AsRawFd::as_raw_fd);
        let mut sources = Vec::new();
        for (source, _) in &mut plan.descriptors.moves {
            let file = take()?;
            *source = file.as_raw_fd();
            sources.push(file);
        }
        if let Some(directory) = &directory {
            fchdir(directory).map_err(|errno| Error::Launch {
                stage: Stage::WorkingDirectory,
                subject: Some("the launcher's working directory".into()),
                errno,
            })?;
        }
        let made = make(&mut plan, &order, self.own.as_fd());
        // Nothing is to be held in use for the next one.
        let _ = chdir(c"/");
        let (pid, pidfd) = made?;
        let member = Member {
            pidfd,
            kill_group: launch.kill_group,
            tied: plan.die_with_parent,
        };
        Ok((pid, member))
    }
}

fn set_up(pre_pivot: bool) -> Result<()> {
    if pre_pivot { base::pivot() } else { Ok(()) }
}

fn unreadable(errno: Errno) -> Error {
    Error::Launch {
        stage: Stage::Prepare,
        subject: Some("a request for the fork server".into()),
        errno,
    }
}
