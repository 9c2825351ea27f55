use super::*;
use crate::dns::testing::{name, set};

fn spec(text: &str) -> DnsRecordSpec {
    serde_saphyr::from_str(&format!("{{name: app.z.org, {text}}}")).unwrap()
}

#[test]
fn texts_stand_beside_each_other_but_for_two_policies_of_mail() {
    let told = |text: &str, older: &RrSet| {
        let refused = duplicate(
            &[set(RecordType::Txt, text)],
            std::slice::from_ref(older),
            &spec("values: [x]"),
        )
        .err()?;
        assert_eq!(refused.reason, Reason::DuplicateRecord);
        Some(refused.message)
    };
    let spf = set(RecordType::Txt, "v=spf1 -all");
    assert_eq!(told("site=1", &spf), None);
    assert_eq!(told("v=spf1 -all", &spf), None, "the same twice is one");
    assert!(
        told("v=spf1 include:a.example -all", &spf)
            .unwrap()
            .contains("the SPF record")
    );
    let dmarc = set(RecordType::Txt, "v=DMARC1; p=reject");
    assert!(told("v=DMARC1; p=none", &dmarc).unwrap().contains("the DMARC record"));
    assert_eq!(told("v=DMARC1; p=none", &spf), None);
    assert!(told("site=1", &set(RecordType::Ns, "ns.example.org")).is_some());
}

#[test]
fn a_zone_that_became_invalid_takes_nothing_away_and_is_told_as_such() {
    let record = |status: &str| -> DnsRecord {
        let record = format!("{{metadata: {{name: a}}, spec: {{name: app.z.org}}, status: {{{status}}}}}");
        serde_saphyr::from_str(&format!(
            "{{apiVersion: tremplin.dev/v1alpha1, kind: DnsRecord, {}",
            &record[1..]
        ))
        .unwrap()
    };
    let why = Fault::stalled(Reason::InvalidZone, "1/2 is no range", "write a range").at("spec.admission");
    let new = with_invalid_zone(&record(""), "shared", &why);
    assert_eq!(new.reason, Reason::InvalidZone);
    assert_eq!(
        new.to_string(),
        "the DnsZone shared cannot be used: spec.admission: 1/2 is no range: ask the platform team to correct it"
    );
    let published =
        "claim: {name: c, since: '2026-01-01T00:00:00Z'}, programmed: [{name: app.z.org, type: A, hash: x}]";
    assert_eq!(
        with_invalid_zone(&record(published), "shared", &why).reason,
        Reason::NoLongerAllowed
    );
}

#[test]
fn what_a_mail_unit_says_twice_is_told_at_its_field() {
    let older = [set(RecordType::Txt, "v=spf1 a -all")];
    let mail = spec("mail: {spf: 'v=spf1 -all'}");
    let fault = duplicate(&[set(RecordType::Txt, "v=spf1 -all")], &older, &mail).unwrap_err();
    assert_eq!(fault.field.as_deref(), Some("spec.mail.spf"));
}

#[test]
fn texts_of_several_records_fit_in_one_message() {
    let texts = |first: char| RrSet {
        values: (0..6).map(|n| format!("{first}{n}{}", "x".repeat(4000))).collect(),
        ..set(RecordType::Txt, "")
    };
    let spec = spec("values: [x]");
    assert_eq!(duplicate(&[texts('a')], &[], &spec), Ok(()));
    let fault = duplicate(&[texts('a')], &[texts('b')], &spec).unwrap_err();
    assert_eq!(
        (fault.reason, fault.field.as_deref()),
        (Reason::InvalidSpec, Some("spec.values"))
    );
}

#[test]
fn nothing_is_below_a_delegated_name_and_no_delegation_above_data() {
    let cut = set(RecordType::Ns, "ns.example.org");
    let below = RrSet {
        name: name("a.app.z.org"),
        ..set(RecordType::A, "192.0.2.1")
    };
    let told = |new: &RrSet, older: &RrSet| {
        let told = hidden(std::slice::from_ref(new), std::slice::from_ref(older)).map_err(|fault| fault.to_string());
        told.err().unwrap_or_default()
    };
    assert!(told(&below, &cut).contains("delegates app.z.org"));
    assert!(told(&cut, &below).contains("says A at a.app.z.org"));
    assert_eq!(told(&below, &set(RecordType::A, "192.0.2.1")), "");
    let beside = RrSet {
        name: name("b.z.org"),
        ..below.clone()
    };
    assert_eq!(told(&cut, &beside), "");
    assert_eq!(told(&cut, &cut), "", "at the name itself it is a duplicate");
}

#[test]
fn what_a_record_says_at_a_name_that_another_namespace_holds_is_refused() {
    let zone = crate::dns::testing::zone("{domain: z.org, provider: {type: Request}}");
    let at = |host: &str| RrSet {
        name: name(host),
        ..set(RecordType::Txt, "v=DMARC1; p=none")
    };
    let sets = [at("z.org"), at("_dmarc.z.org")];
    let place = Place {
        name: name("z.org"),
        key: Key::of(&name("z.org"), &zone),
    };
    let told = |holder: &str| {
        let claim = |key: &Key| Some(key.claim(&zone, holder, crate::dns::testing::at(5)));
        elsewhere(&sets, &place, &zone, "blue", claim)
    };
    assert_eq!(told("blue"), Ok(()));
    let fault = told("red").unwrap_err();
    assert_eq!(fault.reason, Reason::NameHeld);
    assert!(
        fault.message.starts_with("_dmarc.z.org is held by the namespace red"),
        "{fault}"
    );
    assert_eq!(elsewhere(&sets, &place, &zone, "blue", |_| None), Ok(()));
}
