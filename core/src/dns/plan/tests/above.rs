//! What is above a name, and what stands beside what is ours.

use super::*;

/// What comes of this text, where there are these sets.
fn publish(host: &str, there: &[RrSet]) -> Planned {
    let wanted = want(host, &[set(host, "TXT", "token")]);
    plan(&wanted, &by_name(there.to_vec()), &shared(), &profile(BATCH))
}

fn refusal(planned: &Planned) -> &Fault<Reason> {
    assert_eq!(planned.changes, []);
    let fault = planned.conflict.as_ref().unwrap();
    assert_eq!(fault.reason, Reason::NotOurs);
    fault
}

#[test]
fn the_names_above_one_are_those_of_its_claim() {
    let above = |host: &str| -> Vec<String> {
        let zone = zone("{domain: z.org, provider: {type: Request}, claims: {depth: 2}}");
        let above = Above::of(&name(host), &zone, &BTreeMap::new()).into_iter();
        above.map(|above| above.name.to_string()).collect()
    };
    assert_eq!(above("a.z.org"), Vec::<String>::new());
    assert_eq!(above("b.a.z.org"), Vec::<String>::new());
    assert_eq!(above("_d._c.b.a.z.org"), ["_c.b.a.z.org", "b.a.z.org"]);
    assert_eq!(above("*.b.a.z.org"), ["b.a.z.org"]);
    assert_eq!(
        above("_dmarc.a.z.org"),
        Vec::<String>::new(),
        "which is a key of its own"
    );
    let names = want("_acme-challenge.app.z.org", &[]).names(&name("z.org")).unwrap();
    let own = ["_acme-challenge.app.z.org", "_tremplin._acme-challenge.app.z.org"];
    let both = own.into_iter().chain(["app.z.org", "_tremplin.app.z.org"]);
    assert_eq!(names, both.map(name).collect());
}

#[test]
fn nothing_is_published_below_data_that_nobody_marked() {
    for host in [
        "_acme-challenge.app.z.org",
        "_dmarc.app.z.org",
        "s._domainkey.app.z.org",
        "*.app.z.org",
    ] {
        let planned = publish(host, &[set("app.z.org", "A", "198.51.100.1")]);
        let fault = refusal(&planned);
        let found = format!("app.z.org, above {host}, has data of type A");
        assert!(fault.message.contains(&found), "{fault}");
        assert!(fault.fix.contains("app.z.org in spec.adoptions"), "{fault}");
    }
    let between = publish(
        "_acme-challenge.www.app.z.org",
        &[set("www.app.z.org", "CNAME", "h.example.org")],
    );
    assert!(refusal(&between).message.contains("www.app.z.org, above"));
    let registry = set("app.z.org", "TXT", "heritage=external-dns,external-dns/owner=prod");
    let registered = publish("_dmarc.app.z.org", &[registry]);
    assert!(refusal(&registered).message.contains("external-dns (owner prod)"));
    // Beside the claim is nobody's business.
    let beside = publish("_dmarc.app.z.org", &[set("other.z.org", "A", "198.51.100.1")]);
    assert_eq!(beside.conflict, None);
}

#[test]
fn a_foreign_delegation_gets_no_address_beside_its_own() {
    let there = by_name([
        set("x.z.org", "NS", "ns1.x.z.org"),
        set("ns1.x.z.org", "A", "198.51.100.1"),
    ]);
    let wanted = want("ns1.x.z.org", &[set("ns1.x.z.org", "AAAA", "2001:db8::1")]);
    refusal(&plan(&wanted, &there, &shared(), &profile(BATCH)));
    let planned = publish("new.x.z.org", &[set("x.z.org", "NS", "ns1.x.z.org")]);
    assert!(refusal(&planned).message.contains("x.z.org, above new.x.z.org,"));
}

#[test]
fn below_a_delegation_of_ones_own_its_mark_is_looked_for_in_doubt() {
    let wanted = want("new.x.z.org", &[set("new.x.z.org", "TXT", "token")]);
    let beside = name("x._tremplin.z.org");
    assert!(!wanted.names(&name("z.org")).unwrap().contains(&beside));
    assert!(wanted.names_in_doubt(&name("z.org")).unwrap().contains(&beside));
    let there = [set("x.z.org", "NS", "ns.example.org"), ours("x.z.org", &["NS"])];
    assert_eq!(publish("new.x.z.org", &there).conflict, None);
}

#[test]
fn below_what_another_holds_nothing_is_published() {
    let held = |cluster: &str, namespace: &str, since| {
        let there = [
            set("app.z.org", "A", "198.51.100.1"),
            mark("app.z.org", owner(cluster, namespace, since), &["A"]),
        ];
        publish("_acme-challenge.app.z.org", &there)
    };
    // Of two clusters the older claim has its whole subtree.
    let planned = held("two", "red", 99);
    let fault = refusal(&planned);
    let found = "app.z.org, above _acme-challenge.app.z.org, is held by the namespace red of the cluster two";
    assert!(fault.message.contains(found), "{fault}");
    assert_eq!(held("two", "red", 101).conflict, None);
    // What another namespace of this one left needs the platform team's word.
    let planned = held("one", "red", 99);
    assert!(refusal(&planned).fix.contains("app.z.org in spec.adoptions"));
}

