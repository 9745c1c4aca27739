//! Capability sets.
#![expect(
    unsafe_code,
    reason = "neither libc nor nix wraps capset, capget and the prctl calls around them"
)]

use nix::errno::Errno;

/// `_LINUX_CAPABILITY_VERSION_3`: 64 bits in two words.
const VERSION_3: u32 = 0x2008_0522;

#[repr(C)]
struct Header {
    version: u32,
    pid: libc::c_int,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Word {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// The three sets that [capset(2)] takes, as bit masks.
///
/// [capset(2)]: https://man7.org/linux/man-pages/man2/capset.2.html
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sets {
    pub(crate) effective: u64,
    pub(crate) permitted: u64,
    pub(crate) inheritable: u64,
}

fn low(mask: u64) -> u32 {
    let [a, b, c, d, ..] = mask.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

fn high(mask: u64) -> u32 {
    low(mask >> 32)
}

/// The calling thread's sets ([capget(2)]).
///
/// [capget(2)]: https://man7.org/linux/man-pages/man2/capset.2.html
pub(crate) fn get() -> nix::Result<Sets> {
    let header = Header {
        version: VERSION_3,
        pid: 0,
    };
    let mut words = [Word::default(); 2];
    // SAFETY: version 3 writes two words, which is what `words` holds.
    Errno::result(unsafe {
        libc::syscall(libc::SYS_capget, &raw const header, words.as_mut_ptr())
    })?;
    let join =
        |pick: fn(&Word) -> u32| u64::from(pick(&words[0])) | u64::from(pick(&words[1])) << 32;
    Ok(Sets {
        effective: join(|word| word.effective),
        permitted: join(|word| word.permitted),
        inheritable: join(|word| word.inheritable),
    })
}

/// Sets the calling thread's sets ([capset(2)]).
///
/// [capset(2)]: https://man7.org/linux/man-pages/man2/capset.2.html
pub(crate) fn set(sets: Sets) -> nix::Result<()> {
    let header = Header {
        version: VERSION_3,
        pid: 0,
    };
    let word = |part: fn(u64) -> u32| Word {
        effective: part(sets.effective),
        permitted: part(sets.permitted),
        inheritable: part(sets.inheritable),
    };
    let words = [word(low), word(high)];
    // SAFETY: version 3 reads two words, which is what `words` holds.
    Errno::result(unsafe { libc::syscall(libc::SYS_capset, &raw const header, words.as_ptr()) })
        .map(drop)
}

/// Takes a capability out of the bounding set; EINVAL where this kernel has no
/// such capability ([PR_CAPBSET_DROP(2const)]).
///
/// [PR_CAPBSET_DROP(2const)]: https://man7.org/linux/man-pages/man2/PR_CAPBSET_DROP.2const.html
pub(crate) fn drop_bounding(capability: u8) -> nix::Result<()> {
    // SAFETY: takes no pointer.
    Errno::result(unsafe {
        libc::prctl(
            libc::PR_CAPBSET_DROP,
            libc::c_ulong::from(capability),
            0,
            0,
            0,
        )
    })
    .map(drop)
}

/// Whether the bounding set holds a capability; EINVAL as for [`drop_bounding`]
/// ([PR_CAPBSET_READ(2const)]).
///
/// [PR_CAPBSET_READ(2const)]: https://man7.org/linux/man-pages/man2/PR_CAPBSET_READ.2const.html
pub(crate) fn in_bounding(capability: u8) -> nix::Result<bool> {
    // SAFETY: takes no pointer.
    Errno::result(unsafe {
        libc::prctl(
            libc::PR_CAPBSET_READ,
            libc::c_ulong::from(capability),
            0,
            0,
            0,
        )
    })
    .map(|present| present == 1)
}

/// Empties the ambient set ([PR_CAP_AMBIENT(2const)]).
///
/// [PR_CAP_AMBIENT(2const)]: https://man7.org/linux/man-pages/man2/PR_CAP_AMBIENT.2const.html
pub(crate) fn clear_ambient() -> nix::Result<()> {
    // SAFETY: takes no pointer.
    let result = unsafe {
        libc::prctl(
            libc::PR_CAP_AMBIENT,
            libc::PR_CAP_AMBIENT_CLEAR_ALL,
            0,
            0,
            0,
        )
    };
    Errno::result(result).map(drop)
}

/// Adds a capability to the ambient set; it must be permitted and inheritable
/// ([PR_CAP_AMBIENT(2const)]).
///
/// [PR_CAP_AMBIENT(2const)]: https://man7.org/linux/man-pages/man2/PR_CAP_AMBIENT.2const.html
pub(crate) fn raise_ambient(capability: u8) -> nix::Result<()> {
    let capability = libc::c_ulong::from(capability);
    // SAFETY: takes no pointer.
    let result = unsafe {
        libc::prctl(
            libc::PR_CAP_AMBIENT,
            libc::PR_CAP_AMBIENT_RAISE,
            capability,
            0,
            0,
        )
    };
    Errno::result(result).map(drop)
}

/// Keeps the permitted set across a change of user ids ([PR_SET_KEEPCAPS(2const)]).
///
/// [PR_SET_KEEPCAPS(2const)]: https://man7.org/linux/man-pages/man2/PR_SET_KEEPCAPS.2const.html
pub(crate) fn keep_across_setuid() -> nix::Result<()> {
    // SAFETY: takes no pointer.
    Errno::result(unsafe { libc::prctl(libc::PR_SET_KEEPCAPS, 1, 0, 0, 0) }).map(drop)
}
