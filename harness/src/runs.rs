//! A whole run inside the arena: every leg of every probe, then the verdicts.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use probes::{Guard, Registered};
use sandbox_core::Sandbox;

use crate::arena::{Request, Target};
use crate::depth::expected_escape;
use crate::event::{self, Event};
use crate::judge::{Evidence, judge, refused_as_declared};
use crate::leg::{Field, Launcher, self_test};
use crate::model::{AblationCell, AblationRow, Leg, Legs, OnlyLeg, ProbeResult, SandboxFacts};
use crate::{guards, needs};

/// One thing to do. Numbers are indices into the run's lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Job {
    /// Touch a probe's kind of canary, and see whether it notices.
    SelfTest { probe: usize },
    /// The probe with no protection.
    Bare { probe: usize },
    /// With one alternative of those that stop it.
    Only { probe: usize, stop: usize },
    /// In a sandbox under test.
    Product { probe: usize, target: usize },
    /// In a sandbox under test that lacks a protection.
    Without {
        probe: usize,
        target: usize,
        guard: Guard,
    },
}

enum Done {
    SelfTest(Result<(), String>),
    Leg(Box<Leg>),
}

/// A run with everything looked up.
pub struct Run<'a> {
    probes: Vec<&'static Registered>,
    targets: Vec<Tested>,
    /// The sandbox whose parts the `only` legs are made of.
    whole: Sandbox,
    /// Why a probe can show nothing here; those are not run.
    lacking: Vec<Option<String>>,
    field: &'a Field,
    ablate: bool,
}

impl std::fmt::Debug for Run<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Run")
            .field("targets", &self.targets)
            .finish_non_exhaustive()
    }
}

/// A sandbox under test, as far as this host can have it.
#[derive(Clone, Debug)]
struct Tested {
    facts: SandboxFacts,
    launcher: Launcher,
}

impl Tested {
    fn sandbox(&self) -> Option<&Sandbox> {
        match &self.launcher {
            Launcher::Sandbox(sandbox) => Some(sandbox),
            _ => None,
        }
    }
}

impl<'a> Run<'a> {
    /// Looks everything up that a request names.
    ///
    /// # Errors
    /// A probe that does not exist; a protection that the host lacks and the
    /// sandbox does not allow to be left out.
    pub fn new(
        request: &Request,
        whole: Sandbox,
        field: &'a Field,
        kernel: &str,
    ) -> Result<Self, String> {
        let find = |id: &String| probes::find(id).ok_or_else(|| format!("there is no probe {id}"));
        let probes = request
            .probes
            .iter()
            .map(find)
            .collect::<Result<Vec<_>, _>>()?;
        let targets = request
            .targets
            .iter()
            .map(tested)
            .collect::<Result<Vec<_>, _>>()?;
        let lacking = probes
            .iter()
            .map(|probe| needs::lacking(probe, kernel))
            .collect();
        Ok(Self {
            probes,
            targets,
            whole,
            lacking,
            field,
            ablate: request.ablate,
        })
    }

    /// Does it all, several launches at a time, and tells what happened.
    ///
    /// # Errors
    /// Where nobody listens any more.
    pub fn execute(&self, threads: usize, out: impl Write + Send) -> io::Result<()> {
        let jobs = self.jobs();
        let out = Mutex::new(out);
        let say = |event: &Event| event::write(&mut *lock(&out), event);
        for target in &self.targets {
            say(&Event::Sandbox(target.facts.clone()))?;
        }
        let legs = jobs
            .iter()
            .filter(|job| !matches!(job, Job::SelfTest { .. }))
            .count();
        say(&Event::Planned { legs })?;

        let next = AtomicUsize::new(0);
        let done = Mutex::new(BTreeMap::new());
        let work = || -> io::Result<()> {
            while let Some(&job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                let result = self.perform(job)?;
                lock(&done).insert(job, result);
                if let Some(event) = self.leg_done(job) {
                    say(&event)?;
                }
            }
            Ok(())
        };
        std::thread::scope(|scope| -> io::Result<()> {
            let workers: Vec<_> = (0..threads.clamp(1, jobs.len().max(1)))
                .map(|_| scope.spawn(work))
                .collect();
            workers.into_iter().try_for_each(|worker| {
                worker
                    .join()
                    .unwrap_or_else(|_| Err(io::Error::other("a thread of the harness panicked")))
            })
        })?;

        let done = done
            .into_inner()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        for target in 0..self.targets.len() {
            for probe in 0..self.probes.len() {
                say(&Event::Result(Box::new(self.result(probe, target, &done))))?;
            }
        }
        for (target, guard) in self.ablations() {
            say(&Event::Ablated {
                sandbox: self.targets[target].facts.name.clone(),
                row: self.row(target, guard, &done),
            })?;
        }
        say(&Event::Finished)
    }

