//! The library behind the program `escapology`; see ARCHITECTURE.md.

pub mod canary;
pub mod model;
pub mod probe_program;
mod sys;
