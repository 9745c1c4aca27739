//! A program to run in a sandbox, in the words of `std::process::Command`.

use std::ffi::{CString, OsStr, OsString};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::path::Path;

use nix::unistd::Pid;

use crate::cgroup::CgroupDirectory;
use crate::child::Child;
use crate::error::{Error, Result};
use crate::fork_server::{Extra, ForkServer};
use crate::host::Host;
use crate::launch;
use crate::plan::{Plan, Program, Request, c_string};
use crate::spec::{Degraded, Namespace, Sandbox, Session, Spec, WorkingDirectory};
use crate::stage::Stage;

/// Where a standard stream of the program comes from.
#[derive(Debug, Default)]
pub enum Stdio {
    /// The launcher's.
    #[default]
    Inherit,
    /// /dev/null.
    Null,
    /// This descriptor.
    Descriptor(OwnedFd),
}

/// A program to run in a sandbox.
#[derive(Debug)]
pub struct Command<'a> {
    sandbox: &'a Sandbox,
    program: Program,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    stdio: [Stdio; 3],
    passed: Vec<(OwnedFd, RawFd)>,
    inherited: Vec<(OwnedFd, RawFd)>,
    process_group: Option<Pid>,
    directory: Option<OsString>,
    server: Option<&'a ForkServer>,
    user_namespace: Option<OwnedFd>,
}

impl<'a> Command<'a> {
    /// A program at a path inside the root.
    pub fn new(sandbox: &'a Sandbox, program: impl AsRef<Path>) -> Self {
        let program = program.as_ref().as_os_str();
        let path = CString::new(program.as_encoded_bytes()).unwrap_or_default();
        Self::with(sandbox, Program::Path(path), program.to_owned())
    }

    /// A program by name, looked for inside the root in the PATH of the
    /// program's environment.
    pub fn search(sandbox: &'a Sandbox, name: impl AsRef<OsStr>) -> Self {
        let name = name.as_ref().to_owned();
        Self::with(sandbox, Program::Search(name.clone()), name)
    }

    /// A program by descriptor (execveat(2)): it needs no path inside.
    pub fn from_descriptor(sandbox: &'a Sandbox, file: OwnedFd, name: impl AsRef<OsStr>) -> Self {
        Self::with(sandbox, Program::Descriptor(file), name.as_ref().to_owned())
    }

    /// Sets the sandbox up and leaves at once, with exit code 0: whether it
    /// would work at all.
    pub(crate) fn rehearsal(sandbox: &'a Sandbox) -> Self {
        let mut command = Self::with(sandbox, Program::Nothing, OsString::new());
        command.environment.clear();
        command
    }

    fn with(sandbox: &'a Sandbox, program: Program, name: OsString) -> Self {
        Self {
            sandbox,
            program,
            arguments: vec![name],
            environment: std::env::vars_os().collect(),
            stdio: Default::default(),
            passed: Vec::new(),
            inherited: Vec::new(),
            process_group: None,
            directory: None,
            server: None,
            user_namespace: None,
        }
    }

