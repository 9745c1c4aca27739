//! The steps that put a root together and enter it.
//!
//! Sources are opened as detached copies before anything is mounted, so that no
//! mount hides a later source; targets are resolved inside the new root only.
//! After the root is entered no path of the outside is looked up any more.

use std::ffi::{CString, OsStr, OsString};
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::mount::MsFlags;
use procfs::process::MountInfo;

use super::base::Base as PivotedBase;
use super::{Step, c_string};
use crate::error::{Error, Result};
use crate::spec::{Access, Base, Enter, Mount, Namespace, Root, Spec, WorkingDirectory};
use crate::stage::Stage;
use crate::sys::mount::{ATTR_NODEV, ATTR_NOEXEC, ATTR_NOSUID, ATTR_RDONLY, has_set_attributes};

/// The device files of a minimal /dev.
const DEVICES: [&str; 5] = ["null", "zero", "full", "random", "urandom"];
/// The links of a minimal /dev.
const DEVICE_LINKS: [(&str, &str); 4] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "fd/0"),
    ("stdout", "fd/1"),
    ("stderr", "fd/2"),
];

/// Adds the steps, and the empty slots that they use.
pub(super) fn steps(
    spec: &Spec,
    base: Option<&PivotedBase>,
    steps: &mut Vec<(Stage, Step)>,
    slots: &mut Vec<RawFd>,
) -> Result<()> {
    if !spec.has(Namespace::Mount) {
        if let Some(Root {
            base: Base::Directory(path),
            ..
        }) = &spec.root
        {
            steps.push((
                Stage::Root,
                Step::Chroot(c_string(Stage::Root, path.as_os_str())?),
            ));
        }
        return Ok(());
    }
    let mut builder = Builder::new(spec, base, slots.len());
    builder.prepare_root()?;
    for mount in &spec.mounts {
        builder.mount(mount)?;
    }
    builder.finish(steps);
    slots.resize(builder.slots, -1);
    Ok(())
}

struct Builder<'a> {
    spec: &'a Spec,
    base: Option<&'a PivotedBase>,
    /// Detached mounts are made first, all of them.
    detach: Vec<Step>,
    /// Then they are attached, in the order of the description.
    attach: Vec<Step>,
    slots: usize,
    /// Where directories may be made, and where not: target and whether it is ours.
    ground: Vec<(PathBuf, bool)>,
    made: Vec<PathBuf>,
    modern: bool,
}

impl<'a> Builder<'a> {
    fn new(spec: &'a Spec, base: Option<&'a PivotedBase>, slots: usize) -> Self {
        Self {
            spec,
            base,
            detach: Vec::new(),
            attach: Vec::new(),
            slots,
            ground: Vec::new(),
            made: Vec::new(),
            modern: has_set_attributes(),
        }
    }

    fn slot(&mut self) -> usize {
        self.slots += 1;
        self.slots - 1
    }

    fn prepare_root(&mut self) -> Result<()> {
        let Some(root) = &self.spec.root else {
            self.attach.push(Step::OpenRoot);
            self.ground.push(("/".into(), false));
            return Ok(());
        };
        let slot = self.slot();
        match &root.base {
            Base::Tmpfs { size } => {
                self.detach.push(Step::NewFilesystem {
                    kind: c"tmpfs".into(),
                    size: size_text(*size),
                    attributes: ATTR_NOSUID | ATTR_NODEV,
                    slot,
                });
                self.ground.push(("/".into(), true));
            }
            Base::Directory(path) => {
                if !path.is_dir() {
                    let errno = if path.exists() {
                        Errno::ENOTDIR
                    } else {
                        Errno::ENOENT
                    };
                    return Err(failed(Stage::Root, path, errno));
                }
                let source = c_string(Stage::Root, path.as_os_str())?;
                let attributes = if self.modern {
                    ATTR_NOSUID | if root.writable { 0 } else { ATTR_RDONLY }
                } else {
                    0
                };
                self.detach.push(Step::CloneTree {
                    source,
                    attributes,
                    slot,
                    optional: false,
                });
                self.ground.push(("/".into(), false));
            }
        }
        self.attach.push(match self.base {
            Some(base) => Step::AttachRootOverBase {
                slot,
                base: base.base,
            },
            None => Step::AttachRoot {
                slot,
                at: c_string(Stage::Root, anchor()?.as_os_str())?,
            },
        });
        if let (Base::Directory(path), false) = (&root.base, self.modern) {
            let access = if root.writable {
                Access::ReadWrite
            } else {
                Access::ReadOnly
            };
            self.remount_tree(path, Path::new("/"), access)?;
        }
        Ok(())
    }

