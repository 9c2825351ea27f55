use serde_json::json;

use super::*;

const NOW: &str = "2026-11-22T10:30:00Z";

fn app(conditions: &Value) -> Value {
    json!({
        "metadata": {"name": "annuaire", "namespace": "b4--22", "uid": "app", "generation": 4},
        "status": {"observedGeneration": 4, "url": "https://annuaire.fr", "conditions": conditions},
    })
}

fn evidence(app: Value) -> Evidence {
    Evidence {
        app,
        deployments: vec![],
        jobs: vec![],
        pods: vec![],
        events: vec![],
    }
}

fn tell(evidence: &Evidence) -> (String, Exit) {
    let report = Report::of_app(evidence, Times(Some(NOW.parse().unwrap())));
    (report.in_words(), report.exit())
}

#[test]
fn an_app_that_is_well_is_told_in_three_lines() {
    let ready = json!([{"type": "Ready", "status": "True", "reason": "Running", "message": "2 of 2 instances are ready", "lastTransitionTime": "2026-11-22T10:00:00Z"}]);
    let (text, exit) = tell(&evidence(app(&ready)));
    assert_eq!(exit, Exit::Fine);
    assert_eq!(
        text,
        "StartupApp annuaire in b4--22: well (Running) since 2026-11-22T10:00:00Z, 30 min ago\n  2 of 2 instances are ready\n  URL: https://annuaire.fr\n"
    );
}

#[test]
fn an_app_in_trouble_is_told_with_evidence_and_the_next_step() {
    let mut evidence = evidence(app(&json!([
        {"type": "Stalled", "status": "True", "reason": "CrashLooping", "message": "web ended 6 times", "lastTransitionTime": "2026-11-22T10:28:30Z"},
        {"type": "Ready", "status": "False", "reason": "CrashLooping", "message": "web ended 6 times", "lastTransitionTime": "2026-11-22T10:28:30Z"},
        {"type": "Released", "status": "True", "reason": "Released", "message": "", "lastTransitionTime": "2026-11-20T10:28:30Z"},
        {"type": "Available", "status": "False", "reason": "NotServing", "message": "web has no instance", "lastTransitionTime": "2026-11-22T06:28:30Z"},
    ])));
    evidence.deployments.push(json!({
        "metadata": {"name": "annuaire-web", "uid": "d"}, "spec": {"replicas": 2},
        "status": {"readyReplicas": 1, "updatedReplicas": 1, "conditions": [
            {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "exceeded quota: dso-quota"},
            {"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable", "message": "fine"},
        ]},
    }));
    evidence.jobs.push(json!({
        "metadata": {"name": "annuaire-purge-1", "uid": "j"},
        "status": {"conditions": [{"type": "Failed", "status": "True", "message": "Job has reached the specified backoff limit", "lastTransitionTime": "2026-11-22T10:29:00Z"}]},
    }));
    evidence.pods.push(json!({
        "metadata": {"name": "annuaire-web-5d-x", "uid": "p", "ownerReferences": [{"uid": "rs"}]},
        "status": {"phase": "Running", "containerStatuses": [{
            "restartCount": 6,
            "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s"}},
            "lastState": {"terminated": {"exitCode": 1, "reason": "Error", "message": "no such table\nbye", "finishedAt": "2026-11-22T10:29:30Z"}},
        }]},
    }));
    evidence.pods.push(json!({"metadata": {"name": "annuaire-web-5d-y", "uid": "q"}, "status": {"phase": "Running", "containerStatuses": [{"state": {"running": {}}}]}}));
    let event = |uid: &str, kind: &str, name: &str, at: &str, type_: &str| {
        json!({"type": type_, "reason": "BackOff", "message": "Back-off", "count": 14, "lastTimestamp": at,
               "involvedObject": {"uid": uid, "kind": kind, "name": name}})
    };
    evidence.events = vec![
        event("p", "Pod", "annuaire-web-5d-x", "2026-11-22T10:20:00Z", "Warning"),
        event(
            "other-rs",
            "ReplicaSet",
            "annuaire-web-7f",
            "2026-11-22T10:29:59Z",
            "Warning",
        ),
        event("p", "Pod", "annuaire-web-5d-x", "2026-11-22T10:21:00Z", "Normal"),
        event("stranger", "Pod", "other-web-5d-x", "2026-11-22T10:21:00Z", "Warning"),
        event(
            "stranger",
            "ReplicaSet",
            "annuaire-web-api-7f",
            "2026-11-22T10:21:00Z",
            "Warning",
        ),
    ];
    let (text, exit) = tell(&evidence);
    assert_eq!(exit, Exit::Found);
    let expected = "\
StartupApp annuaire in b4--22: Stalled (CrashLooping) since 2026-11-22T10:28:30Z, 90 s ago
  web ended 6 times
  URL: https://annuaire.fr
  Next: Read its exit code and last words in the message, and its log with `kubectl logs`.

