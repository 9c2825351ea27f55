use serde_json::json;

use super::*;

fn stalled(since: &str, generation: i64) -> Value {
    let stalled = json!({"type": "Stalled", "status": "True", "reason": "HostTaken", "message": "the host is taken",
                         "lastTransitionTime": since, "observedGeneration": generation});
    json!({"metadata": {"generation": 2}, "status": {"conditions": [stalled]}})
}

#[test]
fn an_app_that_is_stalled_is_followed_no_longer_than_the_operator_needs_to_begin() {
    let asked: Timestamp = "2026-11-22T10:00:00.25Z".parse().unwrap();
    let told = Some("HostTaken: the host is taken".to_owned());
    let obstacle = |app: &Value, waited| obstacle(app, asked, Duration::from_secs(waited));
    let before = stalled("2026-11-22T09:00:00Z", 2);
    assert_eq!(obstacle(&before, 0), None, "the restart may be what gets it going");
    assert_eq!(obstacle(&before, 10), told);
    assert_eq!(
        obstacle(&stalled("2026-11-22T09:00:00Z", 1), 10),
        None,
        "of an older spec"
    );
    assert_eq!(obstacle(&stalled("2026-11-22T10:00:00Z", 2), 0), told);
    assert_eq!(obstacle(&json!({}), 60), None);
}

#[test]
fn requests_of_one_second_differ() {
    assert!((0..3).any(|_| now().unwrap().subsec_nanosecond() != 0));
}
