//! Killed after any call that changes something at a provider, or told nothing of one that was done: a name is made,
//! changed, changed in type and withdrawn all the same, and nothing is left over or there twice.
#![cfg(test)] // helpers here may unwrap as tests do

#[path = "dns/behind.rs"]
mod behind;
mod common;
#[path = "dns/relay.rs"]
mod relay;
#[path = "dns/world.rs"]
mod world;

use std::collections::BTreeSet;
use std::time::Duration;

use common::{HOME, Operator, install, yaml};
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::DeleteParams;
use relay::Relay;
use tremplin_core::dns::RrSet;
use tremplin_e2e::dns::fake::{FakeOptions, Ovh};
use tremplin_e2e::dns::fault_proxy::{Fault, FaultProxy};
use tremplin_e2e::dns::query::RecordType;
use tremplin_e2e::{ControlPlane, ControlPlaneOptions};
use world::{Server, World};

const DOMAIN: &str = "calls.example";
const FOREIGN: &str = "www IN A 198.51.100.1";
/// Every trial has a name of its own, and deletes it.
const SETTINGS: &str =
    "{claims: {releaseAfterSeconds: 3600}, safety: {maxDeletesPerHour: 100000, maxChangedPercent: 100},
    admission: {namespaces: {matchLabels: {dns: 'yes'}}, targets: {denyPrivate: false}, maxClaimsPerNamespace: 1000}}";

/// What is between the operator and the provider.
enum Way {
    Http(FaultProxy),
    Dns(Relay),
}

impl Way {
    /// Does this to the call with this number, the next being 1. Of what speaks DNS, updates alone are calls.
    fn harm(&self, at: usize, fault: &Fault) {
        match self {
            Self::Http(proxy) => proxy.number(proxy.seen() + at, fault.clone()),
            Self::Dns(relay) => {
                assert_eq!(*fault, Fault::HangAfter, "the relay can do no other");
                relay.keep_back(at);
            }
        }
    }

    /// Whether that is still to come.
    fn is_planned(&self) -> bool {
        match self {
            Self::Http(proxy) => proxy.planned() > 0,
            Self::Dns(relay) => relay.is_planned(),
        }
    }
}

struct Scene {
    control_plane: ControlPlane,
    world: World,
    team: String,
    server: Server,
    way: Way,
    /// What others have in the zone.
    foreign: BTreeSet<RrSet>,
}

impl Scene {
    async fn new(server: Server) -> Self {
        let control_plane = ControlPlane::start(ControlPlaneOptions::default()).await.unwrap();
        let world = World {
            client: install(&control_plane).await,
        };
        let foreign = server.all(DOMAIN).await;
        let way = if let Server::Bind(bind) = &server {
            let relay = Relay::start(bind.address()).await;
            let mut provider = server.provider("calls");
            provider["rfc2136"]["server"] = relay.address().to_string().into();
            let mut spec = yaml(SETTINGS);
            spec["provider"] = provider;
            world.open("calls", DOMAIN, &server, &spec.to_string()).await;
            Way::Dns(relay)
        } else {
            Way::Http(world.open_behind_proxy("calls", DOMAIN, &server, SETTINGS).await)
        };
        let team = world.team(&control_plane, "blue").await;
        Self {
            control_plane,
            world,
            team,
            server,
            way,
            foreign,
        }
    }

    /// An operator that is new to the cluster: nobody holds the lease.
    async fn operator(&self) -> Operator {
        let leases = self.world.of::<Lease>(HOME);
        let _ = leases.delete("tremplin-controller", &DeleteParams::default()).await;
        Operator::plain(&self.control_plane, &[])
    }

