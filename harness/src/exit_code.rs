//! The exit codes of `escapology`: one table for every format and subcommand.

/// Green: everything was attempted and nothing got out.
pub const GREEN: u8 = 0;

/// A sandbox let something through, could not apply what it was asked for, or a
/// rule of the gate file does not hold.
pub const ESCAPED: u8 = 1;

/// The command line makes no sense; also clap's own code for that.
pub const USAGE: u8 = 2;

/// Evidence is missing: vacuous, inconclusive, or unsupported over budget.
pub const EVIDENCE_MISSING: u8 = 3;

/// The harness itself failed: it could not work, could not see, or had nothing
/// to do.
pub const HARNESS_FAILED: u8 = 4;

/// The worst of several: 1, then 4, then 3, then 0.
pub fn worst(codes: impl IntoIterator<Item = u8>) -> u8 {
    let severity = |code: &u8| match *code {
        GREEN => 0,
        EVIDENCE_MISSING => 1,
        HARNESS_FAILED => 2,
        _ => 3,
    };
    codes.into_iter().max_by_key(severity).unwrap_or(GREEN)
}

/// What a code says, in words.
pub fn meaning(code: u8) -> &'static str {
    match code {
        GREEN => "every attempt was contained",
        ESCAPED => "a sandbox let something through",
        USAGE => "the command line makes no sense",
        EVIDENCE_MISSING => "evidence is missing",
        HARNESS_FAILED => "the harness itself failed",
        _ => "no code of ours",
    }
}
