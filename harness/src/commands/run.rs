//! `escapology run`: attempt escapes and judge them.

use std::ffi::{OsStr, OsString};
use std::io::IsTerminal as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Instant, SystemTime};

use probes::Registered;
use sandbox_core::Host;

use super::{Error, doctor};
use crate::arena::{self, Request, Target};
use crate::cli::{RunArgs, Verbosity};
use crate::event::Event;
use crate::gate::{self, Rules};
use crate::gate_file::{self, Circumstances};
use crate::model::{Ablation, Legs, ProbeResult, Report, SCHEMA, SandboxFacts, Verdict};
use crate::progress::Progress;
use crate::{catalog, guards, report, select};

/// Runs the probes in every sandbox that the command line names.
///
/// # Errors
/// Wrong usage, or a harness that could not work; what a sandbox lets through
/// is in the report and the exit code.
pub fn run(arguments: &RunArgs, verbosity: Verbosity) -> Result<ExitCode, Error> {
    let began = (SystemTime::now(), Instant::now());
    let probes = select::probes(&arguments.probes)?;
    let targets = targets(arguments)?;
    let file = arguments.gate.as_deref().map(gate_file::read).transpose()?;
    let surveyed = Host::survey();
    let (host, obstacle) = doctor::facts(&surveyed);
    let mut found = match obstacle {
        Some(obstacle) => Found::nothing(&probes, &targets, &obstacle),
        None => Found::by(arguments, &surveyed, &probes, targets, verbosity)?,
    };
    let started = humantime::format_rfc3339_seconds(began.0).to_string();
    let broken = file.as_ref().map_or_else(Vec::new, |file| {
        let circumstances = Circumstances {
            today: started.split('T').next().unwrap_or_default(),
            kernel: &host.kernel,
        };
        gate_file::apply(file, &mut found.results, circumstances)
    });
    let summary = gate::summarise(&found.sandboxes, &found.results);
    let gate = gate::gate(
        &summary,
        &Rules {
            allow_unsupported: arguments.allow_unsupported,
            file: file.map(|file| file.name),
            broken,
        },
    );
    let report = Report {
        schema: SCHEMA.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started,
        duration_ms: u64::try_from(began.1.elapsed().as_millis()).unwrap_or(u64::MAX),
        host,
        sandboxes: found.sandboxes,
        results: found.results,
        ablation: found.ablation,
        summary,
        gate,
    };
    report::write(
        &report,
        arguments.format,
        arguments.output.as_deref(),
        verbosity,
    )
    .map_err(|error| Error::failed("write the report", error))?;
    Ok(ExitCode::from(report.gate.exit_code))
}

/// What the inside of the arena found out.
#[derive(Debug, Default)]
struct Found {
    sandboxes: Vec<SandboxFacts>,
    results: Vec<ProbeResult>,
    ablation: Vec<Ablation>,
}

impl Found {
    fn by(
        arguments: &RunArgs,
        host: &Host,
        probes: &[&'static Registered],
        targets: Vec<Target>,
        verbosity: Verbosity,
    ) -> Result<Self, Error> {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let request = Request {
            probes: probes.iter().map(|probe| probe.id.to_owned()).collect(),
            targets,
            jobs: arguments.jobs.map_or(processors, std::num::NonZero::get),
            deadline: arguments.deadline(),
            ablate: arguments.ablate,
        };
        let mut found = Self::default();
        let progress = Progress::new(!verbosity.quiet && std::io::stderr().is_terminal());
        let arena = arena::launch(&request, host)
            .map_err(|error| Error::failed("start the arena", error))?;
        let followed = arena.follow(|event| {
            progress.follow(&event);
            found.take(event);
        });
        followed.map_err(|error| Error::failed("finish the run", error))?;
        Ok(found)
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Sandbox(facts) => self.sandboxes.push(facts),
            Event::Result(result) => self.results.push(*result),
            Event::Ablated { sandbox, row } => {
                match self
                    .ablation
                    .iter_mut()
                    .find(|ablation| ablation.sandbox == sandbox)
                {
                    Some(ablation) => ablation.rows.push(row),
                    None => self.ablation.push(Ablation {
                        sandbox,
                        rows: vec![row],
                    }),
                }
            }
            Event::Planned { .. }
            | Event::LegDone { .. }
            | Event::Failed { .. }
            | Event::Finished => {}
        }
    }