    /// Adds an argument.
    pub fn arg(&mut self, argument: impl AsRef<OsStr>) -> &mut Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    pub fn args(&mut self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> &mut Self {
        self.arguments.extend(
            arguments
                .into_iter()
                .map(|argument| argument.as_ref().to_owned()),
        );
        self
    }

    /// Sets a variable of the launcher's environment; whether it gets inside is
    /// for the sandbox's allow-list to say.
    pub fn env(&mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> &mut Self {
        let name = name.as_ref();
        self.environment.retain(|(other, _)| other != name);
        self.environment
            .push((name.to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Empties the launcher's environment.
    pub fn env_clear(&mut self) -> &mut Self {
        self.environment.clear();
        self
    }

    /// Where standard input comes from.
    pub fn stdin(&mut self, stdio: Stdio) -> &mut Self {
        self.stdio[0] = stdio;
        self
    }

    /// Where standard output goes.
    pub fn stdout(&mut self, stdio: Stdio) -> &mut Self {
        self.stdio[1] = stdio;
        self
    }

    /// Where standard error goes.
    pub fn stderr(&mut self, stdio: Stdio) -> &mut Self {
        self.stdio[2] = stdio;
        self
    }

    /// Passes a descriptor on purpose, with this number inside (from 3 on).
    pub fn pass_fd(&mut self, descriptor: OwnedFd, number: RawFd) -> &mut Self {
        self.passed.push((descriptor, number));
        self
    }

    /// A descriptor that the launcher has open, with this number and without
    /// close-on-exec, as a careless program does. A sandbox that closes
    /// descriptors closes it.
    pub fn inherited_fd(&mut self, descriptor: OwnedFd, number: RawFd) -> &mut Self {
        self.inherited.push((descriptor, number));
        self
    }

    /// The process group that the launcher is in: one that exists in its
    /// session, or 0 for a new one.
    pub fn process_group(&mut self, group: Pid) -> &mut Self {
        self.process_group = Some(group);
        self
    }

    /// The launcher's working directory, outside; the sandbox's own is in its
    /// description.
    pub fn launcher_dir(&mut self, directory: impl AsRef<Path>) -> &mut Self {
        self.directory = Some(directory.as_ref().as_os_str().to_owned());
        self
    }

    /// Launches through this server, whatever strategy the description names.
    pub fn server(&mut self, server: &'a ForkServer) -> &mut Self {
        self.server = Some(server);
        self
    }

    /// A user namespace to join before anything else: all other namespaces are
    /// made in it, and belong to it. For launches through a server, which has
    /// one thread; the sandbox has no user namespace of its own then.
    pub fn user_namespace(&mut self, namespace: OwnedFd) -> &mut Self {
        self.user_namespace = Some(namespace);
        self
    }

    /// Launches it, and comes back once the program has taken over.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where the host lacks a protection and the
    /// sandbox does not allow to go without, [`Error::Launch`] with the stage
    /// that failed, [`Error::Lost`] where the child ended without a word.
    /// Nothing is left behind then.
    pub fn spawn(&self) -> Result<Child> {
        let (sandbox, degraded) = self.sandbox.fit()?;
        self.launch(&sandbox, degraded)
    }

    /// As [`Command::spawn`], without asking the host first.
    pub(crate) fn launch(&self, sandbox: &Sandbox, degraded: Vec<Degraded>) -> Result<Child> {
        let spec = sandbox.spec();
        let null = self.null_device()?;
        let source = |number: RawFd, stdio: &Stdio| match stdio {
            // The server has streams of its own.
            Stdio::Inherit => self.server.map(|_| number),
            Stdio::Null => null.as_ref().map(AsRawFd::as_raw_fd),
            Stdio::Descriptor(descriptor) => Some(descriptor.as_raw_fd()),
        };
        let numbers = |list: &[(OwnedFd, RawFd)]| {
            list.iter()
                .map(|(fd, number)| (fd.as_raw_fd(), *number))
                .collect()
        };
        let request = Request {
            program: &self.program,
            arguments: self
                .arguments
                .iter()
                .map(|argument| c_string(Stage::Prepare, argument))
                .collect::<Result<Vec<_>>>()?,
            environment: self.environment.clone(),
            stdio: [
                source(0, &self.stdio[0]),
                source(1, &self.stdio[1]),
                source(2, &self.stdio[2]),
            ],
            passed: numbers(&self.passed),
            inherited: numbers(&self.inherited),
            process_group: self.process_group,
            directory: self
                .directory
                .as_ref()
                .map(|path| c_string(Stage::WorkingDirectory, path))
                .transpose()?,
            pre_pivot: self.server.is_some_and(ForkServer::is_pre_pivoted),
        };
        self.check_user_namespace(spec)?;
        let mut plan = Plan::new(spec, &request)?;
        let cgroup = spec
            .cgroup
            .as_ref()
            .map(|cgroup| CgroupDirectory::new(&cgroup.parent))
            .transpose()?;
        let leads_group = spec.session == Session::New
            || self.process_group.is_some_and(|group| group.as_raw() == 0);
        let launched = match self.server {
            None => launch::launch(&mut plan, cgroup.as_ref())?,
            Some(server) => {
                let extra = Extra {
                    cgroup: cgroup.as_ref(),
                    user_namespace: self.user_namespace.as_ref().map(AsFd::as_fd),
                    directory: self.directory.is_some()
                        || spec.working_directory == WorkingDirectory::Inherit,
                    kill_group: leads_group && !spec.has(Namespace::Pid),
                };
                server.launch(plan, &extra)?
            }
        };
        Ok(Child::new(launched, cgroup, spec, leads_group, degraded))
    }

    fn check_user_namespace(&self, spec: &Spec) -> Result<()> {
        let why = match (&self.user_namespace, self.server) {
            (None, _) => return Ok(()),
            (Some(_), None) => "only a fork server can join one for a launch",
            (Some(_), Some(server)) if server.is_pre_pivoted() => {
                "a pre-pivoted fork server has left the namespace that others belong to"
            }
            _ if spec.has(Namespace::User) => "the sandbox is to have one of its own",
            _ => return Ok(()),
        };
        Err(Error::Launch {
            stage: Stage::Prepare,
            subject: Some(format!("a user namespace to join: {why}")),
            errno: nix::errno::Errno::EOPNOTSUPP,
        })
    }

    fn null_device(&self) -> Result<Option<OwnedFd>> {
        if !self.stdio.iter().any(|stdio| matches!(stdio, Stdio::Null)) {
            return Ok(None);
        }
        let open = std::fs::File::options()
            .read(true)
            .write(true)
            .open("/dev/null");
        open.map(|file| Some(file.into()))
            .map_err(|error| Error::Launch {
                stage: Stage::Prepare,
                subject: Some("/dev/null".into()),
                errno: nix::errno::Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)),
            })
    }
}

impl Sandbox {
    /// This sandbox as far as the host can enforce it: itself, or, where
    /// [`Spec::allow_downgrade`](crate::Spec::allow_downgrade) names what is
    /// missing, without that.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a protection that is missing and not named.
    pub fn fit(&self) -> Result<(Sandbox, Vec<Degraded>)> {
        if self.spec().allow_downgrade.is_empty() {
            // The launch itself shows what is missing; no need to ask before.
            return Ok((self.clone(), Vec::new()));
        }
        let host = Host::survey();
        let mut sandbox = self.clone();
        let mut degraded = Vec::new();
        for guard in self.guards() {
            let Some(reason) = host.lacks(guard) else {
                continue;
            };
            if !self.spec().allow_downgrade.contains(&guard) {
                return Err(Error::Unsupported { guard, reason });
            }
            sandbox = sandbox.without(guard).sandbox;
            degraded.push(Degraded { guard, reason });
        }
        Ok((sandbox, degraded))
    }
}
