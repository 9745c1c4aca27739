//! The smallest program there is, which needs nothing: leaves with code 42.

use std::io::Write;
use std::os::fd::OwnedFd;

use nix::sys::memfd::{MFdFlags, memfd_create};

#[cfg(target_arch = "x86_64")]
const CODE: (u16, &[u8]) = (62, &[0xbf, 42, 0, 0, 0, 0xb8, 60, 0, 0, 0, 0x0f, 0x05]);
#[cfg(target_arch = "aarch64")]
const CODE: (u16, &[u8]) = (
    183,
    &[
        0x40, 0x05, 0x80, 0xd2, 0xa8, 0x0b, 0x80, 0xd2, 0x01, 0, 0, 0xd4,
    ],
);

/// In a memory file: elf(5), one loadable segment.
pub(crate) fn exits_with_42() -> OwnedFd {
    const BASE: u64 = 0x40_0000;
    let (machine, code) = CODE;
    let start = 64 + 56;
    let mut elf = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    for half in [2_u16, machine] {
        elf.extend(half.to_le_bytes());
    }
    elf.extend(1_u32.to_le_bytes());
    for word in [BASE + start, 64, 0] {
        elf.extend(word.to_le_bytes());
    }
    elf.extend(0_u32.to_le_bytes());
    for half in [64_u16, 56, 1, 0, 0, 0] {
        elf.extend(half.to_le_bytes());
    }
    elf.extend(1_u32.to_le_bytes());
    elf.extend(5_u32.to_le_bytes());
    let size = start + code.len() as u64;
    for word in [0, BASE, BASE, size, size, 0x1000] {
        elf.extend(word.to_le_bytes());
    }
    elf.extend(code);
    let file = memfd_create(c"program", MFdFlags::MFD_CLOEXEC).unwrap();
    let mut file = std::fs::File::from(file);
    file.write_all(&elf).unwrap();
    file.into()
}
