//! The child, from clone to exec: walks the plan.
//!
//! Only async-signal-safe code: no allocation, no lock, no panic, no call into
//! pthread. Everything it needs is in the plan; `tests/no_alloc_after_clone.rs`
//! holds it to that.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::resource::setrlimit;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, socket};
use nix::sys::stat::{Mode, mkdirat, umask};
use nix::unistd::{
    Pid, chdir, chroot, close, fchdir, pivot_root, setpgid, setsid, symlinkat, write,
};

use super::calls::{
    drop_bounding, enter_time, join_keyring, open_directory, remount, set_capabilities,
    unshare_time, working_directory, write_at,
};
use super::inheritance::{Inheritance, Made};
use super::init;
use super::keeper;
use super::report::Report;
use crate::fork_server;
use crate::plan::{Plan, Step};
use crate::stage::Stage;
use crate::sys::{caps, exec, fd, ids, mount as mounts, net, page, signal};

struct Child<'a> {
    plan: &'a mut Plan,
    inheritance: Inheritance<'a>,
    /// The new root, once there is one.
    root: RawFd,
}

/// Walks the plan. Comes back never: executes, or reports and leaves.
pub(super) fn run(plan: &mut Plan, inheritance: Inheritance<'_>) -> ! {
    let mut child = Child {
        plan,
        inheritance,
        root: -1,
    };
    if let Err(errno) = child.catch_up() {
        child.fail(Stage::Clone, usize::MAX, errno);
    }
    for index in 0..child.plan.steps.len() {
        let Some((stage, _)) = child.plan.steps.get(index) else {
            break;
        };
        let stage = *stage;
        child.inheritance.progress.begin(stage);
        if let Err(errno) = child.step(index) {
            child.fail(stage, index, errno);
        }
        child.inheritance.progress.end(stage, page::now());
    }
    exec::exit(0)
}

