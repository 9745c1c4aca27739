//! The launch strategy `fork-server` (claims F1, F3, F5, F6).
//!
//! The program runs itself again: as the server, as a launcher that is killed,
//! as what tries to escape.

#[path = "../support/mod.rs"]
mod support;

mod death;
mod launches;
mod load;
mod program;
mod root;

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use libtest_mimic::Arguments;
use sandbox_core::fork_server::Setup;
use sandbox_core::{Child, Command, Exit, ForkServer, Sandbox, fork_server};
use support::{shell, trial};

const SERVER: &str = "fork-server";
const ROLE: &str = "ESCAPOLOGY_ROLE";

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some(SERVER) {
        return fork_server::main();
    }
    if let Ok(role) = std::env::var(ROLE) {
        match role.as_str() {
            "escape" => println!("{}", root::escape()),
            "switched-off" => death::switched_off(),
            role => death::launcher(role),
        }
        return ExitCode::SUCCESS;
    }
    let trials = vec![
        trial("f1_a_program_runs_as_by_any_other_strategy", launches::runs),
        trial("f1_pids_descriptors_and_usage_come_back", launches::pids),
        trial("f1_a_user_namespace_is_joined", launches::joins),
        trial("f1_a_large_request_arrives", launches::large),
        trial(
            "f1_failures_are_those_of_a_direct_launch",
            launches::failures,
        ),
        trial(
            "f1_a_killed_program_that_never_was_one_is_lost",
            launches::lost,
        ),
        trial("f1_no_server_is_an_error", launches::no_server),
        trial("f1_the_hidden_entry_serves_too", launches::hidden_entry),
        trial("f1_what_is_no_server_is_refused", launches::no_such_server),
        trial("f3_pre_pivot_gives_the_same_sandbox", root::pre_pivot),
        trial(
            "f3_the_nested_user_namespace_stops_the_escape",
            root::nested,
        ),
        trial("f3_pre_pivot_refuses_what_it_cannot_do", root::refusals),
        trial("f5_goes_down_with_its_parent", death::parent),
        trial("f5_outlives_the_thread_that_started_it", death::thread),
        trial("f5_takes_its_sandboxes_along", death::killed),
        trial("f5_shut_down_takes_what_left_its_sandbox", death::shut_down),
        trial("f5_reaps_what_it_started", death::zombies),
        trial("f5_is_a_subreaper", death::subreaper),
        trial("f5_leaks_no_descriptor_into_a_child", launches::no_leak),
        trial("f5_can_be_switched_off", death::off),
        trial("f5_stays_flat_under_many_clients", load::flat),
        trial("f6_an_empty_root_runs_a_program_by_descriptor", root::empty),
        trial("p8_ratios", load::ratios).with_ignored_flag(true),
    ];
    let mut arguments = Arguments::from_args();
    // They count this process's descriptors and children.
    arguments.test_threads = Some(1);
    libtest_mimic::run(&arguments, trials).exit();
}

fn setup() -> Setup {
    Setup::program(env!("CARGO_BIN_EXE_escapology-fork-server"))
}

fn start() -> ForkServer {
    ForkServer::start(&setup()).unwrap_or_else(|error| panic!("{error}"))
}

fn start_pre_pivoted() -> ForkServer {
    let setup = Setup {
        pre_pivot: true,
        ..setup()
    };
    ForkServer::start(&setup).unwrap_or_else(|error| panic!("{error}"))
}

fn by<'a>(server: &'a ForkServer, sandbox: &'a Sandbox, script: &str) -> Command<'a> {
    let mut command = shell(sandbox, script);
    command.server(server);
    command
}

/// What a script says, which must succeed.
fn says(server: &ForkServer, sandbox: &Sandbox, script: &str) -> (String, Child) {
    let (exit, text, child) = support::finish_child(&mut by(server, sandbox, script));
    assert_eq!(exit, Exit::Code(0), "{text}");
    (text, child)
}

/// The pids of a process's children, zombies among them.
fn children(pid: nix::unistd::Pid) -> Vec<i32> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    std::fs::read_to_string(Path::new(&path))
        .unwrap()
        .split_whitespace()
        .map(|pid| pid.parse().unwrap())
        .collect()
}

/// What the descriptors of a process are, sorted.
fn descriptors(pid: nix::unistd::Pid) -> Vec<String> {
    let mut list: Vec<String> = std::fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .flatten()
        .filter_map(|entry| std::fs::read_link(entry.path()).ok())
        .map(|target| {
            let text = target.to_string_lossy().into_owned();
            text.split(['[', '(']).next().unwrap_or_default().to_owned()
        })
        .collect();
    list.sort();
    list
}

/// The descriptors of a server that has nothing to do: three streams, its
/// socket, its launcher, itself, its children's signals.
const IDLE: usize = 7;

/// It answers first and closes then: waits for this many descriptors.
fn await_descriptors(server: &ForkServer, count: usize) {
    let until = Instant::now() + Duration::from_secs(10);
    while descriptors(server.id()).len() != count {
        let open = descriptors(server.id()).len();
        assert!(Instant::now() < until, "{open} instead of {count}");
        std::thread::yield_now();
    }
}
