//! Names and sentences for what probes declare.
//!
//! A name is the one in the JSON report; a sentence is the first one of the
//! type's own documentation, taken from its schema, so that neither is written
//! twice and a new variant needs nothing here.

use nix::errno::Errno;
use nix::sys::signal::Signal;
use probes::{Guard, Need, Refusal, Stop};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// The kebab-case name of a plain variant.
pub fn name<T: Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(name)) => name,
        other => unreachable!("a plain variant serialises as its name, not {other:?}"),
    }
}

/// The first sentence of a plain variant's documentation, without its full stop.
pub fn sentence<T: Serialize + JsonSchema>(value: &T) -> String {
    let name = Value::String(name(value));
    let schema = schemars::schema_for!(T);
    let documented = schema
        .get("oneOf")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .find(|variant| variant.get("const") == Some(&name))
        .and_then(|variant| variant.get("description")?.as_str())
        .unwrap_or_default();
    let words: Vec<&str> = documented.split_whitespace().collect();
    let text = words.join(" ");
    let first = text
        .split_once(". ")
        .map_or(text.as_str(), |(first, _)| first);
    first.trim_end_matches('.').to_owned()
}

/// Names of protections with something between them.
pub fn guards(guards: &[Guard], between: &str) -> String {
    let names: Vec<String> = guards.iter().map(name).collect();
    names.join(between)
}

/// A stop's protections, in words.
pub fn stop(stop: &Stop) -> String {
    guards(stop.guards, " + ")
}

/// What a probe sees of a refusal, as the end of a sentence.
pub fn refusal(refusal: Refusal) -> String {
    match refusal {
        Refusal::Errno(numbers) => {
            let names: Vec<String> = numbers.iter().copied().map(errno).collect();
            format!("the call fails with {}", names.join(" or "))
        }
        Refusal::Signal(number) => format!("the probe is killed by {}", signal(number)),
        Refusal::Absent => "what it looks for is not there".to_owned(),
        Refusal::Silent => "the calls succeed and have no effect outside".to_owned(),
    }
}

/// A need, in words.
pub fn need(need: Need) -> String {
    match need {
        Need::Kernel(major, minor) => format!("Linux {major}.{minor} or later"),
        Need::ArenaRoot => "capabilities in the arena".to_owned(),
        Need::SysvIpc => "a kernel with System V IPC (CONFIG_SYSVIPC)".to_owned(),
        Need::Keys => "a kernel with keyrings (CONFIG_KEYS)".to_owned(),
    }
}

/// The name of an errno value.
pub fn errno(number: i32) -> String {
    match Errno::from_raw(number) {
        Errno::UnknownErrno => format!("errno {number}"),
        known => format!("{known:?}"),
    }
}

/// The name of a signal.
pub fn signal(number: i32) -> String {
    Signal::try_from(number).map_or_else(
        |_| format!("signal {number}"),
        |signal| signal.as_str().to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use probes::{Canary, Class, Proof};
    use rstest::rstest;

    use super::*;

    #[test]
    fn names_are_those_of_the_json_report() {
        assert_eq!(name(&Guard::NoNewPrivs), "no-new-privs");
        assert_eq!(name(&Class::Descriptor), "descriptor");
    }

    #[test]
    fn sentences_are_the_first_of_the_documentation() {
        assert_eq!(
            sentence(&Guard::PidNamespace),
            "A pid namespace of its own (pid_namespaces(7)); its end kills all in it"
        );
        assert_eq!(sentence(&Proof::Read), "It read a secret");
        assert_eq!(
            sentence(&Canary::FileTree),
            "A directory that only its owner may enter, with a secret file, a file to change and more"
        );
    }

    #[rstest]
    #[case(libc::ENOENT, "ENOENT")]
    #[case(0, "errno 0")]
    #[case(9999, "errno 9999")]
    fn errno_names(#[case] number: i32, #[case] expected: &str) {
        assert_eq!(errno(number), expected);
    }

    #[rstest]
    #[case(libc::SIGSYS, "SIGSYS")]
    #[case(64, "signal 64")]
    fn signal_names(#[case] number: i32, #[case] expected: &str) {
        assert_eq!(signal(number), expected);
    }
}