    fn mount(&mut self, mount: &Mount) -> Result<()> {
        match mount {
            Mount::Bind {
                source,
                target,
                access,
                optional,
            } => self.bind(source, target, *access, *optional),
            Mount::Tmpfs { target, size } => {
                self.filesystem(c"tmpfs", *size, target, ATTR_NOSUID | ATTR_NODEV)
            }
            Mount::Proc { target } => self.filesystem(
                c"proc",
                None,
                target,
                ATTR_NOSUID | ATTR_NODEV | ATTR_NOEXEC,
            ),
            Mount::Dev { target } => self.dev(target),
            Mount::Symlink { source, target } => self.symlink(source.as_os_str(), target),
            Mount::Directory { target } => {
                self.must_be_ours(target)?;
                self.make(target, true)
            }
        }
    }

    fn bind(&mut self, source: &Path, target: &Path, access: Access, optional: bool) -> Result<()> {
        let kind = match std::fs::metadata(source) {
            Ok(metadata) => metadata,
            Err(error) if optional && error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => {
                let errno = Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO));
                return Err(Error::Launch {
                    stage: Stage::Mount,
                    subject: Some(format!("bind {}", source.display())),
                    errno,
                });
            }
        };
        self.make(target, kind.is_dir())?;
        let read_only = if access == Access::ReadOnly {
            ATTR_RDONLY
        } else {
            0
        };
        let slot = self.slot();
        let attributes = if self.modern {
            ATTR_NOSUID | read_only
        } else {
            0
        };
        self.detach.push(Step::CloneTree {
            source: c_string(Stage::Mount, source.as_os_str())?,
            attributes,
            slot,
            optional,
        });
        self.attach.push(Step::Attach {
            slot,
            target: relative(target)?,
            optional,
        });
        if !self.modern {
            self.remount_tree(source, target, access)?;
        }
        self.ground.push((target.to_owned(), false));
        Ok(())
    }

    /// The flags of a bind mount and of all below it, one by one: kernels
    /// before 5.12 have no recursive call for it.
    fn remount_tree(&mut self, source: &Path, target: &Path, access: Access) -> Result<()> {
        let source = std::fs::canonicalize(source)
            .map_err(|_| failed(Stage::Mount, source, Errno::ENOENT))?;
        let infos = procfs::process::Process::myself()
            .and_then(|process| process.mountinfo())
            .map_err(|_| {
                failed(
                    Stage::Mount,
                    Path::new("/proc/self/mountinfo"),
                    Errno::ENOENT,
                )
            })?;
        // A copy would go on receiving the mounts made at its source outside.
        self.attach.push(Step::Remount {
            target: relative(target)?,
            flags: (MsFlags::MS_REC | MsFlags::MS_PRIVATE).bits(),
        });
        let holder = infos
            .iter()
            .rfind(|info| source.starts_with(&info.mount_point));
        let below = infos
            .iter()
            .filter(|info| info.mount_point.starts_with(&source) && info.mount_point != source);
        let top = holder.map(|info| (PathBuf::new(), info));
        let inner = below.filter_map(|info| {
            Some((
                info.mount_point.strip_prefix(&source).ok()?.to_owned(),
                info,
            ))
        });
        for (suffix, info) in top.into_iter().chain(inner) {
            let mut flags =
                MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_NOSUID | kept_flags(info);
            if access == Access::ReadOnly {
                flags |= MsFlags::MS_RDONLY;
            }
            self.attach.push(Step::Remount {
                target: relative(&target.join(suffix))?,
                flags: flags.bits(),
            });
        }
        Ok(())
    }

    fn filesystem(
        &mut self,
        kind: &'static std::ffi::CStr,
        size: Option<u64>,
        target: &Path,
        attributes: u64,
    ) -> Result<()> {
        self.make(target, true)?;
        let slot = self.slot();
        self.detach.push(Step::NewFilesystem {
            kind: kind.into(),
            size: size_text(size),
            attributes,
            slot,
        });
        self.attach.push(Step::Attach {
            slot,
            target: relative(target)?,
            optional: false,
        });
        self.ground.push((target.to_owned(), kind == c"tmpfs"));
        Ok(())
    }

    fn dev(&mut self, target: &Path) -> Result<()> {
        self.filesystem(c"tmpfs", Some(1 << 20), target, ATTR_NOSUID | ATTR_NOEXEC)?;
        for device in DEVICES {
            self.bind(
                &Path::new("/dev").join(device),
                &target.join(device),
                Access::ReadWrite,
                false,
            )?;
        }
        for (name, to) in DEVICE_LINKS {
            self.symlink(OsStr::new(to), &target.join(name))?;
        }
        self.filesystem(
            c"tmpfs",
            None,
            &target.join("shm"),
            ATTR_NOSUID | ATTR_NODEV,
        )
    }

    fn symlink(&mut self, to: &OsStr, target: &Path) -> Result<()> {
        self.must_be_ours(target)?;
        let (parent, name) = self.parent(target)?;
        self.attach.push(Step::MakeSymlink {
            parent,
            name,
            to: c_string(Stage::Mount, to)?,
        });
        Ok(())
    }

    /// Makes a mount point, where it is made in a tmpfs of ours. In a directory
    /// of somebody else's nothing is ever created: there it must exist.
    fn make(&mut self, target: &Path, directory: bool) -> Result<()> {
        if target == Path::new("/")
            || self.made.iter().any(|made| made == target)
            || !self.ours(target)
        {
            return Ok(());
        }
        let (parent, name) = self.parent(target)?;
        let path = relative(target)?;
        self.made.push(target.to_owned());
        self.attach.push(if directory {
            Step::MakeDirectory { parent, name, path }
        } else {
            Step::MakeFile { parent, name, path }
        });
        Ok(())
    }

    /// A target's parent, made if need be, and its last component.
    fn parent(&mut self, target: &Path) -> Result<(CString, CString)> {
        let parent = target.parent().unwrap_or(Path::new("/"));
        self.make(parent, true)?;
        Ok((
            relative(parent)?,
            c_string(Stage::Mount, target.file_name().unwrap_or_default())?,
        ))
    }

    /// Whether the innermost mount that holds the target is a tmpfs of ours.
    fn ours(&self, target: &Path) -> bool {
        let holds = |ground: &&(PathBuf, bool)| target.starts_with(&ground.0) && ground.0 != target;
        self.ground
            .iter()
            .filter(holds)
            .max_by_key(|ground| ground.0.components().count())
            .is_some_and(|ground| ground.1)
    }

    fn must_be_ours(&self, target: &Path) -> Result<()> {
        if self.ours(target) {
            Ok(())
        } else {
            Err(failed(Stage::Mount, target, Errno::EROFS))
        }
    }

    fn finish(&mut self, steps: &mut Vec<(Stage, Step)>) {
        let mounts = |step| (Stage::Mount, step);
        steps.push(mounts(Step::SlavePropagation));
        steps.extend(self.detach.drain(..).map(mounts));
        steps.extend(self.attach.drain(..).map(mounts));
        let Some(root) = &self.spec.root else { return };
        if !root.writable && matches!(root.base, Base::Tmpfs { .. }) {
            // Last: mount points could not be made any more.
            steps.push(mounts(if self.modern {
                Step::SealRoot
            } else {
                Step::SealRootByRemount
            }));
        }
        // Leaving the launcher's directory is a protection, and a step, of its own.
        let keep_directory = self.spec.working_directory == WorkingDirectory::Inherit;
        steps.push((
            Stage::Root,
            match (root.enter, self.base) {
                (Enter::PivotRoot, Some(base)) => Step::EnterOverBase {
                    outside: base.outside,
                },
                (Enter::PivotRoot, None) => Step::PivotRoot { keep_directory },
                (Enter::Chroot, _) => Step::ChrootToRoot { keep_directory },
            },
        ));
    }
}

