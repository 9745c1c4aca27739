//! Processes that an attempt leaves behind: on their own, heard, and mortal.

use std::io::{PipeWriter, Read as _, Write as _};
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid};

use crate::wire::Record;
use crate::{Context, raw};

/// Seconds that one lives at most: more than the harness listens.
const LIFETIME: u32 = 3;

/// How often it says that it is alive: often enough to be heard soon after a teardown.
pub(crate) const BEAT: Duration = Duration::from_millis(25);

/// More than fit in its lifetime, fewer than a reader keeps.
pub(crate) const BEATS: u64 = 110;

/// Makes a process by `make`, lets it run `body`, and comes back once that has
/// called [`announce`] or ended without. `body` need not come back.
pub(crate) fn send_off(
    cx: &Context,
    call: &str,
    make: impl FnOnce() -> nix::Result<ForkResult>,
    body: impl FnOnce(&Context, PipeWriter),
) -> Option<Pid> {
    let (mut started, writer) = cx.step_io("pipe", std::io::pipe()).ok()?;
    match cx.step(call, make()).ok()? {
        ForkResult::Child => {
            body(cx, writer);
            raw::exit()
        }
        ForkResult::Parent { child } => {
            drop(writer);
            // One byte once it is on its own; none where it never was.
            let _ = cx.attempt_io(call, started.read_exact(&mut [0]));
            Some(child)
        }
    }
}

/// As [`send_off`] by fork(2), and reaps the child, which is to end soon: the
/// process that stays is one that it made.
pub(crate) fn send_off_and_reap(cx: &Context, call: &str, body: impl FnOnce(&Context, PipeWriter)) {
    if let Some(child) = send_off(cx, call, raw::fork, body) {
        let _ = waitpid(child, None);
    }
}

/// Ends the caller when its time is over, and not by any other signal that can be
/// blocked. To be called anew after each fork, which takes alarms away.
pub(crate) fn become_mortal() {
    nix::unistd::alarm::set(LIFETIME);
    let mut signals = SigSet::all();
    signals.remove(Signal::SIGALRM);
    // It cannot fail with a valid set.
    let _ = signals.thread_block();
}

/// Tells the attempt that this process is on its own.
pub(crate) fn announce(mut writer: PipeWriter) {
    // An attempt that has been killed needs to know nothing.
    let _ = writer.write_all(&[1]);
}

/// Says once that it is alive: whether anybody still reads.
#[expect(clippy::disallowed_methods, reason = "a heartbeat is time passing")]
pub(crate) fn beat(cx: &Context, count: u64) -> bool {
    let heard = cx.try_report(&Record::Beat { count }).is_ok();
    std::thread::sleep(BEAT);
    heard
}

/// Says so until its time is over or nobody reads.
pub(crate) fn live(cx: &Context) {
    let _ = (0..BEATS).all(|count| beat(cx, count));
}
