//! Programs that end right after a call that changes something, and others that finish what they began.

use std::collections::BTreeSet;

use serde_json::json;
use tremplin::dns_provider::Failure;
use tremplin_core::dns::ownership::Owner;
use tremplin_core::dns::plan::{self, Want};
use tremplin_core::dns::{RecordType, RrSet, Zone};
use tremplin_e2e::dns::fault_proxy::Fault;

use super::server::{Server, ZONE};
use super::zone::{apply, name, read, set, whole};

/// The methods of requests that change something.
const CHANGING: [&str; 4] = ["POST", "PUT", "PATCH", "DELETE"];

pub async fn what_a_killed_program_began_is_finished(server: &Server) {
    let object = json!({
        "apiVersion": "tremplin.dev/v1alpha1", "kind": "DnsZone", "metadata": {"name": "beta"},
        "spec": {"domain": ZONE, "provider": {"type": "Request"}},
    });
    let zone = Zone::parse(&serde_json::from_value(object).unwrap()).unwrap();
    let before = whole(&*server.provider()).await;
    let mut last = Vec::new();
    let mut killed = 0;
    // Made, changed, changed in type, and withdrawn.
    for sets in [
        vec![set("app", "A", 600, &["192.0.2.1"])],
        vec![set("app", "A", 600, &["192.0.2.2"])],
        vec![set("app", "CNAME", 600, &["host.other.example"])],
        vec![],
    ] {
        killed += carried_out(server, &zone, &want(&sets, &last)).await;
        assert_eq!(read(&*server.provider(), &["app"]).await, sets);
        for set in &sets {
            server.wait_for(set).await;
        }
        last = sets;
    }
    server.wait_for_none(&name("app"), &RecordType::Cname).await;
    assert_eq!(whole(&*server.provider()).await, before);
    assert!(killed >= 4, "{killed} are too few for a life");
}

fn want(sets: &[RrSet], last: &[RrSet]) -> Want {
    let types = |sets: &[RrSet]| -> BTreeSet<RecordType> { sets.iter().map(|set| set.type_.clone()).collect() };
    Want {
        name: name("app"),
        owner: Owner {
            cluster: "one".to_owned(),
            namespace: "blue".to_owned(),
            since: "2026-01-01T00:00:00Z".parse().unwrap(),
        },
        sets: sets.iter().map(|set| (set.type_.clone(), set.clone())).collect(),
        withdraw: types(last).difference(&types(sets)).cloned().collect(),
        adopted: false,
        above: Vec::new(),
    }
}

/// One program after the other reads, plans and writes; each is killed after its first call that changes something, until
/// one has none to make. How many were.
async fn carried_out(server: &Server, zone: &Zone, want: &Want) -> usize {
    let (mut killed, mut is_told) = (0, false);
    loop {
        let provider = server.provider();
        let current = provider.read(&want.names(&zone.domain).unwrap()).await.unwrap();
        let planned = plan::plan(want, &plan::by_name(current), zone, provider.profile());
        assert_eq!(planned.conflict, None);
        // To tell the provider to publish changes nothing that the next one could see: once is enough.
        if !is_told {
            for method in CHANGING {
                server.proxy().like(method, "", Fault::LoseAnswer);
            }
        }
        is_told = planned.changes.is_empty();
        let ended = apply(&*provider, &planned.changes).await;
        server.proxy().spare();
        match ended {
            Ok(()) => return killed,
            Err(Failure::Unavailable(_)) => killed += 1,
            Err(Failure::Busy { after: Some(delay) }) => tokio::time::sleep(delay).await,
            Err(failure) => panic!("{failure:?}"),
        }
    }
}
