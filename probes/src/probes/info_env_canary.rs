//! Looks for a secret in the environment that it inherited.
//!
//! Tokens, passwords and addresses of agents are handed to programs in
//! variables, and a child gets all of them. Reads the variable itself, and
//! `/proc/self/environ`, which still shows what a program took out of its own
//! copy.
//!
//! An allow-list of variables stops it.

use std::os::unix::ffi::OsStrExt as _;

use crate::{Canary, Class, Context, Guard, Probe, Proof, Refusal, Stop};

pub(crate) const PROBE: Probe = Probe {
    class: Class::Info,
    canary: Canary::Variable,
    stops: &[Stop {
        guards: &[Guard::Environment],
        refusal: Refusal::Absent,
    }],
    needs: &[],
    proof: Proof::Read,
    claims: &[],
    refs: &["environ(7)", "proc_pid_environ(5)"],
    remedy: "start the program with an allow-list of variables",
    attempt,
};

fn attempt(cx: &mut Context) {
    let Some(name) = cx.value("variable").map(str::to_owned) else {
        return;
    };
    match std::env::var_os(&name) {
        Some(value) => {
            let _ = cx.attempt("getenv", Ok(()));
            cx.secret(value.as_bytes());
        }
        None => cx.missing(&format!("variable {name}")),
    }
    let started_with = std::fs::read("/proc/self/environ").unwrap_or_default();
    let prefix = format!("{name}=");
    let variable = started_with
        .split(|&byte| byte == 0)
        .find_map(|variable| variable.strip_prefix(prefix.as_bytes()));
    match variable {
        Some(value) => cx.secret(value),
        None => cx.missing(&format!("variable {name} in /proc/self/environ")),
    }
}
