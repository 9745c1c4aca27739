//! What must be there before an attempt means anything: looked for, never guessed.

use std::path::Path;

use probes::{Need, Registered};

/// Why a probe can show nothing here, where that is so.
pub fn lacking(probe: &Registered, kernel: &str) -> Option<String> {
    probe
        .probe
        .needs
        .iter()
        .find_map(|need| lack(*need, kernel))
}

fn lack(need: Need, kernel: &str) -> Option<String> {
    match need {
        Need::Kernel(major, minor) => {
            // A release that cannot be read is taken for new enough: the bare
            // leg shows soon enough where it is not.
            let old = version(kernel).is_some_and(|version| version < (major, minor));
            old.then(|| format!("needs Linux {major}.{minor}, and this is {kernel}"))
        }
        // The arena gives it, and without an arena nothing is run.
        Need::ArenaRoot => None,
        Need::SysvIpc => missing("/proc/sysvipc/shm", "System V IPC (CONFIG_SYSVIPC)"),
        Need::Keys => missing("/proc/keys", "keyrings (CONFIG_KEYS)"),
    }
}

fn missing(path: &str, what: &str) -> Option<String> {
    (!Path::new(path).exists()).then(|| format!("this kernel has no {what}: there is no {path}"))
}

/// The first two numbers of a kernel release.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release
        .split(|character: char| !character.is_ascii_digit())
        .map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::newer("6.18.44-fc", true)]
    #[case::the_same("6.5.0", true)]
    #[case::older("6.4.16-200.fc38.x86_64", false)]
    #[case::much_older("5.10.0-8-amd64", false)]
    #[case::next_major("7.0-rc1", true)]
    #[case::unreadable("custom", true)]
    fn a_kernel_is_new_enough(#[case] release: &str, #[case] enough: bool) {
        assert_eq!(lack(Need::Kernel(6, 5), release).is_none(), enough);
    }
}