impl Child<'_> {
    fn fail(&self, stage: Stage, index: usize, errno: Errno) -> ! {
        if let Some(report) = fd::borrow(self.inheritance.report) {
            Report::failed(stage as u8, index, errno).send(report);
        }
        exec::exit(1)
    }

    /// Does what clone3 does and the call that was used does not.
    fn catch_up(&mut self) -> nix::Result<()> {
        let made = self.inheritance.made;
        if made == Made::ByClone3 {
            return Ok(());
        }
        for number in 1..=signal::LAST {
            // SIGKILL, SIGSTOP and what the C library keeps to itself refuse.
            let _ = signal::reset(number);
        }
        if let Some(procs) = self.inheritance.cgroup_procs.and_then(fd::borrow) {
            write(procs, b"0")?;
        }
        let flags = self.plan.flags & made.later();
        if flags != 0 {
            unshare(CloneFlags::from_bits_retain(
                i32::try_from(flags).unwrap_or(-1),
            ))?;
        }
        if made == Made::ByUnshare {
            self.begin_again(flags)?;
        } else if flags & crate::sys::clone::NEWTIME != 0 {
            enter_time()?;
        }
        Ok(())
    }

    /// Only children enter a pid or time namespace that was unshared: the
    /// sandbox's first process is one, made as this process's sibling, so that
    /// the launcher is its parent.
    fn begin_again(&mut self, flags: u64) -> nix::Result<()> {
        let for_children =
            u64::from(libc::CLONE_NEWPID.unsigned_abs()) | crate::sys::clone::NEWTIME;
        if flags & for_children != 0 && crate::sys::clone::fork_sibling()? != 0 {
            exec::exit(0);
        }
        if let Some(report) = fd::borrow(self.inheritance.report) {
            Report::started().send(report);
        }
        Ok(())
    }

    fn slot(&self, slot: usize) -> nix::Result<BorrowedFd<'static>> {
        self.plan
            .slots
            .get(slot)
            .copied()
            .and_then(fd::borrow)
            .ok_or(Errno::EBADF)
    }

    fn fill(&mut self, slot: usize, descriptor: OwnedFd) -> nix::Result<()> {
        *self.plan.slots.get_mut(slot).ok_or(Errno::EBADF)? = descriptor.into_raw_fd();
        Ok(())
    }

    fn root(&self) -> nix::Result<BorrowedFd<'static>> {
        fd::borrow(self.root).ok_or(Errno::EBADF)
    }

    /// Opens a place in the new root.
    fn inside(&self, path: &std::ffi::CStr) -> nix::Result<OwnedFd> {
        mounts::open_in_root(self.root()?, path)
    }

    fn step(&mut self, index: usize) -> nix::Result<()> {
        let Some((_, step)) = self.plan.steps.get(index) else {
            return Err(Errno::EINVAL);
        };
        match step {
            Step::AwaitParent => self.await_parent(),
            Step::Write { path, data } => write_at(nix::fcntl::AT_FDCWD, path, data),
            Step::ParentDeathSignal => self.tie_to_parent(),
            Step::JoinProcessGroup(group) => setpgid(Pid::from_raw(0), Pid::from_raw(*group)),
            Step::LeadProcessGroup => setpgid(Pid::from_raw(0), Pid::from_raw(0)),
            Step::NewSession => setsid().map(drop),
            Step::Hostname(name) => {
                nix::unistd::sethostname(std::ffi::OsStr::new(name.to_str().unwrap_or_default()))
            }
            Step::Loopback => {
                let socket = socket(
                    AddressFamily::Inet,
                    SockType::Datagram,
                    SockFlag::SOCK_CLOEXEC,
                    None,
                )?;
                net::bring_up_loopback(socket.as_fd())
            }
            Step::UnshareTime => unshare_time(),
            Step::EnterTime => enter_time(),
            Step::JoinKeyring => join_keyring(),
            Step::SlavePropagation => mount(
                None::<&str>,
                c"/",
                None::<&str>,
                MsFlags::MS_REC | MsFlags::MS_SLAVE,
                None::<&str>,
            ),
            Step::CloneTree {
                source,
                attributes,
                slot,
                optional,
            } => {
                let (slot, attributes) = (*slot, *attributes);
                let tree = match mounts::open_tree(source) {
                    Err(Errno::ENOENT) if *optional => return Ok(()),
                    tree => tree?,
                };
                if attributes != 0 {
                    // Private too: a copy would go on sharing mount events.
                    mounts::set_attributes(tree.as_fd(), attributes, true)?;
                }
                self.fill(slot, tree)
            }
            Step::NewFilesystem {
                kind,
                size,
                attributes,
                slot,
            } => {
                let (slot, attributes) = (*slot, *attributes);
                let context = mounts::open_filesystem(kind)?;
                let context = context.as_fd();
                if let Some(size) = size {
                    mounts::configure(context, c"size", size)?;
                }
                if kind.as_c_str() == c"tmpfs" {
                    mounts::configure(context, c"mode", c"0755")?;
                }
                mounts::create(context)?;
                let mounted = mounts::mount(context, attributes)?;
                self.fill(slot, mounted)
            }
            Step::AttachRoot { slot, at } => {
                let at = open(
                    at.as_c_str(),
                    OFlag::O_PATH | OFlag::O_CLOEXEC,
                    Mode::empty(),
                )?;
                let tree = self.slot(*slot)?;
                mounts::attach(tree, at.as_fd())?;
                self.root = tree.as_raw_fd();
                Ok(())
            }
            Step::OpenRoot => {
                let root = open(c"/", OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())?;
                self.root = root.into_raw_fd();
                Ok(())
            }
            Step::MakeDirectory { parent, name, .. } => {
                // Whatever the launcher's mask: another user id must get through.
                let before = umask(Mode::empty());
                let made = mkdirat(
                    self.inside(parent)?,
                    name.as_c_str(),
                    Mode::from_bits_truncate(0o755),
                );
                umask(before);
                if made == Err(Errno::EEXIST) {
                    Ok(())
                } else {
                    made
                }
            }
            Step::MakeFile { parent, name, .. } => {
                let flags = OFlag::O_CREAT | OFlag::O_WRONLY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
                nix::fcntl::openat(
                    self.inside(parent)?,
                    name.as_c_str(),
                    flags,
                    Mode::from_bits_truncate(0o644),
                )
                .map(drop)
            }
            Step::MakeSymlink { parent, name, to } => {
                symlinkat(to.as_c_str(), self.inside(parent)?, name.as_c_str())
            }
            Step::Attach {
                slot,
                target,
                optional,
            } => {
                let tree = match self.slot(*slot) {
                    Err(Errno::EBADF) if *optional => return Ok(()),
                    tree => tree?,
                };
                mounts::attach(tree, self.inside(target)?.as_fd())?;
                close(tree.as_raw_fd())
            }
            Step::Remount { target, flags } => remount(
                self.inside(target)?.as_fd(),
                MsFlags::from_bits_retain(*flags),
            ),
            Step::SealRoot => mounts::set_attributes(self.root()?, mounts::ATTR_RDONLY, false),
            Step::SealRootByRemount => remount(
                self.root()?,
                MsFlags::MS_REMOUNT
                    | MsFlags::MS_BIND
                    | MsFlags::MS_RDONLY
                    | MsFlags::MS_NOSUID
                    | MsFlags::MS_NODEV,
            ),
            Step::PivotRoot { keep_directory } => {
                let before = working_directory(*keep_directory)?;
                fchdir(self.root()?)?;
                // Puts the old root on top of the new one's mount point "/",
                // where the unmount finds it: no directory for it is needed.
                pivot_root(c".", c".")?;
                umount2(c".", MntFlags::MNT_DETACH)?;
                before.map_or(Ok(()), fchdir)
            }
            Step::LeaveBase {
                base,
                outside,
                procfs,
            } => {
                let (base, outside, procfs) = (*base, *outside, *procfs);
                self.fill(base, open_directory(c"/")?)?;
                self.fill(outside, open_directory(fork_server::OUTSIDE)?)?;
                chroot(fork_server::OUTSIDE)?;
                chdir(c"/")?;
                self.fill(procfs, open_directory(c"/proc/self")?)
            }
            Step::AttachRootOverBase { slot, base } => {
                let tree = self.slot(*slot)?;
                mounts::attach(tree, self.slot(*base)?)?;
                self.root = tree.as_raw_fd();
                Ok(())
            }
            Step::EnterOverBase { outside } => {
                fchdir(self.root()?)?;
                chroot(c".")?;
                // It lies below the base, which no path of the root leads to.
                fchdir(self.slot(*outside)?)?;
                umount2(c".", MntFlags::MNT_DETACH)?;
                fchdir(self.root()?)
            }
            Step::NestUser {
                procfs,
                uid_map,
                gid_map,
            } => {
                let procfs = self.slot(*procfs)?;
                unshare(CloneFlags::CLONE_NEWUSER)?;
                // setgroups first: without it the kernel refuses the gid map.
                write_at(procfs, c"setgroups", b"deny")?;
                write_at(procfs, c"uid_map", uid_map)?;
                write_at(procfs, c"gid_map", gid_map)
            }
            Step::ChrootToRoot { keep_directory } => {
                let before = working_directory(*keep_directory)?;
                fchdir(self.root()?)?;
                chroot(c".")?;
                before.map_or(Ok(()), fchdir)
            }
            Step::Chroot(path) => chroot(path.as_c_str()),
            Step::ChangeDirectory(path) => chdir(path.as_c_str()),
            Step::Fork => self.fork(index),
            Step::PlaceDescriptors => self.place_descriptors(),
            Step::Limit { limit, value } => setrlimit(limit.resource(), *value, *value),
            Step::DropBounding(mask) => drop_bounding(*mask, &self.plan.steps),
            Step::ClearGroups => ids::clear_groups(),
            Step::SetIds { uid, gid } => {
                caps::keep_across_setuid()?;
                ids::set_group(*gid)?;
                ids::set_user(*uid)
            }
            Step::ClaimUid(claim) => claim.make(),
            Step::SetCapabilities(mask) => set_capabilities(*mask),
            Step::ClearAmbient => caps::clear_ambient(),
            Step::NoNewPrivs => nix::sys::prctl::set_no_new_privs(),
            Step::Execute => self.execute(),
            Step::Leave => {
                self.hello();
                exec::exit(0)
            }
        }
    }

    fn await_parent(&self) -> nix::Result<()> {
        let report = fd::borrow(self.inheritance.report).ok_or(Errno::EBADF)?;
        let launcher = self.inheritance.launcher.and_then(fd::borrow);
        let mut ready = [
            PollFd::new(report, PollFlags::POLLIN),
            PollFd::new(launcher.unwrap_or(report), PollFlags::POLLIN),
        ];
        while poll(&mut ready, PollTimeout::NONE) == Err(Errno::EINTR) {}
        let mut byte = [0_u8];
        match recv(report.as_raw_fd(), &mut byte, MsgFlags::MSG_DONTWAIT) {
            Ok(1) => Ok(()),
            // The parent has gone.
            _ => Err(Errno::ECANCELED),
        }
    }

    /// The signal alone is no guarantee: nothing raises it if the parent has
    /// gone already.
    fn tie_to_parent(&self) -> nix::Result<()> {
        nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL)?;
        let launcher = self.inheritance.launcher.and_then(fd::borrow);
        let mut ready = [PollFd::new(
            launcher.ok_or(Errno::EBADF)?,
            PollFlags::POLLIN,
        )];
        match poll(&mut ready, PollTimeout::ZERO)? {
            0 => Ok(()),
            _ => exec::exit(1),
        }
    }

    fn fork(&mut self, index: usize) -> nix::Result<()> {
        let leash = self.inheritance.leash.ok_or(Errno::EBADF)?;
        // Before there is a program that could trace pid 1; exec undoes it there.
        nix::sys::prctl::set_dumpable(false)?;
        // Where the launcher ignores it, nobody's end could be waited for.
        signal::reset(libc::SIGCHLD)?;
        let place = match self.plan.keeper {
            Some(_) => Some(keeper::Place::leave()?),
            None => None,
        };
        let program = match crate::sys::clone::fork()? {
            // It needs no parent-death signal: pid 1's end is its own. That of
            // a keeper is not.
            0 => return place.map_or(Ok(()), keeper::Place::take),
            program => program,
        };
        let launcher = self
            .inheritance
            .launcher
            .filter(|_| self.plan.die_with_parent);
        if let Some(patience) = self.plan.keeper {
            let procfs = self.inheritance.procfs.ok_or(Errno::EBADF)?;
            match keeper::Keeper::new(program, patience, leash, launcher, procfs) {
                Ok(keeper) => keeper.run(),
                Err((stage, errno)) => self.fail(stage, index, errno),
            }
        }
        match init::Init::new(program, leash, launcher) {
            Ok(init) => init.run(),
            Err((stage, errno)) => self.fail(stage, index, errno),
        }
    }

    fn place_descriptors(&mut self) -> nix::Result<()> {
        let floor = self.plan.descriptors.floor;
        self.inheritance.report = fd::duplicate_above(self.inheritance.report, floor)?;
        let own = [&mut self.plan.executable, &mut self.inheritance.launcher];
        for number in own.into_iter().flatten() {
            *number = fd::duplicate_above(*number, floor)?;
        }
        // All copies first, so that no source is overwritten before its turn.
        for (source, _) in &mut self.plan.descriptors.moves {
            *source = fd::duplicate_above(*source, floor)?;
        }
        for &(source, number) in &self.plan.descriptors.moves {
            fd::duplicate_to(source, number)?;
        }
        let Some(keep) = &self.plan.descriptors.keep else {
            return Ok(());
        };
        // These are close-on-exec and lie above everything that is kept.
        let report = self.inheritance.report;
        let mut private = [
            report,
            self.plan.executable.unwrap_or(report),
            self.inheritance.launcher.unwrap_or(report),
        ];
        private.sort_unstable();
        fd::close_all_but(3, keep.iter().chain(&private).copied())
    }

    fn hello(&self) {
        if let Some(report) = fd::borrow(self.inheritance.report) {
            Report::executing().send(report);
        }
    }

    fn execute(&self) -> nix::Result<()> {
        // SIGPIPE is ignored in every Rust program; programs expect it not to be.
        signal::reset(libc::SIGPIPE)?;
        // Whoever ignores this one cannot wait for anything.
        signal::reset(libc::SIGCHLD)?;
        self.hello();
        // The mask last: from here on signals sent meanwhile take their default.
        signal::set_mask(0)?;
        if let Some(file) = self.plan.executable {
            let file = fd::borrow(file).ok_or(Errno::EBADF)?;
            return Err(exec::fexecve(
                file,
                &self.plan.arguments,
                &self.plan.environment,
            ));
        }
        let mut worst = Errno::ENOENT;
        for path in &self.plan.executables {
            match exec::execve(path, &self.plan.arguments, &self.plan.environment) {
                Errno::ENOENT | Errno::ENOTDIR => {}
                Errno::EACCES => worst = Errno::EACCES,
                errno => return Err(errno),
            }
        }
        Err(worst)
    }
}
