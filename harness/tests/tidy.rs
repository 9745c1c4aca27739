//! The house rules, as tests: what a reader would otherwise have to look for.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The most lines of a Rust file; 300 is what to aim at.
const LINES_MAX: usize = 500;

/// Files that may be longer, each with its reason.
const LONGER: [(&str, &str); 1] = [(
    "sandbox-core/tests/launch.rs",
    "one test for each part of a launch, which share their helpers",
)];

/// How far above its `unsafe` a SAFETY comment may begin.
const SAFETY_ABOVE: usize = 6;

/// What says nothing about why a block is sound.
const SAYS_NOTHING: [&str; 4] = [
    "valid parameters",
    "trivial",
    "safe to call",
    "library function",
];

/// The modules that may opt out of `unsafe_code = "deny"`, tests aside.
const UNSAFE_MODULES: [&str; 3] = [
    "sandbox-core/src/sys/",
    "probes/src/raw/",
    "harness/src/sys.rs",
];

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the harness is a folder of the workspace")
}

/// The files that belong to the repository, as paths from its top.
fn files() -> Vec<String> {
    // The check may run as a user who does not own the repository, or in a
    // copy without one.
    let listed = Command::new("git")
        .args([
            "-c",
            "safe.directory=*",
            "ls-files",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .current_dir(workspace())
        .output();
    let mut files = match listed {
        Ok(output) if output.status.success() && !output.stdout.is_empty() => {
            String::from_utf8(output.stdout)
                .expect("names are text")
                .lines()
                .map(str::to_owned)
                .collect()
        }
        _ => below(workspace()),
    };
    files.retain(|file| workspace().join(file).is_file());
    files.sort();
    assert!(files.len() > 100, "only {} files were found", files.len());
    files
}

fn below(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).expect("a directory can be listed") {
        let path = entry.expect("an entry can be read").path();
        let name = path
            .strip_prefix(workspace())
            .expect("below the workspace")
            .to_string_lossy()
            .into_owned();
        if path.is_dir() && name != "target" && name != ".git" {
            found.extend(below(&path));
        } else if path.is_file() {
            found.push(name);
        }
    }
    found
}

fn read(file: &str) -> String {
    let bytes =
        std::fs::read(workspace().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Rust files with their text; this one is left out, which names what it looks for.
fn sources() -> Vec<(String, String)> {
    let ours = |file: &String| file.ends_with(".rs") && file != "harness/tests/tidy.rs";
    files()
        .into_iter()
        .filter(ours)
        .map(|file| (file.clone(), read(&file)))
        .collect()
}

/// A line without its comment; strings that hold `//` lose their end, which
/// hides nothing that these rules look for.
fn code(line: &str) -> &str {
    line.split("//").next().unwrap_or_default()
}

fn assert_none(rule: &str, broken: &[String]) {
    assert!(broken.is_empty(), "{rule}:\n  {}", broken.join("\n  "));
}

#[test]
fn rust_files_are_short() {
    let sources = sources();
    let long = sources.iter().filter(|(file, text)| {
        text.lines().count() > LINES_MAX && !LONGER.iter().any(|(named, _)| named == file)
    });
    let long: Vec<String> = long
        .map(|(file, text)| format!("{file}: {} lines", text.lines().count()))
        .collect();
    assert_none("split when a second noun appears", &long);
    let stale = LONGER.iter().filter(|(named, _)| {
        !sources
            .iter()
            .any(|(file, text)| file == named && text.lines().count() > LINES_MAX)
    });
    assert_none(
        "no exception is needed",
        &stale
            .map(|(file, _)| (*file).to_owned())
            .collect::<Vec<_>>(),
    );
}

#[test]
fn every_unsafe_block_says_why_it_is_sound() {
    let mut broken = Vec::new();
    for (file, text) in sources() {
        let lines: Vec<&str> = text.lines().collect();
        for (index, line) in lines.iter().enumerate() {
            let begins = ["unsafe {", "unsafe impl"]
                .iter()
                .any(|word| code(line).contains(word));
            let above = &lines[index.saturating_sub(SAFETY_ABOVE)..=index];
            if begins && !above.iter().any(|line| line.contains("SAFETY:")) {
                broken.push(format!("{file}:{}: no SAFETY comment", index + 1));
            }
            let safety = line.trim_start().starts_with("// SAFETY:");
            let comment = lines[index..]
                .iter()
                .take_while(|line| line.trim_start().starts_with("//"));
            let comment: String = comment.map(|line| line.to_lowercase()).collect();
            if let Some(phrase) = SAYS_NOTHING
                .iter()
                .find(|phrase| safety && comment.contains(**phrase))
            {
                broken.push(format!("{file}:{}: {phrase:?} says nothing", index + 1));
            }
        }
    }
    assert_none(
        "name the callee's requirement and the fact that meets it",
        &broken,
    );
}

#[test]
fn only_the_modules_that_call_the_kernel_are_unsafe() {
    let allowed = |file: &str| {
        file.contains("/tests/") || UNSAFE_MODULES.iter().any(|module| file.starts_with(module))
    };
    let opts_out = |text: &str| text.lines().any(|line| code(line).contains("unsafe_code"));
    let sources = sources();
    let broken: Vec<String> = sources
        .iter()
        .filter(|(file, text)| opts_out(text) && !allowed(file))
        .map(|(file, _)| file.clone())
        .collect();
    assert_none("unsafe code lives in sys and raw", &broken);
    assert!(
        sources.iter().any(|(_, text)| opts_out(text)),
        "the rule looks for the wrong words"
    );
}

#[test]
fn nothing_is_left_undone_and_nothing_sleeps() {
    let mut broken = Vec::new();
    for (file, text) in sources() {
        let lines: Vec<&str> = text.lines().collect();
        for (index, line) in lines.iter().enumerate() {
            for word in ["todo!", "unimplemented!"] {
                if code(line).contains(word) {
                    broken.push(format!("{file}:{}: {word}", index + 1));
                }
            }
            // clippy.toml forbids it too; a place that expects the lint says why.
            if file.contains("/src/")
                && code(line).contains("thread::sleep")
                && !text.contains("clippy::disallowed_methods")
            {
                broken.push(format!("{file}:{}: thread::sleep", index + 1));
            }
        }
    }
    assert_none("wait for what happens", &broken);
}

#[test]
fn no_file_knows_the_machine_it_was_written_on() {
    let home = |text: &str| {
        text.split("/home/")
            .skip(1)
            .any(|rest| rest.starts_with(|first: char| first.is_ascii_lowercase()))
    };
    let mut broken = Vec::new();
    for file in files()
        .into_iter()
        .filter(|file| file != "harness/tests/tidy.rs")
    {
        for (index, line) in read(&file).lines().enumerate() {
            let machine = line.contains("/work/") || line.contains("/root/") || home(line);
            // Cargo's own name of the registry stands in every lock file.
            let registry = line.contains("registry = \"")
                || line.contains("crates-io.proxy")
                || line.contains("replace-with");
            if machine || registry {
                broken.push(format!("{file}:{}: {}", index + 1, line.trim()));
            }
            if file == "Cargo.lock"
                && line.starts_with("source = ")
                && line != "source = \"registry+https://github.com/rust-lang/crates.io-index\""
            {
                broken.push(format!("{file}:{}: {line}", index + 1));
            }
        }
    }
    assert_none("a path or a registry of one machine", &broken);
}

#[test]
fn every_dependency_says_what_it_is_for() {
    let manifest: toml::Table = read("Cargo.toml").parse().expect("Cargo.toml is TOML");
    let text = read("Cargo.toml");
    let mut broken = Vec::new();
    let dependencies = manifest["workspace"]["dependencies"]
        .as_table()
        .expect("a table");
    for (name, value) in dependencies {
        let ours = value.get("path").is_some();
        let line = text
            .lines()
            .find(|line| line.starts_with(&format!("{name} =")));
        if !ours && !line.is_some_and(|line| line.contains(" # ")) {
            broken.push(name.clone());
        }
    }
    assert!(!dependencies.is_empty());
    assert_none("no comment says why it is here", &broken);
    for package in ["sandbox-core", "probes", "harness"] {
        let manifest: toml::Table = read(&format!("{package}/Cargo.toml"))
            .parse()
            .expect("TOML");
        for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let table = manifest.get(kind).and_then(toml::Value::as_table);
            for (name, value) in table.into_iter().flatten() {
                let shared = value.get("workspace").and_then(toml::Value::as_bool);
                assert_eq!(
                    shared,
                    Some(true),
                    "{package} gives a version of {name} of its own"
                );
            }
        }
    }
}

#[test]
fn every_probe_is_documented_and_referenced() {
    assert!(probes::all().len() >= 26, "the registry has lost probes");
    for probe in probes::all() {
        let paragraphs = probe
            .doc
            .split("\n\n")
            .filter(|paragraph| !paragraph.trim().is_empty())
            .count();
        assert!(
            paragraphs >= 2,
            "{}: its documentation has {paragraphs} paragraph",
            probe.id
        );
        assert!(!probe.probe.refs.is_empty(), "{}: no reference", probe.id);
    }
}

#[test]
fn the_readme_names_every_subcommand_and_its_links_lead_somewhere() {
    let readme = read("README.md");
    let help = Command::new(env!("CARGO_BIN_EXE_escapology"))
        .arg("--help")
        .output()
        .expect("it starts");
    let help = String::from_utf8(help.stdout).expect("UTF-8");
    let commands: Vec<&str> = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .filter(|&command| command != "help")
        .collect();
    assert!(commands.len() >= 6, "{commands:?}");
    for command in commands {
        assert!(
            readme.contains(&format!("escapology {command}")),
            "README.md does not name {command}"
        );
    }
    for file in files()
        .iter()
        .filter(|file| !file.contains('/') && file.ends_with(".md"))
    {
        for link in read(file)
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next().map(str::to_owned))
        {
            let path = link.split('#').next().unwrap_or_default();
            let outside = path.is_empty() || path.contains("://");
            assert!(
                outside || workspace().join(path).exists(),
                "{file} links to {path}, which is not there"
            );
        }
    }
}

/// A row of the specification ends in the tests that hold it, each as
/// `path::function`, or in `[not yet enforced]`.
#[test]
fn the_specification_names_tests_that_exist() {
    let specification = read("SPECIFICATION.md");
    let mut named = BTreeSet::new();
    for (index, line) in specification.lines().enumerate() {
        let row =
            line.starts_with("| ") && !line.starts_with("| ---") && !line.starts_with("| promise");
        if !row {
            continue;
        }
        let tests: Vec<&str> = line
            .split('`')
            .filter(|word| word.contains(".rs::"))
            .collect();
        assert!(
            !tests.is_empty() || line.contains("[not yet enforced]"),
            "SPECIFICATION.md:{}: neither a test nor [not yet enforced]",
            index + 1
        );
        named.extend(tests.into_iter().map(str::to_owned));
    }
    assert!(named.len() > 10, "only {} tests are named", named.len());
    for test in named {
        let (file, function) = test.split_once("::").expect("it has both");
        assert!(
            workspace().join(file).is_file(),
            "{test}: there is no such file"
        );
        assert!(
            read(file).contains(&format!("fn {function}(")),
            "{test}: there is no such test"
        );
    }
}

/// What a reference run must hold, so that its numbers can be told apart later.
#[test]
fn a_reference_run_says_how_it_was_made() {
    let runs: BTreeSet<PathBuf> = files()
        .iter()
        .filter_map(|file| {
            Some(
                Path::new(file.strip_prefix("results/")?)
                    .components()
                    .next()?
                    .as_os_str()
                    .into(),
            )
        })
        .collect();
    assert!(!runs.is_empty(), "results/ holds no run");
    for run in runs {
        let directory = workspace().join("results").join(&run);
        for file in ["README.md", "env.json", "summary.md"] {
            assert!(
                directory.join(file).is_file(),
                "results/{}: no {file}",
                run.display()
            );
        }
    }
}

#[test]
fn the_example_of_a_probe_is_a_probe() {
    let contributing = read("CONTRIBUTING.md");
    let (_, example) = contributing
        .split_once("```rust\n")
        .expect("it shows a probe");
    let (example, _) = example.split_once("```\n").expect("the example ends");
    let file = "probes/src/probes/signal_kill_pgrp_zero.rs";
    assert_eq!(example, read(file), "CONTRIBUTING.md shows another {file}");
}
