//! Which probes and sandboxes a command line means.

use probes::Registered;

/// A name or glob that means nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Nothing {
    /// There is no such name.
    #[error("there is no {kind} {name:?}{}", suggestion(.near))]
    Named {
        /// `probe` or `sandbox`.
        kind: &'static str,
        /// What was asked for.
        name: String,
        /// What exists that looks like it, nearest first.
        near: Vec<String>,
    },
    /// The glob is malformed.
    #[error("{glob:?} is no glob: {reason}")]
    NoGlob {
        /// What was asked for.
        glob: String,
        /// Why.
        reason: String,
    },
}

fn suggestion(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [only] => format!("; did you mean {only}?"),
        [first @ .., last] => format!("; did you mean {} or {last}?", first.join(", ")),
    }
}

/// The probes that any of these globs means, by id; all where there is none.
///
/// # Errors
/// A glob that matches no probe: a gate must not shrink because of a typo.
pub fn probes(globs: &[String]) -> Result<Vec<&'static Registered>, Nothing> {
    let ids: Vec<&str> = probes::all().iter().map(|probe| probe.id).collect();
    let chosen = matching("probe", globs, &ids)?;
    Ok(probes::all()
        .iter()
        .filter(|probe| chosen.contains(&probe.id))
        .collect())
}

/// The one probe with this id.
///
/// # Errors
/// An id that does not exist, with those that look like it.
pub fn probe(id: &str) -> Result<&'static Registered, Nothing> {
    probes::find(id).ok_or_else(|| {
        let ids: Vec<&str> = probes::all().iter().map(|probe| probe.id).collect();
        nothing("probe", id, &ids)
    })
}

/// The names that any of these globs means, in the names' order; all where
/// there is no glob.
///
/// # Errors
/// A glob that matches nothing, or is none.
pub fn matching<'a>(
    kind: &'static str,
    globs: &[String],
    names: &[&'a str],
) -> Result<Vec<&'a str>, Nothing> {
    if globs.is_empty() {
        return Ok(names.to_vec());
    }
    let mut patterns = Vec::new();
    for glob in globs {
        let pattern = glob::Pattern::new(glob).map_err(|error| Nothing::NoGlob {
            glob: glob.clone(),
            reason: error.msg.to_owned(),
        })?;
        if !names.iter().any(|name| pattern.matches(name)) {
            return Err(nothing(kind, glob, names));
        }
        patterns.push(pattern);
    }
    Ok(names
        .iter()
        .copied()
        .filter(|name| patterns.iter().any(|pattern| pattern.matches(name)))
        .collect())
}

/// How alike two names must be, from 0 to 1, to be worth a suggestion.
const ALIKE: f64 = 0.75;

/// How many suggestions fit a sentence.
const SUGGESTIONS: usize = 3;

/// The sentence about a name that is not among these.
pub fn nothing(kind: &'static str, name: &str, names: &[&str]) -> Nothing {
    let plain: String = name
        .chars()
        .filter(|character| !"*?[]".contains(*character))
        .collect();
    let mut near: Vec<(f64, &str)> = names
        .iter()
        .map(|&candidate| (alike(&plain, candidate, plain != name), candidate))
        .filter(|&(alike, _)| alike >= ALIKE)
        .collect();
    near.sort_by(|one, other| other.0.total_cmp(&one.0));
    Nothing::Named {
        kind,
        name: name.to_owned(),
        near: near
            .into_iter()
            .take(SUGGESTIONS)
            .map(|(_, candidate)| candidate.to_owned())
            .collect(),
    }
}

/// How alike they are; a glob may also mean just the beginning.
fn alike(plain: &str, candidate: &str, is_glob: bool) -> f64 {
    let whole = strsim::jaro_winkler(plain, candidate);
    if !is_glob {
        return whole;
    }
    let beginning: String = candidate.chars().take(plain.chars().count()).collect();
    whole.max(strsim::jaro_winkler(plain, &beginning))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const NAMES: &[&str] = &[
        "fs-read-outside",
        "fs-write-outside",
        "net-connect",
        "proc-mem",
    ];

    #[rstest]
    #[case::no_glob_is_all(&[], NAMES)]
    #[case::a_name(&["proc-mem"], &["proc-mem"])]
    #[case::a_glob(&["fs-*"], &["fs-read-outside", "fs-write-outside"])]
    #[case::several_in_the_order_of_the_names(&["net-*", "fs-r*", "fs-read*"], &["fs-read-outside", "net-connect"])]
    fn globs_mean(#[case] globs: &[&str], #[case] expected: &[&str]) {
        let globs: Vec<String> = globs.iter().map(|&glob| glob.to_owned()).collect();
        assert_eq!(matching("probe", &globs, NAMES).unwrap(), expected);
    }

    #[rstest]
    #[case::a_typo(
        "fs-raed-outside",
        "there is no probe \"fs-raed-outside\"; did you mean fs-read-outside or fs-write-outside?"
    )]
    #[case::a_glob("nte-*", "there is no probe \"nte-*\"; did you mean net-connect?")]
    #[case::nothing_near("xyzzy", "there is no probe \"xyzzy\"")]
    #[case::no_glob("fs-[", "\"fs-[\" is no glob: invalid range pattern")]
    fn a_glob_that_means_nothing_is_said(#[case] glob: &str, #[case] expected: &str) {
        let globs = ["net-connect".to_owned(), glob.to_owned()];
        let error = matching("probe", &globs, NAMES).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}
