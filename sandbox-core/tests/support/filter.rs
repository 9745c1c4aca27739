//! System calls that answer otherwise than this kernel's, for one thread.

use std::collections::BTreeMap;

pub(crate) use seccompiler::SeccompAction as Answer;
use seccompiler::{
    BpfProgram, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};

/// Runs this in a thread of its own, which cannot make these calls, nor can
/// what it launches; all other threads can.
pub(crate) fn with_filter<T: Send>(
    calls: &[libc::c_long],
    answer: Answer,
    body: impl FnOnce() -> T + Send,
) -> T {
    let rules = calls.iter().map(|&call| (call, Vec::new())).collect();
    with_rules(rules, answer, body)
}

fn with_rules<T: Send>(
    rules: BTreeMap<libc::c_long, Vec<SeccompRule>>,
    answer: Answer,
    body: impl FnOnce() -> T + Send,
) -> T {
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

/// As under Docker's default filter: no clone3, whose flags it cannot see, and
/// no namespace by clone or unshare.
pub(crate) fn without_namespaces<T: Send>(body: impl FnOnce() -> T + Send) -> T {
    let namespaces = [
        libc::CLONE_NEWUSER,
        libc::CLONE_NEWPID,
        libc::CLONE_NEWNS,
        libc::CLONE_NEWNET,
        libc::CLONE_NEWIPC,
        libc::CLONE_NEWUTS,
        libc::CLONE_NEWCGROUP,
    ];
    let rules: Vec<SeccompRule> = namespaces
        .into_iter()
        .map(|flag| {
            let flag = u64::from(flag.unsigned_abs());
            let set = SeccompCmpOp::MaskedEq(flag);
            let condition = SeccompCondition::new(0, SeccompCmpArgLen::Dword, set, flag).unwrap();
            SeccompRule::new(vec![condition]).unwrap()
        })
        .collect();
    let rules = [(libc::SYS_clone, rules), (libc::SYS_unshare, Vec::new())].into();
    without(&[libc::SYS_clone3], || {
        with_rules(rules, Answer::Errno(libc::EPERM.unsigned_abs()), body)
    })
}
