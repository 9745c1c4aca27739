//! What several test programs share: files that are compared and rewritten.

use std::path::{Path, PathBuf};
use std::{env, fs};

/// A path below `harness/`: where the tests run, which under nextest may be
/// elsewhere than where they were built.
pub(crate) fn in_harness(path: &str) -> PathBuf {
    let folder = env::var_os("CARGO_MANIFEST_DIR");
    let folder = folder.unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&folder).join(path)
}

/// Compares a text with a file that is kept; rewrites the file instead where
/// the variable is set.
pub(crate) fn matches_file(text: &str, path: &str, rewrite: &str) {
    let path = in_harness(path);
    if env::var_os(rewrite).is_some() {
        fs::write(&path, text).expect("the kept file can be written");
        return;
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == text,
        "{} is stale (rewrite it with {rewrite}=1)\n--- kept\n{kept}\n--- now\n{text}",
        path.display()
    );
}
