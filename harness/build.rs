//! Builds the program that runs inside sandboxes and hands its path to
//! `src/probe_program.rs`, which carries it in the harness.
//!
//! It is a build of its own because it must be static (a sandbox's root holds
//! no C library) whatever flags the harness itself is built with, and because
//! cargo has no stable way to depend on another package's binary
//! (rust-lang/cargo#9096).

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// What of the outer cargo's variables the inner one needs: where its crates
/// are. Everything else of them (clippy's wrapper, flags, the outer package)
/// would change what is built.
const KEPT: [&str; 5] = [
    "CARGO_HOME",
    "CARGO_HTTP_",
    "CARGO_NET_",
    "CARGO_REGISTRIES_",
    "CARGO_SOURCE_",
];

/// How the program is built: static at a fixed address, small, and ended by a
/// panic at once.
const SETTINGS: [(&str, &str); 7] = [
    (
        "CARGO_ENCODED_RUSTFLAGS",
        "-Ctarget-feature=+crt-static\x1f-Crelocation-model=static",
    ),
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "s"),
    ("CARGO_PROFILE_RELEASE_PANIC", "abort"),
    ("CARGO_PROFILE_RELEASE_STRIP", "symbols"),
    ("CARGO_PROFILE_RELEASE_DEBUG", "false"),
    ("CARGO_PROFILE_RELEASE_LTO", "thin"),
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1"),
];

fn main() {
    let package = PathBuf::from(variable("CARGO_MANIFEST_DIR"));
    let workspace = package
        .parent()
        .expect("the harness is a folder of the workspace");
    for source in [
        "probes/src",
        "probes/build.rs",
        "probes/Cargo.toml",
        "Cargo.toml",
        "Cargo.lock",
    ] {
        println!(
            "cargo::rerun-if-changed={}",
            workspace.join(source).display()
        );
    }
    let built = build(workspace);
    println!(
        "cargo::rustc-env=ESCAPOLOGY_PROBE_PROGRAM={}",
        built.display()
    );
}

/// Builds the program and gives its path.
fn build(workspace: &Path) -> PathBuf {
    let target = variable("TARGET");
    let directory = PathBuf::from(variable("OUT_DIR")).join("probe");
    let mut cargo = Command::new(variable("CARGO"));
    for (name, _) in env::vars_os().filter(|(name, _)| is_the_outer_builds(name)) {
        cargo.env_remove(name);
    }
    let status = cargo
        .envs(SETTINGS)
        .current_dir(workspace)
        .args(["build", "--quiet", "--locked", "--release"])
        .args([
            "--package",
            "escapology-probes",
            "--bin",
            "escapology-probe",
        ])
        .arg("--target")
        .arg(&target)
        .arg("--target-dir")
        .arg(&directory)
        .status()
        .expect("cargo can be started");
    assert!(
        status.success(),
        "the probe program does not build: {status}"
    );

    let program = directory
        .join(&target)
        .join("release")
        .join("escapology-probe");
    let image = fs::read(&program).expect("the probe program was built");
    assert!(
        !has_interpreter(&image),
        "the probe program is not static: it could not run in an empty root"
    );
    program
}

/// Whether an environment variable belongs to the build that runs this script.
fn is_the_outer_builds(name: &OsString) -> bool {
    let name = name.to_string_lossy();
    let cargos = name.starts_with("CARGO_") && !KEPT.iter().any(|kept| name.starts_with(kept));
    let rustcs = [
        "RUSTFLAGS",
        "RUSTDOCFLAGS",
        "RUSTC_WRAPPER",
        "RUSTC_WORKSPACE_WRAPPER",
    ]
    .contains(&name.as_ref());
    cargos || rustcs
}

/// Whether a 64-bit ELF file asks for a dynamic loader (PT_INTERP, elf(5)).
fn has_interpreter(image: &[u8]) -> bool {
    const PT_INTERP: u64 = 3;
    let number = |offset: u64, length: usize| {
        let offset = usize::try_from(offset).expect("the file is in memory");
        let mut bytes = [0; 8];
        bytes[..length].copy_from_slice(&image[offset..offset + length]);
        u64::from_le_bytes(bytes)
    };
    let (table, entry_size, entries) = (number(32, 8), number(54, 2), number(56, 2));
    (0..entries).any(|entry| number(table + entry * entry_size, 4) == PT_INTERP)
}

fn variable(name: &str) -> OsString {
    env::var_os(name).unwrap_or_else(|| panic!("cargo sets {name}"))
}
