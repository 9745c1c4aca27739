//! Reads and writes a System V shared memory segment outside.
//!
//! Segments have keys and ids and no path: no root keeps a process from them,
//! and Landlock does not know them. Finds the segment by its key (shmget),
//! attaches it by that id and by the id that it has outside (shmat).
//!
//! An IPC namespace of its own has segments of its own.

use crate::{Canary, Class, Context, Guard, Need, Probe, Proof, Refusal, Stop, raw};

pub(crate) const PROBE: Probe = Probe {
    class: Class::Ipc,
    canary: Canary::SharedMemory,
    stops: &[Stop {
        guards: &[Guard::IpcNamespace],
        refusal: Refusal::Errno(&[libc::ENOENT, libc::EINVAL]),
    }],
    needs: &[Need::SysvIpc],
    proof: Proof::Write,
    claims: &[],
    refs: &["shmget(2)", "shmat(2)", "ipc_namespaces(7)"],
    remedy: "give the sandbox an IPC namespace of its own",
    attempt,
};

fn attempt(cx: &mut Context) {
    let (Some(key), Some(id)) = (cx.number("key"), cx.number("id")) else {
        return;
    };
    if let Ok(found) = cx.attempt("shmget", raw::find_segment(key)) {
        change(cx, "shmat (by key)", found);
    }
    change(cx, "shmat (by id)", id);
}

fn change(cx: &Context, call: &str, id: i32) {
    if let Ok(segment) = cx.attempt(call, raw::attach_segment(id)) {
        cx.secret(&segment.read::<32>());
        if let Ok(nonce) = <[u8; 32]>::try_from(cx.nonce().as_bytes()) {
            segment.write(nonce);
        }
    }
}
