//! Connects to a unix socket outside by its path.
//!
//! The socket of a container engine, a bus or an agent is a file like any
//! other: who can name it can connect. A network namespace does not stop it,
//! and Landlock's file rules do not before Linux 7.1.
//!
//! Tries the path, and a short one through a descriptor of its directory. A
//! root of its own that does not hold the socket stops it.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use crate::{Canary, Class, Context, Guard, Probe, Proof, Refusal, Stop};

pub(crate) const PROBE: Probe = Probe {
    class: Class::Network,
    canary: Canary::PathSocket,
    stops: &[Stop {
        guards: &[Guard::Root],
        refusal: Refusal::Errno(&[libc::ENOENT]),
    }],
    needs: &[],
    proof: Proof::Write,
    claims: &["S6"],
    refs: &["unix(7)", "landlock(7)"],
    remedy: "give the sandbox a root of its own that does not hold the socket",
    attempt,
};

fn attempt(cx: &mut Context) {
    let Some(path) = cx.path("socket-path") else {
        return;
    };
    send(cx, "connect", &path);
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
        return;
    };
    let opened = File::options()
        .read(true)
        .custom_flags(libc::O_PATH | libc::O_DIRECTORY)
        .open(directory);
    if let Ok(directory) = cx.step_io("open O_PATH", opened) {
        let short = PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd())).join(name);
        send(cx, "connect /proc/self/fd", &short);
    }
}

fn send(cx: &Context, call: &str, path: &Path) {
    if let Ok(mut stream) = cx.attempt_io(call, UnixStream::connect(path)) {
        let _ = cx.attempt_io("write", stream.write_all(cx.nonce().as_bytes()));
    }
}