Conditions
  Available: False (NotServing) since 2026-11-22T06:28:30Z, 4 h ago: web has no instance
  Released: True (Released) since 2026-11-20T10:28:30Z, 2 days ago

Evidence
  Deployment annuaire-web: 1 of 2 instances ready, 1 of the newest version
    FailedCreate: exceeded quota: dso-quota
  Job annuaire-purge-1: failed at 2026-11-22T10:29:00Z, 60 s ago: Job has reached the specified backoff limit
  Pod annuaire-web-5d-x: Running
    CrashLoopBackOff: back-off 5m0s
    ended at 2026-11-22T10:29:30Z, 30 s ago with exit code 1 (Error), 6 restarts:
      no such table
      bye
  Event 1 s ago, 14 times: ReplicaSet annuaire-web-7f: BackOff: Back-off
  Event 10 min ago, 14 times: Pod annuaire-web-5d-x: BackOff: Back-off
";
    assert_eq!(text, expected);

    let for_programs = serde_json::to_value(Report::of_app(&evidence, Times(None))).unwrap();
    assert_eq!(for_programs["state"], "Stalled");
    assert_eq!(for_programs["well"], false);
    assert_eq!(
        for_programs["since"], "2026-11-22T10:28:30Z",
        "no age: it changes by itself"
    );
    assert_eq!(for_programs["conditions"][0]["type"], "Available");
    assert_eq!(for_programs["evidence"][0]["about"], "Deployment annuaire-web");
    assert_eq!(
        for_programs["evidence"][3]["about"],
        "Event 2026-11-22T10:29:59Z, 14 times"
    );
}

#[test]
fn an_app_that_the_operator_has_not_seen_is_told_so() {
    let (text, exit) = tell(&evidence(
        json!({"metadata": {"name": "a", "namespace": "b"}, "status": {"observedGeneration": -1}}),
    ));
    assert_eq!(exit, Exit::Found);
    assert!(
        text.contains("the operator has not looked at it yet\n  Next: check that the operator runs"),
        "{text}"
    );
}

#[test]
fn a_verdict_on_an_older_spec_is_no_all_clear() {
    let mut app = app(
        &json!([{"type": "Ready", "status": "True", "reason": "Running", "message": "fine", "lastTransitionTime": NOW}]),
    );
    app["metadata"]["generation"] = json!(5);
    let (text, exit) = tell(&evidence(app));
    assert_eq!(exit, Exit::Found);
    assert!(
        text.contains("not ready (Running)") && text.contains("(generation 5, it knows 4)"),
        "{text}"
    );
}

#[test]
fn a_name_that_is_not_served_yet_is_told_with_how_long_it_is_waited_for() {
    let record = json!({
        "kind": "DnsRecord", "metadata": {"name": "app", "namespace": "blue", "generation": 1},
        "status": {
            "observedGeneration": 1, "fqdn": "app.z.example", "zone": "z.example", "effectiveType": "A", "targets": "192.0.2.1",
            "effectiveTTLSeconds": 300, "visibleAfter": "2026-11-22T10:34:00Z",
            "claim": {"name": "app.z.example", "since": "2026-11-22T10:29:00Z"},
            "authoritative": [
                {"server": "ns2", "matches": true},
                {"server": "ns1", "matches": false, "message": "app.z.example A: answers that there is no such name"},
            ],
            "conditions": [
                {"type": "Ready", "status": "False", "reason": "Publishing", "message": "written at OVHcloud, not yet deployed by the provider; not yet answered as asked by ns1", "lastTransitionTime": "2026-11-22T10:29:48Z"},
                {"type": "Reconciling", "status": "True", "reason": "Publishing", "message": "", "lastTransitionTime": "2026-11-22T10:29:48Z"},
                {"type": "Programmed", "status": "True", "reason": "Written", "message": "", "lastTransitionTime": "2026-11-22T10:29:48Z"},
                {"type": "Published", "status": "False", "reason": "Publishing", "message": "", "lastTransitionTime": "2026-11-22T10:29:48Z"},
            ],
        },
    });
    let times = Times(Some(NOW.parse().unwrap()));
    let report = Report::new("DnsRecord", &record, names::of_record(&record, times), times);
    let expected = "\
DnsRecord app in blue: Reconciling (Publishing) since 2026-11-22T10:29:48Z, 12 s ago
  written at OVHcloud, not yet deployed by the provider; not yet answered as asked by ns1
  Next: Wait. The message names the servers.

Conditions
  Published: False (Publishing) since 2026-11-22T10:29:48Z, 12 s ago
  Programmed: True (Written) since 2026-11-22T10:29:48Z, 12 s ago

Evidence
  app.z.example: A 192.0.2.1, TTL 300 s, in the zone z.example
  DnsClaim app.z.example: held by this namespace since 2026-11-22T10:29:00Z, 60 s ago
  Server ns1: written, not yet answered by ns1: 12 s
    app.z.example A: answers that there is no such name
  Server ns2: answers as asked
  Caches: may keep an older answer until 2026-11-22T10:34:00Z, in 4 min
";
    assert_eq!((report.in_words().as_str(), report.exit()), (expected, Exit::Found));
    // For programs nothing changes by itself.
    let quiet = names::of_record(&record, Times(None));
    assert_eq!(quiet[2].message, "written, not yet answered by ns1");
    assert_eq!(quiet[4].message, "may keep an older answer until 2026-11-22T10:34:00Z");
}

