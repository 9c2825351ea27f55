//! What is true of every provider that speaks HTTP when requests and answers get lost or go bad.

use std::time::{Duration, Instant};

use tremplin::dns_provider::Failure;
use tremplin_core::dns::Change;
use tremplin_e2e::dns::fault_proxy::Fault;

use super::server::Server;
use super::zone::{apply, read, set};

pub async fn every_fault_is_told_as_what_it_is(server: &Server) {
    let (provider, proxy) = (server.provider(), server.proxy());
    provider.verify().await.unwrap();
    let names = [set("www", "A", 300, &["192.0.2.1"]).name].into();
    for fault in [
        Fault::Status(500, None),
        Fault::Status(502, None),
        Fault::Status(503, None),
        Fault::Reset,
        Fault::Html,
        Fault::LoseAnswer,
        Fault::Break,
        Fault::Halve,
    ] {
        proxy.next(fault.clone());
        let failure = provider.read(&names).await.unwrap_err();
        assert!(matches!(failure, Failure::Unavailable(_)), "{fault:?}: {failure:?}");
        assert_eq!(proxy.planned(), 0);
    }
    proxy.next(Fault::Status(302, None));
    let failure = provider.read(&names).await.unwrap_err();
    assert!(matches!(failure, Failure::Settings(_)), "{failure:?}");
    // Slow is not wrong.
    proxy.next(Fault::Slow(Duration::from_millis(1)));
    provider.read(&names).await.unwrap();
}

pub async fn what_was_done_without_an_answer_is_found_by_reading(server: &Server) {
    let (provider, proxy) = (server.provider(), server.proxy());
    let method = server.creates_by();
    for (index, (fault, done)) in [
        (Fault::LoseAnswer, true),
        (Fault::Reset, false),
        (Fault::Status(500, None), false),
    ]
    .into_iter()
    .enumerate()
    {
        let wanted = set(&format!("app-{index}"), "A", 600, &["192.0.2.1"]);
        proxy.like(method, "", fault.clone());
        let failure = provider.write(&[Change::create(wanted.clone())]).await.unwrap_err();
        assert!(matches!(failure, Failure::Unavailable(_)), "{fault:?}: {failure:?}");
        let found = read(&*provider, &[wanted.name.as_str()]).await;
        assert_eq!(found.contains(&wanted), done, "{fault:?}: {found:?}");
        let changes = if done {
            vec![]
        } else {
            vec![Change::create(wanted.clone())]
        };
        apply(&*provider, &changes).await.unwrap();
        assert_eq!(
            read(&*provider, &[wanted.name.as_str()]).await,
            std::slice::from_ref(&wanted)
        );
        server.wait_for(&wanted).await;
    }
}

/// Answers that go bad on the way: whatever the client then says, it never says that it was done when it was not.
pub async fn a_bad_answer_to_a_change_is_never_taken_for_a_good_one(server: &Server) {
    let (provider, proxy) = (server.provider(), server.proxy());
    let method = server.creates_by();
    for (index, (fault, done)) in [
        (Fault::Html, false),
        (Fault::Break, true),
        (Fault::Halve, true),
        (Fault::Slow(Duration::from_millis(1)), true),
    ]
    .into_iter()
    .enumerate()
    {
        let wanted = set(&format!("bad-{index}"), "A", 600, &["192.0.2.1"]);
        let is_slow = matches!(fault, Fault::Slow(_));
        proxy.like(method, "", fault.clone());
        let told = provider.write(&[Change::create(wanted.clone())]).await;
        assert_eq!(proxy.planned(), 0, "{fault:?}");
        let found = read(&*provider, &[wanted.name.as_str()]).await;
        assert_eq!(found.contains(&wanted), done, "{fault:?}: {found:?}");
        match told {
            Ok(()) => assert!(done, "{fault:?} was taken for an answer"),
            Err(Failure::Unavailable(_)) => assert!(!is_slow, "slow is not wrong"),
            Err(failure) => panic!("{fault:?}: {failure:?}"),
        }
        let left = if done {
            vec![]
        } else {
            vec![Change::create(wanted.clone())]
        };
        apply(&*provider, &left).await.unwrap();
        server.wait_for(&wanted).await;
    }
}

/// Counted by the proxy, which does no harm here.
pub async fn a_change_costs_few_requests(server: &Server) {
    let (provider, proxy) = (server.provider(), server.proxy());
    let before = set("app", "A", 600, &["192.0.2.1"]);
    let after = set("app", "A", 600, &["192.0.2.2"]);
    // What is looked up once is known by then.
    read(&*provider, &["app"]).await;
    let changes = [
        Change::create(before.clone()),
        Change::replace(before, after.clone()),
        Change::delete(after),
    ];
    for (change, cost) in changes.into_iter().zip(server.costs()) {
        let seen = proxy.seen();
        provider.write(std::slice::from_ref(&change)).await.unwrap();
        assert_eq!(proxy.seen() - seen, cost, "{}", change.action());
    }
    let seen = proxy.seen();
    provider.read(&[set("app", "A", 600, &[]).name].into()).await.unwrap();
    assert_eq!(proxy.seen() - seen, 1, "read");
}

