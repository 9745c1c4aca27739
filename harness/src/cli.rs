//! The command line, as types. Nothing is looked up or done here.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// The sandbox under test where the command line names none.
pub const DEFAULT_SANDBOX: &str = "namespaces";

/// Seconds after which a launch is killed; longer than the probes' own alarm.
pub const DEFAULT_DEADLINE: u64 = 30;

const AFTER_HELP: &str = "\
Examples:
  escapology doctor                       what this host can enforce
  escapology list                         what is attempted
  escapology run                          all probes in the built-in sandbox
  escapology run --probe 'fs-*' --ablate  which protection stops which of them
  escapology run -- bwrap --unshare-all --ro-bind {probe-path} {probe-path} {probe}
  escapology explain fs-read-outside      one probe, and what stops it

Exit codes:
  0  every attempt was contained, or is a known gap in the gate file
  1  a sandbox let something through, or lacks what it was asked for; an entry of
     the gate file does not hold
  2  the command line makes no sense
  3  evidence is missing: vacuous, inconclusive, unsupported over budget
  4  the harness itself failed, or had nothing to do
The worst of 1, 4, 3 counts, in that order.";

const RUN_AFTER_HELP: &str = "\
In COMMAND, these stand for what a launcher must run and show inside:
  {probe}       the probe's command line, as separate arguments; appended where
                COMMAND does not have it
  {probe-path}  the probe's program: a static file that needs nothing else
  {workdir}     a directory that must be visible inside, read-only, at its own path

Examples:
  escapology run --sandbox strict,landlock
  escapology run --sandbox-file mine.toml --format json --output report.json
  escapology run -- bwrap --unshare-all --ro-bind {probe-path} {probe-path} {probe}
  escapology run -- nsjail -Mo --chroot / -- {probe}

Each probe runs several times: bare, where it must reach its canary; with each
protection that should stop it, alone; and in the sandbox under test. The verdict
comes from the canary outside, never from the probe. Exit codes: escapology --help.";

/// Runs escape attempts inside a sandbox and watches from outside whether any
/// of them got out.
#[derive(Debug, Parser)]
#[command(name = "escapology", version, after_help = AFTER_HELP, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// How much to say.
    #[command(flatten)]
    pub verbosity: Verbosity,
}

/// How much to say on the way and in the text report.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct Verbosity {
    /// Say only what is not green, and show no progress
    #[arg(
        short,
        long,
        global = true,
        display_order = 90,
        conflicts_with = "verbose"
    )]
    pub quiet: bool,
    /// Show every leg of every probe
    #[arg(short, long, global = true, display_order = 91)]
    pub verbose: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Attempt escapes from a sandbox, and judge them
    Run(RunArgs),
    /// List the probes, the built-in sandboxes, or the source documents' claims
    List(ListArgs),
    /// Explain one probe: what it attempts, and what stops it
    Explain(ExplainArgs),
    /// Say what this host can enforce, and what to change
    Doctor(DoctorArgs),
    /// Run any program in a sandbox
    Exec(ExecArgs),
    /// Print the JSON Schema of a report
    Schema,
    /// A process that launches for another; started by sandbox_core::ForkServer
    #[command(hide = true)]
    ForkServer,
    /// The process inside the arena; started by the others
    #[command(hide = true)]
    Arena(ArenaArgs),
}

/// How to write what was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Text,
    /// One JSON document
    Json,
}

