//! The source documents' claims, and what shows each of them here.

use std::sync::LazyLock;

use probes::Registered;
use sandbox_core::{Host, State as Has, Strategy};
use serde::{Deserialize, Serialize};

use crate::needs;

/// One statement of a source document.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// Its id: `S6`.
    pub id: String,
    /// What it says, short.
    pub text: String,
    /// The launch strategies that it is about.
    #[serde(default)]
    pub strategies: Vec<Strategy>,
    /// The tests that show it, `FILE::NAME`, from the top of the repository.
    #[serde(default)]
    pub tests: Vec<String>,
    /// What of it nothing shows yet.
    #[serde(default)]
    pub open: Option<String>,
    /// What of the host the tests need, by [`sandbox_core::Feature::name`].
    #[serde(default)]
    pub features: Vec<String>,
    /// Whether the tests need root.
    #[serde(default)]
    pub root: bool,
}

/// Whether a claim can be seen to hold on a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum State {
    /// Probes or tests show it, and can be run here.
    Shown,
    /// Nothing shows it, or not all of it.
    NotYet {
        /// What is missing.
        missing: String,
    },
    /// What shows it cannot be run here.
    Unsupported {
        /// Why not; checked.
        reason: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    claim: Vec<Claim>,
}

static CLAIMS: LazyLock<Vec<Claim>> = LazyLock::new(|| {
    let file: Result<File, _> = toml::from_str(include_str!("../claims.toml"));
    file.map(|file| file.claim).unwrap_or_else(|error| {
        // A test reads the file that the program is built with.
        unreachable!("harness/claims.toml: {error}")
    })
});

/// All claims, in the documents' order.
pub fn all() -> &'static [Claim] {
    &CLAIMS
}

/// The claim with this id.
pub fn find(id: &str) -> Option<&'static Claim> {
    all().iter().find(|claim| claim.id == id)
}

impl Claim {
    /// The probes whose metadata carries its id.
    pub fn probes(&self) -> Vec<&'static Registered> {
        let carries = |probe: &&Registered| probe.probe.claims.contains(&self.id.as_str());
        probes::all().iter().filter(carries).collect()
    }

    /// Whether it can be seen to hold on this host.
    pub fn state(&self, host: &Host) -> State {
        let probes = self.probes();
        if let Some(missing) = &self.open {
            return State::NotYet {
                missing: missing.clone(),
            };
        }
        if probes.is_empty() && self.tests.is_empty() {
            return State::NotYet {
                missing: "nothing shows it".to_owned(),
            };
        }
        // One that can be run is enough, of the probes as of the tests.
        let mut reasons = Vec::new();
        if !self.tests.is_empty() {
            reasons.push(self.lacking(host));
        }
        reasons.extend(
            probes
                .iter()
                .map(|probe| needs::lacking(probe, &host.kernel)),
        );
        match reasons.into_iter().collect::<Option<Vec<String>>>() {
            None => State::Shown,
            Some(reasons) => State::Unsupported {
                reason: reasons.into_iter().next().unwrap_or_default(),
            },
        }
    }

    /// Why its tests cannot be run here.
    fn lacking(&self, host: &Host) -> Option<String> {
        if self.root && host.uid != 0 {
            return Some("it needs root".to_owned());
        }
        self.features
            .iter()
            .find_map(|name| match &host.feature(name)?.state {
                Has::Missing { reason, .. } => Some(format!("{name}: {reason}")),
                Has::Available { .. } => None,
            })
    }
}

#[cfg(test)]
#[path = "claims_cases.rs"]
mod cases;
