//! What is true of every provider.

use std::time::Instant;

use tremplin::dns_provider::Failure;
use tremplin_core::dns::profile::{Atomicity, Profile};
use tremplin_core::dns::{Change, RecordType, RrSet};
use tremplin_e2e::dns::query::ResponseCode;

use super::server::{LOAD_BALANCER, Server, WRONG, ZONE};
use super::zone::{apply, name, read, set, whole};

/// A TTL that every provider keeps.
const TTL: u32 = 600;
/// The key of a signed zone, in short (RFC 4034, 5).
const DIGEST: &str = "60485 13 2 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn create(sets: &[RrSet]) -> Vec<Change> {
    sets.iter().cloned().map(Change::create).collect()
}

fn delete(sets: &[RrSet]) -> Vec<Change> {
    sets.iter().cloned().map(Change::delete).collect()
}

/// Makes these sets and waits until they are served.
async fn publish(server: &Server, sets: &[RrSet]) {
    apply(&*server.provider(), &create(sets)).await.unwrap();
    for set in sets {
        server.wait_for(set).await;
    }
}

pub async fn every_type_is_written_read_back_and_served(server: &Server) {
    let provider = server.provider();
    provider.verify().await.unwrap();
    let sets = [
        set("app", "A", TTL, &["192.0.2.7"]),
        set("app", "AAAA", TTL, &["2001:db8::7", "2001:db8::8"]),
        set(
            "app",
            "CAA",
            TTL,
            &[
                "0 issue \"letsencrypt.org\"",
                "0 iodef \"mailto:security@beta.example\"",
            ],
        ),
        set("app", "MX", TTL, &["10 mx1.mail.example", "20 mx2.mail.example"]),
        set("app", "TXT", TTL, &["v=spf1 -all", "proof=1234"]),
        set("cname", "CNAME", TTL, &["app.other.example"]),
        set(
            "_sip._tcp.app",
            "SRV",
            TTL,
            &["10 5 5060 sip1.other.example", "20 0 5061 sip2.beta.example"],
        ),
        set("team", "NS", TTL, &["ns1.team.example", "ns2.team.example"]),
    ];
    let mut sets = sets.to_vec();
    // Beside the name servers, which it is about.
    if !provider.profile().without.contains(&RecordType::Ds) {
        sets.push(set("team", "DS", TTL, &[DIGEST]));
    }
    apply(&*provider, &create(&sets)).await.unwrap();
    let mut sorted = sets.clone();
    sorted.sort();
    assert_eq!(
        read(&*provider, &["app", "cname", "_sip._tcp.app", "team"]).await,
        sorted
    );
    let all = whole(&*provider).await;
    for set in &sets {
        assert!(all.contains(set), "{set:?} is not in {all:?}");
        // Name servers of a delegation come as a referral, not as an answer.
        if set.type_ != RecordType::Ns {
            server.wait_for(set).await;
        }
    }
}

pub async fn values_come_and_go_without_a_gap(server: &Server) {
    let provider = server.provider();
    let mut before = set("app", "A", TTL, &["192.0.2.1"]);
    publish(server, std::slice::from_ref(&before)).await;
    let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
    let resolver = async {
        let mut asked = 0;
        while stopped.try_recv().is_err() {
            let answer = server.ask(&before.name, &RecordType::A).await;
            assert_eq!(answer.code, ResponseCode::NoError);
            assert!(
                !answer.data("A".parse().unwrap()).is_empty(),
                "a gap after {asked} answers"
            );
            asked += 1;
        }
        asked
    };
    let writer = async {
        let mut before = before.clone();
        for values in [
            &["192.0.2.2"] as &[_],
            &["192.0.2.2", "192.0.2.3", "192.0.2.4"],
            &["192.0.2.5", "192.0.2.6"],
            &["192.0.2.6"],
        ] {
            let after = set("app", "A", TTL, values);
            let change = Change::replace(before, after.clone());
            apply(&*provider, &[change]).await.unwrap();
            assert_eq!(read(&*provider, &["app"]).await, std::slice::from_ref(&after));
            server.wait_for(&after).await;
            before = after;
        }
        stop.send(()).unwrap();
        before
    };
    let (asked, last) = tokio::join!(resolver, writer);
    assert!(asked > 4, "{asked}");
    before = last;
    // The same values for another time: the TTL alone is replaced.
    let after = RrSet {
        ttl: 1_200,
        ..before.clone()
    };
    apply(&*provider, &[Change::replace(before, after.clone())])
        .await
        .unwrap();
    assert_eq!(read(&*provider, &["app"]).await, std::slice::from_ref(&after));
    server.wait_for(&after).await;
}

