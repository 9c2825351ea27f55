use proptest::prelude::*;

use super::*;
use crate::dns::rrset::canonical;
use crate::dns::testing::{name, zone};

const RULES: &str = "domain: example.org
provider: {type: Request}
safety: {protected: [ns1.example.org, _dmarc.mail.example.org]}
adoptions:
- {name: example.org, namespaceSelector: {matchLabels: {team: web}}}
- {name: www.example.org, namespaceSelector: {matchLabels: {team: web}}}
admission:
  namespaces: {matchLabels: {open: 'yes'}}
  namePolicy: {pattern: '[a-z][-a-z0-9]*', reserved: [www, Été], prefixFromLabel: project, environments: [Production]}
  types: [A, AAAA, CNAME, MX, TXT, NS, SRV]
  approvalRequiredFor: [NS]
  targets: {allowSuffixes: [host.example], allowCIDRs: [192.0.2.0/24, '2001:db8::/32']}
  maxClaimsPerNamespace: 2
  maxRecordsPerClaim: 3
";

fn labels(text: &str) -> BTreeMap<String, String> {
    text.split_whitespace()
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

fn set(owner: &str, type_: &str, value: &str) -> RrSet {
    let type_ = RecordType::of(type_);
    RrSet {
        name: name(owner),
        ttl: 300,
        values: [canonical(&type_, value).unwrap()].into(),
        type_,
    }
}

fn applicant(labels: &BTreeMap<String, String>) -> Applicant<'_> {
    Applicant {
        namespace: "team-blue",
        labels,
        environment: Some(Environment::Production),
        claims_held: 0,
        holds_claim: false,
        sets_under_claim: 0,
    }
}

const BLUE: &str = "open=yes project=blue";

/// `Reason: message`, or nothing.
fn verdict(rules: &str, labels_of: &str, owner: &str, type_: &str, value: &str) -> String {
    let all = labels(labels_of);
    admit(
        &name(owner),
        &[set(owner, type_, value)],
        &zone(rules),
        &applicant(&all),
        &[],
    )
    .map_or_else(
        |fault| format!("{}: {}", fault.reason.as_str(), fault.message),
        |()| String::new(),
    )
}

#[test]
fn what_every_rule_lets_pass_is_admitted() {
    for (owner, type_, value) in [
        ("blue.example.org", "A", "192.0.2.1"),
        ("blue-2.example.org", "CNAME", "x.host.example"),
        ("blue.example.org", "CNAME", "host.example"),
        ("blue.example.org", "MX", "0 ."),
        ("*.blue.example.org", "AAAA", "2001:db8::1"),
        ("_acme-challenge.deep.blue.example.org", "TXT", "token"),
    ] {
        assert_eq!(verdict(RULES, BLUE, owner, type_, value), "", "{owner} {type_} {value}");
    }
}

/// Labels, name, type, data, reason, rule.
const REFUSALS: &str = "
project=blue | blue.example.org | A | 192.0.2.1 | NamespaceNotAdmitted | admission.namespaces
open=yes project=blue | blue9_.example.org | TXT | x | NotClaimable | nobody
open=yes project=blue | example.org | TXT | x | NamespaceNotAdmitted | adoptions
open=yes project=blue | sub.www.example.org | TXT | x | NamespaceNotAdmitted | adoptions
open=yes project=blue | *.example.org | TXT | x | NotClaimable | nobody
open=yes project=blue | _dmarc.example.org | TXT | x | NotClaimable | nobody
open=yes project=blue | été.example.org | A | 192.0.2.1 | NameReserved | admission.namePolicy.reserved
open=yes project=blue | 9blue.example.org | A | 192.0.2.1 | NameNotAllowed | admission.namePolicy.pattern
open=yes project=blue | bluesky.example.org | A | 192.0.2.1 | NameNotAllowed | admission.namePolicy.prefixFromLabel
open=yes | blue.example.org | A | 192.0.2.1 | NameNotAllowed | admission.namePolicy.prefixFromLabel
open=yes project= | blue.example.org | A | 192.0.2.1 | NameNotAllowed | admission.namePolicy.prefixFromLabel
open=yes project=blue | ns1.example.org | A | 192.0.2.1 | ProtectedName | safety.protected
open=yes project=blue | _acme-challenge.ns1.example.org | TXT | x | ProtectedName | safety.protected
open=yes project=blue | blue.example.org | CAA | 0 issue a.org | TypeNotAllowed | admission.types
open=yes project=blue | blue.example.org | A | 198.51.100.1 | TargetNotAllowed | admission.targets.allowCIDRs
open=yes project=blue | blue.example.org | AAAA | ::ffff:10.0.0.1 | TargetNotAllowed | admission.targets.allowCIDRs
open=yes project=blue | blue.example.org | CNAME | evilhost.example | TargetNotAllowed | admission.targets.allowSuffixes
open=yes project=blue | blue.example.org | MX | 10 m.example.net | TargetNotAllowed | admission.targets.allowSuffixes
open=yes project=blue | _a._tcp.blue.example.org | SRV | 0 0 1 m.example.net | TargetNotAllowed | admission.targets.allowSuffixes
open=yes project=blue | blue.example.org | NS | ns.host.example | WaitingForApproval | admission.approvalRequiredFor
";

