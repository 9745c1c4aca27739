//! The program as its users start it.

#![allow(dead_code, reason = "test programs share it, and each uses some of it")]

use std::env;
use std::ffi::{OsStr, OsString};
use std::process::{Command, Output, Stdio};

use harness::model::{ProbeResult, Report, Verdict};

/// The built program. Under nextest the variable counts: an archive may lie
/// elsewhere than the build.
pub(crate) fn path() -> OsString {
    env::var_os("NEXTEST_BIN_EXE_escapology")
        .unwrap_or_else(|| env!("CARGO_BIN_EXE_escapology").into())
}

/// The program with these arguments, and nothing to read.
pub(crate) fn escapology<T: AsRef<OsStr>>(arguments: impl IntoIterator<Item = T>) -> Command {
    let mut command = Command::new(path());
    command.args(arguments).stdin(Stdio::null());
    command
}

/// A run that gave a report.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) report: Report,
    /// What it printed, as it was.
    pub(crate) json: String,
}

/// `escapology run --format json` with these arguments. Its exit code is that
/// of the report's gate, or the test fails.
pub(crate) fn run<T: AsRef<OsStr>>(arguments: impl IntoIterator<Item = T>) -> Ran {
    let mut command = escapology(["run", "--format", "json"]);
    report_of(command.args(arguments))
}

/// As [`run`], for a command line that has been put together already.
pub(crate) fn report_of(command: &mut Command) -> Ran {
    let output = command.output().expect("the program can be started");
    let json = text(&output.stdout);
    let report: Report = serde_json::from_str(&json)
        .unwrap_or_else(|error| panic!("{error}: {json}{}", text(&output.stderr)));
    assert_eq!(
        output.status.code(),
        Some(i32::from(report.gate.exit_code)),
        "the exit code is the gate's"
    );
    Ran { report, json }
}

impl Ran {
    /// The only result.
    pub(crate) fn only_result(&self) -> &ProbeResult {
        let [result] = self.report.results.as_slice() else {
            panic!("one result: {:?}", self.report.summary);
        };
        result
    }

    /// The probes that came to this verdict, by id.
    pub(crate) fn with(&self, verdict: Verdict) -> Vec<&str> {
        let results = self.report.results.iter();
        let mut ids: Vec<&str> = results
            .filter(|result| result.verdict == verdict)
            .map(|result| result.probe.as_str())
            .collect();
        ids.sort_unstable();
        ids
    }
}

/// One sentence on standard error, nothing on standard output, and this exit
/// code: how the program says that it could not do what it was asked for.
pub(crate) fn refusal(output: &Output, code: i32) -> String {
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert_eq!(text(&output.stdout), "");
    assert!(
        said.starts_with("escapology: ") && said.lines().count() == 1 && !said.contains("\\n"),
        "one sentence: {said}"
    );
    said
}

/// What the program wrote.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("the program writes UTF-8")
}
