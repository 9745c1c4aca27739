//! The library behind the program `escapology`; see ARCHITECTURE.md.

pub mod arena;
pub mod canary;
pub mod catalog;
pub mod cli;
pub mod commands;
pub mod depth;
pub mod describe;
pub mod event;
pub mod exit_code;
pub mod explain;
pub mod gate;
pub mod guards;
pub mod judge;
pub mod leg;
pub mod list;
pub mod model;
pub mod needs;
pub mod outcome;
pub mod probe_program;
pub mod progress;
pub mod report;
pub mod runs;
pub mod sanitise;
pub mod select;
mod sys;
pub mod table;
pub mod terminal;