#[test]
fn what_the_platform_team_gave_opens_what_is_below_it() {
    let foreign = [set("app.z.org", "A", "198.51.100.1")];
    let of_another = |cluster: &str| [mark("app.z.org", owner(cluster, "red", 99), &["A"])];
    let given = |is_given: fn(&mut Want), there: &[RrSet]| {
        let mut wanted = want("_dmarc.app.z.org", &[set("_dmarc.app.z.org", "TXT", "token")]);
        is_given(&mut wanted);
        plan(&wanted, &by_name(there.to_vec()), &shared(), &profile(BATCH)).conflict
    };
    let ways: [fn(&mut Want); 2] = [|want| want.above[0].adopted = true, |want| want.adopted = true];
    for way in ways {
        assert_eq!(given(way, &foreign), None);
        assert_eq!(given(way, &of_another("one")), None);
        // Another cluster's is not this platform team's to give.
        assert!(given(way, &of_another("two")).is_some());
    }
    let zone = zone(
        "{domain: z.org, provider: {type: Request}, adoptions: [{name: app.z.org, namespaceSelector: {matchLabels: {team: red}}}]}",
    );
    for (team, adopted) in [("red", true), ("blue", false)] {
        let labels = BTreeMap::from([("team".to_owned(), team.to_owned())]);
        assert_eq!(Above::of(&name("_dmarc.app.z.org"), &zone, &labels)[0].adopted, adopted);
    }
}

#[test]
fn what_is_ours_already_stays_whatever_came_above_or_beside_it() {
    let ours_there = [
        set("_dmarc.app.z.org", "TXT", "old"),
        ours("_dmarc.app.z.org", &["TXT"]),
        set("app.z.org", "A", "198.51.100.1"),
    ];
    assert_eq!(
        told(&publish("_dmarc.app.z.org", &ours_there)),
        ["Replace _dmarc.app.z.org TXT"]
    );
    let beside = [
        set("app.z.org", "A", "192.0.2.1"),
        ours("app.z.org", &["A"]),
        set("app.z.org", "MX", "10 mail.example.org"),
    ];
    assert_eq!(
        told(&publish("app.z.org", &beside)),
        ["Replace _tremplin.app.z.org TXT", "Create app.z.org TXT"]
    );
    // What is to go asks nobody.
    let mut gone = want("_dmarc.app.z.org", &[]);
    gone.withdraw = [RecordType::Txt].into();
    let planned = plan(&gone, &by_name(ours_there), &shared(), &profile(BATCH));
    assert_eq!(planned.conflict, None);
    assert_eq!(planned.changes.len(), 2, "text and mark");
    // Where our mark was taken away by hand nobody knows whose it is.
    refusal(&publish("app.z.org", &[set("app.z.org", "A", "192.0.2.1")]));
}

#[test]
fn the_names_of_one_team_stand_above_each_other() {
    let above = [set("app.z.org", "A", "192.0.2.1"), ours("app.z.org", &["A"])];
    assert_eq!(publish("_dmarc.app.z.org", &above).conflict, None);
    let marked = publish("_dmarc.app.z.org", &above[1..]);
    assert_eq!(marked.conflict, None);
    assert_eq!(publish("_dmarc.app.z.org", &[]).conflict, None);
}

#[test]
fn the_zones_own_sets_at_the_apex_are_in_nobodys_way() {
    let there = by_name([
        set("z.org", "NS", "ns.example.org"),
        set("z.org", "SOA", "ns.example.org a 1 2 3 4 5"),
    ]);
    let wanted = want("z.org", &[set("z.org", "TXT", "hello")]);
    assert_eq!(plan(&wanted, &there, &shared(), &profile(BATCH)).conflict, None);
}

proptest! {
    #[test]
    fn below_somebody_elses_name_nothing_is_written_and_what_is_carried_out_leaves_nothing_to_do(
        above in any_sets(), is_marked in any::<bool>(), is_ours in any::<bool>(), adopted in any::<bool>(),
        step in prop::sample::select(vec![BATCH, Atomicity::Set, Atomicity::Record]), stop in 0..4_usize,
    ) {
        let mut sets = above.clone();
        let types: Vec<&str> = above.iter().map(|set| set.type_.as_str()).collect();
        if is_marked && !types.is_empty() {
            sets.push(ours("app.z.org", &types));
        }
        if is_ours {
            sets.push(ours("_dmarc.app.z.org", &["TXT"]));
        }
        let current = by_name(sets);
        let mut wish = want("_dmarc.app.z.org", &[set("_dmarc.app.z.org", "TXT", "v=DMARC1; p=none")]);
        wish.above[0].adopted = adopted;
        let (zone, profile) = (shared(), profile(step));
        let planned = plan(&wish, &current, &zone, &profile);
        prop_assert_eq!(planned.conflict.is_some(), !above.is_empty() && !is_marked && !is_ours && !adopted);
        let after = apply(&current, &planned.changes);
        prop_assert_eq!(after.get(&name("app.z.org")), current.get(&name("app.z.org")));
        prop_assert_eq!(plan(&wish, &after, &zone, &profile).changes, Vec::<Change>::new());
        let cut = match step { BATCH => 0, _ => stop.min(planned.changes.len()) };
        let halfway = apply(&current, &planned.changes[..cut]);
        let rest = plan(&wish, &halfway, &zone, &profile);
        prop_assert_eq!(apply(&halfway, &rest.changes), after);
    }
}
