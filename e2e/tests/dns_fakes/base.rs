//! What all fakes have in common.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use tremplin_e2e::dns::fake::{Calls, FakeOptions, Limit, Ovh};
use tremplin_e2e::dns::query::RecordType;

use crate::{ZONE, call, served};

#[tokio::test]
async fn a_call_beyond_the_limit_is_told_when_to_come_again_and_the_log_has_it() {
    let mut options = FakeOptions::new(ZONE);
    options.limits = vec![Limit {
        calls: Calls::All,
        burst: 2,
        every: Duration::from_secs(90),
    }];
    let ovh = Ovh::start(options).await.unwrap();
    let time = format!("{}/auth/time", ovh.url());
    for _ in 0..2 {
        assert_eq!(call("GET", &time, &[], "").await.status, 200);
    }
    let refused = call("GET", &time, &[], "").await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.headers["retry-after"], "90");
    let statuses: Vec<_> = ovh.calls().iter().map(|call| call.status).collect();
    assert_eq!(statuses, [200, 200, 429]);
    assert_eq!((ovh.count(), ovh.writes()), (3, 0));
}

#[tokio::test]
async fn a_forbidden_call_fails_the_test_that_made_it() {
    let ovh = Ovh::start(FakeOptions::new(ZONE)).await.unwrap();
    ovh.assert_clean();
    let reset = format!("{}/domain/zone/{ZONE}/reset", ovh.url());
    // It is remembered also when it was refused.
    assert_eq!(call("POST", &reset, &[], "").await.status, 403);
    let failed = AssertUnwindSafe(async { drop(ovh) }).catch_unwind().await;
    assert!(failed.is_err(), "nobody noticed");
}

#[tokio::test]
async fn what_was_there_before_is_served_and_told() {
    let ovh = Ovh::start(FakeOptions::new(ZONE)).await.unwrap();
    ovh.seed("www 60 IN A 192.0.2.1\n_dmarc IN TXT \"v=DMARC1; p=none\"")
        .unwrap();
    let name = format!("www.{ZONE}");
    assert_eq!(served(ovh.dns(), &name, RecordType::A).await.1, ["192.0.2.1"]);
    let stored = ovh.stored();
    let told: Vec<_> = stored
        .iter()
        .map(|record| (record.name.as_str(), record.ttl, record.data.as_str()))
        .collect();
    let expected = [
        ("_dmarc.beta.example", 3600, "\"v=DMARC1; p=none\""),
        ("beta.example", 300, "ns1.beta.example."),
        ("ns1.beta.example", 300, "127.0.0.1"),
        ("www.beta.example", 60, "192.0.2.1"),
    ];
    assert_eq!(told, expected);
}
