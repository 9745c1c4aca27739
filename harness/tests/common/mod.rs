//! What several test programs share: files that are compared and rewritten.

use std::path::{Path, PathBuf};
use std::{env, fs};

/// A path below `harness/`.
pub(crate) fn in_harness(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
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
