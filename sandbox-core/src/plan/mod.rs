//! From a description to a plan: every string, table and number that the child
//! needs, made before the clone.

mod base;
mod identity;
mod mounts;
mod step;

use std::ffi::{CString, OsStr, OsString};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use nix::errno::Errno;
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

pub(crate) use identity::IdWriter;
pub(crate) use mounts::anchor;
pub(crate) use step::{Limit, Step};

use crate::error::{Error, Result};
use crate::spec::{
    Capabilities, Descriptors, Init, Keyring, Namespace, Session, Spec, Strategy, WorkingDirectory,
};
use crate::stage::Stage;
use crate::sys::clone::NEWTIME;
use crate::sys::exec::StringArray;

/// What is run.
#[derive(Debug)]
pub(crate) enum Program {
    /// A path inside the root.
    Path(CString),
    /// A name, looked for in the PATH of the program's environment.
    Search(OsString),
    /// An open file: no path inside is needed.
    Descriptor(OwnedFd),
    /// Nothing: the child leaves with exit code 0 once it is set up.
    Nothing,
}

/// What a launch has besides the sandbox.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) program: &'a Program,
    pub(crate) arguments: Vec<CString>,
    /// The launcher's environment, before the sandbox's allow-list.
    pub(crate) environment: Vec<(OsString, OsString)>,
    /// Where the standard streams come from; none inherits.
    pub(crate) stdio: [Option<RawFd>; 3],
    /// Descriptors passed on purpose: number here, number inside.
    pub(crate) passed: Vec<(RawFd, RawFd)>,
    /// Descriptors that the launcher has open without close-on-exec.
    pub(crate) inherited: Vec<(RawFd, RawFd)>,
    pub(crate) process_group: Option<Pid>,
    pub(crate) directory: Option<CString>,
    /// Whether the maker of the process lives on a base that was pivoted once.
    pub(crate) pre_pivot: bool,
}

/// What the child walks.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) strategy: Strategy,
    /// The namespace flags of clone(2); CLONE_NEWTIME only without offsets.
    pub(crate) flags: u64,
    pub(crate) steps: Vec<(Stage, Step)>,
    /// Descriptors that one step leaves for another; -1 where there is none.
    pub(crate) slots: Vec<RawFd>,
    pub(crate) descriptors: Placement,
    pub(crate) executables: Vec<CString>,
    pub(crate) executable: Option<RawFd>,
    /// What was asked for, for an error.
    program: Option<String>,
    pub(crate) arguments: StringArray,
    pub(crate) environment: StringArray,
    pub(crate) ids: IdWriter,
    /// The process group that the parent puts the child into.
    pub(crate) process_group: Option<i32>,
    /// Whether a process of ours forks the program: pid 1, or a keeper.
    pub(crate) init: bool,
    /// Whether that one is a keeper, and lets the program's children outlive it.
    pub(crate) keeper: Option<Patience>,
    /// Whether the sandbox ends with the launcher.
    pub(crate) die_with_parent: bool,
    /// CLOCK_MONOTONIC inside minus outside, in seconds, once set.
    pub(crate) clock_offset: i64,
}

/// Until when a keeper lets the subtree live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Patience {
    /// Until the program ends.
    Program,
    /// Until it is empty.
    Subtree,
}

/// Which descriptor gets which number, and what is closed.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Placement {
    /// Number before, number after. Before the step the first of each is the
    /// launcher's; while it runs, a copy above all of the second.
    pub(crate) moves: Vec<(RawFd, RawFd)>,
    /// Numbers from 3 on that stay open, ascending; none keeps all.
    pub(crate) keep: Option<Vec<RawFd>>,
    /// Above every number in `moves`.
    pub(crate) floor: RawFd,
}

