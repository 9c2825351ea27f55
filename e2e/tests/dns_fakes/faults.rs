//! The fault proxy: what the client sees, and what the service did meanwhile.

use std::time::Duration;

use serde_json::json;
use tremplin_e2e::dns::fake::{FakeOptions, Ovh};
use tremplin_e2e::dns::fault_proxy::{Fault, FaultProxy};

use crate::ZONE;

struct World {
    ovh: Ovh,
    proxy: FaultProxy,
}

async fn world() -> World {
    let ovh = Ovh::start(FakeOptions::new(ZONE)).await.unwrap();
    let proxy = FaultProxy::start(ovh.url()).await.unwrap();
    World { ovh, proxy }
}

impl World {
    /// Makes a record through the proxy.
    async fn create(&self) -> anyhow::Result<http::Response<String>> {
        let record = json!({"fieldType": "A", "subDomain": "app", "target": "192.0.2.7", "ttl": 60});
        self.send("POST", record.to_string()).await
    }

    async fn send(&self, method: &str, body: String) -> anyhow::Result<http::Response<String>> {
        let request = http::Request::builder()
            .method(method)
            .uri(format!("{}/domain/zone/{ZONE}/record", self.proxy.url()))
            .header("authorization", format!("Bearer {}", self.ovh.token()));
        tremplin_e2e::http::send(request.body(body).unwrap()).await
    }

    /// How many records were made.
    fn made(&self) -> usize {
        let stored = self.ovh.stored();
        stored.iter().filter(|record| record.name == "app.beta.example").count()
    }
}

#[tokio::test]
async fn what_is_not_meant_passes_and_is_counted() {
    let world = world().await;
    let answer = world.create().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.body().contains("\"subDomain\":\"app\""));
    assert_eq!((world.proxy.seen(), world.proxy.forwarded(), world.made()), (1, 1, 1));
    assert_eq!(world.ovh.calls()[0].path, "/1.0/domain/zone/beta.example/record");
}

#[tokio::test]
async fn a_fault_before_the_service_leaves_it_untouched() {
    let world = world().await;
    for fault in [Fault::Status(503, None), Fault::Status(429, Some(7)), Fault::Html] {
        world.proxy.next(fault.clone());
        let answer = world.create().await.unwrap();
        match fault {
            Fault::Status(status, wait) => {
                assert_eq!(answer.status().as_u16(), status);
                let told = answer
                    .headers()
                    .get("retry-after")
                    .map(|value| value.to_str().unwrap().to_owned());
                assert_eq!(told, wait.map(|seconds| seconds.to_string()));
            }
            _ => assert_eq!(
                (answer.status().as_u16(), &answer.headers()["content-type"]),
                (200, &"text/html".parse().unwrap())
            ),
        }
    }
    world.proxy.next(Fault::Reset);
    assert!(format!("{:#}", world.create().await.unwrap_err()).contains("reset"));
    world.proxy.next(Fault::Hang);
    let hung = tokio::time::timeout(Duration::from_millis(300), world.create()).await;
    assert!(hung.is_err(), "it answered");
    assert_eq!((world.proxy.seen(), world.proxy.forwarded(), world.made()), (5, 0, 0));
    assert_eq!(world.proxy.planned(), 0);
}

#[tokio::test]
async fn a_fault_behind_the_service_leaves_the_write_done_and_the_client_in_the_dark() {
    let world = world().await;
    for (number, fault) in [Fault::LoseAnswer, Fault::Break].into_iter().enumerate() {
        world.proxy.next(fault);
        assert!(world.create().await.is_err());
        assert_eq!(world.made(), number + 1);
    }
    world.proxy.next(Fault::Halve);
    let halved = world.create().await.unwrap();
    assert_eq!(halved.status(), 200);
    assert!(serde_json::from_str::<serde_json::Value>(halved.body()).is_err());
    world.proxy.next(Fault::HangAfter);
    assert!(
        tokio::time::timeout(Duration::from_millis(300), world.create())
            .await
            .is_err()
    );
    assert_eq!((world.made(), world.proxy.forwarded()), (4, 4));
}

#[tokio::test]
async fn a_slow_body_comes_whole_for_whom_has_patience() {
    let world = world().await;
    world.proxy.next(Fault::Slow(Duration::from_millis(20)));
    assert!(
        tokio::time::timeout(Duration::from_millis(300), world.create())
            .await
            .is_err()
    );
    world.proxy.next(Fault::Slow(Duration::from_millis(1)));
    let answer = world.create().await.unwrap();
    assert!(answer.body().ends_with('}'));
}

#[tokio::test]
async fn a_fault_finds_the_request_that_it_is_meant_for() {
    let world = world().await;
    world.proxy.like("GET", "/record", Fault::Status(500, None));
    world.proxy.number(3, Fault::Status(501, None));
    let mut statuses = Vec::new();
    for method in ["POST", "GET", "GET", "GET"] {
        let record = json!({"fieldType": "A", "subDomain": "app", "target": "192.0.2.7"});
        statuses.push(world.send(method, record.to_string()).await.unwrap().status().as_u16());
    }
    assert_eq!(statuses, [200, 500, 501, 200]);
    world.proxy.always(Some(Fault::Status(502, None)));
    for _ in 0..2 {
        assert_eq!(world.create().await.unwrap().status(), 502);
    }
    world.proxy.always(None);
    assert_eq!(world.create().await.unwrap().status(), 200);
}
