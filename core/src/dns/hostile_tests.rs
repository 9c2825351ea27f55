//! Names, targets and texts as nobody should write them, each with what becomes of it: `= canonical form`, or
//! `! what is told`. Nothing of it may panic, and nothing may become a name that another text has, unless it is that name.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::admission::{Applicant, admit};
use super::testing::{name, profile, zone};
use super::*;
use crate::api::dns::DnsRecordSpec;
use crate::api::startup_app::Environment;

/// Of a name.
const NAMES: &[(&str, &str)] = &[
    // Spellings of one name.
    ("app.example.org", "= app.example.org"),
    ("APP.example.ORG", "= app.example.org"),
    ("app.example.org.", "= app.example.org"),
    ("\u{ff41}pp.example.org", "= app.example.org"),
    ("a\u{ad}pp.example.org", "= app.example.org"),
    ("app\u{200b}.example.org", "= app.example.org"),
    ("\u{2060}app.example.org", "= app.example.org"),
    ("\u{fe0f}app.example.org", "= app.example.org"),
    ("\u{24d0}pp.example.org", "= app.example.org"),
    ("\u{1d41a}pp.example.org", "= app.example.org"),
    ("\u{2090}pp.example.org", "= app.example.org"),
    ("été.example.org", "= xn--t-9fab.example.org"),
    ("e\u{301}te\u{301}.example.org", "= xn--t-9fab.example.org"),
    ("ÉTÉ.example.org", "= xn--t-9fab.example.org"),
    ("xn--t-9fab.example.org", "= xn--t-9fab.example.org"),
    ("XN--T-9FAB.example.org", "= xn--t-9fab.example.org"),
    ("straße.example.org", "= xn--strae-oqa.example.org"),
    ("a\u{2c6}.example.org", "= xn--a-k7a.example.org"),
    ("\u{130}.example.org", "= xn--i-9bb.example.org"),
    ("ﬁn.example.org", "= fin.example.org"),
    // Letters of other scripts that look like ours are other names, and show it.
    ("\u{430}pp.example.org", "= xn--pp-6kc.example.org"),
    ("\u{440}\u{430}\u{443}.example.org", "= xn--80a5ak.example.org"),
    ("\u{251}pp.example.org", "= xn--pp-4eb.example.org"),
    ("app.ex\u{430}mple.org", "= app.xn--exmple-4nf.org"),
    // Dots of other scripts are no dots.
    ("app\u{3002}example.org", "! cannot have"),
    ("app\u{ff0e}example.org", "! cannot have"),
    ("app\u{ff61}example.org", "! cannot have"),
    ("app\u{2024}example.org", "! cannot have"),
    ("a\u{2025}b.example.org", "! cannot have"),
    // Bidi, joiners, invisible and unassigned characters.
    ("a\u{202e}pp.example.org", "! cannot have"),
    ("\u{202d}app.example.org", "! cannot have"),
    ("\u{200f}app.example.org", "! cannot have"),
    ("a\u{200d}b.example.org", "! cannot have"),
    ("a\u{200c}b.example.org", "! cannot have"),
    ("\u{5d0}a1.example.org", "! cannot have"),
    ("1\u{5d0}.example.org", "! cannot have"),
    ("\u{fffd}.example.org", "! cannot have"),
    ("\u{e000}.example.org", "! cannot have"),
    ("\u{301}a.example.org", "! cannot have"),
    ("\u{feff}.example.org", "! cannot have"),
    ("\u{ad}.example.org", "! cannot have"),
    ("xn--a.example.org", "! cannot have"),
    ("xn--.example.org", "! cannot have"),
    ("xn--app-.example.org", "! cannot have"),
    ("xn--zzzzzzzzzzzzzzzz99999999.example.org", "! cannot have"),
    // White space, controls and escapes.
    (" app.example.org", "! cannot have"),
    ("app.example.org ", "! cannot have"),
    ("a pp.example.org", "! cannot have"),
    ("a\tb.example.org", "! cannot have"),
    ("a\nb.example.org", "! cannot have"),
    ("app.example.org\n", "! cannot have"),
    ("a\rb.example.org", "! cannot have"),
    ("a\0b.example.org", "! cannot have"),
    ("\0.example.org", "! cannot have"),
    ("a\u{7f}.example.org", "! cannot have"),
    ("a\u{80}.example.org", "! cannot have"),
    ("a\u{a0}b.example.org", "! cannot have"),
    ("a\u{3000}b.example.org", "! cannot have"),
    ("a\u{2028}b.example.org", "! cannot have"),
    ("a\\.b.example.org", "! cannot have"),
    ("\\065pp.example.org", "! cannot have"),
    ("\\000.example.org", "! cannot have"),
    ("a\\", "! cannot have"),
    ("\"app\".example.org", "! cannot have"),
    ("'app'.example.org", "! cannot have"),
    // Marks of other syntaxes.
    ("http://app.example.org", "! cannot have"),
    ("app.example.org/", "! cannot have"),
    ("app.example.org:443", "! cannot have"),
    ("user@example.org", "! cannot have"),
    ("@.example.org", "! cannot have"),
    ("a,b.example.org", "! cannot have"),
    ("a;b.example.org", "! cannot have"),
    ("$(id).example.org", "! cannot have"),
    ("{{app}}.example.org", "! cannot have"),
    ("%41pp.example.org", "! cannot have"),
    ("a&b.example.org", "! cannot have"),
    ("<app>.example.org", "! cannot have"),
    ("\u{2100}.example.org", "! cannot have"),
    ("app!.example.org", "! cannot have"),
    // Dots and hyphens.
    ("", "! is empty"),
    (".", "! is empty"),
    ("..", "! empty label"),
    ("a..b.org", "! empty label"),
    (".app.example.org", "! empty label"),
    ("app.example.org..", "! empty label"),
    ("-app.example.org", "! cannot have"),
    ("app-.example.org", "! cannot have"),
    ("-.example.org", "! cannot have"),
    ("a--b.example.org", "= a--b.example.org"),
    ("ab--c.example.org", "= ab--c.example.org"),
    // Addresses and single labels.
    ("192.0.2.1", "! is an address"),
    ("192.0.2.1.", "! is an address"),
    ("2001:db8::1", "! is an address"),
    ("::1", "! is an address"),
    ("[::1]", "! cannot have"),
    ("127.1", "! is an address"),
    ("0x7f000001", "! is an address"),
    ("2130706433", "! is an address"),
    ("0177.0.0.1", "! is an address"),
    ("\u{ff11}92.0.2.1", "! is an address"),
    ("app.example.123", "! is an address"),
    ("localhost", "! not absolute"),
    ("org", "! not absolute"),
    // Wildcards.
    ("*.example.org", "= *.example.org"),
    ("*.app.example.org.", "= *.app.example.org"),
    ("*", "! not absolute"),
    ("**.example.org", "! has a *"),
    ("*a.example.org", "! has a *"),
    ("a*.example.org", "! has a *"),
    ("a.*.example.org", "! has a *"),
    ("*.*.example.org", "! has a *"),
    ("_*.example.org", "! has a *"),
    ("\u{ff0a}.example.org", "! cannot have"),
    // Underscores.
    ("_dmarc.example.org", "= _dmarc.example.org"),
    ("_DMARC.Example.org", "= _dmarc.example.org"),
    ("a_b.example.org", "= a_b.example.org"),
    ("_.example.org", "= _.example.org"),
    ("__.example.org", "= __.example.org"),
    ("_a-.example.org", "! cannot have"),
    ("_é.example.org", "! cannot have"),
    ("_a b.example.org", "! cannot have"),
    ("\u{ff3f}dmarc.example.org", "! cannot have"),
];

