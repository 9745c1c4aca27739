//! A planted directory tree with a secret in it, and the canaries made of one:
//! by its path, shown read-only, around the working directory, and behind an
//! inherited descriptor.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, symlink};
use std::path::{Path, PathBuf};

use probes::descriptors::identity;
use probes::wire::Record;

use super::manifest::Manifest;
use super::{Canary, FIRST_DESCRIPTOR, Ground, Lure, Output, cookie, seen};
use crate::model::Observation;

/// The tree: `secret`, `file`, `spare`, `link` (its target is the secret), and
/// the directory `inner`. Only its owner may enter it.
#[derive(Debug)]
pub(super) struct Tree {
    top: PathBuf,
    cookie: String,
    planted: Manifest,
}

impl Tree {
    /// Plants it as `tree` in the leg's directory.
    pub(super) fn plant(ground: &Ground) -> io::Result<Self> {
        let top = ground.directory.join("tree");
        let cookie = cookie();
        DirBuilder::new().mode(0o700).create(&top)?;
        DirBuilder::new().mode(0o700).create(top.join("inner"))?;
        for (name, content) in [("secret", cookie.as_str()), ("file", "-"), ("spare", "-")] {
            File::options()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(top.join(name))?
                .write_all(content.as_bytes())?;
        }
        symlink(&cookie, top.join("link"))?;
        let planted = Manifest::take(&top)?;
        Ok(Self {
            top,
            cookie,
            planted,
        })
    }

    /// Its path.
    pub(super) fn top(&self) -> &Path {
        &self.top
    }

    /// What shows that it was read or changed.
    pub(super) fn evidence(&self, output: &Output) -> io::Result<Vec<String>> {
        let mut evidence = self.planted.changes(&Manifest::take(&self.top)?);
        if output.reveals(&self.cookie) {
            evidence.push("the secret of a file came out".to_owned());
        }
        Ok(evidence)
    }

    fn argument(&self, name: &str, below: &str) -> (String, String) {
        let path = self.top.join(below);
        let path = path.as_os_str().to_string_lossy();
        (name.to_owned(), path.trim_end_matches('/').to_owned())
    }

    /// Where it is.
    pub(super) fn arguments(&self) -> Vec<(String, String)> {
        vec![
            self.argument("tree", ""),
            self.argument("secret", "secret"),
            self.argument("file", "file"),
        ]
    }

    /// Changes a file, and lets the secret out.
    fn touch(&self) -> io::Result<Output> {
        fs::write(self.top.join("file"), "poked")?;
        let value = fs::read_to_string(self.top.join("secret"))?;
        Ok(Output {
            records: vec![Record::Secret { value }],
            ..Output::default()
        })
    }
}

/// How a probe gets to the tree.
#[derive(Clone, Copy, Debug)]
pub(super) enum Way {
    /// By its path.
    Path,
    /// By its path, where it is shown read-only.
    ReadOnly,
    /// By the working directory, which is in it.
    WorkingDirectory,
    /// By a descriptor of a directory in it.
    Directory,
    /// By a read-only descriptor of a file in it.
    File,
}

/// A tree with one way to it.
#[derive(Debug)]
pub(super) struct TreeCanary {
    tree: Tree,
    way: Way,
}

impl TreeCanary {
    pub(super) fn plant(ground: &Ground, way: Way) -> io::Result<Self> {
        let tree = Tree::plant(ground)?;
        Ok(Self { tree, way })
    }
}

impl Canary for TreeCanary {
    fn lure(&mut self) -> io::Result<Lure> {
        let tree = &self.tree;
        let mut lure = Lure::default();
        match self.way {
            Way::Path => lure.arguments = tree.arguments(),
            Way::ReadOnly => {
                lure.arguments = vec![tree.argument("tree", "")];
                lure.shown_read_only = Some(tree.top().to_owned());
            }
            Way::WorkingDirectory => lure.working_directory = Some(tree.top().join("inner")),
            Way::Directory => {
                let directory = OwnedFd::from(File::open(tree.top().join("inner"))?);
                lure.arguments = vec![
                    ("directory".to_owned(), place(&directory)?),
                    tree.argument("tree", ""),
                ];
                lure.descriptors = vec![(directory, FIRST_DESCRIPTOR)];
            }
            Way::File => {
                let file = OwnedFd::from(File::open(tree.top().join("file"))?);
                lure.arguments = vec![
                    ("file-fd".to_owned(), place(&file)?),
                    tree.argument("file", "file"),
                ];
                lure.descriptors = vec![(file, FIRST_DESCRIPTOR)];
            }
        }
        Ok(lure)
    }

    fn observe(&mut self, output: &Output) -> Observation {
        seen(self.tree.evidence(output))
    }

    fn poke(&mut self) -> io::Result<Output> {
        self.tree.touch()
    }
}

/// How a probe is told of the first planted descriptor.
fn place(descriptor: &OwnedFd) -> io::Result<String> {
    Ok(format!("{FIRST_DESCRIPTOR}:{}", identity(descriptor)?))
}
