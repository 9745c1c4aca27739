//! A range of kernel releases: `>=5.10, <7.1`.

use serde::Deserialize;

/// Bounds that all hold. Each compares as many numbers as it names: `=6.8` and
/// `<=6.8` hold for 6.8.12, and `>6.8` does not.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Kernels {
    text: String,
    bounds: Vec<Bound>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Bound {
    relation: Relation,
    numbers: Vec<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    AtLeast,
    AtMost,
    Above,
    Below,
    Is,
}

/// Longer ones first: `>` is the beginning of `>=`.
const RELATIONS: [(&str, Relation); 5] = [
    (">=", Relation::AtLeast),
    ("<=", Relation::AtMost),
    (">", Relation::Above),
    ("<", Relation::Below),
    ("=", Relation::Is),
];

impl Kernels {
    /// Whether a release, as uname(2) gives it, lies in the range. One that
    /// cannot be read lies in none: what is expected there is not known.
    pub fn contain(&self, release: &str) -> bool {
        let Some(mut release) = numbers_of(release) else {
            return false;
        };
        self.bounds.iter().all(|bound| {
            let length = bound.numbers.len();
            release.resize(release.len().max(length), 0);
            let order = release[..length].cmp(&bound.numbers);
            match bound.relation {
                Relation::AtLeast => order.is_ge(),
                Relation::AtMost => order.is_le(),
                Relation::Above => order.is_gt(),
                Relation::Below => order.is_lt(),
                Relation::Is => order.is_eq(),
            }
        })
    }
}

impl TryFrom<String> for Kernels {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let bounds = text.split(',').map(|part| bound(part.trim())).collect();
        match bounds {
            Some(bounds) => Ok(Self { text, bounds }),
            None => Err(format!(
                "{text:?} is no range of kernels: write bounds such as \">=5.10, <7.1\""
            )),
        }
    }
}

impl std::fmt::Display for Kernels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

fn bound(text: &str) -> Option<Bound> {
    let (relation, rest) = RELATIONS
        .into_iter()
        .find_map(|(sign, relation)| Some((relation, text.strip_prefix(sign)?)))?;
    let numbers = rest.trim().split('.').map(|number| number.parse().ok());
    Some(Bound {
        relation,
        numbers: numbers.collect::<Option<_>>()?,
    })
}

/// The numbers that a release begins with: 6, 18, 44 of `6.18.44-fc`.
fn numbers_of(release: &str) -> Option<Vec<u32>> {
    let end = release
        .find(|character: char| !character.is_ascii_digit() && character != '.')
        .unwrap_or(release.len());
    let numbers = release[..end].trim_end_matches('.').split('.');
    numbers.map(|number| number.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::inside(">=5.10, <7.1", "6.18.44-fc", true)]
    #[case::the_lower_bound(">=5.10, <7.1", "5.10.0-8-amd64", true)]
    #[case::below(">=5.10, <7.1", "5.9.16", false)]
    #[case::numbers_are_no_text(">=5.9", "5.10.1", true)]
    #[case::the_upper_bound(">=5.10, <7.1", "7.1.0", false)]
    #[case::a_candidate_counts_as_its_release("<7.1", "7.1.0-rc3", false)]
    #[case::as_many_numbers_as_named("<=6.8", "6.8.12", true)]
    #[case::not_above_its_own_series(">6.8", "6.8.12", false)]
    #[case::above(">6.8", "6.9.0", true)]
    #[case::a_series("=6.8", "6.8.0-45-generic", true)]
    #[case::another_series("= 6.8", "6.9.0", false)]
    #[case::a_release_of_two_numbers(">=6.8.1", "6.8", false)]
    #[case::a_plus_at_the_end("=6.8.1", "6.8.1+", true)]
    #[case::unreadable(">=1", "custom", false)]
    fn a_release_lies_in_a_range(
        #[case] range: &str,
        #[case] release: &str,
        #[case] expected: bool,
    ) {
        let kernels = Kernels::try_from(range.to_owned()).unwrap();
        assert_eq!(kernels.contain(release), expected);
    }

    #[rstest]
    #[case::empty("")]
    #[case::no_sign("5.10")]
    #[case::no_number(">=")]
    #[case::words(">=new")]
    #[case::a_comma_too_many(">=5.10,")]
    #[case::two_signs(">=<5")]
    fn what_is_no_range_is_refused(#[case] range: &str) {
        let error = Kernels::try_from(range.to_owned()).unwrap_err();
        assert!(error.contains("is no range of kernels"), "{error}");
    }
}
