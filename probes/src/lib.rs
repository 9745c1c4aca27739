//! Escape attempts, one file each under `src/probes`, and what they need.
//!
//! This library is linked twice: into the static program that runs *inside* a
//! sandbox ([`main`]), and into the harness, which reads the registry ([`all`])
//! and speaks the same wire format ([`wire`]). It never links `sandbox-core`
//! and knows nothing of the policy that it runs under. A probe attempts and
//! reports; it never judges.

mod context;
pub mod descriptors;
mod entry;
mod guard;
mod probe;
mod raw;
mod registry;
mod survivor;
mod tracing;
pub mod victim;
pub mod wire;

pub use context::Context;
pub use entry::main;
pub use guard::{Guard, Refusal, Stop};
pub use probe::{Canary, Class, Need, Probe, Proof};
pub use registry::{Registered, all, find};