impl Plan {
    pub(crate) fn new(spec: &Spec, request: &Request<'_>) -> Result<Self> {
        let mut steps = Vec::new();
        let mut slots = Vec::new();
        let base = request
            .pre_pivot
            .then(|| base::leave(spec, &mut steps, &mut slots))
            .transpose()?;
        let ids = match base {
            Some(_) => IdWriter::Child,
            None => identity::map_steps(spec, &mut steps)?,
        };
        if spec.die_with_parent {
            steps.push((Stage::ParentDeath, Step::ParentDeathSignal));
        }
        let mut joins = request.process_group.filter(|group| group.as_raw() != 0);
        if spec.strategy == Strategy::VforkClone
            && let Some(group) = joins.take()
        {
            // The launcher, which is held, cannot do it.
            if spec.has(Namespace::Pid) {
                return Err(Error::Launch {
                    stage: Stage::Session,
                    subject: Some(
                        "joining a process group from a new pid namespace by vfork-clone".into(),
                    ),
                    errno: Errno::EOPNOTSUPP,
                });
            }
            steps.push((Stage::Session, Step::JoinProcessGroup(group.as_raw())));
        }
        if joins.is_some() && !ids.by_parent() {
            // The parent puts the child into the group: in a pid namespace of
            // its own the child has no name for it. Before setsid, which would
            // make a session of its own and no group to join.
            steps.push((Stage::Session, Step::AwaitParent));
        }
        let leads = request
            .process_group
            .is_some_and(|group| group.as_raw() == 0);
        if leads && spec.session == Session::Inherit {
            steps.push((Stage::Session, Step::LeadProcessGroup));
        }
        if spec.session == Session::New {
            steps.push((Stage::Session, Step::NewSession));
        }
        if let Some(directory) = &request.directory {
            steps.push((
                Stage::WorkingDirectory,
                Step::ChangeDirectory(directory.clone()),
            ));
        }
        if let Some(name) = &spec.hostname {
            steps.push((
                Stage::Hostname,
                Step::Hostname(c_string(Stage::Hostname, name.as_ref())?),
            ));
        }
        if spec.has(Namespace::Net) && spec.loopback {
            steps.push((Stage::Network, Step::Loopback));
        }
        let offsets = spec.time.filter(|_| spec.has(Namespace::Time));
        if let Some(offsets) = offsets {
            // A process that clone3 put into a new time namespace can no longer
            // set its offsets (EACCES): unshare, write, enter, in this order.
            let data = format!(
                "monotonic {} 0\nboottime {} 0\n",
                offsets.monotonic, offsets.boottime
            );
            steps.push((Stage::Time, Step::UnshareTime));
            steps.push((
                Stage::Time,
                Step::Write {
                    path: c"/proc/self/timens_offsets".into(),
                    data: data.into_bytes(),
                },
            ));
            steps.push((Stage::Time, Step::EnterTime));
        }
        if spec.keyring == Keyring::New {
            steps.push((Stage::Keyring, Step::JoinKeyring));
        }
        mounts::steps(spec, base.as_ref(), &mut steps, &mut slots)?;
        if let Some(base) = &base {
            base::nest(spec, base, &mut steps);
        }
        if let WorkingDirectory::Path(path) = &spec.working_directory {
            let path = c_string(Stage::WorkingDirectory, path.as_os_str())?;
            steps.push((Stage::WorkingDirectory, Step::ChangeDirectory(path)));
        }
        let keeper = match spec.init {
            Init::Keeper => Some(Patience::Program),
            Init::PatientKeeper => Some(Patience::Subtree),
            Init::Minimal | Init::Program => None,
        };
        let init = keeper.is_some() || spec.has(Namespace::Pid) && spec.init == Init::Minimal;
        if init {
            // After the mounts, which pid 1 makes, and before the limits and the
            // ids, which are the program's alone.
            steps.push((Stage::Init, Step::Fork));
        }
        // Before the limits: a low RLIMIT_NOFILE would forbid the numbers.
        steps.push((Stage::Descriptors, Step::PlaceDescriptors));
        limit_steps(spec, &mut steps);
        if let Capabilities::Only(_) = &spec.capabilities {
            // Before the ids: leaving user id 0 takes the capability to do it.
            steps.push((
                Stage::Capabilities,
                Step::DropBounding(identity::mask(&spec.capabilities)),
            ));
        }
        identity::id_steps(spec, &ids, &mut steps);
        match &spec.capabilities {
            Capabilities::Only(_) => {
                steps.push((
                    Stage::Capabilities,
                    Step::SetCapabilities(Some(identity::mask(&spec.capabilities))),
                ));
            }
            Capabilities::Keep => steps.push((Stage::Capabilities, Step::SetCapabilities(None))),
            Capabilities::Inherit => steps.push((Stage::Capabilities, Step::ClearAmbient)),
        }
        if spec.no_new_privs {
            steps.push((Stage::NoNewPrivs, Step::NoNewPrivs));
        }
        steps.push((
            Stage::Exec,
            if matches!(request.program, Program::Nothing) {
                Step::Leave
            } else {
                Step::Execute
            },
        ));

        let environment = environment(spec, &request.environment);
        Ok(Self {
            strategy: spec.strategy,
            flags: flags(spec, offsets.is_some(), base.is_some()),
            steps,
            slots,
            descriptors: placement(spec, request),
            executables: executables(request.program, &environment)?,
            executable: match request.program {
                Program::Descriptor(file) => Some(file.as_raw_fd()),
                _ => None,
            },
            program: match request.program {
                Program::Path(path) => Some(path.to_string_lossy().into_owned()),
                Program::Search(name) => Some(name.to_string_lossy().into_owned()),
                Program::Descriptor(_) => Some("the program's descriptor".to_owned()),
                Program::Nothing => None,
            },
            arguments: StringArray::new(request.arguments.clone()),
            environment: StringArray::new(assignments(environment)?),
            ids,
            process_group: joins.map(Pid::as_raw),
            init,
            keeper,
            die_with_parent: spec.die_with_parent,
            clock_offset: offsets.map_or(0, |offsets| offsets.monotonic),
        })
    }

    /// What a step worked on, for an error.
    pub(crate) fn subject(&self, step: usize) -> Option<String> {
        match self.steps.get(step) {
            Some((_, Step::Execute)) => self.program.clone(),
            Some((_, step)) => step.subject(),
            None => None,
        }
    }
}