    /// Where no arena can be made no leg is run: an uncontained probe would
    /// meet the host.
    fn nothing(probes: &[&'static Registered], targets: &[Target], obstacle: &str) -> Self {
        anstream::eprintln!(
            "escapology: no arena can be made, so nothing is attempted: {obstacle}"
        );
        let facts = |target: &Target| match target {
            Target::Sandbox { name, sandbox } => SandboxFacts {
                name: name.clone(),
                description: sandbox.spec().description.clone(),
                command: Vec::new(),
                guards: guards::names(sandbox.guards()),
                degraded: Vec::new(),
            },
            Target::Command { name, command } => SandboxFacts {
                name: name.clone(),
                description: String::new(),
                command: command
                    .iter()
                    .map(|word| word.to_string_lossy().into_owned())
                    .collect(),
                guards: Vec::new(),
                degraded: Vec::new(),
            },
        };
        let result = |target: &Target, probe: &Registered| ProbeResult {
            sandbox: target.name().to_owned(),
            probe: probe.id.to_owned(),
            title: probe.title().to_owned(),
            class: probe.probe.class,
            proof: probe.probe.proof,
            verdict: Verdict::Unsupported,
            depth: None,
            reason: format!("no arena can be made: {obstacle}"),
            remedy: probe.probe.remedy.to_owned(),
            expected: None,
            legs: Legs {
                bare: None,
                only: Vec::new(),
                product: None,
            },
        };
        Self {
            sandboxes: targets.iter().map(facts).collect(),
            results: targets
                .iter()
                .flat_map(|target| probes.iter().map(|probe| result(target, probe)))
                .collect(),
            ablation: Vec::new(),
        }
    }
}

/// What is to be tested: built-in sandboxes, files, a launcher.
fn targets(arguments: &RunArgs) -> Result<Vec<Target>, Error> {
    let mut entries = Vec::new();
    for name in arguments.sandbox_names() {
        entries.push(catalog::find(name)?);
    }
    for path in &arguments.sandbox_files {
        entries.push(catalog::read(path)?);
    }
    let ours = |entry: catalog::Entry| Target::Sandbox {
        name: entry.name,
        sandbox: Box::new(entry.sandbox),
    };
    let mut targets: Vec<Target> = entries.into_iter().map(ours).collect();
    if let Some(program) = arguments.command.first() {
        find_launcher(program)?;
        let name = Path::new(program)
            .file_name()
            .unwrap_or(program)
            .to_string_lossy()
            .into_owned();
        targets.push(Target::Command {
            name,
            command: arguments.command.clone(),
        });
    }
    for (index, target) in targets.iter().enumerate() {
        if targets
            .iter()
            .skip(index + 1)
            .any(|other| other.name() == target.name())
        {
            let name = target.name();
            return Err(Error::Usage(format!(
                "two sandboxes under test have the name {name:?}: rename the file"
            )));
        }
    }
    Ok(targets)
}

/// Looks for a launcher before anything is started: a name that is mistyped is
/// wrong usage, not a sandbox that does not work.
fn find_launcher(program: &OsString) -> Result<(), Error> {
    let executable = |path: &Path| {
        path.is_file() && nix::unistd::access(path, nix::unistd::AccessFlags::X_OK).is_ok()
    };
    let found = if program.as_encoded_bytes().contains(&b'/') {
        executable(Path::new(program))
    } else {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).any(|directory| executable(&directory.join(program)))
    };
    let shown = OsStr::to_string_lossy(program);
    if found {
        return Ok(());
    }
    Err(Error::Usage(format!(
        "launcher {shown:?} is not an executable program in PATH: install it, or give its path"
    )))
}