    fn runnable(&self) -> impl Iterator<Item = usize> {
        (0..self.probes.len()).filter(|&probe| self.lacking[probe].is_none())
    }

    fn jobs(&self) -> Vec<Job> {
        let mut jobs = Vec::new();
        for probe in self.runnable() {
            let kind = self.probes[probe].probe.canary;
            let first = self
                .runnable()
                .find(|&other| self.probes[other].probe.canary == kind);
            if first == Some(probe) {
                jobs.push(Job::SelfTest { probe });
            }
            jobs.push(Job::Bare { probe });
            jobs.extend(
                (0..self.probes[probe].probe.stops.len()).map(|stop| Job::Only { probe, stop }),
            );
            jobs.extend((0..self.targets.len()).map(|target| Job::Product { probe, target }));
        }
        for (target, guard) in self.ablations() {
            jobs.extend(self.runnable().map(|probe| Job::Without {
                probe,
                target,
                guard,
            }));
        }
        jobs
    }

    /// Every protection of a sandbox under test that some probe names.
    fn ablations(&self) -> Vec<(usize, Guard)> {
        if !self.ablate {
            return Vec::new();
        }
        let named = |guard: &Guard| {
            self.probes.iter().any(|probe| {
                probe
                    .probe
                    .stops
                    .iter()
                    .any(|stop| stop.guards.contains(guard))
            })
        };
        let of = |target: usize| {
            let guards = if self.targets[target].sandbox().is_some() {
                self.targets[target].facts.guards.clone()
            } else {
                Vec::new()
            };
            guards
                .into_iter()
                .filter(named)
                .map(move |guard| (target, guard))
                .collect::<Vec<_>>()
        };
        (0..self.targets.len()).flat_map(of).collect()
    }

    fn perform(&self, job: Job) -> io::Result<Done> {
        let (probe, launcher) = match job {
            Job::SelfTest { probe } => {
                return Ok(Done::SelfTest(self_test(
                    self.field,
                    self.probes[probe].probe.canary,
                )));
            }
            Job::Bare { probe } => (probe, Launcher::bare()?),
            Job::Only { probe, stop } => {
                let parts = self.probes[probe].probe.stops[stop]
                    .guards
                    .iter()
                    .map(|&guard| guards::part(guard));
                (probe, Launcher::Only(self.whole.clone(), parts.collect()))
            }
            Job::Product { probe, target } => (probe, self.targets[target].launcher.clone()),
            Job::Without {
                probe,
                target,
                guard,
            } => match self.targets[target].sandbox() {
                Some(sandbox) => (
                    probe,
                    Launcher::Without(sandbox.clone(), guards::part(guard)),
                ),
                None => (probe, self.targets[target].launcher.clone()),
            },
        };
        Ok(Done::Leg(Box::new(
            self.field.run(self.probes[probe], &launcher),
        )))
    }

    fn leg_done(&self, job: Job) -> Option<Event> {
        let names = |stop: usize, probe: usize| {
            let guards = self.probes[probe].probe.stops[stop].guards;
            guards
                .iter()
                .map(|&guard| guards::part(guard).name())
                .collect::<Vec<_>>()
                .join("+")
        };
        let (probe, target, leg) = match job {
            Job::SelfTest { .. } => return None,
            Job::Bare { probe } => (probe, None, "bare".to_owned()),
            Job::Only { probe, stop } => (probe, None, format!("only {}", names(stop, probe))),
            Job::Product { probe, target } => (probe, Some(target), "product".to_owned()),
            Job::Without {
                probe,
                target,
                guard,
            } => (
                probe,
                Some(target),
                format!("without {}", guards::part(guard).name()),
            ),
        };
        let sandbox = target
            .map_or("control", |target| &self.targets[target].facts.name)
            .to_owned();
        Some(Event::LegDone {
            probe: self.probes[probe].id.to_owned(),
            sandbox,
            leg,
        })
    }

    /// The evidence about a probe, as far as it does not depend on the sandbox.
    fn control(&self, probe: usize, done: &BTreeMap<Job, Done>) -> Control {
        let leg = |job| match done.get(&job) {
            Some(Done::Leg(leg)) => Some((**leg).clone()),
            _ => None,
        };
        let kind = self.probes[probe].probe.canary;
        let self_test = done.iter().find_map(|(job, done)| match (job, done) {
            (Job::SelfTest { probe }, Done::SelfTest(result))
                if self.probes[*probe].probe.canary == kind =>
            {
                Some(result.clone())
            }
            _ => None,
        });
        let stops = self.probes[probe].probe.stops;
        let only = stops.iter().enumerate().filter_map(|(index, stop)| {
            let leg = leg(Job::Only { probe, stop: index })?;
            let parts: Vec<_> = stop
                .guards
                .iter()
                .map(|&guard| guards::part(guard))
                .collect();
            Some(OnlyLeg {
                guards: stop.guards.to_vec(),
                pulled_in: guards::names(self.whole.only(&parts, true).also),
                as_declared: refused_as_declared(stop, &leg),
                leg,
            })
        });
        Control {
            self_test: self_test.unwrap_or_else(|| Err("it was not made".to_owned())),
            bare: leg(Job::Bare { probe }),
            only: only.collect(),
        }
    }

