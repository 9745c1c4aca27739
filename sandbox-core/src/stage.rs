//! The stages of a launch, in their order.

use serde::{Deserialize, Serialize};

macro_rules! stages {
    ($($(#[$doc:meta])* $name:ident => $text:literal,)+) => {
        /// A stage of a launch. Errors name the one that failed, timings have
        /// one value for each, benchmarks use them as labels.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        #[repr(u8)]
        pub enum Stage { $($(#[$doc])* $name,)+ }

        impl Stage {
            /// All stages, in the order of a launch.
            pub const ALL: &'static [Stage] = &[$(Stage::$name,)+];

            /// What the stage does: fits "failed to …".
            pub fn as_str(self) -> &'static str {
                match self { $(Stage::$name => $text,)+ }
            }
        }
    };
}

stages! {
    /// The parent prepares: strings, tables, descriptors.
    Prepare => "prepare the launch",
    /// The parent makes the cgroup.
    Cgroup => "make the cgroup",
    /// The process is made, with all its namespaces.
    Clone => "clone",
    /// The user namespace gets its ids.
    IdMap => "write the id maps",
    /// The parent's death is noticed from here on.
    ParentDeath => "tie the sandbox to its launcher",
    /// Process group and session.
    Session => "start a session",
    /// The UTS namespace gets its host name.
    Hostname => "set the host name",
    /// The network namespace gets its loopback device.
    Network => "bring up loopback",
    /// The time namespace gets its offsets.
    Time => "set the clock offsets",
    /// A fresh session keyring.
    Keyring => "join a session keyring",
    /// The root is put together.
    Mount => "build the root",
    /// The root is entered.
    Root => "enter the root",
    /// The working directory is entered.
    WorkingDirectory => "enter the working directory",
    /// Pid 1 makes the program's process.
    Init => "fork from pid 1",
    /// Resource limits.
    Limits => "set limits",
    /// Descriptors get their numbers, all others are closed.
    Descriptors => "arrange descriptors",
    /// User and group ids.
    Ids => "set user and group ids",
    /// Capabilities are given up.
    Capabilities => "drop capabilities",
    /// no_new_privs.
    NoNewPrivs => "set no_new_privs",
    /// The program takes over.
    Exec => "execute the program",
}

impl Stage {
    /// The stage with this number in [`Stage::ALL`].
    pub(crate) fn from_index(index: u8) -> Option<Self> {
        Self::ALL.get(usize::from(index)).copied()
    }
}

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