#[test]
fn each_refusal_names_its_rule() {
    let rows: Vec<_> = REFUSALS.trim().lines().collect();
    assert_eq!(rows.len(), 20);
    for row in rows {
        let parts: Vec<_> = row.split(" | ").collect();
        let [labels, owner, type_, value, reason, rule] = parts[..] else {
            panic!("{row}");
        };
        let told = verdict(RULES, labels, owner, type_, value);
        assert!(
            told.starts_with(&format!("{reason}: ")) && told.contains(rule),
            "{row}: {told}"
        );
    }
}

#[test]
fn the_prefix_that_is_advised_is_at_the_zones_depth() {
    let all = labels(BLUE);
    let deep = format!("{RULES}claims: {{depth: 2}}\n");
    let sets = [set("red.app.example.org", "A", "192.0.2.1")];
    let fault = admit(&name("red.app.example.org"), &sets, &zone(&deep), &applicant(&all), &[]).unwrap_err();
    assert_eq!(fault.reason, Reason::NameNotAllowed);
    assert_eq!(fault.fix, "use blue.app.example.org or blue-….app.example.org");
}

#[test]
fn an_address_in_ipv6_clothes_is_judged_as_what_it_is() {
    assert_eq!(verdict(RULES, BLUE, "blue.example.org", "AAAA", "::ffff:192.0.2.1"), "");
    let open = "{domain: example.org, provider: {type: Request}, admission: {namespaces: {}}}";
    for private in ["::ffff:10.0.0.1", "::1", "fd00::1", "64:ff9b::a00:1", "2002:a00:1::1"] {
        let told = verdict(open, "", "a.example.org", "AAAA", private);
        assert!(
            told.starts_with("TargetNotAllowed") && told.contains("denyPrivate"),
            "{private}: {told}"
        );
    }
    assert_eq!(verdict(open, "", "a.example.org", "A", "8.8.8.8"), "");
    let closed = "{domain: example.org, provider: {type: Request}}";
    assert!(verdict(closed, BLUE, "a.example.org", "A", "8.8.8.8").starts_with("NamespaceNotAdmitted"));
}

#[test]
fn a_zone_that_names_no_types_lets_nobody_hand_a_name_to_other_servers() {
    let open = "{domain: example.org, provider: {type: Request}, admission: {namespaces: {}}}";
    let told = verdict(open, "", "a.example.org", "NS", "ns.host.example");
    assert!(
        told.starts_with("TypeNotAllowed: ") && told.contains("admission.types"),
        "{told}"
    );
    assert_eq!(verdict(open, "", "a.example.org", "SRV", "0 0 1 m.example.net"), "");
}

#[test]
fn nobody_writes_where_the_marks_are() {
    for owner in [
        "_tremplin.blue.example.org",
        "_tremplin._wildcard.blue.example.org",
        "x._tremplin.blue.example.org",
    ] {
        let told = verdict(RULES, BLUE, owner, "TXT", "heritage=tremplin");
        assert!(told.starts_with("NameReserved"), "{owner}: {told}");
    }
}

#[test]
fn only_the_zones_environments_are_admitted() {
    let all = labels(BLUE);
    for environment in [Some(Environment::Development), None] {
        let who = Applicant {
            environment,
            ..applicant(&all)
        };
        let sets = [set("blue.example.org", "A", "192.0.2.1")];
        let fault = admit(&name("blue.example.org"), &sets, &zone(RULES), &who, &[]).unwrap_err();
        assert_eq!(fault.reason, Reason::EnvironmentNotAdmitted);
    }
}

#[test]
fn what_was_given_away_skips_the_name_policy_and_nothing_else() {
    let web = "team=web";
    assert_eq!(verdict(RULES, web, "example.org", "A", "192.0.2.1"), "");
    assert_eq!(verdict(RULES, web, "www.example.org", "A", "192.0.2.1"), "");
    assert_eq!(
        verdict(RULES, web, "_dmarc.www.example.org", "TXT", "v=DMARC1; p=none"),
        ""
    );
    assert!(verdict(RULES, web, "www.example.org", "A", "10.0.0.1").starts_with("TargetNotAllowed"));
    assert!(verdict(RULES, web, "www.example.org", "CAA", "0 issue a.org").starts_with("TypeNotAllowed"));
    // The apex is given, not what is below it.
    assert!(verdict(RULES, web, "_dmarc.example.org", "TXT", "x").starts_with("NamespaceNotAdmitted"));
}

