//! What a probe is launched by: one of our sandboxes, or somebody else's program.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use sandbox_core::{Access, Capabilities, Command, Guard, Mount, Namespace, Sandbox, Spec};

use super::Field;
use crate::canary::{Ground, Lure};

/// What a probe is launched by.
#[derive(Clone, Debug)]
pub enum Launcher {
    /// A sandbox of ours, as it is.
    Sandbox(Sandbox),
    /// These protections of it, and what they need.
    Only(Sandbox, Vec<Guard>),
    /// All of it but this protection.
    Without(Sandbox, Guard),
    /// A foreign launcher's command line.
    Command(Vec<OsString>),
}

/// A launch that has all it needs but its streams.
#[derive(Debug)]
pub struct Prepared {
    sandbox: Sandbox,
    /// A program found through PATH; none is the probe, by descriptor.
    program: Option<OsString>,
    arguments: Vec<OsString>,
}

impl Launcher {
    /// No protection at all.
    ///
    /// # Errors
    /// None: the description is sound.
    pub fn bare() -> io::Result<Self> {
        Spec::nothing()
            .build()
            .map(Self::Sandbox)
            .map_err(io::Error::other)
    }

    /// Puts a probe's launch together.
    ///
    /// # Errors
    /// Where the leg's directory cannot be used.
    pub fn prepare(
        &self,
        field: &Field,
        ground: &Ground,
        lure: &Lure,
        arguments: Vec<OsString>,
    ) -> io::Result<Prepared> {
        let shown = lure.shown_read_only.as_deref();
        let own = |sandbox: Sandbox| {
            let spec = Spec {
                deadline: Some(field.deadline),
                ..sandbox.into()
            };
            Ok(Prepared {
                sandbox: spec.build().map_err(io::Error::other)?,
                program: None,
                arguments: arguments.clone(),
            })
        };
        match self {
            Self::Sandbox(sandbox) => own(showing(sandbox, shown)?),
            // The arena has the capabilities that namespaces need.
            Self::Only(sandbox, guards) => own(showing(sandbox, shown)?.only(guards, true).sandbox),
            Self::Without(sandbox, guard) => own(showing(sandbox, shown)?.without(*guard).sandbox),
            Self::Command(command) => {
                let work = match shown {
                    Some(directory) => directory.to_owned(),
                    None => empty_directory(ground)?,
                };
                let mut words = expand(command, field, &work, &arguments);
                let program = words.remove(0);
                // As the user's own shell would start it: with root's
                // capabilities for root, and with none for anybody else.
                let spec = Spec {
                    deadline: Some(field.deadline),
                    capabilities: Capabilities::Inherit,
                    ..Spec::nothing()
                };
                Ok(Prepared {
                    sandbox: spec.build().map_err(io::Error::other)?,
                    program: Some(program),
                    arguments: words,
                })
            }
        }
    }
}

impl Prepared {
    /// The command, without streams and lure.
    ///
    /// # Errors
    /// Where the probe's descriptor cannot be copied.
    pub fn command(&self, field: &Field) -> io::Result<Command<'_>> {
        let mut command = match &self.program {
            Some(program) => Command::search(&self.sandbox, program),
            None => Command::from_descriptor(
                &self.sandbox,
                field.program.try_clone()?.into(),
                "escapology-probe",
            ),
        };
        command.args(&self.arguments);
        Ok(command)
    }
}

/// A sandbox that shows a directory, read-only, where it can show any.
fn showing(sandbox: &Sandbox, directory: Option<&Path>) -> io::Result<Sandbox> {
    let mut spec = sandbox.spec().clone();
    if let Some(directory) = directory
        && spec.has(Namespace::Mount)
    {
        spec.mounts.push(Mount::Bind {
            source: directory.into(),
            target: directory.into(),
            access: Access::ReadOnly,
            optional: false,
        });
    }
    spec.build().map_err(io::Error::other)
}

fn empty_directory(ground: &Ground) -> io::Result<PathBuf> {
    let path = ground.directory.join("work");
    std::fs::DirBuilder::new().mode(0o755).create(&path)?;
    Ok(path)
}

/// Puts the probe's own command line, its path and a directory into a
/// launcher's. Where `{probe}` is missing it goes to the end.
fn expand(
    command: &[OsString],
    field: &Field,
    work: &Path,
    arguments: &[OsString],
) -> Vec<OsString> {
    let probe = || {
        std::iter::once(field.program_path.clone().into_os_string())
            .chain(arguments.iter().cloned())
    };
    let mut words = Vec::new();
    let mut placed = false;
    for word in command {
        if word == "{probe}" {
            placed = true;
            words.extend(probe());
            continue;
        }
        // Inside a word, as in sh -c '… {probe}', it becomes one string, which
        // needs no quoting: paths and arguments are of our own making.
        let joined = probe().collect::<Vec<_>>().join(OsStr::new(" "));
        placed |= word
            .as_bytes()
            .windows(b"{probe}".len())
            .any(|window| window == b"{probe}");
        let word = replace(word, b"{probe-path}", field.program_path.as_os_str());
        let word = replace(&word, b"{workdir}", work.as_os_str());
        words.push(replace(&word, b"{probe}", &joined));
    }
    if !placed {
        words.extend(probe());
    }
    words
}

fn replace(word: &OsStr, mark: &[u8], value: &OsStr) -> OsString {
    let bytes = word.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = rest.windows(mark.len()).position(|window| window == mark) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(value.as_bytes());
        rest = &rest[at + mark.len()..];
    }
    out.extend_from_slice(rest);
    OsString::from_vec(out)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::at_its_place(&["l", "--", "{probe}", "end"], &["l", "--", "/p", "run", "x", "end"])]
    #[case::at_the_end(&["l", "-a"], &["l", "-a", "/p", "run", "x"])]
    #[case::path_and_directory(
        &["l", "--bind={probe-path}:{probe-path}", "{workdir}", "{probe}"],
        &["l", "--bind=/p:/p", "/w", "/p", "run", "x"])]
    #[case::inside_a_word(&["sh", "-c", "exec {probe} 9>&-"], &["sh", "-c", "exec /p run x 9>&-"])]
    fn a_launchers_command_line(#[case] command: &[&str], #[case] expected: &[&str]) {
        let field = Field {
            program: std::fs::File::open("/dev/null").unwrap(),
            program_path: "/p".into(),
            directory: "/".into(),
            deadline: std::time::Duration::MAX,
        };
        let command: Vec<OsString> = command.iter().map(OsString::from).collect();
        let words = expand(
            &command,
            &field,
            Path::new("/w"),
            &["run".into(), "x".into()],
        );
        assert_eq!(words, expected);
    }
}