#[test]
fn hostile_names_are_refused_or_become_what_they_are() {
    let long = "a".repeat(63);
    let rows = [
        (format!("{long}.org"), format!("= {long}.org")),
        (format!("{long}a.org"), "! longer than 63".into()),
        (format!("_{long}.org"), "! longer than 63".into()),
        (format!("{}.org", "é".repeat(60)), "! longer than 63".into()),
        (
            format!("{0}.{0}.{0}.{1}", long, "a".repeat(57) + ".org"),
            format!("= {0}.{0}.{0}.{1}", long, "a".repeat(57) + ".org"),
        ),
        (
            format!("{0}.{0}.{0}.{1}", long, "a".repeat(58) + ".org"),
            "! longer than 253".into(),
        ),
        ("a.".repeat(127) + "org", "! longer than 253".into()),
        ("é.".repeat(5000), "! longer than 253".into()),
        ("*".repeat(5000), "! longer than 253".into()),
    ];
    let table = NAMES
        .iter()
        .map(|(text, expected)| ((*text).to_owned(), (*expected).to_owned()));
    let mut wrong = Vec::new();
    for (text, expected) in table.chain(rows) {
        let told = match Fqdn::parse(&text) {
            Ok(name) => format!("= {name}"),
            Err(error) => format!("! {error}"),
        };
        let fits = match expected.strip_prefix("! ") {
            Some(part) => told.starts_with('!') && told.contains(part),
            None => told == expected,
        };
        if !fits {
            wrong.push(format!("{text:?}: {told}, and not {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn record(spec: serde_json::Value) -> DnsRecordSpec {
    serde_json::from_value(spec).unwrap()
}

/// `TYPE value` or `Reason field`.
fn told(owner: &str, spec: serde_json::Value) -> String {
    let zone = zone("{domain: example.org, provider: {type: Request}}");
    match wanted(&record(spec), &name(owner), &zone, &profile(), None) {
        Ok(sets) => sets
            .iter()
            .flat_map(|set| set.values.iter().map(move |value| format!("{} {value}", set.type_)))
            .collect::<Vec<_>>()
            .join(", "),
        Err(fault) => format!("{} {}", fault.reason.as_str(), fault.field.unwrap_or_default()),
    }
}

const REFUSED: &str = "InvalidSpec spec.targets[0]";

/// Of the only target of `app.example.org`.
const TARGETS: &[(&str, &str)] = &[
    ("192.0.2.1", "A 192.0.2.1"),
    ("192.0.2.01", REFUSED),
    ("192.0.2.256", REFUSED),
    ("192.0.2", REFUSED),
    ("192.0.2.1.1", REFUSED),
    ("192.0.2.1/32", REFUSED),
    ("192.0.2.1:80", REFUSED),
    (" 192.0.2.1", REFUSED),
    ("192.0.2.1 ", REFUSED),
    ("192.0.2.1\n", REFUSED),
    ("0300.0.2.1", REFUSED),
    ("0xc0.0.2.1", REFUSED),
    ("3221225985", REFUSED),
    ("0xc0000201", REFUSED),
    ("127.1", REFUSED),
    ("0", REFUSED),
    ("\u{ff11}27.0.0.1", REFUSED),
    ("\u{2460}27.0.0.1", REFUSED),
    ("127\u{3002}0\u{3002}0\u{3002}1", REFUSED),
    ("2001:db8::1", "AAAA 2001:db8::1"),
    ("2001:DB8:0:0::1", "AAAA 2001:db8::1"),
    ("::ffff:10.0.0.1", "AAAA ::ffff:10.0.0.1"),
    ("::ffff:a00:1", "AAAA ::ffff:10.0.0.1"),
    ("[2001:db8::1]", REFUSED),
    ("2001:db8::1%eth0", REFUSED),
    ("2001:db8::1/128", REFUSED),
    ("2001:db8:::1", REFUSED),
    ("2001:db8::g", REFUSED),
    ("host.example.net", "CNAME host.example.net"),
    ("HOST.Example.NET.", "CNAME host.example.net"),
    ("_x.example.net", "CNAME _x.example.net"),
    ("h\u{f6}st.example.net", "CNAME xn--hst-sna.example.net"),
    ("*.example.net", REFUSED),
    ("app.example.org", REFUSED),
    ("APP.EXAMPLE.ORG.", REFUSED),
    ("\u{ff41}pp.example.org", REFUSED),
    ("sub.app.example.org", "CNAME sub.app.example.org"),
    ("example.org", "CNAME example.org"),
    ("localhost", REFUSED),
    (".", REFUSED),
    ("", REFUSED),
    ("@", REFUSED),
    ("host.example.net..", REFUSED),
    ("host..example.net", REFUSED),
    ("https://host.example.net", REFUSED),
    ("host.example.net/path", REFUSED),
    ("host.example.net:443", REFUSED),
    ("host.example.net 192.0.2.1", REFUSED),
    ("host.example.net\0", REFUSED),
    ("host\n.example.net", REFUSED),
    ("\"host.example.net\"", REFUSED),
    ("host\\046example.net", REFUSED),
    ("host.example.net\u{202e}", REFUSED),
    ("-host.example.net", REFUSED),
];

#[test]
fn hostile_targets_are_refused_or_become_what_they_are() {
    for (text, expected) in TARGETS {
        let spec = serde_json::json!({"name": "app.example.org", "targets": [text]});
        assert_eq!(told("app.example.org", spec), *expected, "{text:?}");
    }
}

const BAD_VALUE: &str = "InvalidSpec spec.values[0]";

/// Of the only value of `app.example.org`, by type.
const VALUES: &[(&str, &str, &str)] = &[
    ("TXT", "plain", "TXT plain"),
    ("TXT", "with \"quotes\" inside", "TXT with \"quotes\" inside"),
    ("TXT", "\"quoted\"", BAD_VALUE),
    ("TXT", "\"", "TXT \""),
    ("TXT", "back\\slash \\065 \\", "TXT back\\slash \\065 \\"),
    (
        "TXT",
        "semi;colon (paren) $ORIGIN @",
        "TXT semi;colon (paren) $ORIGIN @",
    ),
    ("TXT", "é \u{1f980} \u{202e}", "TXT é \u{1f980} \u{202e}"),
    ("TXT", "   ", "TXT    "),
    ("TXT", "", BAD_VALUE),
    ("TXT", "a\nb", BAD_VALUE),
    ("TXT", "a\r\nb", BAD_VALUE),
    ("TXT", "a\tb", BAD_VALUE),
    ("TXT", "a\0b", BAD_VALUE),
    ("TXT", "a\u{1b}[31m", BAD_VALUE),
    ("TXT", "a\u{85}b", BAD_VALUE),
    ("TXT", "a\u{fffd}b", BAD_VALUE),
    ("MX", "10 mail.example.net", "MX 10 mail.example.net"),
    ("MX", "mail.example.net", BAD_VALUE),
    ("MX", "10", BAD_VALUE),
    ("MX", "-1 mail.example.net", BAD_VALUE),
    ("MX", "+1 mail.example.net", BAD_VALUE),
    ("MX", "65536 mail.example.net", BAD_VALUE),
    ("MX", "1e1 mail.example.net", BAD_VALUE),
    ("MX", "\u{661} mail.example.net", BAD_VALUE),
    ("MX", "10 192.0.2.1", BAD_VALUE),
    ("MX", "10 *.example.net", BAD_VALUE),
    ("MX", "10 _mail.example.net", BAD_VALUE),
    ("MX", "10 mail.example.net extra", BAD_VALUE),
    ("MX", "10\nmail.example.net", "MX 10 mail.example.net"),
    ("CNAME", "a.example.net b.example.net", BAD_VALUE),
    ("CNAME", "app.example.org", BAD_VALUE),
    ("CNAME", "192.0.2.1", BAD_VALUE),
    ("ALIAS", "_x.example.net", BAD_VALUE),
    ("A", "192.0.2.1 192.0.2.2", BAD_VALUE),
    ("A", "::1", BAD_VALUE),
    ("A", "010.0.0.1", BAD_VALUE),
    ("AAAA", "10.0.0.1", BAD_VALUE),
    ("CAA", "0 issue \"letsencrypt.org\"", "CAA 0 issue \"letsencrypt.org\""),
    ("CAA", "0 issue \";\"", "CAA 0 issue \";\""),
    ("CAA", " 0  issue   letsencrypt.org ", "CAA 0 issue \"letsencrypt.org\""),
    ("TXT", "heritage=external-dns,external-dns/owner=default", BAD_VALUE),
    ("CAA", "256 issue \"x\"", BAD_VALUE),
    ("CAA", "0 is-sue \"x\"", BAD_VALUE),
    ("CAA", "0 issue \"a\" \"b\"", BAD_VALUE),
    ("CAA", "0 issue \"a\\\"b\"", BAD_VALUE),
    ("CAA", "0 issue", BAD_VALUE),
    ("CAA", "issue letsencrypt.org", BAD_VALUE),
    ("CAA", "0 issue \"a\u{7}b\"", BAD_VALUE),
    ("CAA", "0 issue \"a\nb\"", BAD_VALUE),
    ("NS", "ns1.example.net", "NS ns1.example.net"),
    ("NS", "ns.app.example.org", BAD_VALUE),
    ("NS", "app.example.org", BAD_VALUE),
    ("NS", "_ns.example.net", BAD_VALUE),
    ("NS", ".", BAD_VALUE),
];

#[test]
fn hostile_values_are_refused_or_become_what_they_are() {
    for (type_, text, expected) in VALUES {
        let spec = serde_json::json!({"name": "app.example.org", "type": type_, "values": [text]});
        assert_eq!(told("app.example.org", spec), *expected, "{type_} {text:?}");
    }
}

/// Owner, type, value: what the owner's name rules out.
const OWNERS: &[(&str, &str, &str, &str)] = &[
    ("_x.app.example.org", "A", "192.0.2.1", "InvalidSpec spec.name"),
    ("a_b.example.org", "AAAA", "2001:db8::1", "InvalidSpec spec.name"),
    ("_x.app.example.org", "ALIAS", "h.example.net", "InvalidSpec spec.name"),
    ("_x.app.example.org", "MX", "10 m.example.net", "InvalidSpec spec.name"),
    ("_x.app.example.org", "CAA", "0 issue x", "InvalidSpec spec.name"),
    ("_x.app.example.org", "TXT", "x", "TXT x"),
    ("_x.app.example.org", "CNAME", "h.example.net", "CNAME h.example.net"),
    ("_x.app.example.org", "NS", "n.example.net", "NS n.example.net"),
    ("app.example.org", "SRV", "0 0 1 h.example.net", "InvalidSpec spec.name"),
    (
        "_a.app.example.org",
        "SRV",
        "0 0 1 h.example.net",
        "InvalidSpec spec.name",
    ),
    (
        "_a._b.example.org",
        "SRV",
        "0 0 1 h.example.net",
        "SRV 0 0 1 h.example.net",
    ),
    ("_a._b.example.org", "SRV", "0 0 1 .", "SRV 0 0 1 ."),
    (
        "_a._b.example.org",
        "SRV",
        "0 0 65536 h.example.net",
        "InvalidSpec spec.values[0]",
    ),
    ("*.app.example.org", "NS", "n.example.net", "InvalidSpec spec.name"),
    ("*.app.example.org", "CNAME", "h.example.net", "CNAME h.example.net"),
    ("*.app.example.org", "MX", "10 m.example.net", "MX 10 m.example.net"),
    ("example.org", "CNAME", "h.example.net", "InvalidSpec spec.type"),
    ("example.org", "NS", "n.example.net", "InvalidSpec spec.name"),
    ("example.org", "TXT", "x", "TXT x"),
];

#[test]
fn owners_that_a_type_rules_out_are_refused() {
    for (owner, type_, text, expected) in OWNERS {
        let spec = serde_json::json!({"name": owner, "type": type_, "values": [text]});
        assert_eq!(told(owner, spec), *expected, "{owner} {type_} {text:?}");
    }
}

/// Addresses that no zone takes unless it names their range.
const PRIVATE: &[&str] = &[
    "0.0.0.0",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.168.1.1",
    "198.18.0.1",
    "203.0.113.9",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "100::1",
    "2001::1",
    "2002:7f00:1::",
    "2001:db8::1",
    "fc00::1",
    "fd12:3456::1",
    "fe80::1",
    "fec0::1",
    "ff02::1",
];

#[test]
fn private_addresses_are_refused_in_every_dress() {
    let zone = zone("{domain: example.org, provider: {type: Request}, admission: {namespaces: {}}}");
    let labels = BTreeMap::new();
    let who = Applicant {
        namespace: "n",
        labels: &labels,
        environment: Some(Environment::Production),
        claims_held: 0,
        holds_claim: false,
        sets_under_claim: 0,
    };
    let owner = name("app.example.org");
    let verdict = |address: &str| {
        let spec = record(serde_json::json!({"name": "app.example.org", "targets": [address]}));
        let sets = wanted(&spec, &owner, &zone, &profile(), None).unwrap();
        admit(&owner, &sets, &zone, &who, &[]).err().map(|fault| fault.reason)
    };
    for address in PRIVATE {
        assert_eq!(verdict(address), Some(Reason::TargetNotAllowed), "{address}");
    }
    for public in ["9.9.9.9", "172.32.0.1", "100.128.0.1", "2620:fe::fe", "::ffff:9.9.9.9"] {
        assert_eq!(verdict(public), None, "{public}");
    }
}

#[test]
fn there_are_more_than_two_hundred_of_them() {
    let all = NAMES.len() + TARGETS.len() + VALUES.len() + OWNERS.len() + PRIVATE.len();
    assert!(all > 200, "{all}");
    let mut names: Vec<_> = NAMES.iter().map(|(text, _)| text).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), NAMES.len());
}

proptest! {
    #[test]
    fn no_text_makes_anything_panic(text in any::<String>(), type_ in prop::sample::select(vec!["A", "MX", "CAA", "SRV", "TXT", "NS", "CNAME"])) {
        let _ = Fqdn::parse(&text);
        told("app.example.org", serde_json::json!({"name": "x", "targets": [text]}));
        told("app.example.org", serde_json::json!({"name": "x", "type": type_, "values": [text]}));
    }

    #[test]
    fn what_is_wanted_is_wanted_again(text in "[ -~é]{1,40}", type_ in prop::sample::select(vec!["A", "MX", "CAA", "SRV", "TXT", "NS", "CNAME"])) {
        let owner = if type_ == "SRV" { "_a._b.example.org" } else { "app.example.org" };
        let zone = zone("{domain: example.org, provider: {type: Request}}");
        let ask = |text: &str| {
            let spec = record(serde_json::json!({"name": "x", "type": type_, "values": [text]}));
            wanted(&spec, &name(owner), &zone, &profile(), None)
        };
        if let Ok(sets) = ask(&text) {
            for value in &sets[0].values {
                prop_assert_eq!(ask(value), Ok(sets.clone()));
            }
        }
    }
}
