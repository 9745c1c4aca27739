//! System calls that answer otherwise than this kernel's, for one thread.

use std::collections::BTreeMap;

pub(crate) use seccompiler::SeccompAction as Answer;
use seccompiler::{BpfProgram, SeccompFilter};

/// Runs this in a thread of its own, which cannot make these calls, nor can
/// what it launches; all other threads can.
pub(crate) fn with_filter<T: Send>(
    calls: &[libc::c_long],
    answer: Answer,
    body: impl FnOnce() -> T + Send,
) -> T {
    let rules: BTreeMap<_, _> = calls.iter().map(|&call| (call, Vec::new())).collect();
    let arch = std::env::consts::ARCH.try_into().unwrap();
    let filter = SeccompFilter::new(rules, Answer::Allow, answer, arch).unwrap();
    let program: BpfProgram = filter.try_into().unwrap();
    std::thread::scope(|scope| {
        let thread = scope.spawn(move || {
            seccompiler::apply_filter(&program).unwrap();
            body()
        });
        match thread.join() {
            Ok(value) => value,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// As a kernel that has none of these calls.
pub(crate) fn without<T: Send>(calls: &[libc::c_long], body: impl FnOnce() -> T + Send) -> T {
    with_filter(calls, Answer::Errno(libc::ENOSYS.unsigned_abs()), body)
}
