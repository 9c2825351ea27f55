use super::*;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;

#[derive(Deserialize, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
struct Cron {
    name: String,
    #[serde(default)]
    retries: Option<i32>,
}

#[derive(Deserialize, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
struct App {
    crons: Vec<Cron>,
}

fn fault(text: &str) -> (String, String, String) {
    let error = parse_one(text)
        .and_then(|document| document.decode::<App>())
        .unwrap_err();
    (error.location.to_string(), error.path, error.message)
}

#[test]
fn documents_of_a_stream_are_read_and_empty_ones_left_out() {
    let documents = parse("---\na: 1\n---\n# nothing\n---\nb: [x, 2, yes]\n").unwrap();
    let values: Vec<_> = documents.iter().map(|document| document.value.clone()).collect();
    assert_eq!(values, [json!({"a": 1}), json!({"b": ["x", 2, true]})]);
    assert_eq!(documents[1].locate("b[1]").to_string(), "6:8");
    assert_eq!(parse("").unwrap(), []);
}

#[test]
fn an_absent_field_is_located_at_its_nearest_parent() {
    let document = parse_one("spec:\n  crons:\n  - name: a\n").unwrap();
    assert_eq!(document.locate("spec.crons[0].schedule").to_string(), "3:5");
    assert_eq!(document.locate("metadata.name").to_string(), "1:1");
}

#[test]
fn an_unknown_field_is_told_with_its_place() {
    let (at, path, message) = fault("crons:\n- name: a\n  retires: 2\n");
    assert_eq!((at.as_str(), path.as_str()), ("3:3", "crons[0].retires"));
    assert!(message.starts_with("unknown field `retires`, expected"), "{message}");
}

#[test]
fn a_wrong_type_is_told_with_its_place() {
    let (at, path, message) = fault("crons:\n- name: a\n  retries: often\n");
    assert_eq!((at.as_str(), path.as_str()), ("3:3", "crons[0].retries"));
    assert!(message.contains("invalid type: string \"often\""), "{message}");
}

#[test]
fn a_missing_field_is_told_at_its_parent() {
    let (at, path, message) = fault("crons:\n- retries: 1\n");
    assert_eq!(
        (at.as_str(), path.as_str(), message.as_str()),
        ("2:3", "crons[0]", "missing field `name`")
    );
}

#[test]
fn an_explicit_null_is_refused() {
    let (at, path, message) = fault("crons:\n- name: a\n  retries:\n");
    assert_eq!((at.as_str(), path.as_str()), ("3:3", "crons[0].retries"));
    assert!(message.starts_with("has no value"), "{message}");
}

#[test]
fn a_key_written_twice_is_refused() {
    let (at, _, message) = fault("crons: []\ncrons: []\n");
    assert_eq!(at, "2:1");
    assert_eq!(message, "duplicate mapping key: crons: remove one of the two");
}

#[test]
fn aliases_that_unfold_without_end_are_refused_in_plain_words() {
    let lines: Vec<String> = (1..9)
        .map(|level| {
            format!(
                "a{level}: &a{level} [{}]\n",
                vec![format!("*a{}", level - 1); 10].join(", ")
            )
        })
        .collect();
    let text = format!("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n{}", lines.concat());
    let (_, _, message) = fault(&text);
    assert!(message.starts_with("too large for a manifest"), "{message}");
}

#[test]
fn a_long_stream_is_read() {
    assert_eq!(parse(&"---\na: 1\n".repeat(3_000)).unwrap().len(), 3_000);
}

#[test]
fn broken_syntax_is_told_with_its_place() {
    let (at, ..) = fault("crons: [\n");
    assert_eq!(at, "1:8");
}

#[test]
fn two_documents_are_not_one() {
    assert!(parse_one("a: 1\n---\nb: 2\n").unwrap_err().message.contains("found 2"));
}

#[test]
fn scalars_keep_the_type_that_the_cluster_would_see() {
    let document =
        parse_one("a: 0440\nb: on\nc: '1'\nd: 1.5\ne: 2026-11-22\nf: &x {g: 1}\nh: *x\n8080: port\n").unwrap();
    let expected = json!({"a": 288, "b": true, "c": "1", "d": 1.5, "e": "2026-11-22",
                          "f": {"g": 1}, "h": {"g": 1}, "8080": "port"});
    assert_eq!(document.value, expected);
}

proptest! {
    /// What `tremplin render` writes is read as the same strings by a reader of YAML 1.1, as kubectl is.
    #[test]
    fn a_written_string_reads_back_the_same(
        text in prop_oneof![
            any::<String>(),
            "[ -~\n\t]{0,40}",
            "[-+.0-9a-fxo_:~eyYnNtTfF]{0,8}",
            select(vec!["yes", "Off", "NULL", "~", "0755", "1e3", ".inf", "0b1", "0o7", "<<", "=", "1_000", "12:30:45", "---", "..."])
                .prop_map(str::to_owned),
        ],
    ) {
        let object = json!({"env": [{"name": "A", "value": text}], "map": {text.clone(): "x"}});
        let written = serde_saphyr::to_string(&object).unwrap();
        prop_assert_eq!(parse_one(&written).unwrap().value, object, "{}", written);
    }
}
