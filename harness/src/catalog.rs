//! The built-in sandboxes, and those of a user's own: TOML files.

use std::path::Path;

use sandbox_core::{Sandbox, Spec};

use crate::commands::Error;
use crate::guards;
use crate::model::SandboxFacts;
use crate::select;

/// Name and text of each built-in sandbox, weakest first.
const BUILT_IN: [(&str, &str); 4] = [
    ("none", include_str!("../sandboxes/none.toml")),
    ("chroot", include_str!("../sandboxes/chroot.toml")),
    ("namespaces", include_str!("../sandboxes/namespaces.toml")),
    ("strict", include_str!("../sandboxes/strict.toml")),
];

/// A sandbox with a name.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its name in reports.
    pub name: String,
    /// What it is.
    pub sandbox: Sandbox,
}

impl Entry {
    /// What a report says of it.
    pub fn facts(&self) -> SandboxFacts {
        SandboxFacts {
            name: self.name.clone(),
            description: self.sandbox.spec().description.clone(),
            command: Vec::new(),
            guards: guards::names(self.sandbox.guards()),
            degraded: Vec::new(),
        }
    }
}

/// All built-in sandboxes, weakest first.
///
/// # Errors
/// None, as long as the files that this program was built with are sound; a
/// test sees to that.
pub fn built_in() -> Result<Vec<Entry>, Error> {
    BUILT_IN
        .iter()
        .map(|(name, text)| parse(name, text))
        .collect()
}

/// The built-in sandbox with this name.
///
/// # Errors
/// A name that does not exist, with those that look like it.
pub fn find(name: &str) -> Result<Entry, Error> {
    match BUILT_IN.iter().find(|(other, _)| *other == name) {
        Some((name, text)) => parse(name, text),
        None => Err(select::nothing("sandbox", name, &BUILT_IN.map(|(name, _)| name)).into()),
    }
}

/// The sandbox that has every protection a probe can name: what the `only`
/// legs are parts of.
///
/// # Errors
/// See [`built_in`].
pub fn whole() -> Result<Sandbox, Error> {
    Ok(find("strict")?.sandbox)
}

/// The text of a built-in sandbox, to copy and change.
pub fn text(name: &str) -> Option<&'static str> {
    BUILT_IN
        .iter()
        .find(|(other, _)| *other == name)
        .map(|(_, text)| *text)
}

/// A sandbox of a user's own. Its name is the file's.
///
/// # Errors
/// A file that cannot be read, is no TOML, or describes no sandbox: what, where
/// and why, as wrong usage.
pub fn read(path: &Path) -> Result<Entry, Error> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Error::Usage(format!(
            "cannot read sandbox file {}: {error}",
            path.display()
        ))
    })?;
    let name = path
        .file_stem()
        .unwrap_or(path.as_os_str())
        .to_string_lossy();
    parse(&name, &text)
        .map_err(|error| Error::Usage(format!("{}: {}", path.display(), error.chain())))
}

fn parse(name: &str, text: &str) -> Result<Entry, Error> {
    let spec: Spec = toml::from_str(text).map_err(|error| Error::Usage(one_line(&error, text)))?;
    let sandbox = spec
        .build()
        .map_err(|error| Error::Usage(error.to_string()))?;
    Ok(Entry {
        name: name.to_owned(),
        sandbox,
    })
}

/// What is wrong and where, without toml's drawing of it, which takes four lines.
fn one_line(error: &toml::de::Error, text: &str) -> String {
    // The message of a wrong type may run over several lines.
    let message = error.message().replace('\n', ", ");
    let Some(before) = error.span().and_then(|span| text.get(..span.start)) else {
        return message;
    };
    let line = before.matches('\n').count() + 1;
    format!("line {line}: {message}")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use sandbox_core::Guard;

    use super::*;

    #[test]
    fn every_built_in_sandbox_is_sound_and_says_what_it_is() {
        for entry in built_in().unwrap() {
            assert!(
                !entry.sandbox.spec().description.is_empty(),
                "{}",
                entry.name
            );
        }
    }

    #[test]
    fn each_has_the_protections_that_its_name_says() {
        assert_eq!(find("none").unwrap().sandbox.guards(), [].into());
        assert_eq!(
            find("chroot").unwrap().sandbox.guards(),
            [Guard::Root, Guard::WorkingDirectory].into()
        );
        let namespaces = find("namespaces").unwrap().sandbox.guards();
        assert!(
            !namespaces.contains(&Guard::TimeNamespace)
                && namespaces.contains(&Guard::CgroupNamespace)
        );
        let strict = find("strict").unwrap().sandbox.guards();
        assert!(strict.is_superset(&namespaces) && strict.contains(&Guard::Limits));
    }

    #[test]
    fn a_sandbox_survives_being_written_and_read() {
        for entry in built_in().unwrap() {
            let text = toml::to_string(&entry.sandbox).unwrap();
            assert_eq!(
                parse(&entry.name, &text).unwrap().sandbox,
                entry.sandbox,
                "{text}"
            );
        }
    }

    #[rstest]
    #[case::no_toml("namespaces = [", "line 1")]
    #[case::unknown_key("namspaces = []", "line 1: unknown field `namspaces`")]
    #[case::a_later_line("namespaces = []\n\nhostname = 3", "line 3: ")]
    #[case::unknown_namespace("namespaces = [\"usr\"]", "unknown variant `usr`")]
    #[case::contradiction("hostname = \"box\"", "add \"uts\" to namespaces")]
    #[case::unknown_capability("capabilities = [\"CAP_NONE\"]", "CAP_NONE")]
    fn a_bad_file_is_one_clear_error(#[case] text: &str, #[case] words: &str) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mine.toml");
        std::fs::write(&path, text).unwrap();
        let error = read(&path).unwrap_err();
        assert_eq!(error.exit_code(), crate::exit_code::USAGE);
        assert!(
            error.chain().contains(words)
                && error.chain().contains("mine.toml")
                && !error.chain().contains('\n'),
            "{}",
            error.chain()
        );
    }

    #[test]
    fn a_name_that_does_not_exist_is_wrong_usage() {
        let error = find("namespace").unwrap_err();
        assert!(
            error.chain().contains("did you mean namespaces?"),
            "{}",
            error.chain()
        );
    }
}
