//! Launches isolated processes.
