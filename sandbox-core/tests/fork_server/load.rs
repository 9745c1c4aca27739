//! Many clients at once, and what it costs.

use std::time::{Duration, Instant};

use nix::unistd::Pid;
use sandbox_core::{Command, Exit, ForkServer, Namespace, Root, Sandbox, Spec};

use crate::program::exits_with_42;
use crate::support::builder;
use crate::{IDLE, await_descriptors, by, children, descriptors, start, start_pre_pivoted};

const CLIENTS: usize = 8;

/// Launches of each client: 200 unless `ESCAPOLOGY_LAUNCHES` asks for more.
fn launches() -> usize {
    let asked = std::env::var("ESCAPOLOGY_LAUNCHES").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(200)
}

fn resident_pages(pid: Pid) -> u64 {
    procfs::process::Process::new(pid.as_raw())
        .and_then(|process| process.statm())
        .unwrap()
        .resident
}

fn once(server: Option<&ForkServer>, sandbox: &Sandbox) {
    let mut command = Command::from_descriptor(sandbox, exits_with_42(), "program");
    if let Some(server) = server {
        command.server(server);
    }
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(child.wait().unwrap(), Exit::Code(42));
}

fn round(server: &ForkServer, sandbox: &Sandbox, broken: &Sandbox, count: usize) {
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(move || {
                for number in 0..count {
                    once(Some(server), sandbox);
                    if number % 16 == 0 {
                        assert!(by(server, broken, "true").spawn().is_err());
                    }
                    if number % 16 == 8 {
                        drop(by(server, sandbox, "exec sleep 1000").spawn());
                    }
                }
            });
        }
    });
}

pub(crate) fn flat() {
    let server = start();
    let sandbox = builder(&[Namespace::User, Namespace::Pid]).build().unwrap();
    let broken = Spec {
        working_directory: sandbox_core::WorkingDirectory::Path("/no/such".into()),
        ..builder(&[Namespace::User, Namespace::Pid])
    };
    let broken = broken.build().unwrap();
    // Warm: its heap has the size that it needs.
    round(&server, &sandbox, &broken, 20);
    let before = resident_pages(server.id());
    let own = descriptors(Pid::this());
    round(&server, &sandbox, &broken, launches());
    let after = resident_pages(server.id());
    await_descriptors(&server, IDLE);
    assert_eq!(own, descriptors(Pid::this()));
    // A heap is never quite still: 64 pages are room for noise and none for a leak
    // of a descriptor's worth of memory each time.
    assert!(after <= before + 64, "{before} then {after} pages");
    assert_eq!(children(server.id()), [0; 0]);
}

/// Interleaved, one launch of each at a time; medians from request to reaped.
pub(crate) fn ratios() {
    let (server, pivoted) = (start(), start_pre_pivoted());
    let plain = builder(&[]).build().unwrap();
    let namespaces: Vec<Namespace> = Namespace::ALL
        .into_iter()
        .filter(|&n| n != Namespace::Net)
        .collect();
    let rooted = Spec {
        root: Some(Root::default()),
        ..builder(&namespaces)
    };
    let rooted = rooted.build().unwrap();
    for threads in [1_usize, 2000] {
        let (stop, _threads) = idle(threads - 1);
        let cases: [(&str, Option<&ForkServer>, &Sandbox); 5] = [
            ("direct, nothing", None, &plain),
            ("server, nothing", Some(&server), &plain),
            ("direct, all but net, root", None, &rooted),
            ("server, all but net, root", Some(&server), &rooted),
            ("pre-pivot, all but net, root", Some(&pivoted), &rooted),
        ];
        let mut times = [const { Vec::new() }; 5];
        for _ in 0..launches() {
            for ((_, server, sandbox), times) in cases.iter().zip(&mut times) {
                let begun = Instant::now();
                once(*server, sandbox);
                times.push(begun.elapsed());
            }
        }
        println!("{threads} threads here:");
        let base = median(&mut times[0].clone());
        for ((name, ..), times) in cases.iter().zip(&mut times) {
            let median = median(times);
            println!(
                "  {name:30} {median:>10.1?}  {:.2}",
                median.as_secs_f64() / base.as_secs_f64()
            );
        }
        drop(stop);
    }
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}

type Idle = (
    std::sync::mpsc::Sender<()>,
    Vec<std::thread::JoinHandle<()>>,
);

/// Threads that wait until the sender is dropped.
fn idle(count: usize) -> Idle {
    let (sender, receiver) = std::sync::mpsc::channel::<()>();
    let receiver = std::sync::Arc::new(std::sync::Mutex::new(receiver));
    let threads = (0..count).map(|_| {
        let receiver = std::sync::Arc::clone(&receiver);
        let wait = move || drop(receiver.lock().map(|receiver| receiver.recv()));
        std::thread::Builder::new()
            .stack_size(64 << 10)
            .spawn(wait)
            .unwrap()
    });
    let threads = threads.collect();
    (sender, threads)
}