pub async fn a_ttl_is_kept_as_the_profile_says(server: &Server) {
    let provider = server.provider();
    let Profile { min_ttl, max_ttl, .. } = *provider.profile();
    let sets = [
        set("least", "A", min_ttl, &["192.0.2.1"]),
        set("most", "TXT", max_ttl, &["long-lived"]),
    ];
    assert_eq!(
        (provider.profile().clamp_ttl(0), provider.profile().clamp_ttl(u32::MAX)),
        (min_ttl, max_ttl)
    );
    apply(&*provider, &create(&sets)).await.unwrap();
    assert_eq!(read(&*provider, &["least", "most"]).await, sets);
}

pub async fn long_and_quoted_texts_come_back_whole(server: &Server) {
    let provider = server.provider();
    let key = format!("v=DKIM1; k=rsa; p={}", "MIIBIjANBgkqh/+".repeat(40));
    let just = "x".repeat(255);
    let sets = [
        set("s1._domainkey.app", "TXT", TTL, &[&key]),
        set("just", "TXT", TTL, &[&just, &format!("{just}y")]),
        set(
            "quoted",
            "TXT",
            TTL,
            &[r#"say "hello" \ and; (go) $ORIGIN @"#, r"\", r#"""#, "a  b"],
        ),
    ];
    publish(server, &sets).await;
    let mut sorted = sets.to_vec();
    sorted.sort();
    assert_eq!(read(&*provider, &["s1._domainkey.app", "just", "quoted"]).await, sorted);
    // What is read back is what a deletion starts from.
    apply(&*provider, &delete(&sorted)).await.unwrap();
    assert_eq!(read(&*provider, &["s1._domainkey.app", "just", "quoted"]).await, []);
}

pub async fn wildcards_underscores_and_the_apex_are_names_like_others(server: &Server) {
    let provider = server.provider();
    let sets = [
        set("*.app", "A", TTL, &["192.0.2.9"]),
        set("_acme-challenge.app", "TXT", TTL, &["proof"]),
        set("_dmarc", "TXT", TTL, &["v=DMARC1; p=none"]),
        set(ZONE, "TXT", TTL, &["v=spf1 include:spf.mail.example -all"]),
        set(ZONE, "MX", TTL, &["10 mx.mail.example"]),
    ];
    publish(server, &sets).await;
    let found = read(&*provider, &["*.app", "_acme-challenge.app", "_dmarc", ZONE]).await;
    for set in &sets {
        assert!(found.contains(set), "{set:?} is not in {found:?}");
    }
    // The apex has its SOA and name servers as well, and they are still there.
    assert!(
        found
            .iter()
            .any(|set| set.name == name(ZONE) && set.type_ == RecordType::Ns)
    );
    let answer = server.ask(&name("any.app"), &RecordType::A).await;
    assert_eq!(answer.data("A".parse().unwrap()), ["192.0.2.9"]);
    apply(&*provider, &delete(&sets)).await.unwrap();
    server.wait_for_none(&name(ZONE), &RecordType::Txt).await;
    assert_eq!(read(&*provider, &["*.app", "_acme-challenge.app", "_dmarc"]).await, []);
}

pub async fn a_name_below_a_wildcard_is_not_there(server: &Server) {
    let provider = server.provider();
    let answer = server.ask(&name("made-up.wild"), &RecordType::A).await;
    assert_eq!(answer.data("A".parse().unwrap()), ["192.0.2.3"]);
    let wild = set("*.wild", "A", 300, &["192.0.2.3"]);
    assert_eq!(read(&*provider, &["made-up.wild", "*.wild"]).await, [wild]);
    // So that it can be made.
    publish(server, &[set("made-up.wild", "TXT", TTL, &["real"])]).await;
    server.wait_for_none(&name("made-up.wild"), &RecordType::A).await;
}

pub async fn a_type_takes_the_place_of_another(server: &Server) {
    let provider = server.provider();
    let (a, aaaa) = (
        set("app", "A", TTL, &["192.0.2.1"]),
        set("app", "AAAA", TTL, &["2001:db8::1"]),
    );
    let cname = set("app", "CNAME", TTL, &["ingress.other.example"]);
    publish(server, &[a.clone(), aaaa.clone()]).await;
    let there = [
        Change::create(cname.clone()),
        Change::delete(a.clone()),
        Change::delete(aaaa.clone()),
    ];
    let back = [
        Change::delete(cname.clone()),
        Change::create(a.clone()),
        Change::create(aaaa.clone()),
    ];
    for (changes, sets) in [(there, vec![cname.clone()]), (back, vec![a.clone(), aaaa.clone()])] {
        // What is looked up once is known by then.
        read(&*provider, &["app"]).await;
        let calls = server.calls();
        if matches!(provider.profile().atomicity, Atomicity::Batch(_)) {
            provider.write(&changes).await.unwrap();
            assert!(server.calls().zip(calls).is_none_or(|(now, before)| now == before + 1));
            apply(&*provider, &[]).await.unwrap();
        } else {
            // What goes comes first.
            let (gone, made): (Vec<_>, Vec<_>) = changes.into_iter().partition(|change| change.after.is_none());
            apply(&*provider, &[gone, made].concat()).await.unwrap();
        }
        assert_eq!(read(&*provider, &["app"]).await, sets);
        for set in sets {
            server.wait_for(&set).await;
        }
    }
}

pub async fn an_alias_at_the_apex_is_served_as_addresses(server: &Server) {
    let provider = server.provider();
    let alias = set(ZONE, "ALIAS", TTL, &[LOAD_BALANCER]);
    apply(&*provider, &create(std::slice::from_ref(&alias))).await.unwrap();
    assert!(read(&*provider, &[ZONE]).await.contains(&alias));
    server.wait_for(&set(ZONE, "A", TTL, &["192.0.2.50"])).await;
    apply(&*provider, &delete(&[alias])).await.unwrap();
    server.wait_for_none(&name(ZONE), &RecordType::A).await;
}

pub async fn what_is_deleted_is_gone_and_may_be_deleted_again(server: &Server) {
    let provider = server.provider();
    let (one, two) = (
        set("app", "A", TTL, &["192.0.2.1", "192.0.2.2"]),
        set("app", "TXT", TTL, &["kept"]),
    );
    publish(server, &[one.clone(), two.clone()]).await;
    apply(&*provider, &delete(std::slice::from_ref(&one))).await.unwrap();
    server.wait_for_none(&one.name, &RecordType::A).await;
    assert_eq!(read(&*provider, &["app"]).await, std::slice::from_ref(&two));
    // A second writer, or one that died before it could tell: it may learn that the zone changed, and is at its end.
    let again = apply(&*provider, &delete(std::slice::from_ref(&one))).await;
    assert!(matches!(again, Ok(()) | Err(Failure::Changed(_))), "{again:?}");
    assert_eq!(read(&*provider, &["app"]).await, [two]);
}

pub async fn other_sets_stay_as_they_are(server: &Server) {
    let provider = server.provider();
    let before = whole(&*provider).await;
    assert!(before.len() >= 9, "{before:?}");
    // Beside, below and above names of others.
    let mine = [
        set("www", "AAAA", TTL, &["2001:db8::1"]),
        set("a.www", "A", TTL, &["192.0.2.10"]),
        set("mail", "A", TTL, &["192.0.2.11"]),
        set("x.wild", "A", TTL, &["192.0.2.12"]),
    ];
    publish(server, &mine).await;
    let mut expected = [before.as_slice(), &mine].concat();
    expected.sort();
    assert_eq!(whole(&*provider).await, expected);
    apply(&*provider, &delete(&mine)).await.unwrap();
    assert_eq!(whole(&*provider).await, before);
    // Those of one name are read together, whoever wrote them.
    let www = [
        set("www", "A", 300, &["192.0.2.1", "192.0.2.2"]),
        set("www", "TXT", 300, &["of others"]),
    ];
    assert_eq!(read(&*provider, &["www"]).await, www);
}

pub async fn nothing_is_sent_without_the_lease(server: &Server) {
    let provider = server.provider();
    let before = whole(&*provider).await;
    server.lose_lease();
    let changes = create(&[set("late", "A", TTL, &["192.0.2.1"])]);
    let failure = provider.write(&changes).await.unwrap_err();
    assert!(
        matches!(&failure, Failure::Unavailable(why) if why.contains("lease")),
        "{failure:?}"
    );
    assert_eq!(whole(&*provider).await, before);
}

pub async fn texts_of_others_can_be_replaced(server: &Server) {
    let provider = server.provider();
    let before = set("www", "TXT", 300, &["of others"]);
    let after = set("www", "TXT", TTL, &["of ours"]);
    apply(&*provider, &[Change::replace(before, after.clone())])
        .await
        .unwrap();
    server.wait_for(&after).await;
}

pub async fn delegations_are_read_as_they_are(server: &Server) {
    let provider = server.provider();
    let found = read(&*provider, &["sub", "below.sub"]).await;
    let ds = "12345 13 2 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    let sub = [
        set("sub", "NS", 300, &["ns1.other.example", "ns2.other.example"]),
        set("sub", "DS", 300, &[ds]),
    ];
    assert_eq!(found, sub);
}

