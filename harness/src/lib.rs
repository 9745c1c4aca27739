//! The library behind the program `escapology`; see ARCHITECTURE.md.

pub mod canary;
pub mod model;
