//! The library behind the program `escapology`; see ARCHITECTURE.md.

pub mod canary;
pub mod cli;
pub mod commands;
pub mod depth;
pub mod describe;
pub mod event;
pub mod exit_code;
pub mod explain;
pub mod gate;
pub mod judge;
pub mod list;
pub mod model;
pub mod outcome;
pub mod progress;
pub mod report;
pub mod sanitise;
pub mod select;
pub mod table;
pub mod terminal;