pub async fn many_sets_are_read_whole(server: &Server) {
    let provider = server.provider();
    let sets: Vec<_> = (0..server.many())
        .map(|index| set(&format!("app-{index:04}"), "TXT", TTL, &[&format!("{index:0>200}")]))
        .collect();
    apply(&*provider, &create(&sets)).await.unwrap();
    let all = whole(&*provider).await;
    let mine: Vec<_> = all
        .into_iter()
        .filter(|set| set.name.as_str().starts_with("app-"))
        .collect();
    assert_eq!(mine, sets);
    // More names than are asked one by one.
    let names: Vec<_> = sets.iter().map(|set| set.name.as_str()).collect();
    let started = Instant::now();
    assert_eq!(read(&*provider, &names).await, sets);
    println!("{} names read in {:?}", sets.len(), started.elapsed());
}

pub async fn a_wrong_credential_is_unauthorized(server: &Server) {
    let provider = server.with_wrong_credential();
    let one = set("app", "A", TTL, &["192.0.2.1"]);
    let names = [one.name.clone()].into();
    for failure in [
        provider.verify().await.unwrap_err(),
        provider.read(&names).await.unwrap_err(),
        provider.read_all().await.unwrap_err(),
        provider.write(&create(&[one])).await.unwrap_err(),
    ] {
        assert!(matches!(failure, Failure::Unauthorized(_)), "{failure:?}");
        assert!(!failure.to_string().contains(WRONG), "{failure}");
    }
    assert_eq!(read(&*server.provider(), &["app"]).await, []);
}

