//! How deep a defence is: protections counted, from declarations alone.

use std::collections::BTreeSet;

use probes::{Guard, Stop};

/// Whether a probe's declaration says that it gets out past these protections:
/// no alternative that stops it is there as a whole.
pub fn expected_escape(stops: &[Stop], present_guards: &[Guard]) -> bool {
    !stops.iter().any(|stop| is_present(stop, present_guards))
}

/// Whether all guards of a stop are among these.
pub(crate) fn is_present(stop: &Stop, guards: &[Guard]) -> bool {
    stop.guards.iter().all(|guard| guards.contains(guard))
}

/// The smallest set of protections whose loss breaks every one of these stops:
/// a minimum hitting set. Of several the first by guard order; `None` where
/// there is no stop, or one without guards, which nothing breaks.
pub(crate) fn weakest(stops: &[&[Guard]]) -> Option<Vec<Guard>> {
    if stops.is_empty() || stops.iter().any(|stop| stop.is_empty()) {
        return None;
    }
    let guards: BTreeSet<Guard> = stops.iter().copied().flatten().copied().collect();
    let guards: Vec<Guard> = guards.into_iter().collect();
    (1..=guards.len()).find_map(|size| hit(stops, &guards, size, &mut Vec::new()))
}

/// Extends `chosen` by `size` of `guards` so that it hits every stop.
fn hit(
    stops: &[&[Guard]],
    guards: &[Guard],
    size: usize,
    chosen: &mut Vec<Guard>,
) -> Option<Vec<Guard>> {
    if size == 0 {
        let hits = |stop: &&[Guard]| stop.iter().any(|guard| chosen.contains(guard));
        return stops.iter().all(hits).then(|| chosen.clone());
    }
    for (index, &guard) in guards.iter().enumerate() {
        chosen.push(guard);
        let found = hit(stops, &guards[index + 1..], size - 1, chosen);
        chosen.pop();
        if found.is_some() {
            return found;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use probes::Guard::{Capabilities, NetNamespace, PidNamespace, Root, UserNamespace};
    use probes::Refusal;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::no_stop(vec![], None)]
    #[case::a_stop_that_cannot_break(vec![vec![Root], vec![]], None)]
    #[case::one_guard(vec![vec![Root]], Some(vec![Root]))]
    #[case::any_of_a_conjunction(vec![vec![PidNamespace, Capabilities]], Some(vec![PidNamespace]))]
    #[case::two_alternatives(vec![vec![Root], vec![PidNamespace]], Some(vec![PidNamespace, Root]))]
    #[case::a_shared_guard(vec![vec![Root, UserNamespace], vec![PidNamespace, UserNamespace]], Some(vec![UserNamespace]))]
    #[case::three_disjoint(vec![vec![Root], vec![PidNamespace], vec![NetNamespace]], Some(vec![PidNamespace, NetNamespace, Root]))]
    fn the_weakest_set(#[case] stops: Vec<Vec<Guard>>, #[case] expected: Option<Vec<Guard>>) {
        let stops: Vec<&[Guard]> = stops.iter().map(Vec::as_slice).collect();
        assert_eq!(weakest(&stops), expected);
    }

    const STOPS: &[Stop] = &[
        Stop {
            guards: &[Root],
            refusal: Refusal::Silent,
        },
        Stop {
            guards: &[UserNamespace, PidNamespace],
            refusal: Refusal::Silent,
        },
    ];

    #[rstest]
    #[case::nothing_there(&[], true)]
    #[case::half_a_stop(&[UserNamespace], true)]
    #[case::another_guard(&[NetNamespace], true)]
    #[case::one_alternative(&[Root], false)]
    #[case::the_other_alternative(&[UserNamespace, PidNamespace], false)]
    fn a_probe_gets_out_where_no_stop_is_whole(#[case] present: &[Guard], #[case] escape: bool) {
        assert_eq!(expected_escape(STOPS, present), escape);
    }
}
