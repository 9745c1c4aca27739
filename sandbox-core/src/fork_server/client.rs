//! The launcher's side: starts a server, launches through it, ends it.

use std::ffi::OsString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::path::PathBuf;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{Shutdown, shutdown};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, gettid};

use super::wire::{self, Link, Request, VERSION, Word};
use super::{CONTROL, LAUNCHER, SWITCH};
use crate::cgroup::CgroupDirectory;
use crate::child::{Child, Exit};
use crate::command::{Command, Stdio};
use crate::error::{Error, Result};
use crate::launch::{Launched, Process, Watch};
use crate::plan::Plan;
use crate::spec::{Descriptors, Environment, Spec, Strategy};
use crate::stage::Stage;
use crate::sys::page::Progress;
use crate::sys::{fd, process};

/// Requests that may be under way at once. Their descriptors count against the
/// launcher's limit while they are in the socket (unix(7), ETOOMANYREFS).
const QUEUE: usize = 16;

/// How long a program may take to say that it is a server.
const PATIENCE: u16 = 10_000;

/// How long a server may take to end what it has launched.
const FAREWELL: Duration = Duration::from_secs(10);

/// How a fork server is started.
#[derive(Clone, Debug)]
pub struct Setup {
    /// A program that calls [`fork_server::main`](super::main).
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Whether it makes a user and a mount namespace, and pivots, once; the
    /// sandboxes must then have both namespaces and a root of their own.
    pub pre_pivot: bool,
}

impl Setup {
    /// A program that is nothing else.
    pub fn program(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            arguments: Vec::new(),
            pre_pivot: false,
        }
    }

    /// This very program, with a first argument by which its `main` knows that
    /// it shall call [`fork_server::main`](super::main), before it does anything
    /// else.
    pub fn this_program(argument: impl Into<OsString>) -> Self {
        Self {
            arguments: vec![argument.into()],
            ..Self::program("/proc/self/exe")
        }
    }
}

/// A fork server of this process's.
///
/// Dropping it ends it, and with it every sandbox that it launched and that dies
/// with its parent.
#[derive(Debug)]
pub struct ForkServer {
    control: Link,
    process: Child,
    pre_pivot: bool,
    queue: Queue,
}

/// What a launch through a server has besides its plan.
#[derive(Debug)]
pub(crate) struct Extra<'a> {
    pub(crate) cgroup: Option<&'a CgroupDirectory>,
    pub(crate) user_namespace: Option<BorrowedFd<'a>>,
    /// Whether paths may be relative to the launcher's working directory.
    pub(crate) directory: bool,
    pub(crate) kill_group: bool,
}

impl ForkServer {
    /// Starts one, and comes back once it is ready.
    ///
    /// # Errors
    /// Where it is [switched off](super::SWITCH) (ECANCELED), the program cannot
    /// be executed or is no fork server of this version, or it cannot set up.
    pub fn start(setup: &Setup) -> Result<Self> {
        if std::env::var_os(SWITCH).is_some_and(|value| value == "1") {
            return Err(failed(
                format!("fork servers are switched off by {SWITCH}=1"),
                Errno::ECANCELED,
            ));
        }
        let prepared = |errno| failed("a socket for the fork server".into(), errno);
        let (control, theirs) = Link::pair().map_err(prepared)?;
        let launcher = process::own_process().map_err(prepared)?;
        let sandbox = Spec {
            // However large this process is.
            strategy: Strategy::VforkClone,
            environment: Some(Environment::default()),
            descriptors: Descriptors::Close,
            // A second string to its bow: it watches this process by descriptor.
            // The signal comes with the end of the *thread*, so that only the
            // main thread's may raise it.
            die_with_parent: gettid() == Pid::this(),
            ..Spec::nothing()
        }
        .build()?;
        let mut command = Command::new(&sandbox, &setup.program);
        command
            .args(&setup.arguments)
            .stdin(Stdio::Null)
            .stdout(Stdio::Null)
            .pass_fd(theirs, CONTROL)
            .pass_fd(launcher, LAUNCHER);
        let process = command.spawn()?;
        drop(command);
        let server = Self {
            control,
            process,
            pre_pivot: setup.pre_pivot,
            queue: Queue::default(),
        };
        server.greet(setup)?;
        Ok(server)
    }

    fn greet(&self, setup: &Setup) -> Result<()> {
        let program = setup.program.display();
        let gone = |errno| failed(format!("{program} is no fork server"), errno);
        let (link, theirs) = Link::pair().map_err(gone)?;
        let request = Request::Setup {
            version: VERSION.to_owned(),
            pre_pivot: setup.pre_pivot,
        };
        wire::send(self.control.as_fd(), &request, theirs.as_fd(), &[]).map_err(gone)?;
        drop(theirs);
        let mut ready = [
            PollFd::new(link.as_fd(), PollFlags::POLLIN),
            // A program that never takes the message also never closes the link
            // in it.
            PollFd::new(self.process.as_fd(), PollFlags::POLLIN),
        ];
        loop {
            match poll(&mut ready, PollTimeout::from(PATIENCE)) {
                Err(Errno::EINTR) => {}
                Ok(0) => return Err(gone(Errno::ETIMEDOUT)),
                Err(errno) => return Err(gone(errno)),
                Ok(_) => break,
            }
        }
        if matches!(link.peek(), Ok(None)) {
            return Err(gone(Errno::EPIPE));
        }
        match link.hear().map_err(gone)?.0 {
            Word::Ready { version } if version == VERSION => Ok(()),
            Word::Failed {
                stage,
                subject,
                errno,
            } => Err(Error::Launch {
                stage,
                subject,
                errno: Errno::from_raw(errno),
            }),
            _ => Err(gone(Errno::EPROTONOSUPPORT)),
        }
    }

