use serde_json::json;

use super::*;

fn claim(key: &str, zone: &str, holder: &str, more: &Value) -> Value {
    let mut claim = json!({
        "apiVersion": "tremplin.dev/v1alpha1", "kind": "DnsClaim", "metadata": {"name": key},
        "spec": {"key": key, "zone": zone, "holder": {"namespace": holder}, "claimedAt": "2026-11-01T00:00:00Z"},
    });
    for (field, value) in more.as_object().unwrap() {
        claim[field] = value.clone();
    }
    claim
}

fn record(namespace: &str, zone: &str, reason: &str, conflict: bool) -> Value {
    let status = if reason == "Published" { "True" } else { "False" };
    let mut record = json!({
        "kind": "DnsRecord", "metadata": {"name": "app", "namespace": namespace},
        "status": {"zone": zone, "fqdn": format!("app.{zone}"), "conditions": [
            {"type": "Ready", "status": status, "reason": reason, "message": "why", "lastTransitionTime": "2026-11-02T00:00:00Z"},
        ]},
    });
    if conflict {
        record["status"]["conflict"] = json!({"reason": "held"});
    }
    record
}

fn zone(status: &Value) -> Value {
    json!({
        "apiVersion": "tremplin.dev/v1alpha1", "kind": "DnsZone", "metadata": {"name": "z"},
        "spec": {"domain": "Z.Example.", "mode": "Enforce", "provider": {"type": "OVH", "secretRef": {"name": "s"}}},
        "status": status,
    })
}

#[test]
fn what_waits_for_the_platform_team_is_found() {
    let condition = |type_: &str, status: &str, reason: &str| json!({"type": type_, "status": status, "reason": reason, "message": "m", "lastTransitionTime": "2026-11-02T00:00:00Z"});
    let zone = zone(&json!({
        "conditions": [condition("BreakerClosed", "False", "BreakerOpen"), condition("Ready", "False", "BreakerOpen"), condition("Synced", "False", "BreakerOpen")],
        "records": {"owned": 7, "foreign": 2, "orphaned": 1},
        "orphans": ["old.z.example A"],
        "credentialsExpireAt": "2026-12-01T00:00:00Z",
        "breaker": {"trippedAt": "2026-11-20T00:00:00Z", "deletions": [{"at": "2026-11-20T00:00:00Z", "count": 19, "open": ["a.z.example A", "b.z.example A"]}]},
        "plan": [{"action": "Delete", "name": "a.z.example", "type": "A"}],
    }));
    let claims = [
        claim("a.z.example", "z.example", "blue", &json!({})),
        claim(
            "b.z.example",
            "z.example",
            "blue",
            &json!({"status": {"approvals": [{"name": "b.z.example", "type": "NS", "values": ["ns1.b"], "approve": "b.z.example/NS/ff"}]}}),
        ),
        claim("other.example", "other.example", "red", &json!({})),
    ];
    let records = [
        record("red", "z.example", "NameHeld", true),
        record("blue", "z.example", "Published", false),
        record("green", "other.example", "NameHeld", true),
    ];
    let now = "2026-11-23T00:00:00Z".parse().unwrap();
    let report = Report::new(&zone, &records, &claims, now).unwrap();
    assert_eq!(
        report.findings,
        [
            "Ready is false (BreakerOpen): m",
            "the credential ends at 2026-12-01T00:00:00Z",
            "1 record set(s) have our mark, and nobody asks for them: old.z.example A",
            "b.z.example NS (ns1.b) of blue waits for approval: b.z.example/NS/ff",
            "1 DnsRecord(s) ask for a name that somebody else has",
        ]
    );
    assert_eq!(
        report.claims,
        BTreeMap::from([(
            "blue".to_owned(),
            vec!["a.z.example".to_owned(), "b.z.example".to_owned()]
        )])
    );
    assert_eq!(report.troubled.len(), 1);
    let words = report.in_words();
    assert!(
        words.contains("7 owned, 2 foreign, 1 orphaned")
            && words.contains("open since 2026-11-20T00:00:00Z; 19 deletion(s) within an hour, 2 more begun"),
        "{words}"
    );
    assert!(
        words.contains("red/app    app.z.example  NameHeld  2026-11-02T00:00:00Z  why\n"),
        "{words}"
    );
    assert!(words.contains("Delete  a.z.example  A\n"), "{words}");
}

#[test]
fn what_is_not_withdrawn_yet_is_told_with_the_reason() {
    let ready = json!({"type": "Ready", "status": "False", "reason": "Withdrawing", "message": "the provider is away", "lastTransitionTime": "2026-11-02T00:00:00Z"});
    let mut leaving = claim(
        "a.z.example",
        "z.example",
        "blue",
        &json!({"status": {"conditions": [ready]}}),
    );
    leaving["spec"]["withdrawals"] = json!([{"name": "www.a.z.example", "type": "AAAA"}]);
    let report = Report::new(&zone(&json!({})), &[], &[leaving], Timestamp::UNIX_EPOCH).unwrap();
    let words = report.in_words();
    assert!(
        words.contains("www.a.z.example  AAAA  blue    the provider is away\n"),
        "{words}"
    );
}

#[test]
fn what_the_desk_is_asked_is_told() {
    let request = json!({"action": "Create", "name": "a.z.example", "type": "A", "since": "2026-11-02T00:00:00Z", "text": "please"});
    let mut asked = claim(
        "a.z.example",
        "z.example",
        "blue",
        &json!({"status": {"requests": [request]}}),
    );
    asked["metadata"]["annotations"] = json!({"tremplin.dev/taken-by": "Anne"});
    let zone = zone(
        &json!({"conditions": [{"type": "Ready", "status": "True", "reason": "Synced", "message": "", "lastTransitionTime": "2026-11-02T00:00:00Z"}]}),
    );
    let report = Report::new(&zone, &[], &[asked], Timestamp::UNIX_EPOCH).unwrap();
    assert_eq!(report.findings, ["1 request(s) wait for the desk"]);
    let words = report.in_words();
    assert!(
        words.contains("Create  a.z.example  A     blue    2026-11-02T00:00:00Z  Anne\n"),
        "{words}"
    );
}

#[test]
fn a_zone_that_is_well_has_no_findings() {
    let zone = zone(
        &json!({"conditions": [{"type": "Ready", "status": "True", "reason": "Synced", "message": "", "lastTransitionTime": "2026-11-02T00:00:00Z"}]}),
    );
    let claims = [claim("a.z.example", "z.example", "blue", &json!({}))];
    let report = Report::new(&zone, &[], &claims, Timestamp::UNIX_EPOCH).unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
}
