//! Launchers that lie, break or hang. None of them is ever green.
//!
//! A launcher sees the probe's argument list and so its nonce: it can say
//! whatever a probe can say. What it cannot do is untouch a canary. The one
//! lie that cannot be seen from outside is
//! [`a_whole_forgery`]: a launcher that never starts the probe and writes its
//! part with every detail. Whoever tests a launcher trusts it so far as to
//! start what it was asked to start.

#[path = "common/program.rs"]
mod program;
#[path = "common/trials.rs"]
mod trials;

use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use harness::model::{Leg, Outcome, Verdict};
use libtest_mimic::Arguments;
use probes::wire::Record;

/// Writes a frame with the nonce that stands in the argument list.
const FRAME: &str = r#"
for word; do case $word in nonce=*) nonce=${word#nonce=};; esac; done
frame() { printf '\036%s %s\n' "$nonce" "$1"; }
"#;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let obstacle = trials::obstacle();
    let bodies: [(&str, fn()); 15] = [
        ("exits_0_without_the_probe", drops_the_probe),
        ("fails_and_says_why", fails_and_says_why),
        ("another_nonce", another_nonce),
        ("a_forged_return", forged_return),
        ("a_forged_secret", forged_secret),
        ("a_forged_refusal_over_an_escape", forged_refusal),
        ("a_whole_forgery", a_whole_forgery),
        ("hangs", hangs),
        ("prints_without_end", prints_without_end),
        ("floods_without_a_line_end", floods),
        ("floods_with_frames", floods_with_frames),
        ("closes_its_output", closes_its_output),
        ("runs_the_probe_twice", runs_it_twice),
        ("goes_to_the_background", goes_to_the_background),
        ("kills_itself", kills_itself),
    ];
    let mut list: Vec<_> = bodies
        .into_iter()
        .map(|(name, body)| trials::trial(name, obstacle.as_deref(), body))
        .collect();
    list.push(trials::trial("is_not_there", None, is_not_there));
    trials::main(&arguments, list)
}

/// What a probe comes to with a shell script as its launcher, and its leg.
fn judged(probe: &str, script: &str) -> (Verdict, Leg) {
    let script = format!("{FRAME}{script}");
    let options = ["--deadline", "2", "--probe", probe, "--", "sh", "-c"];
    let ran = program::run(options.into_iter().chain([&*script, "sh", "{probe}"]));
    let result = ran.only_result();
    let leg = result.legs.product.clone().expect("it was run");
    (result.verdict, leg)
}

fn drops_the_probe() {
    let (verdict, leg) = judged("fs-read-outside", "exit 0");
    assert_eq!(
        (verdict, leg.outcome),
        (Verdict::Inconclusive, Outcome::NotStarted)
    );
}

fn fails_and_says_why() {
    let script = "echo no room for namespaces >&2; exit 3";
    let (verdict, leg) = judged("fs-read-outside", script);
    assert_eq!(
        (verdict, leg.outcome),
        (Verdict::Error, Outcome::NotStarted)
    );
    assert_eq!(
        (&*leg.exit, &*leg.output),
        ("exit code 3", "no room for namespaces")
    );

    let shown = program::escapology([
        "run",
        "--probe",
        "fs-read-outside",
        "--",
        "sh",
        "-c",
        script,
    ])
    .output()
    .expect("the program can be started");
    assert_eq!(shown.status.code(), Some(4));
    let shown = program::text(&shown.stdout);
    assert!(shown.contains("no room for namespaces"), "{shown}");
}

fn another_nonce() {
    let script = r#"
        nonce=ffffffffffffffffffffffffffffffff
        frame '{"stage":"armed","probe":"fs-read-outside"}'
        frame '{"stage":"attempted","call":"open","errno":2}'
        frame '{"stage":"done"}'"#;
    let (verdict, leg) = judged("fs-read-outside", script);
    assert_eq!(
        (verdict, leg.outcome),
        (Verdict::Inconclusive, Outcome::NotStarted)
    );
    assert_eq!(leg.rejected_frames, 3);
}

