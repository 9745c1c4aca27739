//! The probes that this build knows, made from the folder by `build.rs`.

use crate::Probe;

/// A probe with what its file's name and `//!` text say of it.
#[derive(Debug)]
pub struct Registered {
    /// The file's name with `-` for `_`: the name in reports and on the command line.
    pub id: &'static str,
    /// The file's `//!` text; its first line is the probe's title.
    pub doc: &'static str,
    /// What the probe declares.
    pub probe: Probe,
}

impl Registered {
    /// The first line of the documentation.
    pub fn title(&self) -> &'static str {
        self.doc.lines().next().unwrap_or_default()
    }
}

include!(concat!(env!("OUT_DIR"), "/registry.rs"));

/// All probes, by id.
pub fn all() -> &'static [Registered] {
    ALL
}

/// The probe with this id.
pub fn find(id: &str) -> Option<&'static Registered> {
    ALL.iter().find(|registered| registered.id == id)
}
