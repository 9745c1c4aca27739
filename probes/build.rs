//! Turns the folder `src/probes` into the registry: a new file is a new probe.
//!
//! A probe's id is its file's name with `-` for `_`; its documentation is the
//! file's `//!` text. A file without either stops the build with a sentence.

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

fn main() {
    let folder =
        Path::new(&env::var("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("src/probes");
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut files: Vec<_> = fs::read_dir(&folder)
        .expect("src/probes can be listed")
        .map(|entry| entry.expect("src/probes can be read").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect();
    files.sort();

    let mut modules = String::new();
    let mut entries = String::new();
    for path in &files {
        let module = path
            .file_stem()
            .and_then(|stem| stem.to_str())
            .expect("a probe's file name is text");
        let source = fs::read_to_string(path).expect("a probe's file can be read");
        let doc = module_docs(&source);
        if doc.is_empty() {
            println!(
                "cargo::error=src/probes/{module}.rs has no `//!` documentation: say in its first line what the probe attempts"
            );
        }
        writeln!(
            modules,
            "#[path = {:?}]\nmod {module};\nconst _: () = {module}::PROBE.check();",
            path.display().to_string()
        )
        .expect("write to a String");
        writeln!(
            entries,
            "    Registered {{ id: {:?}, doc: {doc:?}, probe: {module}::PROBE }},",
            module.replace('_', "-")
        )
        .expect("write to a String");
    }
    let registry = format!("{modules}\nstatic ALL: &[Registered] = &[\n{entries}];\n");
    let out = Path::new(&env::var("OUT_DIR").expect("cargo sets it")).join("registry.rs");
    fs::write(out, registry).expect("OUT_DIR can be written");
}

fn module_docs(source: &str) -> String {
    let lines: Vec<&str> = source
        .lines()
        .map_while(|line| line.strip_prefix("//!"))
        .map(|line| line.strip_prefix(' ').unwrap_or(line))
        .collect();
    lines.join("\n").trim().to_owned()
}