fn flags(spec: &Spec, offsets: bool, pre_pivot: bool) -> u64 {
    spec.namespaces.iter().fold(0, |flags, namespace| {
        flags
            | match namespace {
                // Made at the end, nested: see `Step::NestUser`.
                Namespace::User if pre_pivot => 0,
                Namespace::User => u64::from(libc::CLONE_NEWUSER.unsigned_abs()),
                Namespace::Pid => u64::from(libc::CLONE_NEWPID.unsigned_abs()),
                Namespace::Mount => u64::from(libc::CLONE_NEWNS.unsigned_abs()),
                Namespace::Net => u64::from(libc::CLONE_NEWNET.unsigned_abs()),
                Namespace::Ipc => u64::from(libc::CLONE_NEWIPC.unsigned_abs()),
                Namespace::Uts => u64::from(libc::CLONE_NEWUTS.unsigned_abs()),
                Namespace::Cgroup => u64::from(libc::CLONE_NEWCGROUP.unsigned_abs()),
                Namespace::Time if offsets => 0,
                Namespace::Time => NEWTIME,
            }
    })
}

fn limit_steps(spec: &Spec, steps: &mut Vec<(Stage, Step)>) {
    let limits = spec.limits;
    for (limit, value) in [
        (Limit::Core, limits.core),
        (Limit::CpuSeconds, limits.cpu_seconds),
        (Limit::FileSize, limits.file_size),
        (Limit::LockedMemory, limits.locked_memory),
        (Limit::Stack, limits.stack),
        (Limit::AddressSpace, limits.address_space),
        (Limit::OpenFiles, limits.open_files),
        (Limit::Processes, limits.processes),
    ] {
        if let Some(value) = value {
            steps.push((Stage::Limits, Step::Limit { limit, value }));
        }
    }
}

fn placement(spec: &Spec, request: &Request<'_>) -> Placement {
    let stdio = (0..)
        .zip(&request.stdio)
        .filter_map(|(number, source)| source.map(|source| (source, number)));
    let moves: Vec<(RawFd, RawFd)> = stdio
        .chain(request.inherited.iter().copied())
        .chain(request.passed.iter().copied())
        .collect();
    let floor = moves
        .iter()
        .map(|&(_, number)| number)
        .max()
        .unwrap_or(2)
        .max(2)
        .saturating_add(1);
    let mut keep: Vec<RawFd> = request
        .passed
        .iter()
        .map(|&(_, number)| number)
        .filter(|&number| number > 2)
        .collect();
    keep.sort_unstable();
    keep.dedup();
    Placement {
        moves,
        keep: (spec.descriptors == Descriptors::Close).then_some(keep),
        floor,
    }
}

fn environment(spec: &Spec, launcher: &[(OsString, OsString)]) -> Vec<(OsString, OsString)> {
    let Some(policy) = &spec.environment else {
        return launcher.to_vec();
    };
    let stays = |name: &OsStr| {
        name.to_str()
            .is_some_and(|name| policy.allow.contains(name) && !policy.set.contains_key(name))
    };
    let allowed = launcher.iter().filter(|(name, _)| stays(name)).cloned();
    allowed
        .chain(
            policy
                .set
                .iter()
                .map(|(name, value)| (name.into(), value.into())),
        )
        .collect()
}

fn assignments(environment: Vec<(OsString, OsString)>) -> Result<Vec<CString>> {
    environment
        .into_iter()
        .map(|(mut name, value)| {
            name.push("=");
            name.push(value);
            c_string(Stage::Prepare, &name)
        })
        .collect()
}

fn executables(program: &Program, environment: &[(OsString, OsString)]) -> Result<Vec<CString>> {
    match program {
        Program::Path(path) => Ok(vec![path.clone()]),
        Program::Search(name) if name.as_bytes().contains(&b'/') => {
            Ok(vec![c_string(Stage::Exec, name)?])
        }
        Program::Search(name) => {
            let path = environment
                .iter()
                .find(|(variable, _)| variable == "PATH")
                .map(|(_, value)| value.clone());
            let path = path.unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
            path.as_bytes()
                .split(|&byte| byte == b':')
                .map(|directory| {
                    let directory = if directory.is_empty() {
                        b".".as_slice()
                    } else {
                        directory
                    };
                    c_string(
                        Stage::Exec,
                        Path::new(OsStr::from_bytes(directory))
                            .join(name)
                            .as_os_str(),
                    )
                })
                .collect()
        }
        Program::Descriptor(_) | Program::Nothing => Ok(Vec::new()),
    }
}

/// A string for the kernel; a NUL byte in it is an error of this stage.
pub(crate) fn c_string(stage: Stage, text: &OsStr) -> Result<CString> {
    CString::new(text.to_owned().into_vec()).map_err(|_| Error::Launch {
        stage,
        subject: Some(text.to_string_lossy().into_owned()),
        errno: Errno::EINVAL,
    })
}
