use std::path::Path;

use rstest::rstest;
use sandbox_core::{CgroupMode, Feature};

use super::*;

#[test]
fn every_row_of_the_documents_is_there_once_and_in_order() {
    let expected: Vec<String> = [("M", 10), ("R", 5), ("A", 7), ("F", 6), ("S", 10)]
        .into_iter()
        .flat_map(|(document, rows)| (1..=rows).map(move |row| format!("{document}{row}")))
        .collect();
    let ids: Vec<&str> = all().iter().map(|claim| claim.id.as_str()).collect();
    assert_eq!(ids, expected);
}

#[test]
fn every_test_that_a_claim_names_exists() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for claim in all() {
        for test in &claim.tests {
            let (file, name) = test.split_once("::").expect("FILE::NAME");
            let text = std::fs::read_to_string(top.join(file))
                .unwrap_or_else(|error| panic!("{}: {file}: {error}", claim.id));
            // A function, or a trial with that name; the end of a longer one is none.
            let begins = ["fn ", "\"", "println!(\""].map(|before| format!("{before}{name}"));
            let found = begins.iter().any(|begin| {
                text.match_indices(begin).any(|(at, _)| {
                    let after = text[at + begin.len()..].chars().next();
                    after.is_some_and(|next| !next.is_alphanumeric() && next != '_')
                })
            });
            assert!(found, "{}: there is no {name} in {file}", claim.id);
        }
    }
}

#[test]
fn every_claim_of_a_probe_exists() {
    for probe in probes::all() {
        for id in probe.probe.claims {
            assert!(
                find(id).is_some(),
                "{} shows {id}, which is no claim",
                probe.id
            );
        }
    }
}

#[test]
fn every_feature_that_a_claim_names_is_surveyed() {
    let host = Host::survey();
    for claim in all() {
        for feature in &claim.features {
            assert!(host.feature(feature).is_some(), "{}: {feature}", claim.id);
        }
    }
}

fn host(uid: u32, missing: Option<&'static str>) -> Host {
    let missing = missing.map(|name| Feature {
        name,
        guard: None,
        state: Has::Missing {
            reason: "max_user_namespaces is 0".to_owned(),
            remedy: String::new(),
        },
    });
    Host {
        kernel: "6.8.0".to_owned(),
        machine: "x86_64".to_owned(),
        uid,
        privileged: uid == 0,
        cgroup_mode: CgroupMode::None,
        features: missing.into_iter().collect(),
    }
}

#[rstest]
#[case::by_a_test("M3", 1000, None, "shown", "")]
#[case::by_probes_alone("S3", 1000, None, "shown", "")]
#[case::by_nothing("A2", 0, None, "not-yet", "nothing shows it")]
#[case::not_all_of_it("S7", 0, None, "not-yet", "siblings")]
#[case::as_root("S8", 0, None, "shown", "")]
#[case::as_somebody_else("S8", 1000, None, "unsupported", "it needs root")]
#[case::without_user_namespaces(
    "M3",
    0,
    Some("user namespace"),
    "unsupported",
    "user namespace: max_user_namespaces is 0"
)]
#[case::without_what_others_need("M3", 0, Some("pid namespace"), "shown", "")]
fn a_claims_state_is(
    #[case] id: &str,
    #[case] uid: u32,
    #[case] missing: Option<&'static str>,
    #[case] state: &str,
    #[case] words: &str,
) {
    let found = find(id).unwrap().state(&host(uid, missing));
    let json = serde_json::to_value(&found).unwrap();
    assert_eq!(json["state"], state, "{found:?}");
    assert!(json.to_string().contains(words), "{found:?}");
}
