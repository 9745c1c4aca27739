//! Looks for descriptors that the launcher forgot to close, and uses them.
//!
//! Goes through all descriptor numbers, and uses each planted one as its kind
//! allows: a file, a pipe, a unix socket, a memory file, a listening TCP
//! socket, a timer, an event counter. A descriptor is a right of its own: no
//! namespace, no root and no changed user id takes it away again.
//!
//! Only planted descriptors are touched, told from others by more than their
//! number: a launcher may have good reasons for one of its own.

use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::{MsgFlags, send, setsockopt, sockopt};
use nix::unistd::write;

use crate::{Canary, Class, Context, Guard, Probe, Proof, Refusal, Stop, descriptors, raw};

pub(crate) const PROBE: Probe = Probe {
    class: Class::Descriptor,
    canary: Canary::Decoys,
    stops: &[Stop {
        guards: &[Guard::Descriptors],
        refusal: Refusal::Absent,
    }],
    needs: &[],
    proof: Proof::Write,
    claims: &["F5"],
    refs: &["close_range(2)", "execve(2)", "CVE-2024-21626"],
    remedy: "call close_range() as the last step before the program is executed",
    attempt,
};

fn attempt(cx: &mut Context) {
    let Some(decoys) = cx.value("decoys").map(str::to_owned) else {
        return;
    };
    for decoy in decoys.split(',') {
        let Some((kind, place)) = decoy.split_once('=') else {
            continue;
        };
        match find(cx, kind, place) {
            Some(descriptor) => {
                let _ = cx.attempt(&format!("use {kind}"), touch(cx, kind, descriptor));
            }
            None => cx.missing(&format!("descriptor {place} ({kind})")),
        }
    }
}

/// Finds a decoy. Timers and counters share one inode: `NUMBER:MARK` names
/// the value that was planted in it.
fn find(cx: &Context, kind: &str, place: &str) -> Option<BorrowedFd<'static>> {
    let (number, mark) = place.split_once(':')?;
    match kind {
        "timer" => {
            let mark: i64 = mark.parse().ok()?;
            cx.descriptors()
                .find(|timer| raw::timer_interval(timer.as_fd()) == Ok(mark))
        }
        "counter" => {
            let counter = raw::open_descriptor(number.parse().ok()?)?;
            (counter_value(counter)? == mark).then_some(counter)
        }
        _ => descriptors::find(place, cx.report_descriptor()),
    }
}

/// What an event counter stands at, without taking it (proc_pid_fdinfo(5)).
fn counter_value(counter: BorrowedFd<'_>) -> Option<String> {
    let path = format!("/proc/self/fdinfo/{}", counter.as_raw_fd());
    let info = std::fs::read_to_string(path).ok()?;
    let value = info
        .lines()
        .find_map(|line| line.strip_prefix("eventfd-count:"))?;
    Some(value.trim().to_owned())
}

/// Does something with it that shows from outside.
fn touch(cx: &Context, kind: &str, descriptor: BorrowedFd<'_>) -> nix::Result<()> {
    let nonce = cx.nonce().as_bytes();
    match kind {
        "socket" => send(descriptor.as_raw_fd(), nonce, MsgFlags::MSG_DONTWAIT).map(drop),
        "listener" => setsockopt(&descriptor, sockopt::KeepAlive, &true),
        "timer" => raw::arm_timer(descriptor, 1),
        "counter" => write(descriptor, &1_u64.to_ne_bytes()).map(drop),
        "pipe" => {
            fcntl(descriptor, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
            write(descriptor, nonce).map(drop)
        }
        _ => write(descriptor, nonce).map(drop),
    }
}