/// A directory that exists in the launcher's tree, to hang the new root on.
/// What it hides there does not matter: all sources are open by then.
pub(crate) fn anchor() -> Result<PathBuf> {
    ["/tmp", "/mnt", "/var", "/usr", "/etc", "/dev"]
        .into_iter()
        .map(PathBuf::from)
        .find(|path| {
            path.symlink_metadata()
                .is_ok_and(|metadata| metadata.is_dir())
        })
        .ok_or_else(|| failed(Stage::Root, Path::new("/tmp"), Errno::ENOENT))
}

/// A path as openat2(2) below the root takes it; the root itself is ".".
fn relative(path: &Path) -> Result<CString> {
    let stripped = path.strip_prefix("/").unwrap_or(path);
    let text = if stripped.as_os_str().is_empty() {
        OsString::from(".")
    } else {
        stripped.as_os_str().to_owned()
    };
    c_string(Stage::Mount, &text)
}

fn size_text(size: Option<u64>) -> Option<CString> {
    size.and_then(|size| CString::new(size.to_string()).ok())
}

/// The flags that a remount must repeat: in a user namespace they are locked.
fn kept_flags(info: &MountInfo) -> MsFlags {
    info.mount_options
        .keys()
        .fold(MsFlags::empty(), |flags, option| {
            flags
                | match option.as_str() {
                    "ro" => MsFlags::MS_RDONLY,
                    "nodev" => MsFlags::MS_NODEV,
                    "noexec" => MsFlags::MS_NOEXEC,
                    "noatime" => MsFlags::MS_NOATIME,
                    "nodiratime" => MsFlags::MS_NODIRATIME,
                    "relatime" => MsFlags::MS_RELATIME,
                    _ => MsFlags::empty(),
                }
        })
}

fn failed(stage: Stage, path: &Path, errno: Errno) -> Error {
    Error::Launch {
        stage,
        subject: Some(
            OsStr::from_bytes(path.as_os_str().as_bytes())
                .to_string_lossy()
                .into_owned(),
        ),
        errno,
    }
}
