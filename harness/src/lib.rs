//! The library behind the program `escapology`; see ARCHITECTURE.md.

pub mod canary;
pub mod depth;
pub mod describe;
pub mod exit_code;
pub mod gate;
pub mod judge;
pub mod model;
pub mod outcome;
pub mod sanitise;