    /// A name is made, changed, changed in type, and withdrawn.
    async fn life(&self, object: &str) {
        let name = format!("{object}.{DOMAIN}");
        let own = format!("www.{DOMAIN}");
        for (target, kind, answer) in [
            ("192.0.2.1", RecordType::A, "192.0.2.1".to_owned()),
            ("192.0.2.2", RecordType::A, "192.0.2.2".to_owned()),
            (own.as_str(), RecordType::CNAME, format!("{own}.")),
        ] {
            let spec = format!("{{name: {name}, targets: [{target}]}}");
            self.world.commit(&self.team, object, &spec).await;
            self.world.record(&self.team, object, "Published").await;
            assert_eq!(self.server.ask(&name, kind).await, [answer]);
        }
        self.world.delete(&self.team, object).await;
        self.world.claim(&name, "Releasing").await;
        assert_eq!(self.server.all(DOMAIN).await, self.foreign, "{object}");
    }

    /// Does this to one call of a life. Tells whether it came to pass.
    async fn trial(&self, operator: &mut Option<Operator>, fault: &Fault, at: usize) -> bool {
        self.way.harm(at, fault);
        let object = format!("n{at}");
        let life = self.life(&object);
        tokio::pin!(life);
        let comes_to_pass = async {
            // For as long as the life itself has patience.
            while self.way.is_planned() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            () = &mut life => return false,
            () = comes_to_pass => {}
        }
        if *fault == Fault::HangAfter {
            operator.take().unwrap().kill();
            *operator = Some(self.operator().await);
        }
        life.await;
        true
    }

    /// Each of these calls of a life meets with this; at how many that came to pass.
    async fn suffers(&self, operator: Operator, fault: Fault, calls: impl IntoIterator<Item = usize>) -> usize {
        let mut operator = Some(operator);
        let mut times = 0;
        for at in calls {
            if !self.trial(&mut operator, &fault, at).await {
                break;
            }
            times += 1;
        }
        operator.unwrap().stop().await.unwrap();
        times
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_any_change_at_ovh_names_are_as_asked() {
    let fake = Ovh::start(FakeOptions::new(DOMAIN)).await.unwrap();
    fake.seed(FOREIGN).unwrap();
    let scene = Scene::new(Server::Ovh(fake)).await;
    let Server::Ovh(fake) = &scene.server else {
        unreachable!()
    };
    let operator = scene.operator().await;
    // The first life has the credential checked and the zone compared; another shows which calls change something.
    scene.life("first").await;
    let before = fake.count();
    scene.life("second").await;
    let calls = fake.calls();
    let own = calls.iter().skip(before).enumerate();
    let changing: Vec<usize> = own
        .filter(|(_, call)| call.method != "GET")
        .map(|(at, _)| at + 1)
        .collect();
    assert!(changing.len() >= 12, "too few for a life: {calls:#?}");
    let times = Box::pin(scene.suffers(operator, Fault::HangAfter, changing)).await;
    assert!(times >= 12, "killed {times} times only");
    fake.assert_clean();
}

/// How many calls of a life went wrong so, one after the other.
async fn calls_that_go_wrong(server: Server, fault: Fault) -> usize {
    let scene = Scene::new(server).await;
    let operator = scene.operator().await;
    scene.life("first").await;
    Box::pin(scene.suffers(operator, fault, 1..)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn with_any_answer_of_powerdns_lost_names_are_as_asked() {
    let server = Server::power_dns(DOMAIN, FOREIGN).await;
    let times = calls_that_go_wrong(server, Fault::LoseAnswer).await;
    assert!(times >= 6, "{times} calls are too few for a life");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_any_call_of_powerdns_names_are_as_asked() {
    let server = Server::power_dns(DOMAIN, FOREIGN).await;
    let times = calls_that_go_wrong(server, Fault::HangAfter).await;
    assert!(times >= 6, "{times} calls are too few for a life");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_any_update_of_bind_names_are_as_asked() {
    let server = Server::bind(DOMAIN, FOREIGN).await;
    let times = calls_that_go_wrong(server, Fault::HangAfter).await;
    assert!(times >= 4, "{times} updates are too few for a life");
}