/// It returned, and nothing was attempted.
fn forged_return() {
    let (verdict, leg) = judged("fs-read-outside", r#"frame '{"stage":"done"}'"#);
    assert_eq!(
        (verdict, leg.outcome),
        (Verdict::Inconclusive, Outcome::Idle)
    );
}

/// A secret that is not the canary's is no escape, and no return either.
fn forged_secret() {
    let script = r#"frame '{"stage":"secret","value":"00000000000000000000000000000000"}'"#;
    let (verdict, leg) = judged("fs-read-outside", script);
    assert_eq!(
        (verdict, leg.outcome),
        (Verdict::Inconclusive, Outcome::Cut)
    );
}

/// The probe gets out in silence, and its launcher says that it was refused.
fn forged_refusal() {
    let script = r#"
        "$@" >/dev/null 2>&1 19>&-
        frame '{"stage":"armed","probe":"fs-write-outside"}'
        frame '{"stage":"attempted","call":"open","errno":2}'
        frame '{"stage":"done"}'"#;
    let script = format!("exec 2>&1; {script}");
    // dash knows descriptors of one digit; the probe's private pipe has two.
    let closing = format!("exec bash -c '{}' bash \"$@\"", script_in_quotes(&script));
    let (verdict, leg) = judged("fs-write-outside", &closing);
    assert_eq!(
        (verdict, leg.outcome),
        (Verdict::Escaped, Outcome::Refused),
        "{leg:?}"
    );
}

/// A script for bash within single quotes.
fn script_in_quotes(script: &str) -> String {
    format!("{FRAME}{script}").replace('\'', r"'\''")
}

/// The limit of what can be seen from outside: nothing was attempted, nothing
/// was touched, and every word that a contained probe would say was said.
fn a_whole_forgery() {
    let script = r#"
        frame '{"stage":"armed","probe":"fs-read-outside"}'
        frame '{"stage":"attempted","call":"open","errno":2}'
        frame '{"stage":"done"}'"#;
    let (verdict, leg) = judged("fs-read-outside", script);
    assert_eq!(
        (verdict, leg.outcome),
        (Verdict::Contained, Outcome::Refused)
    );
}

fn hangs() {
    let began = Instant::now();
    let (verdict, leg) = judged("fs-read-outside", "sleep 1000 & exec sleep 1000");
    assert_eq!(
        (verdict, leg.outcome),
        (Verdict::Inconclusive, Outcome::TimedOut)
    );
    assert!(
        began.elapsed() < Duration::from_secs(8),
        "{:?}",
        began.elapsed()
    );
}

/// Always faster than its reader: the deadline counts all the same.
fn prints_without_end() {
    let began = Instant::now();
    let (verdict, leg) = judged("fs-read-outside", "exec cat /dev/zero");
    assert_eq!(
        (verdict, leg.outcome),
        (Verdict::Inconclusive, Outcome::TimedOut)
    );
    assert!(
        began.elapsed() < Duration::from_secs(8),
        "{:?}",
        began.elapsed()
    );
}

/// 64 MiB without a line end, into a harness that may not have as much memory.
fn floods() {
    bounded("head -c 67108864 /dev/zero | tr '\\0' x");
}

/// 64 MiB of frames that begin and never end.
fn floods_with_frames() {
    bounded("head -c 67108864 /dev/zero | tr '\\0' '\\036'");
}

fn bounded(flood: &str) {
    // KiB of writable memory, for the run, its arena and every probe.
    const LIMIT: &str = r#"ulimit -d 49152; exec "$@""#;
    let launcher = [
        "run",
        "--format",
        "json",
        "--probe",
        "fs-read-outside",
        "--",
    ];
    let mut limited = Command::new("sh");
    limited.args(["-c", LIMIT, "sh"]).arg(program::path());
    limited.args(launcher).args(["sh", "-c", flood]);
    limited.stdin(Stdio::null());
    let ran = program::report_of(&mut limited);
    let result = ran.only_result();
    assert_eq!(result.verdict, Verdict::Inconclusive, "{}", result.reason);
    assert!(
        ran.json.len() < 64 << 10,
        "{} bytes of report",
        ran.json.len()
    );
}

/// Nothing that the probe says comes out, and its canary is touched.
fn closes_its_output() {
    let script = "exec bash -c 'exec 19>&- >&- 2>&-; exec \"$@\"' bash \"$@\"";
    let (verdict, leg) = judged("fs-write-outside", script);
    assert_eq!(
        (verdict, leg.outcome),
        (Verdict::Escaped, Outcome::NotStarted)
    );
    // A canary that only the probe's own words can touch was not: no evidence.
    let (verdict, leg) = judged("fs-read-outside", script);
    assert_eq!(
        (verdict, leg.outcome),
        (Verdict::Inconclusive, Outcome::NotStarted)
    );
}

fn runs_it_twice() {
    let (verdict, leg) = judged("fs-read-outside", "\"$@\"; exec \"$@\"");
    assert_eq!(
        (verdict, leg.outcome),
        (Verdict::Escaped, Outcome::Succeeded)
    );
    let returned = leg.records.iter().filter(|record| **record == Record::Done);
    assert_eq!(returned.count(), 2);
}

/// The launcher has ended before the probe begins: nobody says that it was
/// contained, and what it touches in time counts.
fn goes_to_the_background() {
    let script = "{ while kill -0 $$; do :; done 2>/dev/null; exec \"$@\"; } & exit 0";
    let (verdict, leg) = judged("fs-write-outside", script);
    assert!(
        matches!(verdict, Verdict::Escaped | Verdict::Inconclusive),
        "{verdict:?}: {leg:?}"
    );
}

fn kills_itself() {
    let (verdict, leg) = judged("fs-read-outside", "kill -9 $$");
    assert_eq!(
        (verdict, leg.outcome),
        (Verdict::Error, Outcome::NotStarted)
    );
    assert!(leg.exit.contains("SIGKILL"), "{}", leg.exit);
}

fn is_not_there() {
    let output = program::escapology(["run", "--", "no-such-launcher", "{probe}"])
        .output()
        .expect("the program can be started");
    let said = program::refusal(&output, 2);
    assert!(
        said.contains("\"no-such-launcher\" is not an executable program"),
        "{said}"
    );
}