pub async fn too_often_holds_for_all_zones_of_the_account(server: &Server) {
    let (provider, proxy) = (server.provider(), server.proxy());
    provider.verify().await.unwrap();
    let names = [set("www", "A", 300, &["192.0.2.1"]).name].into();
    proxy.next(Fault::Status(429, Some(2)));
    let after = Some(Duration::from_secs(2));
    assert_eq!(provider.read(&names).await, Err(Failure::Busy { after }));
    let seen = proxy.seen();
    let other_zone = server.of_another_zone();
    for failure in [
        provider.read(&names).await.unwrap_err(),
        other_zone.verify().await.unwrap_err(),
    ] {
        assert!(
            matches!(failure, Failure::Busy { after: Some(left) } if left <= Duration::from_secs(2)),
            "{failure:?}"
        );
    }
    assert_eq!(proxy.seen(), seen, "a provider that wants to be left alone was asked");
    let Err(Failure::Busy { after: Some(left) }) = provider.read(&names).await else {
        return;
    };
    tokio::time::sleep(left).await;
    provider.read(&names).await.unwrap();
    proxy.next(Fault::Status(503, Some(1)));
    let after = Some(Duration::from_secs(1));
    assert_eq!(provider.read(&names).await, Err(Failure::Busy { after }));
}

/// All at the same time: each takes as long as a client waits.
#[tokio::test]
async fn a_change_of_which_nothing_is_heard_is_given_up_and_found_by_reading() {
    let servers = [
        Server::always_data().await.behind_proxy().await,
        Server::gandi().await.behind_proxy().await,
        Server::ovh().await.behind_proxy().await,
        Server::point_dns().await.behind_proxy().await,
        Server::route53().await.behind_proxy().await,
        Server::scaleway().await.behind_proxy().await,
    ];
    let given_up = servers.iter().map(async |server| {
        let provider = server.provider();
        let wanted = set("app", "A", 600, &["192.0.2.1"]);
        server.proxy().like(server.creates_by(), "", Fault::HangAfter);
        let failure = provider.write(&[Change::create(wanted.clone())]).await.unwrap_err();
        assert!(
            matches!(&failure, Failure::Unavailable(why) if why.contains("within 20 s")),
            "{failure:?}"
        );
        assert_eq!(read(&*provider, &["app"]).await, std::slice::from_ref(&wanted));
    });
    futures::future::join_all(given_up).await;
}

/// A name server that takes connections and says nothing.
#[tokio::test]
async fn a_name_server_that_is_mute_is_given_up() {
    let mute = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = Server::bind().await.at(&mute.local_addr().unwrap().to_string());
    let wanted = set("app", "A", 600, &["192.0.2.1"]);
    let names = [wanted.name.clone()].into();
    let changes = [Change::create(wanted)];
    let (provider, began) = (server.provider(), Instant::now());
    let (verify, read, all, write) = tokio::join!(
        provider.verify(),
        provider.read(&names),
        provider.read_all(),
        provider.write(&changes)
    );
    for failure in [
        verify.unwrap_err(),
        read.unwrap_err(),
        all.unwrap_err(),
        write.unwrap_err(),
    ] {
        assert!(
            matches!(&failure, Failure::Unavailable(why) if why.contains("within 20 s")),
            "{failure:?}"
        );
    }
    // The wait for one answer, and no more of them one after the other than a busy machine explains.
    assert!(began.elapsed() < Duration::from_mins(1), "{:?}", began.elapsed());
}

#[tokio::test]
async fn who_hangs_is_given_up() {
    let server = Server::powerdns().await.behind_proxy().await;
    let wanted = set("app", "A", 600, &["192.0.2.1"]);
    let names = [wanted.name.clone()].into();
    let provider = server.provider();
    let changes = [Change::create(wanted.clone())];
    server.proxy().like("PATCH", "", Fault::HangAfter);
    server.proxy().like("GET", "", Fault::Slow(Duration::from_millis(200)));
    let (write, read) = tokio::join!(provider.write(&changes), provider.read(&names));
    for failure in [write.unwrap_err(), read.unwrap_err()] {
        let Failure::Unavailable(why) = failure else {
            panic!("{failure:?}")
        };
        assert!(why.contains("within 20 s"), "{why}");
    }
    assert_eq!(provider.read(&names).await, Ok(vec![wanted]));
}