#[test]
fn what_a_record_says_at_another_name_must_be_given_too() {
    let all = labels("team=web");
    let sets = [
        set("example.org", "TXT", "v=spf1 -all"),
        set("_dmarc.example.org", "TXT", "v=DMARC1; p=reject"),
    ];
    let told = |rules: &str| admit(&name("example.org"), &sets, &zone(rules), &applicant(&all), &[]);
    let fault = told(RULES).unwrap_err();
    assert_eq!(fault.reason, Reason::NotClaimable);
    assert!(fault.message.contains("_dmarc.example.org"), "{fault}");
    let given = "adoptions:\n- {name: _dmarc.example.org, namespaceSelector: {matchLabels: {team: web}}}";
    assert_eq!(told(&RULES.replace("adoptions:", given)), Ok(()));
}

#[test]
fn quotas_count_what_others_have() {
    let all = labels(BLUE);
    let sets = [set("blue.example.org", "A", "192.0.2.1")];
    for (claims_held, holds_claim, sets_under_claim, expected) in [
        (1, false, 2, None),
        (2, false, 0, Some(Reason::TooManyClaims)),
        (9, true, 0, None),
        (0, true, 3, Some(Reason::TooManyRecords)),
    ] {
        let who = Applicant {
            claims_held,
            holds_claim,
            sets_under_claim,
            ..applicant(&all)
        };
        let told = admit(&name("blue.example.org"), &sets, &zone(RULES), &who, &[]).err();
        assert_eq!(
            told.map(|fault| fault.reason),
            expected,
            "{claims_held} {holds_claim} {sets_under_claim}"
        );
    }
}

#[test]
fn an_approval_is_of_one_name_type_and_data() {
    let all = labels(BLUE);
    let ask = |set: &RrSet, annotation: &str| {
        let approvals = Approval::parse(annotation);
        admit(
            &name("blue.example.org"),
            std::slice::from_ref(set),
            &zone(RULES),
            &applicant(&all),
            &approvals,
        )
    };
    let asked = set("blue.example.org", "NS", "ns.host.example");
    let given = Approval::of(&asked).to_string();
    let fault = ask(&asked, "").unwrap_err();
    assert!(fault.fix.contains(&given), "{}", fault.fix);
    assert_eq!(ask(&asked, &format!(" x/y , {given},")), Ok(()));
    assert_eq!(ask(&asked, &given.to_uppercase()), Ok(()));
    for other in [
        set("blue.example.org", "NS", "other.host.example"),
        set("x.blue.example.org", "NS", "ns.host.example"),
    ] {
        assert_eq!(ask(&other, &given).unwrap_err().reason, Reason::WaitingForApproval);
    }
    let slower = RrSet { ttl: 900, ..asked };
    assert_eq!(ask(&slower, &given), Ok(()));
}

proptest! {
    #[test]
    fn approvals_read_back_as_they_are_written(values in prop::collection::btree_set("[ -~]{1,20}", 1..4)) {
        let set = RrSet { name: name("*.blue.example.org"), type_: RecordType::Txt, ttl: 1, values: values.clone() };
        let approval = Approval::of(&set);
        prop_assert_eq!(Approval::parse(&format!("{approval},{approval}")), vec![approval.clone(), approval.clone()]);
        // Moving text from one value to another is other data.
        let joined: String = values.iter().map(String::as_str).collect();
        let merged = RrSet { values: [joined].into(), ..set };
        prop_assert_eq!(Approval::of(&merged) == approval, values.len() == 1);
    }

    #[test]
    fn no_name_outside_the_zone_is_ever_admitted(label in "[a-z_*]{1,5}", rest in "[a-z]{1,5}\\.(org|net)") {
        let zone = zone("{domain: example.org, provider: {type: Request}, admission: {namespaces: {}, types: [TXT]}}");
        if let Ok(name) = Fqdn::parse(&format!("{label}.{rest}")) {
            let set = RrSet { name: name.clone(), type_: RecordType::Txt, ttl: 1, values: ["x".to_owned()].into() };
            let all = BTreeMap::new();
            let admitted = admit(&name, &[set], &zone, &applicant(&all), &[]).is_ok();
            prop_assert_eq!(admitted, name.is_below(&zone.domain) && name.cut(&zone.domain, 1).is_some_and(|key| key.is_host()));
        }
    }
}
