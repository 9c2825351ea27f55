use serde_json::json;

use super::*;
use crate::dns::testing::{name, profile, zone};

const ZONE: &str = "{domain: example.org, provider: {type: Request}, ttl: {default: 300, min: 120, max: 3600}}";

fn spec(text: &str) -> DnsRecordSpec {
    let mut value: serde_json::Value = serde_saphyr::from_str(text).unwrap();
    value["name"] = json!("unused.example.org");
    serde_json::from_value(value).unwrap()
}

fn with(owner: &str, text: &str, alias: Alias) -> Result<Vec<RrSet>, Fault<Reason>> {
    let profile = Profile { alias, ..profile() };
    wanted(&spec(text), &name(owner), &zone(ZONE), &profile, None)
}

/// `TYPE value value, TYPE value`, or `field: Reason: message`.
fn shown(result: Result<Vec<RrSet>, Fault<Reason>>) -> String {
    match result {
        Ok(sets) => sets
            .iter()
            .map(|set| {
                let values: Vec<_> = set.values.iter().map(String::as_str).collect();
                format!("{} {}", set.type_, values.join(" "))
            })
            .collect::<Vec<_>>()
            .join(", "),
        Err(fault) => {
            let field = fault.field.unwrap_or_default();
            format!("{field}: {}: {}", fault.reason.as_str(), fault.message)
        }
    }
}

fn asked(owner: &str, text: &str) -> String {
    shown(with(owner, text, Alias::Never))
}

#[test]
fn the_type_follows_from_the_targets() {
    for (owner, text, expected) in [
        ("a.example.org", "{targets: [192.0.2.1]}", "A 192.0.2.1"),
        ("a.example.org", "{targets: ['2001:DB8::1']}", "AAAA 2001:db8::1"),
        (
            "a.example.org",
            "{targets: ['2001:db8::1', 192.0.2.2, 192.0.2.1]}",
            "A 192.0.2.1 192.0.2.2, AAAA 2001:db8::1",
        ),
        (
            "a.example.org",
            "{targets: [Host.Example.NET.]}",
            "CNAME host.example.net",
        ),
        ("*.a.example.org", "{targets: [lb.example.net]}", "CNAME lb.example.net"),
        (
            "_acme-challenge.a.example.org",
            "{targets: [x.acme.example.net]}",
            "CNAME x.acme.example.net",
        ),
        // Two spellings of one host are one host.
        (
            "a.example.org",
            "{targets: [h.example.net, H.example.net.]}",
            "CNAME h.example.net",
        ),
    ] {
        assert_eq!(asked(owner, text), expected, "{owner} {text}");
    }
}

#[test]
fn a_host_at_the_apex_is_an_alias_where_the_provider_can() {
    let host = "{targets: [lb.example.net]}";
    let alias = "{type: ALIAS, targets: [lb.example.net]}";
    for (owner, text, can, expected) in [
        ("example.org", host, Alias::Apex, "ALIAS lb.example.net"),
        ("example.org", alias, Alias::Anywhere, "ALIAS lb.example.net"),
        ("a.example.org", host, Alias::Anywhere, "CNAME lb.example.net"),
        ("a.example.org", alias, Alias::Anywhere, "ALIAS lb.example.net"),
        (
            "example.org",
            host,
            Alias::Never,
            "spec.targets: TypeNotAllowed: the apex of a zone cannot be a CNAME, and Example has no ALIAS",
        ),
        (
            "a.example.org",
            alias,
            Alias::Apex,
            "spec.type: TypeNotAllowed: Example has ALIAS at the apex of a zone alone",
        ),
        (
            "a.example.org",
            "{type: ALIAS, values: [lb.example.net]}",
            Alias::Never,
            "spec.type: TypeNotAllowed: Example has no ALIAS",
        ),
    ] {
        assert_eq!(shown(with(owner, text, can)), expected, "{owner} {text} {can:?}");
    }
}

