use proptest::collection::btree_set;
use proptest::prelude::*;

use super::*;
use crate::dns::testing::name;

/// `name ttl TYPE value | value`, one line a set.
fn read(text: &str) -> Vec<String> {
    let sets = parse(text, &name("example.org")).unwrap();
    sets.iter()
        .map(|set| {
            let values: Vec<_> = set.values.iter().map(String::as_str).collect();
            format!("{} {} {} {}", set.name, set.ttl, set.type_, values.join(" | "))
        })
        .collect()
}

#[test]
fn a_file_as_bind_writes_it_is_read() {
    let text = "$TTL 1h ; an hour
@\tIN SOA ns1 hostmaster.example.org. (
\t\t2026112301 ; serial
\t\t3600 900\t1209600
\t\t300 )
\tIN NS ns1
\tNS ns2.example.net.
ns1 300 IN A 192.0.2.1
    IN 60 A 192.0.2.2
www.example.org. CNAME @
* IN A 192.0.2.9
\\052.apps 2h30m A 192.0.2.10
_sip._tcp SRV 0 5 5060 sip
mail MX 10 mx1
     MX 20 mx2.example.net.
@ TXT \"v=spf1 -all\"
long TXT ( \"part one; \" \"part \\\"two\\\"\" )
bare TXT v=DMARC1
caa CAA 0 issue \"letsencrypt.org; policy=ev\"
$ORIGIN sub
host AAAA 2001:DB8::1
$ORIGIN org.
example A 192.0.2.7
odd.example.org. TYPE65280 \\# 3 abcdef
"
    .replace("$ORIGIN sub", "$ORIGIN sub.example.org.");
    assert_eq!(
        read(&text),
        [
            "*.apps.example.org 9000 A 192.0.2.10",
            "*.example.org 3600 A 192.0.2.9",
            "_sip._tcp.example.org 3600 SRV 0 5 5060 sip.example.org",
            "bare.example.org 3600 TXT v=DMARC1",
            "caa.example.org 3600 CAA 0 issue \"letsencrypt.org; policy=ev\"",
            "example.org 3600 A 192.0.2.7",
            "example.org 3600 TXT v=spf1 -all",
            "example.org 3600 NS ns1.example.org | ns2.example.net",
            "example.org 3600 SOA ns1.example.org. hostmaster.example.org. 2026112301 3600 900 1209600 300",
            "host.sub.example.org 3600 AAAA 2001:db8::1",
            "long.example.org 3600 TXT part one; part \"two\"",
            "mail.example.org 3600 MX 10 mx1.example.org | 20 mx2.example.net",
            "ns1.example.org 60 A 192.0.2.1 | 192.0.2.2",
            "odd.example.org 3600 TYPE65280 \\# 3 abcdef",
            "www.example.org 3600 CNAME example.org",
        ]
    );
}

#[test]
fn a_ttl_is_the_records_own_then_the_files_then_the_one_before() {
    assert_eq!(
        read("a 120 A 192.0.2.1\nb A 192.0.2.1\n$TTL 1d\nc IN A 192.0.2.1\nd 1w IN A 192.0.2.1"),
        [
            "a.example.org 120 A 192.0.2.1",
            "b.example.org 120 A 192.0.2.1",
            "c.example.org 86400 A 192.0.2.1",
            "d.example.org 604800 A 192.0.2.1",
        ]
    );
    assert_eq!(
        read("a A 192.0.2.1\r\n; nothing\r\n\r\n"),
        ["a.example.org 3600 A 192.0.2.1"]
    );
}

#[test]
fn what_cannot_be_read_says_on_which_line() {
    for (text, line, told) in [
        ("a A 192.0.2.1\n$INCLUDE other.zone", 2, "$INCLUDE is not read"),
        ("$GENERATE 1-9 h$ A 192.0.2.$", 1, "$GENERATE is not read"),
        ("$NONSENSE x", 1, "no directive"),
        ("$ORIGIN", 1, "needs one value"),
        ("$TTL soon", 1, "no TTL"),
        ("$ORIGIN a b.org.", 1, "needs one value"),
        ("$ORIGIN a..org.", 1, "empty label"),
        ("  A 192.0.2.1", 1, "no owner name was read"),
        ("\"a\" A 192.0.2.1", 1, "quoted"),
        ("a", 1, "type is missing"),
        ("a 300 IN", 1, "type is missing"),
        ("a IN IN A 192.0.2.1", 1, "no type"),
        ("a 300 400 A 192.0.2.1", 1, "no type"),
        ("a CH TXT x", 1, "of the Internet"),
        ("a A", 1, "are missing"),
        ("a A 192.0.2.256", 1, "no IPv4 address"),
        ("a 1x A 192.0.2.1", 1, "no TTL"),
        ("a 99999999999 A 192.0.2.1", 1, "no TTL"),
        ("a\\.b A 192.0.2.1", 1, "the name a"),
        ("\n\na TXT (\n\"x\"\n", 3, "not closed"),
        ("a TXT ) x", 1, "do not match"),
        ("a TXT ( ( x ) )", 1, "do not match"),
        ("\na TXT \"x", 2, "no end"),
        ("a TXT \"x\\\"", 1, "no end"),
        ("a TXT \"\"", 1, "empty"),
        ("a TXT \"\\255\\254\"", 1, "UTF-8"),
        ("a TXT \"\\009\"", 1, "control"),
    ] {
        let error = parse(text, &name("example.org")).unwrap_err();
        assert!(error.line == line && error.message.contains(told), "{text:?}: {error}");
    }
}

#[test]
fn one_odd_record_does_not_hide_the_others() {
    let text = "a A 192.0.2.1\nb..c A 192.0.2.2\n  A 192.0.2.3\nd A 192.0.2.4\ne A x";
    let (sets, errors) = read_all(text, &name("example.org"));
    let names: Vec<_> = sets.iter().map(|set| set.name.as_str()).collect();
    assert_eq!(names, ["a.example.org", "d.example.org"]);
    let lines: Vec<_> = errors.iter().map(|error| error.line).collect();
    assert_eq!(lines, [2, 3, 5]);
}

fn values() -> impl Strategy<Value = (RecordType, String)> {
    let host = "[a-z]([-a-z0-9]{0,8}[a-z0-9])?\\.(net|org)";
    prop_oneof![
        any::<[u8; 4]>().prop_map(|octets| (RecordType::A, std::net::Ipv4Addr::from(octets).to_string())),
        any::<u128>().prop_map(|bits| (RecordType::Aaaa, std::net::Ipv6Addr::from(bits).to_string())),
        host.prop_map(|host| (RecordType::Cname, host)),
        host.prop_map(|host| (RecordType::Alias, host)),
        host.prop_map(|host| (RecordType::Ns, host)),
        "[^\\p{Cc}\u{fffd}]{1,300}".prop_map(|text| (RecordType::Txt, text)),
        (any::<u16>(), host).prop_map(|(priority, host)| (RecordType::Mx, format!("{priority} {host}"))),
        Just((RecordType::Mx, "0 .".to_owned())),
        (any::<[u16; 3]>(), host).prop_map(|([a, b, c], host)| (RecordType::Srv, format!("{a} {b} {c} {host}"))),
        "[ !#-\\[\\]-~]{0,40}".prop_map(|text| (RecordType::Caa, format!("0 issue \"{text}\""))),
        "([0-9a-f]{2}){1,32}".prop_map(|digest| (RecordType::Ds, format!("1 13 2 {digest}"))),
        "[a-z0-9]{1,9}( [a-z0-9]{1,9}){0,3}".prop_map(|data| (RecordType::Other("TYPE65280".into()), data)),
    ]
}

fn set() -> impl Strategy<Value = RrSet> {
    let owner = "(\\*\\.|_[a-z]{1,6}\\.)?[a-z]{1,8}\\.example\\.org";
    (owner, 0..1_000_000_u32, btree_set(values(), 1..5)).prop_map(|(owner, ttl, values)| {
        let type_ = values.first().unwrap().0.clone();
        let values = values
            .into_iter()
            .filter(|(other, _)| *other == type_)
            .filter_map(|(type_, value)| canonical(&type_, &value).ok());
        RrSet {
            name: name(&owner),
            ttl,
            values: values.collect(),
            type_,
        }
    })
}

proptest! {
    #[test]
    fn what_is_printed_reads_back_as_it_was(set in set()) {
        prop_assume!(!set.values.is_empty());
        let text = print(std::slice::from_ref(&set));
        prop_assert_eq!(parse(&text, &name("example.org")), Ok(vec![set]), "{}", text);
    }

    #[test]
    fn no_text_is_too_odd_for_the_parser(text in "[ -~\\t\\n\\r\"();$\\\\é]{0,200}", more in any::<String>()) {
        let _ = read_all(&text, &name("example.org"));
        let _ = read_all(&format!("a TXT \"{more}\"\n{more} IN A 192.0.2.1"), &name("example.org"));
    }
}

#[test]
fn what_has_no_other_side_hides_no_more_than_its_entry() {
    let file = "a 300 A 192.0.2.1\nb 300 TXT \"no end\n  300 A 192.0.2.2\nc 300 MX ( 10 mail\nd 300 A 192.0.2.4\ne 300 TXT ( \"x\"\n \"y\" )\nf 300 A ) 192.0.2.6\ng 300 A 192.0.2.7\n";
    let (sets, errors) = read_all(file, &name("z.org"));
    let found: Vec<_> = sets.iter().map(|set| set.name.first_label()).collect();
    assert_eq!(found, ["a", "d", "e", "g"]);
    let told: Vec<_> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "line 2: a quoted string has no end",
            "line 3: no owner name was read before it",
            "line 4: parentheses do not match",
            "line 8: parentheses do not match",
        ]
    );
}
