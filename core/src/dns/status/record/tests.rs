use super::*;
use crate::api::dns::DnsRecordSpec;
use crate::dns::rrset::RecordType;
use crate::dns::testing::{at, name};

#[test]
fn a_serial_is_that_of_the_first_answer_as_asked_for() {
    let answer = |matches| AuthorityAnswer {
        server: "ns1".to_owned(),
        serial: None,
        matches,
        message: None,
    };
    assert_eq!(proven(answer(false), Some(7), &[]).serial, None);
    let first = proven(answer(true), Some(7), &[answer(false)]);
    assert_eq!(first.serial, Some(7));
    assert_eq!(
        proven(answer(true), Some(8), std::slice::from_ref(&first)).serial,
        Some(7)
    );
    assert_eq!(proven(answer(true), Some(8), &[]).serial, Some(8), "other data");
}

#[test]
fn what_was_written_to_another_zone_is_to_be_written_to_the_one_that_covers_the_name_now() {
    let sets = vec![RrSet {
        name: name("app.in.z.org"),
        type_: RecordType::A,
        ttl: 300,
        values: ["192.0.2.1".to_owned()].into(),
    }];
    let served = Progress {
        wanted: programmed(&sets),
        result: Ok(Served {
            answers: vec![AuthorityAnswer {
                server: "ns1".to_owned(),
                serial: None,
                matches: true,
                message: None,
            }],
            ..Served::default()
        }),
        drift: None,
        findings: Vec::new(),
    };
    let judgement = Judgement { sets, verdict: Ok(()) };
    let uncovered = Judgement {
        sets: judgement.sets.clone(),
        verdict: Err(Fault::stalled(Reason::NoLongerAllowed, "no DnsZone covers it", "")),
    };
    let mut record = DnsRecord::new("app", DnsRecordSpec::default());
    let mut told = |zone: &str, progress: Option<&Progress>| {
        let zone = Some(zone.to_owned()).filter(|zone| !zone.is_empty());
        let facts = RecordFacts {
            fqdn: None,
            judgement: if zone.is_some() { &judgement } else { &uncovered },
            zone,
            claim: None,
            conflict: None,
            outlook: &Outlook::default(),
            progress,
            now: at(0),
        };
        record.status = Some(record_status(&record, facts));
        let status = record.status.as_ref().unwrap();
        let ready = conditions::find(&status.conditions, READY).unwrap();
        (
            ready.reason.clone(),
            status.programmed.iter().all(|set| !set.hash.is_empty()),
        )
    };
    assert_eq!(told("in.z.org", Some(&served)), ("Published".to_owned(), true));
    assert_eq!(told("in.z.org", None), ("Published".to_owned(), true));
    assert_eq!(told("z.org", None), ("Programming".to_owned(), false));
    // A program that ends here knows it.
    assert_eq!(told("z.org", None), ("Programming".to_owned(), false));
    assert_eq!(told("z.org", Some(&served)), ("Published".to_owned(), true));
    // Also when none covered it meanwhile.
    assert_eq!(told("", None), ("NoLongerAllowed".to_owned(), true));
    assert_eq!(told("z.org", Some(&served)), ("Published".to_owned(), true));
    assert_eq!(told("", None), ("NoLongerAllowed".to_owned(), true));
    assert_eq!(told("in.z.org", None), ("Programming".to_owned(), false));
}

#[test]
fn why_no_server_was_asked_is_told_with_what_to_do() {
    let mut conditions = Conditions::new(&[], 1, Timestamp::UNIX_EPOCH);
    let served = Served {
        unasked: Some("no resolver answers".to_owned()),
        stage: "written at X".to_owned(),
        ..Served::default()
    };
    serve(
        &mut conditions,
        &DnsRecordStatus::default(),
        &served,
        Timestamp::UNIX_EPOCH,
    );
    let conditions = conditions.finish();
    let told = &conditions::find(&conditions, READY).unwrap().message;
    assert!(
        told.starts_with("written at X; no authoritative server was asked: no resolver answers. Next: ")
            && told.contains("port 53")
            && told.contains("spec.authorities"),
        "{told}"
    );
}

#[test]
fn a_name_that_another_team_holds_now_carries_nothing_of_what_was() {
    let old = serde_json::json!({
        "fqdn": "a.z.org", "zone": "z.org", "effectiveType": "A", "targets": "192.0.2.1", "effectiveTTLSeconds": 300,
        "claim": {"name": "a.z.org", "since": "2026-01-01T00:00:00Z"},
        "authoritative": [{"server": "ns1", "matches": true}],
        "programmed": [{"name": "a.z.org", "type": "A", "hash": "x"}],
        "conditions": [{"type": PUBLISHED, "status": "True", "reason": "Answered", "message": "answered as asked by ns1",
            "lastTransitionTime": "2026-01-01T00:00:00Z"}],
    });
    let record = serde_json::json!({
        "apiVersion": "tremplin.dev/v1alpha1", "kind": "DnsRecord", "metadata": {"name": "a"},
        "spec": {"name": "a.z.org", "targets": ["192.0.2.1"]}, "status": old,
    });
    let record: DnsRecord = serde_json::from_value(record).unwrap();
    let status = |reason: Reason| {
        let facts = RecordFacts {
            fqdn: Some("a.z.org".to_owned()),
            zone: Some("z.org".to_owned()),
            claim: None,
            conflict: None,
            judgement: &Judgement {
                sets: Vec::new(),
                verdict: Err(Fault::stalled(reason, "no", "")),
            },
            progress: None,
            outlook: &Outlook::default(),
            now: at(0),
        };
        record_status(&record, facts)
    };
    let lost = status(Reason::NameHeld);
    assert!(conditions::find(&lost.conditions, PUBLISHED).is_none());
    let bare = DnsRecordStatus {
        observed_generation: Some(0),
        fqdn: Some("a.z.org".to_owned()),
        zone: Some("z.org".to_owned()),
        conditions: lost.conditions.clone(),
        ..DnsRecordStatus::default()
    };
    assert_eq!(lost, bare);
    let refused = status(Reason::TypeNotAllowed);
    assert!(is_published(&DnsRecord {
        status: Some(refused),
        ..record.clone()
    }));
}

#[test]
fn what_caches_hold_is_told_until_they_hold_it_no_more() {
    let mut old = DnsRecordStatus::default();
    let mut told = |held: Option<Held>, now: i64| {
        let mut conditions = Conditions::new(&old.conditions, 1, at(now));
        let until = old.visible_after.as_ref().map(|at| at.0);
        propagated(&mut conditions, &old, held, at(now));
        old.conditions = conditions.finish();
        old.visible_after = held.map(|held| held.until).max(until).map(Time);
        let told = conditions::find(&old.conditions, PROPAGATED).unwrap();
        (told.status.clone(), told.message.clone())
    };
    let negative = Held::from_now(Cached::Negative(300), at(0));
    let first = told(negative, 0);
    assert_eq!(
        first.1,
        "visible everywhere after 1970-01-01T00:05:01Z: until then caches may hold that there is no such name (the \
         SOA's negative TTL of 300 s)"
    );
    assert_eq!(told(None, 10), first, "another round, or another program");
    let older = Held::from_now(Cached::Older(60), at(20));
    assert_eq!(told(older, 20), first, "what is held longer counts");
    assert_eq!(told(None, 301).0, "True");
}