#[test]
fn targets_that_cannot_be_are_refused_at_their_field() {
    for (text, field) in [
        ("{targets: [h.example.net, i.example.net]}", "spec.targets[1]"),
        ("{targets: [192.0.2.1, h.example.net]}", "spec.targets[1]"),
        ("{targets: [h.example.net, 192.0.2.1]}", "spec.targets[1]"),
        ("{type: A, targets: ['2001:db8::1']}", "spec.targets[0]"),
        ("{type: AAAA, targets: ['2001:db8::1', 192.0.2.1]}", "spec.targets[1]"),
        ("{type: CNAME, targets: [192.0.2.1]}", "spec.targets[0]"),
        ("{type: A, targets: [h.example.net]}", "spec.targets[0]"),
        ("{targets: [a.example.org]}", "spec.targets[0]"),
        ("{targets: [A.example.org.]}", "spec.targets[0]"),
        ("{targets: ['*.example.net']}", "spec.targets[0]"),
        ("{targets: [localhost]}", "spec.targets[0]"),
        ("{targets: ['127.1']}", "spec.targets[0]"),
        ("{targets: ['https://h.example.net']}", "spec.targets[0]"),
        ("{type: TXT, targets: [h.example.net]}", "spec.type"),
        ("{type: MX, appRef: {name: app}}", "spec.type"),
        ("{type: TXT, mail: {preset: None}}", "spec.type"),
        (
            "{type: NS, delegation: {nameservers: [ns1.example.net, ns2.example.net]}}",
            "spec.type",
        ),
        ("{}", "spec"),
        ("{targets: [192.0.2.1], values: [x]}", "spec"),
    ] {
        let told = asked("a.example.org", text);
        assert!(told.starts_with(&format!("{field}: InvalidSpec: ")), "{text}: {told}");
    }
}

#[test]
fn raw_values_are_made_canonical() {
    for (owner, text, expected) in [
        (
            "a.example.org",
            "{type: MX, values: ['10  M.example.net.']}",
            "MX 10 m.example.net",
        ),
        ("a.example.org", "{type: MX, values: ['0 .']}", "MX 0 ."),
        ("a.example.org", "{type: TXT, values: [b, a]}", "TXT a b"),
        (
            "_proof.a.example.org",
            "{type: TXT, values: ['k=\"v\"; x']}",
            "TXT k=\"v\"; x",
        ),
        (
            "_sip._tcp.a.example.org",
            "{type: SRV, values: ['0 5 5060 sip.example.net.']}",
            "SRV 0 5 5060 sip.example.net",
        ),
        (
            "a.example.org",
            "{type: CAA, values: ['0 issue letsencrypt.org']}",
            "CAA 0 issue \"letsencrypt.org\"",
        ),
        (
            "a.example.org",
            "{type: NS, values: [ns2.example.net, ns1.example.net]}",
            "NS ns1.example.net ns2.example.net",
        ),
    ] {
        assert_eq!(asked(owner, text), expected, "{owner} {text}");
    }
}

#[test]
fn raw_values_that_cannot_be_are_refused_at_their_field() {
    for (owner, text, field) in [
        ("a.example.org", "{values: [x]}", "spec.type"),
        ("a.example.org", "{type: Auto, values: [x]}", "spec.type"),
        ("a.example.org", "{type: TXT, values: [x, '\"y\"']}", "spec.values[1]"),
        (
            "a.example.org",
            "{type: MX, values: ['10 m_x.example.net']}",
            "spec.values[0]",
        ),
        (
            "a.example.org",
            "{type: MX, values: ['0 .', '10 m.example.net']}",
            "spec.values",
        ),
        (
            "a.example.org",
            "{type: TXT, values: ['v=spf1 -all', 'V=SPF1 mx']}",
            "spec.values",
        ),
        (
            "a.example.org",
            "{type: CNAME, values: [a.example.org]}",
            "spec.values[0]",
        ),
        (
            "a.example.org",
            "{type: CNAME, values: [b.example.org, c.example.org]}",
            "spec.values",
        ),
        ("example.org", "{type: CNAME, values: [b.example.net]}", "spec.type"),
        ("example.org", "{type: CNAME, targets: [b.example.net]}", "spec.type"),
        (
            "a.example.org",
            "{type: NS, values: [ns.a.example.org]}",
            "spec.values[0]",
        ),
        ("example.org", "{type: NS, values: [ns.example.net]}", "spec.name"),
        ("*.a.example.org", "{type: NS, values: [ns.example.net]}", "spec.name"),
        (
            "_x.a.example.org",
            "{type: MX, values: ['10 m.example.net']}",
            "spec.name",
        ),
        ("_x.a.example.org", "{type: A, targets: [192.0.2.1]}", "spec.name"),
        (
            "_sip.a.example.org",
            "{type: SRV, values: ['0 5 5060 s.example.net']}",
            "spec.name",
        ),
    ] {
        let told = asked(owner, text);
        assert!(
            told.starts_with(&format!("{field}: InvalidSpec: ")),
            "{owner} {text}: {told}"
        );
    }
}