/// `escapology run`.
#[derive(Debug, Args)]
#[command(after_help = RUN_AFTER_HELP)]
pub struct RunArgs {
    /// A built-in sandbox; repeatable, or with commas [default: namespaces]
    #[arg(long = "sandbox", value_name = "NAME", value_delimiter = ',')]
    pub sandboxes: Vec<String>,
    /// A sandbox of your own, as data; repeatable
    #[arg(long = "sandbox-file", value_name = "FILE.toml")]
    pub sandbox_files: Vec<PathBuf>,
    /// Only probes with such a name, with `*` and `?`; repeatable, or with commas
    #[arg(long = "probe", value_name = "GLOB", value_delimiter = ',')]
    pub probes: Vec<String>,
    /// How to write the report
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// Write the report to this file, and the text report to standard output
    #[arg(long, value_name = "PATH")]
    pub output: Option<PathBuf>,
    /// How many launches at a time [default: one a processor]
    #[arg(long, value_name = "N")]
    pub jobs: Option<NonZeroUsize>,
    /// Take each protection away in turn, and show what that lets out
    #[arg(long)]
    pub ablate: bool,
    /// How many results may be unsupported
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub allow_unsupported: usize,
    /// Expected results: a file, or builtin:historic
    #[arg(long, value_name = "FILE.toml")]
    pub gate: Option<String>,
    /// Kill a launch after so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = DEFAULT_DEADLINE,
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub deadline: u64,
    /// A launcher of your own, to be tested as it is
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

impl RunArgs {
    /// The built-in sandboxes to test: those named, or the default where
    /// nothing else is to be tested either. Each once.
    pub fn sandbox_names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for name in &self.sandboxes {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
        if names.is_empty() && self.sandbox_files.is_empty() && self.command.is_empty() {
            names.push(DEFAULT_SANDBOX);
        }
        names
    }

    /// When a launch is killed.
    pub fn deadline(&self) -> Duration {
        Duration::from_secs(self.deadline)
    }
}

/// `escapology list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// The built-in sandboxes instead of the probes
    #[arg(long)]
    pub sandboxes: bool,
    /// The source documents' claims instead, and what shows each of them here
    #[arg(long, conflicts_with = "sandboxes")]
    pub claims: bool,
    /// How to write the list
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// `escapology explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The probe's name, as `escapology list` shows it
    #[arg(value_name = "PROBE")]
    pub probe: String,
}

/// `escapology doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// How to write the findings
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// `escapology exec`.
#[derive(Debug, Args)]
pub struct ExecArgs {
    /// A built-in sandbox
    #[arg(long, value_name = "NAME", default_value = DEFAULT_SANDBOX)]
    pub sandbox: String,
    /// A sandbox of your own, as data
    #[arg(long, value_name = "FILE.toml", conflicts_with = "sandbox")]
    pub sandbox_file: Option<PathBuf>,
    /// The program and its arguments
    #[arg(last = true, value_name = "COMMAND", required = true)]
    pub command: Vec<OsString>,
}

/// `escapology arena`.
#[derive(Debug, Args)]
pub struct ArenaArgs {
    /// Between two processes of ours, and no promise to anybody.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub arguments: Vec<OsString>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;
    use rstest::rstest;

    use super::*;

    #[test]
    fn the_declaration_is_sound() {
        Cli::command().debug_assert();
    }

    #[rstest]
    #[case::the_default(&[], &[DEFAULT_SANDBOX])]
    #[case::repeated_and_with_commas(&["--sandbox", "a,b", "--sandbox", "c", "--sandbox", "a"], &["a", "b", "c"])]
    #[case::a_file_replaces_the_default(&["--sandbox-file", "mine.toml"], &[])]
    #[case::a_launcher_replaces_the_default(&["--", "bwrap", "--sandbox", "x"], &[])]
    #[case::both(&["--sandbox", "strict", "--", "bwrap"], &["strict"])]
    fn the_sandboxes_under_test(#[case] arguments: &[&str], #[case] expected: &[&str]) {
        let line = ["escapology", "run"].iter().chain(arguments);
        let Command::Run(run) = Cli::try_parse_from(line).unwrap().command else {
            panic!("run was parsed as something else");
        };
        assert_eq!(run.sandbox_names(), expected);
    }

    #[rstest]
    #[case::no_command(&["escapology"])]
    #[case::no_jobs(&["escapology", "run", "--jobs", "0"])]
    #[case::no_deadline(&["escapology", "run", "--deadline", "0"])]
    #[case::quiet_and_verbose(&["escapology", "run", "-q", "-v"])]
    #[case::two_lists(&["escapology", "list", "--claims", "--sandboxes"])]
    #[case::two_gates(&["escapology", "run", "--gate", "a.toml", "--gate", "b.toml"])]
    #[case::nothing_to_exec(&["escapology", "exec"])]
    #[case::a_command_without_dashes(&["escapology", "run", "bwrap"])]
    fn wrong_usage_is_refused(#[case] line: &[&str]) {
        assert_eq!(Cli::try_parse_from(line).unwrap_err().exit_code(), 2);
    }
}
