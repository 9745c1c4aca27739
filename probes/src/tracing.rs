//! Taking hold of another process and writing into it.

use nix::errno::Errno;
use nix::sys::ptrace;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

use crate::Context;

/// PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_POKEDATA of the nonce into a page of the
/// process, and PTRACE_DETACH; each reported, with a word for the process.
pub(crate) fn overwrite(cx: &Context, victim: Pid, page: usize, which: &str) {
    let seized = ptrace::seize(victim, ptrace::Options::empty());
    if cx
        .attempt(&format!("ptrace PTRACE_SEIZE{which}"), seized)
        .is_err()
    {
        return;
    }
    let stopped = cx.attempt(&format!("ptrace PTRACE_INTERRUPT{which}"), stop(victim));
    if let Ok(()) = stopped {
        let poked = poke(victim, page, cx.nonce());
        let _ = cx.attempt(&format!("ptrace PTRACE_POKEDATA{which}"), poked);
        let detached = ptrace::detach(victim, None);
        let _ = cx.attempt(&format!("ptrace PTRACE_DETACH{which}"), detached);
    }
}

/// Stops it and waits until it has stopped: only then may memory be written.
fn stop(victim: Pid) -> nix::Result<()> {
    ptrace::interrupt(victim)?;
    waitpid(victim, Some(WaitPidFlag::__WALL)).map(drop)
}

fn poke(victim: Pid, page: usize, nonce: &str) -> nix::Result<()> {
    const WORD: usize = size_of::<libc::c_long>();
    for (index, word) in nonce.as_bytes().chunks_exact(WORD).enumerate() {
        let word = <[u8; WORD]>::try_from(word).map_err(|_| Errno::EINVAL)?;
        let address = std::ptr::without_provenance_mut(page + index * WORD);
        ptrace::write(victim, address, libc::c_long::from_ne_bytes(word))?;
    }
    Ok(())
}