#[test]
fn a_type_that_the_provider_does_not_take_is_refused() {
    let profile = crate::dns::external_dns::PROFILE;
    for (text, told) in [
        (
            "{type: CAA, values: ['0 issue \"ca.example\"']}",
            "spec.type: TypeNotAllowed: external-dns takes no records of type CAA",
        ),
        (
            "{type: ALIAS, targets: [a.example.net]}",
            "spec.type: TypeNotAllowed: external-dns has no ALIAS",
        ),
        ("{type: TXT, values: [hello]}", "TXT hello"),
    ] {
        let result = wanted(&spec(text), &name("app.example.org"), &zone(ZONE), &profile, None);
        assert_eq!(shown(result), told);
    }
}

#[test]
fn no_set_is_larger_than_a_message_can_tell() {
    let values: Vec<_> = (0..50).map(|n| format!("{n}{}", "x".repeat(4090))).collect();
    let values = |count: usize| serde_json::to_string(&values[..count]).unwrap();
    let told = |count| {
        let spec = format!("{{name: a.example.org, type: TXT, values: {}}}", values(count));
        let spec: DnsRecordSpec = serde_saphyr::from_str(&spec).unwrap();
        without_zone(&spec, &name("a.example.org"), None).map_err(|fault| fault.field)
    };
    assert!(told(7).is_ok());
    assert_eq!(told(8), Err(Some("spec.values".to_owned())));
}

#[test]
fn the_ttl_is_kept_within_zone_and_provider() {
    let (zone, own) = (zone(ZONE), profile());
    let coarse = Profile {
        min_ttl: 600,
        ..profile()
    };
    for (asked, profile, expected) in [
        (None, &own, 300),
        (Some(60), &own, 120),
        (Some(1200), &own, 1200),
        (Some(i32::MAX), &own, 3600),
        (Some(120), &coarse, 600),
        (Some(-1), &own, 300),
    ] {
        assert_eq!(ttl(asked, &zone, profile), expected, "{asked:?}");
    }
}

#[test]
fn a_record_follows_its_app() {
    let spec = spec("{appRef: {name: site}}");
    let ask = |app: Option<Followed>| {
        let sets = wanted(&spec, &name("a.example.org"), &zone(ZONE), &profile(), app.as_ref());
        shown(sets)
    };
    let at = |targets: &[&str]| {
        Some(Followed::At(
            targets.iter().map(|target| (*target).to_owned()).collect(),
        ))
    };
    for (app, told) in [
        (None, "AppHasNoAddress: the StartupApp site has no public address yet"),
        (
            at(&[]),
            "AppHasNoAddress: the StartupApp site has no public address yet",
        ),
        (
            Some(Followed::Gone),
            "AppGone: there is no StartupApp site in this namespace",
        ),
        (
            Some(Followed::NotExposed),
            "AppNotExposed: the StartupApp site is not to be reached from outside",
        ),
    ] {
        assert_eq!(ask(app), format!("spec.appRef: {told}"));
    }
    assert_eq!(ask(at(&["192.0.2.7", "2001:db8::7"])), "A 192.0.2.7, AAAA 2001:db8::7");
    assert_eq!(ask(at(&["lb.example.net"])), "CNAME lb.example.net");
}

#[test]
fn a_delegation_is_name_servers_and_their_signers() {
    let digest = "ab".repeat(32);
    let text = format!("{{delegation: {{nameservers: [NS1.example.net, ns2.example.net.], ds: ['1 13 2 {digest}']}}}}");
    let expected = format!("NS ns1.example.net ns2.example.net, DS 1 13 2 {digest}");
    assert_eq!(asked("a.example.org", &text), expected);
    assert!(asked("_acme-challenge.a.example.org", &text).starts_with("NS "));
    let one = "{delegation: {nameservers: [ns1.example.net, NS1.example.net.]}}";
    let short = "{delegation: {nameservers: [ns1.example.net, ns2.example.net], ds: ['1 13 2 abcd']}}";
    let inside = "{delegation: {nameservers: [ns1.example.net, ns.a.example.org]}}";
    for (owner, text, field) in [
        ("a.example.org", one, "spec.delegation.nameservers"),
        ("a.example.org", short, "spec.delegation.ds[0]"),
        ("a.example.org", inside, "spec.delegation.nameservers[1]"),
        ("*.a.example.org", text.as_str(), "spec.name"),
        ("example.org", text.as_str(), "spec.name"),
    ] {
        let told = asked(owner, text);
        assert!(
            told.starts_with(&format!("{field}: InvalidSpec: ")),
            "{owner} {text}: {told}"
        );
    }
}