    fn result(&self, index: usize, target: usize, done: &BTreeMap<Job, Done>) -> ProbeResult {
        let probe = self.probes[index];
        let control = self.control(index, done);
        let product = match done.get(&Job::Product {
            probe: index,
            target,
        }) {
            Some(Done::Leg(leg)) => Some((**leg).clone()),
            _ => None,
        };
        let tested = &self.targets[target];
        let judgement = judge(&Evidence {
            unsupported: self.lacking[index].as_deref(),
            degraded: &tested.facts.degraded,
            self_test: control
                .self_test
                .as_ref()
                .map(|&()| ())
                .map_err(String::as_str),
            declared: probe.probe.stops,
            present: tested.sandbox().map(|_| tested.facts.guards.as_slice()),
            bare: control.bare.as_ref(),
            only: &control.only,
            product: product.as_ref(),
        });
        ProbeResult {
            sandbox: tested.facts.name.clone(),
            probe: probe.id.to_owned(),
            title: probe.title().to_owned(),
            class: probe.probe.class,
            proof: probe.probe.proof,
            verdict: judgement.verdict,
            depth: judgement.depth,
            reason: judgement.reason,
            remedy: probe.probe.remedy.to_owned(),
            expected: None,
            legs: Legs {
                bare: control.bare,
                only: control.only,
                product,
            },
        }
    }

    fn row(&self, target: usize, guard: Guard, done: &BTreeMap<Job, Done>) -> AblationRow {
        let part = guards::part(guard);
        let derived = self.targets[target]
            .sandbox()
            .map(|sandbox| sandbox.without(part));
        let left = derived
            .as_ref()
            .map(|derived| guards::names(derived.sandbox.guards()))
            .unwrap_or_default();
        let cells = self.runnable().filter_map(|index| {
            let Some(Done::Leg(leg)) = done.get(&Job::Without {
                probe: index,
                target,
                guard,
            }) else {
                return None;
            };
            let stops = self.probes[index].probe.stops;
            let control = self.control(index, done);
            let judgement = judge(&Evidence {
                unsupported: None,
                degraded: &[],
                self_test: control
                    .self_test
                    .as_ref()
                    .map(|&()| ())
                    .map_err(String::as_str),
                declared: stops,
                present: Some(&left),
                bare: control.bare.as_ref(),
                only: &control.only,
                product: Some(leg),
            });
            Some(AblationCell {
                probe: self.probes[index].id.to_owned(),
                expected_escape: expected_escape(stops, &left),
                verdict: judgement.verdict,
                reason: judgement.reason,
            })
        });
        AblationRow {
            without: guard,
            also_lost: derived
                .map(|derived| guards::names(derived.also))
                .unwrap_or_default(),
            cells: cells.collect(),
        }
    }
}

struct Control {
    self_test: Result<(), String>,
    bare: Option<Leg>,
    only: Vec<OnlyLeg>,
}

fn tested(target: &Target) -> Result<Tested, String> {
    match target {
        Target::Command { name, command } => Ok(Tested {
            facts: SandboxFacts {
                name: name.clone(),
                description: "a launcher of your own".to_owned(),
                command: command
                    .iter()
                    .map(|word| word.to_string_lossy().into_owned())
                    .collect(),
                guards: Vec::new(),
                degraded: Vec::new(),
            },
            launcher: Launcher::Command(command.clone()),
        }),
        Target::Sandbox { name, sandbox } => {
            let (fitted, degraded) = sandbox
                .fit()
                .map_err(|error| format!("sandbox {name}: {error}"))?;
            // What can be had here is settled: no launch needs to ask again.
            let mut spec = fitted.spec().clone();
            spec.allow_downgrade.clear();
            let fitted = spec.build().map_err(|error| error.to_string())?;
            let degraded = degraded
                .iter()
                .map(|lost| format!("{} ({})", lost.guard, lost.reason));
            Ok(Tested {
                facts: SandboxFacts {
                    name: name.clone(),
                    description: fitted.spec().description.clone(),
                    command: Vec::new(),
                    guards: guards::names(fitted.guards()),
                    degraded: degraded.collect(),
                },
                launcher: Launcher::Sandbox(fitted),
            })
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
