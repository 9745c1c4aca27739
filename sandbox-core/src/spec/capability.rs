//! Capabilities by name (capabilities(7)).

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

macro_rules! capabilities {
    ($($name:ident = $number:literal $text:literal,)+) => {
        /// A capability (capabilities(7)).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[repr(u8)]
        #[expect(missing_docs, reason = "the manual page documents each under its own name")]
        pub enum Capability { $(#[serde(rename = $text)] $name = $number,)+ }
    };
}

capabilities! {
    Chown = 0 "CAP_CHOWN", DacOverride = 1 "CAP_DAC_OVERRIDE", DacReadSearch = 2 "CAP_DAC_READ_SEARCH",
    Fowner = 3 "CAP_FOWNER", Fsetid = 4 "CAP_FSETID", Kill = 5 "CAP_KILL", Setgid = 6 "CAP_SETGID",
    Setuid = 7 "CAP_SETUID", Setpcap = 8 "CAP_SETPCAP", LinuxImmutable = 9 "CAP_LINUX_IMMUTABLE",
    NetBindService = 10 "CAP_NET_BIND_SERVICE", NetBroadcast = 11 "CAP_NET_BROADCAST", NetAdmin = 12 "CAP_NET_ADMIN",
    NetRaw = 13 "CAP_NET_RAW", IpcLock = 14 "CAP_IPC_LOCK", IpcOwner = 15 "CAP_IPC_OWNER",
    SysModule = 16 "CAP_SYS_MODULE", SysRawio = 17 "CAP_SYS_RAWIO", SysChroot = 18 "CAP_SYS_CHROOT",
    SysPtrace = 19 "CAP_SYS_PTRACE", SysPacct = 20 "CAP_SYS_PACCT", SysAdmin = 21 "CAP_SYS_ADMIN",
    SysBoot = 22 "CAP_SYS_BOOT", SysNice = 23 "CAP_SYS_NICE", SysResource = 24 "CAP_SYS_RESOURCE",
    SysTime = 25 "CAP_SYS_TIME", SysTtyConfig = 26 "CAP_SYS_TTY_CONFIG", Mknod = 27 "CAP_MKNOD", Lease = 28 "CAP_LEASE",
    AuditWrite = 29 "CAP_AUDIT_WRITE", AuditControl = 30 "CAP_AUDIT_CONTROL", Setfcap = 31 "CAP_SETFCAP",
    MacOverride = 32 "CAP_MAC_OVERRIDE", MacAdmin = 33 "CAP_MAC_ADMIN", Syslog = 34 "CAP_SYSLOG",
    WakeAlarm = 35 "CAP_WAKE_ALARM", BlockSuspend = 36 "CAP_BLOCK_SUSPEND", AuditRead = 37 "CAP_AUDIT_READ",
    Perfmon = 38 "CAP_PERFMON", Bpf = 39 "CAP_BPF", CheckpointRestore = 40 "CAP_CHECKPOINT_RESTORE",
}

/// What becomes of the launcher's capabilities, or of those that a new user
/// namespace gives. In TOML: a list of names, `"keep"` or `"inherit"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Capabilities {
    /// Only these stay, in every set; all others leave the bounding set too.
    Only(BTreeSet<Capability>),
    /// All stay, across the execve(2) of a user that is not root (ambient).
    Keep,
    /// It is left to execve(2): root's stay, all others' go.
    Inherit,
}

impl Serialize for Capabilities {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Only(set) => set.serialize(serializer),
            Self::Keep => serializer.serialize_str("keep"),
            Self::Inherit => serializer.serialize_str("inherit"),
        }
    }
}

impl<'de> Deserialize<'de> for Capabilities {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Capabilities;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a list of capability names, \"keep\" or \"inherit\"")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Capabilities, E> {
                match text {
                    "keep" => Ok(Capabilities::Keep),
                    "inherit" => Ok(Capabilities::Inherit),
                    _ => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
                }
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(
                self,
                mut list: A,
            ) -> Result<Capabilities, A::Error> {
                let mut set = BTreeSet::new();
                while let Some(capability) = list.next_element()? {
                    set.insert(capability);
                }
                Ok(Capabilities::Only(set))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}
