//! Opens an inherited read-only descriptor again, for writing.
//!
//! `/proc/self/fd/N` leads to the file itself, wherever it lies: opening that
//! checks the file's permissions anew, and the user owns the file. So a file
//! that was handed in to be read can be written. fchmod(2) and futimens(3)
//! need no descriptor for writing at all.
//!
//! Stopped by not handing the descriptor in: what has to go in can be a
//! sealed memory file, or a descriptor on a read-only mount.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsRawFd as _;

use nix::sys::stat::{Mode, fchmod, futimens};
use nix::sys::time::TimeSpec;

use crate::{Canary, Class, Context, Guard, Probe, Proof, Refusal, Stop};

pub(crate) const PROBE: Probe = Probe {
    class: Class::Descriptor,
    canary: Canary::ReadOnlyDescriptor,
    stops: &[Stop {
        guards: &[Guard::Descriptors],
        refusal: Refusal::Absent,
    }],
    needs: &[],
    proof: Proof::Write,
    claims: &["F5"],
    refs: &["proc_pid_fd(5)", "open(2)", "fcntl(2) F_ADD_SEALS"],
    remedy: "close the descriptor before the program is executed, or hand in a sealed copy",
    attempt,
};

fn attempt(cx: &mut Context) {
    let Some(file) = cx.descriptor("file-fd") else {
        return;
    };
    let number = file.as_raw_fd();
    for path in [
        format!("/proc/self/fd/{number}"),
        format!("/proc/thread-self/fd/{number}"),
        format!("/dev/fd/{number}"),
    ] {
        let written = File::options()
            .write(true)
            .open(&path)
            .and_then(|mut file| file.write_all(cx.nonce().as_bytes()));
        let _ = cx.attempt_io(&format!("open {path} O_WRONLY"), written);
    }
    let epoch = TimeSpec::new(1, 0);
    let _ = cx.attempt("futimens", futimens(file, &epoch, &epoch));
    let _ = cx.attempt("fchmod", fchmod(file, Mode::S_IRUSR | Mode::S_IWUSR | Mode::S_IXUSR));
}
