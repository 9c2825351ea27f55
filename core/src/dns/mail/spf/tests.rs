use proptest::prelude::*;

use super::*;
use crate::dns::testing::name;

#[test]
fn records_as_the_rfc_writes_them_are_read() {
    for record in [
        "v=spf1",
        "v=spf1 -all",
        "V=SPF1 +MX ~ALL",
        "v=spf1 a a/24 a//64 a/24//64 a:b.example.org/24 mx mx:c.example.org ptr ptr:d.example.org -all ",
        "v=spf1 ip4:192.0.2.1 ip4:192.0.2.0/24 ip6:2001:db8::/32 ?all",
        "v=spf1 include:_spf.example.net exists:%{i}._spf.%{d2r}.example.net -all",
        "v=spf1 redirect=_spf.example.org",
        "v=spf1 -all exp=explain._spf.%{d} moo=cow%%%_%- x-y.z_=",
        "v=spf1 exists:%{L1r-._+}.example.org",
    ] {
        assert!(parse(record).is_ok(), "{record}: {:?}", parse(record));
    }
}

#[test]
fn records_with_a_permanent_error_say_which() {
    for (record, told) in [
        ("", "begin"),
        ("v=spf10 -all", "begin"),
        (" v=spf1 -all", "begin"),
        ("v=spf1 é", "ASCII"),
        ("v=spf1 all:x", "all:x"),
        ("v=spf1 all -al", "-al"),
        ("v=spf1 include", "include needs"),
        ("v=spf1 include:", "include needs"),
        ("v=spf1 include:x", "include"),
        ("v=spf1 include:a_b..org", "empty label"),
        ("v=spf1 ip4:192.0.2.256", "IPv4"),
        ("v=spf1 ip4:192.0.2.0/33", "IPv4"),
        ("v=spf1 ip4:192.0.2.0/+8", "IPv4"),
        ("v=spf1 a/+8", "after /"),
        ("v=spf1 ip4:2001:db8::1", "IPv4"),
        ("v=spf1 ip4", "IPv4"),
        ("v=spf1 ip6:192.0.2.1", "IPv6"),
        ("v=spf1 a/33", "after /"),
        ("v=spf1 a//129", "after //"),
        ("v=spf1 mx:", "mx needs"),
        ("v=spf1 exists:%{z}.example.org", "begins no macro"),
        ("v=spf1 exists:%x.example.org", "begins no macro"),
        ("v=spf1 redirect=", "redirect needs"),
        ("v=spf1 redirect=a.org redirect=b.org", "twice"),
        ("v=spf1 1x=y", "no modifier"),
        ("v=spf1 ipv4:192.0.2.1", "ipv4"),
        ("v=spf1 v=spf1", "begins"),
        ("v=spf1, -all", "begin"),
    ] {
        match parse(record) {
            Err(error) => assert!(error.contains(told), "{record}: {error}"),
            // An unknown modifier, which is passed over.
            Ok(_) => assert_eq!(record, "v=spf1 v=spf1"),
        }
    }
}

fn facts(rows: &[(&str, Kind, Answer)]) -> Facts {
    rows.iter()
        .map(|(owner, kind, answer)| (Question::new(&name(owner), *kind), answer.clone()))
        .collect()
}

fn text(record: &str) -> Answer {
    Answer::Texts(vec!["other".into(), record.into()])
}

fn count(record: &str, known: &Facts) -> Count {
    parse(record).unwrap().count(&name("example.org"), known)
}

#[test]
fn every_question_is_counted_through_includes_and_redirects() {
    let known = facts(&[
        ("one.net", Kind::Text, text("v=spf1 include:two.net a:h.two.net -all")),
        (
            "two.net",
            Kind::Text,
            text("v=spf1 ip4:192.0.2.0/24 exists:%{i}.two.net redirect=three.net"),
        ),
        ("three.net", Kind::Text, text("v=spf1 mx ptr ~all include:never.net")),
        ("h.two.net", Kind::Address, Answer::Found),
        ("three.net", Kind::Mx, Answer::Found),
    ]);
    // one, two, exists, redirect, mx, ptr, a.
    let counted = count("v=spf1 include:one.net -all", &known);
    assert_eq!((counted.lookups, counted.void), (7, 0));
    assert_eq!(counted.open, BTreeSet::new());
    // `redirect` is meaningless beside `all`.
    assert_eq!(count("v=spf1 ip4:192.0.2.1 -all redirect=one.net", &known).lookups, 0);
}

#[test]
fn what_is_not_known_yet_is_asked_for() {
    let counted = count(
        "v=spf1 include:one.net mx a:h.net exists:%{i}.x.net -all",
        &Facts::new(),
    );
    assert_eq!(counted.lookups, 4);
    let asked: Vec<_> = counted
        .open
        .iter()
        .map(|question| (question.name.as_str(), question.kind))
        .collect();
    assert_eq!(
        asked,
        [
            ("example.org", Kind::Mx),
            ("h.net", Kind::Address),
            ("one.net", Kind::Text)
        ]
    );
}

#[test]
fn includes_that_break_a_record_are_named() {
    let known = facts(&[
        ("loop.net", Kind::Text, text("v=spf1 include:back.net -all")),
        ("back.net", Kind::Text, text("v=spf1 include:loop.net -all")),
        ("gone.net", Kind::Text, Answer::Nothing),
        (
            "two.net",
            Kind::Text,
            Answer::Texts(vec!["v=spf1 -all".into(), "v=spf1 ~all".into()]),
        ),
        ("bad.net", Kind::Text, text("v=spf1 nonsense")),
        ("late.net", Kind::Text, Answer::Unknown),
        ("h.net", Kind::Address, Answer::Nothing),
    ]);
    let told = |record: &str| count(record, &known).broken.join("; ");
    assert!(told("v=spf1 include:loop.net").contains("loop.net includes itself"));
    assert!(told("v=spf1 include:example.org").contains("example.org includes itself"));
    assert!(told("v=spf1 include:gone.net").contains("gone.net has no SPF record"));
    assert!(told("v=spf1 include:two.net").contains("more than one"));
    assert!(told("v=spf1 include:bad.net").contains("cannot be read"));
    assert_eq!(count("v=spf1 include:late.net", &known).unsure, ["late.net"]);
    assert_eq!(count("v=spf1 a:h.net include:gone.net", &known).void, 2);
}

#[test]
fn a_bush_of_includes_is_not_walked_to_its_end() {
    let many: Vec<_> = (0..9).map(|n| format!("include:n{n}.net")).collect();
    let bush = format!("v=spf1 {}", many.join(" "));
    let rows: Vec<_> = (0..9).map(|n| format!("n{n}.net")).collect();
    let known = rows
        .iter()
        .map(|owner| (Question::new(&name(owner), Kind::Text), text(&bush)))
        .collect();
    let counted = count(&bush, &known);
    assert!(
        counted.lookups > MOST_LOOKUPS && counted.lookups < 200,
        "{}",
        counted.lookups
    );
}

proptest! {
    #[test]
    fn no_text_is_too_odd_for_a_record(terms in "[-+~?a-z0-9:=/%{}. _]{0,80}") {
        if let Ok(spf) = parse(&format!("v=spf1 {terms}")) {
            let _ = spf.count(&name("example.org"), &Facts::new());
        }
    }
}