#[test]
fn the_next_step_is_that_of_the_kind() {
    let record = |kind: &str, reason: &str| {
        let conditions =
            json!([{"type": "Ready", "status": "False", "reason": reason, "message": "m", "lastTransitionTime": NOW}]);
        json!({"kind": kind, "metadata": {"name": "z", "generation": 1}, "status": {"observedGeneration": 1, "conditions": conditions}})
    };
    let times = Times(None);
    let report = Report::new("DnsRecord", &record("DnsRecord", "NameHeld"), vec![], times);
    assert_eq!(report.next, tremplin_core::dns::Reason::NameHeld.action());
    let invalid = Report::new("DnsRecord", &record("DnsRecord", "InvalidSpec"), vec![], times);
    assert_eq!(invalid.next, tremplin_core::dns::Reason::InvalidSpec.action());
    assert!(invalid.in_words().starts_with("DnsRecord z: not ready (InvalidSpec)"));
    assert_eq!(names::kind("DNSRecords.tremplin.dev"), Some("DnsRecord"));
    assert_eq!(names::kind("startupapp"), None);
}

#[test]
fn what_keeps_a_zone_and_a_claim_is_told() {
    let zone = json!({"kind": "DnsZone", "status": {
        "authorities": [{"server": "ns1"}, {"server": "ns2", "message": "no answer"}],
        "breaker": {"trippedAt": "2026-11-22T10:00:00Z", "message": "21 deletions"},
        "plan": [{"action": "Delete", "name": "a.z", "type": "A"}],
    }});
    assert_eq!(
        lines(names::of_zone(&zone, Times(None))),
        [
            "Server ns1: answers for the zone []",
            "Server ns2: no answer []",
            "Breaker: open since 2026-11-22T10:00:00Z: 21 deletions []",
            "Plan: 1 change(s), not written [\"Delete a.z A\"]",
        ]
    );
    let claim = json!({"kind": "DnsClaim", "spec": {
        "key": "a.z", "holder": {"namespace": "blue"}, "claimedAt": "2026-11-22T10:00:00Z", "releaseAt": "2026-11-23T10:00:00Z",
        "withdrawals": [{"name": "a.z", "type": "A"}],
    }, "status": {"records": 0}});
    assert_eq!(
        lines(names::of_claim(&claim, Times(Some(NOW.parse().unwrap())))),
        [
            "a.z: held by the namespace blue since 2026-11-22T10:00:00Z, 30 min ago; used by 0 record(s) []",
            "Quarantine: nobody else gets it before 2026-11-23T10:00:00Z, in 23 h []",
            "Withdrawal: a.z A is to be taken out of the zone []",
        ]
    );
}

#[test]
fn what_a_desk_is_asked_and_said_is_shown() {
    let claim = json!({"kind": "DnsClaim", "metadata": {"annotations": {"tremplin.dev/taken-by": "Camille"}}, "spec": {
        "key": "a.z", "holder": {"namespace": "blue"}, "claimedAt": "2026-11-22T10:00:00Z",
    }, "status": {"records": 1, "requests": [{"action": "Create", "name": "a.z", "type": "A",
        "since": "2026-11-22T10:00:00Z", "text": "Merci de créer :\nPlease create:"}]}});
    assert_eq!(
        lines(names::of_claim(&claim, Times(Some(NOW.parse().unwrap())))),
        [
            "a.z: held by the namespace blue since 2026-11-22T10:00:00Z, 30 min ago; used by 1 record(s) []",
            "Request: the desk is asked since 2026-11-22T10:00:00Z, 30 min ago: Create a.z A [\"Merci de créer :\", \"Please create:\"]",
            "Desk: taken by Camille []",
        ]
    );
}

fn lines(found: Vec<Exhibit>) -> Vec<String> {
    let line = |told: Exhibit| format!("{}: {} {:?}", told.about, told.message, told.details);
    found.into_iter().map(line).collect()
}
