//! Changes files outside the root by their absolute path.
//!
//! Writes, truncates, creates, links, renames and removes, each by its own
//! call: a filter or an access rule that forgets one of them lets that one
//! through. The directory belongs to the probe's own user.
//!
//! A root of its own stops it, made by chroot(2) or by pivot_root(2).

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::Path;

use nix::fcntl::AT_FDCWD;
use nix::sys::stat::Mode;
use nix::unistd::{mkfifo, truncate};

use crate::{Canary, Class, Context, Guard, Probe, Proof, Refusal, Stop};

pub(crate) const PROBE: Probe = Probe {
    class: Class::Filesystem,
    canary: Canary::FileTree,
    stops: &[Stop {
        guards: &[Guard::Root],
        refusal: Refusal::Errno(&[libc::ENOENT]),
    }],
    needs: &[],
    proof: Proof::Write,
    claims: &[],
    refs: &["open(2)", "rename(2)", "selftests/landlock/fs_test.c"],
    remedy: "give the sandbox a root of its own that does not hold the directory",
    attempt,
};

fn attempt(cx: &mut Context) {
    let (Some(tree), Some(file)) = (cx.path("tree"), cx.path("file")) else {
        return;
    };
    let nonce = cx.nonce().as_bytes();
    let _ = cx.attempt_io("open O_WRONLY", overwrite(&file, nonce));
    let _ = cx.attempt_io("open O_CREAT", fs::write(tree.join("made"), nonce));
    let _ = cx.attempt("truncate", truncate(&file, 3));
    let _ = cx.attempt_io("mkdir", fs::create_dir(tree.join("folder")));
    let _ = cx.attempt("mknod S_IFIFO", mkfifo(&tree.join("fifo"), Mode::S_IRUSR));
    let _ = cx.attempt_io("symlink", symlink("nowhere", tree.join("symbolic")));
    let _ = cx.attempt("linkat", link(&file, &tree.join("hard")));
    let _ = cx.attempt_io("rename", fs::rename(&file, tree.join("moved")));
    let _ = cx.attempt_io("unlink", fs::remove_file(tree.join("moved")));
    let _ = cx.attempt_io("rmdir", fs::remove_dir(tree.join("folder")));
}

fn overwrite(file: &Path, nonce: &[u8]) -> std::io::Result<()> {
    fs::File::options().write(true).open(file)?.write_all(nonce)
}

fn link(from: &Path, to: &Path) -> nix::Result<()> {
    nix::unistd::linkat(AT_FDCWD, from, AT_FDCWD, to, nix::fcntl::AtFlags::empty())
}
