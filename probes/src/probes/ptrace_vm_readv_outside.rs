//! Reads and writes the memory of a process outside, without stopping it.
//!
//! process_vm_readv(2) and process_vm_writev(2) copy straight between two
//! address spaces, with the permission of ptrace and none of its traces.
//! Filters that deny ptrace(2) forget them.
//!
//! A pid namespace leaves no number to name; from a user namespace of its own
//! a process has no rights over those of the outer one.

use std::io::{IoSlice, IoSliceMut};

use nix::sys::uio::{RemoteIoVec, process_vm_readv, process_vm_writev};

use crate::{Canary, Class, Context, Guard, Probe, Proof, Refusal, Stop};

pub(crate) const PROBE: Probe = Probe {
    class: Class::Ptrace,
    canary: Canary::Process,
    stops: &[
        Stop {
            guards: &[Guard::PidNamespace],
            refusal: Refusal::Errno(&[libc::ESRCH]),
        },
        Stop {
            guards: &[Guard::UserNamespace],
            refusal: Refusal::Errno(&[libc::EPERM]),
        },
    ],
    needs: &[],
    proof: Proof::Code,
    claims: &["S3", "S4"],
    refs: &["process_vm_readv(2)", "ptrace(2) access mode checking"],
    remedy: "give the sandbox a pid namespace and a user namespace of its own",
    attempt,
};

fn attempt(cx: &mut Context) {
    let (Some(victim), Some(base)) = (cx.outside_pid("victim"), cx.address("page")) else {
        return;
    };
    let mut secret = [0; crate::victim::SECRET_LENGTH];
    let remote = [RemoteIoVec {
        base,
        len: secret.len(),
    }];
    let read = process_vm_readv(victim, &mut [IoSliceMut::new(&mut secret)], &remote);
    if cx.attempt("process_vm_readv", read).is_ok() {
        cx.secret(&secret);
    }
    let nonce = cx.nonce().as_bytes();
    let remote = [RemoteIoVec {
        base,
        len: nonce.len(),
    }];
    let written = process_vm_writev(victim, &[IoSlice::new(nonce)], &remote);
    let _ = cx.attempt("process_vm_writev", written);
}
