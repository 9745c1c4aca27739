//! The JSON Schema that is kept is the one that the types give.

mod common;

#[test]
fn the_kept_schema_is_that_of_the_types() {
    common::matches_file(
        &harness::report::schema(),
        "schema/report.json",
        "UPDATE_SCHEMA",
    );
}

#[test]
fn the_schema_names_the_stable_keys() {
    let schema: serde_json::Value = serde_json::from_str(&harness::report::schema()).unwrap();
    let required: Vec<&str> = schema["required"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|key| key.as_str())
        .collect();
    for key in ["schema", "host", "sandboxes", "results", "summary", "gate"] {
        assert!(required.contains(&key), "{key} is not required");
    }
}
