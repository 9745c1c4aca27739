//! What a directory tree is like, file by file: two of them tell what changed.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs::{self, File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::sys;

/// The most of a file's content that is compared; its size is compared whole.
const CONTENT_MAX: u64 = 64 << 10;

/// A tree's files by their path below its top, which is the empty path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Manifest(BTreeMap<PathBuf, Entry>);

/// One file. Not the time of its last access: reading is no change.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    /// Device and inode: another file under the same name is a change.
    identity: (u64, u64),
    /// Kind and permissions.
    mode: u32,
    owner: (u32, u32),
    links: u64,
    size: u64,
    /// Last change of content, and of anything, in nanoseconds.
    times: ((i64, i64), (i64, i64)),
    attributes: BTreeMap<Vec<u8>, Vec<u8>>,
    content: Content,
}

/// What is in a file, as far as it can be read without side effects.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Content {
    Bytes(Vec<u8>),
    Target(PathBuf),
    /// No regular file and no link, or one that can't be read.
    Opaque,
}

impl Manifest {
    /// Takes down a tree. Links are not followed, FIFOs not opened.
    pub(super) fn take(top: &Path) -> io::Result<Self> {
        let mut entries = BTreeMap::new();
        let mut open = vec![PathBuf::new()];
        while let Some(below) = open.pop() {
            let path = top.join(&below);
            let metadata = fs::symlink_metadata(&path)?;
            if metadata.is_dir() {
                // A directory that was locked is a change of its mode already.
                for entry in fs::read_dir(&path).into_iter().flatten() {
                    open.push(below.join(entry?.file_name()));
                }
            }
            entries.insert(below, Entry::take(&path, &metadata));
        }
        Ok(Self(entries))
    }

    /// What is different in a later manifest of the same tree, a line each.
    pub(super) fn changes(&self, later: &Self) -> Vec<String> {
        let name = |path: &Path| match path.as_os_str().is_empty() {
            true => "the directory".to_owned(),
            false => path.display().to_string(),
        };
        let mut changes = Vec::new();
        for (path, before) in &self.0 {
            match later.0.get(path) {
                None => changes.push(format!("{} is gone", name(path))),
                Some(after) if before != after => {
                    let what = before.differences(after).join(", ");
                    changes.push(format!("{}: other {what}", name(path)));
                }
                Some(_) => {}
            }
        }
        let new = later.0.keys().filter(|path| !self.0.contains_key(*path));
        changes.extend(new.map(|path| format!("{} is new", name(path))));
        changes
    }
}

impl Entry {
    fn take(path: &Path, metadata: &Metadata) -> Self {
        Self {
            identity: (metadata.dev(), metadata.ino()),
            mode: metadata.mode(),
            owner: (metadata.uid(), metadata.gid()),
            links: metadata.nlink(),
            size: metadata.size(),
            times: (
                (metadata.mtime(), metadata.mtime_nsec()),
                (metadata.ctime(), metadata.ctime_nsec()),
            ),
            attributes: attributes(path),
            content: content(path, metadata).unwrap_or(Content::Opaque),
        }
    }

    fn differences(&self, other: &Self) -> Vec<&'static str> {
        [
            ("inode", self.identity != other.identity),
            ("mode", self.mode != other.mode),
            ("owner", self.owner != other.owner),
            ("number of links", self.links != other.links),
            ("size", self.size != other.size),
            ("content", self.content != other.content),
            ("attributes", self.attributes != other.attributes),
            ("times", self.times != other.times),
        ]
        .into_iter()
        .filter_map(|(what, differs)| differs.then_some(what))
        .collect()
    }
}

fn content(path: &Path, metadata: &Metadata) -> io::Result<Content> {
    if metadata.is_symlink() {
        return Ok(Content::Target(fs::read_link(path)?));
    }
    if !metadata.is_file() {
        return Ok(Content::Opaque);
    }
    let file = File::options()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path)?;
    let mut bytes = Vec::new();
    file.take(CONTENT_MAX).read_to_end(&mut bytes)?;
    Ok(Content::Bytes(bytes))
}

/// The extended attributes; none where the file system has none.
fn attributes(path: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let Ok(path) = CString::new(path.as_os_str().as_bytes()) else {
        return BTreeMap::new();
    };
    let names = sys::attribute_names(&path).unwrap_or_default();
    names
        .split_inclusive(|&byte| byte == 0)
        .filter_map(|name| std::ffi::CStr::from_bytes_with_nul(name).ok())
        .filter_map(|name| {
            let value = sys::attribute(&path, name).ok()?;
            Some((name.to_bytes().to_vec(), value))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn an_untouched_tree_has_no_changes_even_when_it_was_read() {
        let tree = tempfile::tempdir().unwrap();
        fs::write(tree.path().join("file"), "text").unwrap();
        let before = Manifest::take(tree.path()).unwrap();
        fs::read(tree.path().join("file")).unwrap();
        let after = Manifest::take(tree.path()).unwrap();
        assert_eq!(before.changes(&after), Vec::<String>::new());
    }

    #[test]
    fn every_kind_of_change_is_named() {
        let tree = tempfile::tempdir().unwrap();
        for name in ["content", "mode", "gone"] {
            fs::write(tree.path().join(name), "text").unwrap();
        }
        let before = Manifest::take(tree.path()).unwrap();
        fs::write(tree.path().join("content"), "TEXT").unwrap();
        let mode = fs::Permissions::from_mode(0o600);
        fs::set_permissions(tree.path().join("mode"), mode).unwrap();
        fs::remove_file(tree.path().join("gone")).unwrap();
        fs::write(tree.path().join("new"), "").unwrap();
        let changes = before.changes(&Manifest::take(tree.path()).unwrap());
        let said = |what: &str| changes.iter().any(|change| change.starts_with(what));
        assert!(said("the directory: other"), "{changes:?}");
        assert!(said("content: other content"), "{changes:?}");
        assert!(said("mode: other mode"), "{changes:?}");
        assert!(said("gone is gone"), "{changes:?}");
        assert!(said("new is new"), "{changes:?}");
    }
}
