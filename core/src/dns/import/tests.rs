use proptest::prelude::*;

use super::*;
use crate::dns::ownership::Owner;
use crate::dns::plan::{Want, by_name, plan};
use crate::dns::testing::{at, name, profile};
use crate::dns::{testing, zone_file};

fn imported(file: &str) -> Import {
    let zone = name("example.org");
    import(&zone_file::parse(file, &zone).unwrap(), &zone, 1)
}

/// `object: spec`, one line each.
fn records(import: &Import) -> Vec<String> {
    let shown = |record: &DnsRecord| {
        let spec = serde_json::to_string(&record.spec).unwrap();
        format!(
            "{}: {}",
            record.metadata.name.as_deref().unwrap(),
            spec.replace('"', "")
        )
    };
    import.records.iter().map(shown).collect()
}

fn left_out(import: &Import) -> Vec<String> {
    let shown = |(set, why): &(RrSet, String)| format!("{} {}: {why}", set.name, set.type_);
    import.left_out.iter().map(shown).collect()
}

#[test]
fn records_of_a_zone_become_what_a_team_would_write() {
    let import = imported(
        "$TTL 300
app A 192.0.2.1
app AAAA 2001:db8::1
www CNAME app
_dmarc.app TXT \"v=DMARC1; p=none\"
app MX 10 mail.example.net.
*.app CNAME app
@ 600 A 192.0.2.2
old 60 A 192.0.2.3
old 90 AAAA 2001:db8::3
child NS ns1.example.net.
child NS ns2.example.net.
",
    );
    assert_eq!(
        records(&import),
        [
            "wildcard-app: {name:*.app.example.org,targets:[app.example.org],ttlSeconds:300}",
            "dmarc-app-txt: {name:_dmarc.app.example.org,type:TXT,values:[v=DMARC1; p=none],ttlSeconds:300}",
            "app: {name:app.example.org,targets:[192.0.2.1,2001:db8::1],ttlSeconds:300}",
            "app-mx: {name:app.example.org,type:MX,values:[10 mail.example.net],ttlSeconds:300}",
            "child-ns: {name:child.example.org,ttlSeconds:300,delegation:{nameservers:[ns1.example.net,ns2.example.net]}}",
            "apex: {name:example.org,targets:[192.0.2.2],ttlSeconds:600}",
            "old: {name:old.example.org,targets:[192.0.2.3],ttlSeconds:60}",
            "old-aaaa: {name:old.example.org,targets:[2001:db8::3],ttlSeconds:90}",
            "www: {name:www.example.org,targets:[app.example.org],ttlSeconds:300}",
        ]
    );
    let adopted: Vec<_> = import.adoptions.iter().map(|adoption| adoption.name.as_str()).collect();
    assert_eq!(
        adopted,
        [
            "*.app.example.org",
            "_dmarc.app.example.org",
            "app.example.org",
            "child.example.org",
            "example.org",
            "old.example.org",
            "www.example.org"
        ]
    );
    assert_eq!(import.left_out, []);
}

#[test]
fn nobody_gets_a_name_before_its_namespace_is_written() {
    let import = imported("app A 192.0.2.1");
    let adoption = serde_json::to_value(&import.adoptions).unwrap();
    assert_eq!(
        adoption,
        serde_json::json!([{
            "name": "app.example.org",
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "NAMESPACE"}}
        }])
    );
}

#[test]
fn what_is_left_out_says_why() {
    let import = imported(
        "$TTL 300
@ SOA ns1 h ( 1 2 3 4 5 )
@ NS ns1.example.net.
@ DNSKEY 257 3 13 abcd
@ NSEC3PARAM 1 0 0 -
x RRSIG A 13 3 300 20260101000000 20250101000000 1 example.org. abcd
loc LOC 48 N 2 E 10m
one NS ns1.example.net.
inner NS ns1.inner
inner NS ns2.example.net.
ns1.inner A 192.0.2.1
stray DS 1 13 2 ab
dns A 192.0.2.1
a-dns TXT \"heritage=external-dns,external-dns/owner=x\"
old CNAME dns
old.registry TXT \"heritage=external-dns,external-dns/owner=x\"
txt.pre TXT \"heritage=external-dns,external-dns/owner=x\"
pre A 192.0.2.1
ours A 192.0.2.1
_tremplin.ours TXT \"heritage=tremplin,cluster=c,namespace=n,since=2026-01-01T00:00:00Z,types=A\"
bad_host A 192.0.2.1
self CNAME self
",
    );
    assert_eq!(
        records(&import),
        ["old: {name:old.example.org,targets:[dns.example.org],ttlSeconds:300}"]
    );
    let told = left_out(&import);
    for (set, why) in [
        ("example.org SOA", "keeps the SOA"),
        ("example.org NS", "own name servers"),
        ("example.org DNSKEY", "signs the zone"),
        ("example.org NSEC3PARAM", "signs the zone"),
        ("x.example.org RRSIG", "signs the zone"),
        ("loc.example.org LOC", "no records of type LOC"),
        ("one.example.org NS", "two different name servers"),
        ("inner.example.org NS", "could not be found"),
        ("ns1.inner.example.org A", "inner.example.org is delegated"),
        ("stray.example.org DS", "no NS records"),
        ("dns.example.org A", "external-dns wrote it"),
        ("pre.example.org A", "external-dns wrote it"),
        ("a-dns.example.org TXT", "registry of external-dns"),
        ("ours.example.org A", "Tremplin wrote it"),
        ("_tremplin.ours.example.org TXT", "Tremplin wrote it"),
        ("bad_host.example.org A", "no host's"),
        ("self.example.org CNAME", "lead to itself"),
    ] {
        let found = told
            .iter()
            .any(|line| line.starts_with(&format!("{set}: ")) && line.contains(why));
        assert!(found, "{set} {why}: {told:#?}");
    }
    assert_eq!(told.len(), 19);
}