    /// The server's pid.
    pub fn id(&self) -> Pid {
        self.process.id()
    }

    /// Whether it is pre-pivoted.
    pub fn is_pre_pivoted(&self) -> bool {
        self.pre_pivot
    }

    /// Ends it, and what it launched, and waits for that.
    ///
    /// # Errors
    /// Where nobody can tell how it ended.
    pub fn shut_down(mut self) -> Result<Exit> {
        self.hang_up();
        self.process.wait()
    }

    fn hang_up(&self) {
        // Its end of file, whoever else has a copy of the socket.
        let _ = shutdown(self.control.as_fd().as_raw_fd(), Shutdown::Both);
    }

    /// Launches a plan.
    pub(crate) fn launch(&self, plan: Plan, extra: &Extra<'_>) -> Result<Launched> {
        let prepared = |errno| failed("a request for the fork server".into(), errno);
        let (progress, page) = Progress::shared().map_err(prepared)?;
        let (watch, ends) = Watch::new(&plan, progress)?;
        let (link, theirs) = Link::pair().map_err(prepared)?;
        let directory = extra
            .directory
            .then(|| open(c".", OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()))
            .transpose()
            .map_err(prepared)?;

        let mut descriptors = vec![page.as_fd(), ends.report.as_fd()];
        descriptors.extend(ends.leash.as_ref().map(AsFd::as_fd));
        if let Some(cgroup) = extra.cgroup {
            descriptors.extend([cgroup.directory(), cgroup.procs()]);
        }
        descriptors.extend(extra.user_namespace);
        descriptors.extend(directory.as_ref().map(AsFd::as_fd));
        let number = |fd: RawFd| fd::borrow(fd).ok_or_else(|| prepared(Errno::EBADF));
        descriptors.extend(plan.executable.map(number).transpose()?);
        for &(source, _) in &plan.descriptors.moves {
            descriptors.push(number(source)?);
        }
        let request = Request::Launch(Box::new(wire::Launch {
            leash: ends.leash.is_some(),
            cgroup: extra.cgroup.is_some(),
            user_namespace: extra.user_namespace.is_some(),
            directory: directory.is_some(),
            kill_group: extra.kill_group,
            plan,
        }));

        let gone = |errno: Errno| match errno {
            Errno::EPIPE | Errno::ECONNRESET | Errno::ENOTCONN => Error::Launch {
                stage: Stage::Clone,
                subject: Some("the fork server has gone".into()),
                errno: Errno::EPIPE,
            },
            other => prepared(other),
        };
        let answer = {
            let _place = self.queue.enter();
            wire::send(self.control.as_fd(), &request, theirs.as_fd(), &descriptors)
                .map_err(gone)?;
            drop(theirs);
            link.hear().map_err(gone)?
        };
        drop(descriptors);
        drop((ends, page, directory));
        let Request::Launch(request) = request else {
            return Err(prepared(Errno::EPROTO));
        };
        match answer {
            (Word::Made { pid }, Some(pidfd)) => {
                let process = Process::of_server(Pid::from_raw(pid), pidfd, link);
                watch.follow(&request.plan, process)
            }
            (
                Word::Failed {
                    stage,
                    subject,
                    errno,
                },
                _,
            ) => Err(Error::Launch {
                stage,
                subject,
                errno: Errno::from_raw(errno),
            }),
            _ => Err(prepared(Errno::EPROTO)),
        }
    }
}

impl Drop for ForkServer {
    fn drop(&mut self) {
        self.hang_up();
        // What is left then, dropping the child kills.
        let _ = self.process.wait_timeout(FAREWELL);
    }
}

fn failed(subject: String, errno: Errno) -> Error {
    Error::Launch {
        stage: Stage::Prepare,
        subject: Some(subject),
        errno,
    }
}

/// Lets a bounded number in.
#[derive(Debug, Default)]
struct Queue {
    inside: Mutex<usize>,
    left: Condvar,
}

struct Place<'a>(&'a Queue);

impl Queue {
    fn enter(&self) -> Place<'_> {
        let inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        let mut inside = self
            .left
            .wait_while(inside, |inside| *inside >= QUEUE)
            .unwrap_or_else(PoisonError::into_inner);
        *inside += 1;
        Place(self)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        *self.0.inside.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0.left.notify_one();
    }
}