pub async fn an_unknown_zone_is_no_zone(server: &Server) {
    let provider = server.of_another_zone();
    let one = set("app.other.example", "A", TTL, &["192.0.2.1"]);
    let names = [one.name.clone()].into();
    for failure in [
        provider.verify().await.unwrap_err(),
        provider.read(&names).await.unwrap_err(),
    ] {
        assert!(matches!(failure, Failure::NoZone(_)), "{failure:?}");
    }
    // Some say no more than that one may not write there.
    let failure = provider.write(&create(&[one])).await.unwrap_err();
    assert!(
        matches!(failure, Failure::NoZone(_) | Failure::Unauthorized(_)),
        "{failure:?}"
    );
}

pub async fn a_restart_in_the_middle_loses_nothing(server: &Server) {
    let provider = server.provider();
    let (one, two) = (
        set("one", "A", TTL, &["192.0.2.1"]),
        set("two", "A", TTL, &["192.0.2.2"]),
    );
    publish(server, std::slice::from_ref(&one)).await;
    server.kill();
    let failure = provider.write(&create(std::slice::from_ref(&two))).await.unwrap_err();
    assert!(matches!(failure, Failure::Unavailable(_)), "{failure:?}");
    server.restart().await;
    assert_eq!(read(&*provider, &["one", "two"]).await, std::slice::from_ref(&one));
    publish(server, std::slice::from_ref(&two)).await;
    assert_eq!(read(&*provider, &["one", "two"]).await, [one, two]);
}
