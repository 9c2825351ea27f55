use super::*;
use crate::dns::testing::name;

fn mail(text: &str) -> Mail {
    serde_saphyr::from_str(text).unwrap()
}

/// `name TYPE value value`, one line each.
fn shown(text: &str) -> Vec<String> {
    let sets = unit(&mail(text), &name("app.example.org"), 300).unwrap();
    sets.iter()
        .map(|set| {
            assert_eq!(set.ttl, 300);
            let values: Vec<_> = set.values.iter().map(String::as_str).collect();
            format!("{} {} {}", set.name, set.type_, values.join(" | "))
        })
        .collect()
}

#[test]
fn a_name_without_mail_says_so_three_times() {
    assert_eq!(
        shown("{preset: None}"),
        [
            "_dmarc.app.example.org TXT v=DMARC1; p=reject",
            "app.example.org TXT v=spf1 -all",
            "app.example.org MX 0 .",
        ]
    );
}

#[test]
fn a_mail_service_needs_no_more_than_its_name_and_the_key_it_shows() {
    for (preset, include, dmarc) in [
        (
            "Brevo",
            "spf.brevo.com",
            "v=DMARC1; p=none; rua=mailto:rua@dmarc.brevo.com",
        ),
        ("Mailjet", "spf.mailjet.com", "v=DMARC1; p=none"),
        ("Tipimail", "spf.tipimail.com", "v=DMARC1; p=none"),
    ] {
        assert_eq!(
            shown(&format!(
                "{{preset: {preset}, dkim: [{{selector: k1, target: k1.keys.example.net}}]}}"
            )),
            [
                format!("_dmarc.app.example.org TXT {dmarc}"),
                // No MX: whoever sends by a service may receive elsewhere.
                format!("app.example.org TXT v=spf1 include:{include} ~all"),
                "k1._domainkey.app.example.org CNAME k1.keys.example.net".to_owned(),
            ]
        );
    }
}

#[test]
fn what_a_team_writes_goes_before_the_preset() {
    assert_eq!(
        shown(
            "{preset: Brevo, spf: 'v=spf1 include:spf.brevo.com -all', mx: [{priority: 10, host: MX.example.net.}],
              dkim: [{selector: brevo1, target: b1.app-example-org.dkim.brevo.com}]}"
        ),
        [
            "_dmarc.app.example.org TXT v=DMARC1; p=none; rua=mailto:rua@dmarc.brevo.com",
            "app.example.org TXT v=spf1 include:spf.brevo.com -all",
            "app.example.org MX 10 mx.example.net",
            "brevo1._domainkey.app.example.org CNAME b1.app-example-org.dkim.brevo.com",
        ]
    );
}

#[test]
fn mail_that_cannot_be_is_refused_at_its_field() {
    for (owner, text, field) in [
        ("a.example.org", "{}", "spec.mail"),
        ("a.example.org", "{preset: None, spf: 'v=spf1 -all'}", "spec.mail"),
        ("*.example.org", "{preset: None}", "spec.name"),
        ("_x.example.org", "{preset: None}", "spec.name"),
        (
            "a.example.org",
            "{mx: [{priority: 10, host: '192.0.2.1'}]}",
            "spec.mail.mx[0].host",
        ),
        (
            "a.example.org",
            "{mx: [{priority: 10, host: a.org}, {priority: 0, host: .}]}",
            "spec.mail.mx[1].host",
        ),
        (
            "a.example.org",
            "{mx: [{priority: 70000, host: a.org}]}",
            "spec.mail.mx[0].host",
        ),
        (
            "a.example.org",
            "{dkim: [{selector: 'a b', target: k.example.net}]}",
            "spec.mail.dkim[0].selector",
        ),
        (
            "a.example.org",
            "{dkim: [{selector: '*', target: k.example.net}]}",
            "spec.mail.dkim[0].selector",
        ),
        (
            "a.example.org",
            "{dkim: [{selector: s, target: k.example.net}, {selector: S, target: k.example.net}]}",
            "spec.mail.dkim[1].selector",
        ),
        (
            "a.example.org",
            "{dkim: [{selector: s, record: x}]}",
            "spec.mail.dkim[0].record",
        ),
        ("a.example.org", "{spf: 'v=spf1 nonsense'}", "spec.mail.spf"),
        (
            "a.example.org",
            "{spf: 'v=spf1 a a a a a a mx ptr ptr ptr a'}",
            "spec.mail.spf",
        ),
        ("a.example.org", "{dmarc: 'p=none'}", "spec.mail.dmarc"),
        ("a.example.org", "{dkim: [{selector: s}]}", "spec.mail.dkim[0]"),
        (
            "a.example.org",
            "{dkim: [{selector: s, target: s._domainkey.a.example.org}]}",
            "spec.mail.dkim[0].target",
        ),
    ] {
        let fault = unit(&mail(text), &name(owner), 300).unwrap_err();
        assert_eq!(fault.reason, Reason::InvalidMail, "{text}");
        assert_eq!(fault.field.as_deref(), Some(field), "{text}");
    }
}