proptest! {
    #[test]
    fn every_set_is_imported_as_it_is_or_left_out_with_a_reason(
        rows in prop::collection::vec((
            prop::sample::select(vec!["@", "a", "*.a", "_x.a", "a-a", "b.a", "_tremplin.a", "*"]),
            prop::sample::select(vec![
                "A 192.0.2.1", "AAAA 2001:db8::1", "CNAME h.example.net.", "TXT \"x\"", "MX 10 m.example.net.",
                "TXT \"heritage=external-dns,external-dns/owner=x\"", "NS n.example.net.", "NS o.example.net.",
                "DS 1 13 9 abcd", "SRV 0 0 1 s.example.net.", "CAA 0 issue \"x\"", "PTR p.example.net.",
            ]),
            1..400_u32,
        ), 0..12),
    ) {
        let file: Vec<_> = rows.iter().map(|(owner, data, ttl)| format!("{owner} {ttl} IN {data}")).collect();
        let zone = name("example.org");
        let sets = zone_file::parse(&file.join("\n"), &zone).unwrap();
        let import = import(&sets, &zone, 1);
        let mut found: Vec<_> = import.left_out.iter().map(|(set, _)| set.clone()).collect();
        let mut names = BTreeSet::new();
        for record in &import.records {
            found.extend(without_zone(&record.spec, &name(&record.spec.name), Some(&zone)).unwrap());
            let object = record.metadata.name.clone().unwrap();
            prop_assert!(object.len() <= LABEL && Fqdn::parse(&format!("{object}.x")).is_ok(), "{}", object);
            prop_assert!(names.insert(object));
            prop_assert!(import.adoptions.iter().any(|adoption| adoption.name == record.spec.name));
        }
        // Committed alone, as the owner of the name: it takes nothing away that anybody was answered.
        let open = testing::zone("{domain: example.org, provider: {type: Request}}");
        for record in &import.records {
            let asked = name(&record.spec.name);
            let wanted = without_zone(&record.spec, &asked, Some(&zone)).unwrap();
            let is_cut = wanted.iter().any(|set| set.type_ == RecordType::Ns);
            let want = Want {
                name: asked,
                owner: Owner { cluster: "c".into(), namespace: "n".into(), since: at(5) },
                sets: wanted.into_iter().map(|set| (set.type_.clone(), set)).collect(),
                withdraw: BTreeSet::new(),
                adopted: true,
                above: Vec::new(),
            };
            let planned = plan(&want, &by_name(sets.clone()), &open, &profile());
            let gone = planned.changes.iter().filter(|change| change.after.is_none()).count();
            prop_assert!(is_cut || gone == 0, "{planned:?}");
        }
        found.sort();
        // A delegation's DS has the TTL of its NS.
        let data = |sets: &[RrSet]| sets.iter().map(|set| (set.name.clone(), set.type_.clone(), set.values.clone())).collect::<Vec<_>>();
        prop_assert_eq!(data(&found), data(&sets));
    }
}

#[test]
fn what_no_record_holds_is_left_out() {
    let many: Vec<_> = (0..21).map(|host| format!("many 300 A 192.0.2.{host}")).collect();
    let import = imported(&many.join("\n"));
    assert_eq!((import.records.len(), import.adoptions.len()), (0, 0));
    assert!(
        left_out(&import)[0].contains("a DnsRecord cannot hold it: spec.targets"),
        "{:?}",
        import.left_out
    );
}

#[test]
fn what_stands_at_a_delegation_is_hidden_and_is_given_to_nobody() {
    let import = imported(
        "$TTL 300
one NS ns1.example.net.
one A 192.0.2.1
two NS ns1.example.net.
two NS ns2.example.net.
two DS 1 13 2 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
two MX 10 mail.example.net.
ours NS ns1.example.net.
ours DS 1 13 2 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
ours._tremplin TXT \"heritage=tremplin,cluster=c,namespace=n,since=2026-01-01T00:00:00Z,types=NS\"
",
    );
    let adopted: Vec<_> = import.adoptions.iter().map(|adoption| adoption.name.as_str()).collect();
    assert_eq!((import.records.len(), adopted), (1, vec!["two.example.org"]));
    let hidden = "the delegation hides it, and removes it when it is taken over";
    let left = left_out(&import);
    for told in [
        format!("one.example.org A: {hidden}"),
        format!("two.example.org MX: {hidden}"),
        "ours.example.org DS: the delegation has its DnsRecord, which does not ask for it".to_owned(),
    ] {
        assert!(left.contains(&told), "{told}: {left:#?}");
    }
    assert_eq!(left.len(), 6, "{left:#?}");
}

#[test]
fn data_that_cannot_stand_together_are_left_out() {
    let import = imported("$TTL 300\napp CNAME www\napp TXT \"x\"\napp NSEC b.example.org. CNAME\nok CNAME www\n");
    assert_eq!(records(&import).len(), 1);
    assert_eq!(
        left_out(&import)[..2],
        [
            "app.example.org CNAME: TXT cannot stand beside it: remove one of the two first",
            "app.example.org TXT: CNAME cannot stand beside it: remove one of the two first"
        ]
    );
}
