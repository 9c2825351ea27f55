//! Killed before or after any write to the API server, or told nothing of one that was done: names are made, changed and
//! withdrawn all the same, nothing is lost or left over, and what others have in the zone stays as it was.
#![cfg(test)] // helpers here may unwrap as tests do

#[path = "dns/behind.rs"]
mod behind;
mod common;
#[path = "dns/world.rs"]
mod world;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use behind::set;
use common::faults::{Fault, Faults};
use common::{HOME, Operator, eventually, install, settings};
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::DeleteParams;
use tokio::task::JoinHandle;
use tremplin_core::api::{DnsClaim, DnsRecord};
use tremplin_core::dns::RrSet;
use tremplin_e2e::dns::query::{self, RecordType};
use tremplin_e2e::{ControlPlane, ControlPlaneOptions};
use world::{Server, World};

const FOREIGN: &str = "www IN A 198.51.100.1\nwww IN TXT \"of others\"\n*.wild IN A 198.51.100.2";
/// More writes than any change takes: reached only when the operator never comes to rest.
const MOST: usize = 25;
/// Every trial has a name of its own.
const SETTINGS: &str =
    "{claims: {releaseAfterSeconds: 3600}, safety: {maxDeletesPerHour: 100000, maxChangedPercent: 100},
    admission: {namespaces: {matchLabels: {dns: 'yes'}}, targets: {denyPrivate: false}, maxClaimsPerNamespace: 1000}}";

/// What is done to one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Create,
    Update,
    Retype,
    Delete,
}

const STEPS: [Step; 4] = [Step::Create, Step::Update, Step::Retype, Step::Delete];
const OLD: &str = "192.0.2.1";
const NEW: &str = "192.0.2.2";
const HOST: &str = "elsewhere.example.org";

impl Step {
    fn before(self) -> Option<&'static str> {
        (self != Self::Create).then_some(OLD)
    }

    fn after(self) -> Option<&'static str> {
        match self {
            Self::Create | Self::Update => Some(NEW),
            Self::Retype => Some(HOST),
            Self::Delete => None,
        }
    }
}

struct Scene {
    control_plane: ControlPlane,
    world: World,
    server: Server,
    domain: &'static str,
    team: String,
    /// What is to be in the zone.
    expected: BTreeSet<RrSet>,
    trials: usize,
}

impl Scene {
    async fn new(server: Server, domain: &'static str) -> Self {
        let control_plane = ControlPlane::start(ControlPlaneOptions::default()).await.unwrap();
        let client = install(&control_plane).await;
        let world = World { client };
        world.open("crash", domain, &server, SETTINGS).await;
        let team = world.team(&control_plane, "blue").await;
        let expected = server.all(domain).await;
        Self {
            control_plane,
            world,
            server,
            domain,
            team,
            expected,
            trials: 0,
        }
    }

    /// An operator that is new to the cluster: nobody holds the lease.
    async fn operator(&self, faults: &Faults) -> Operator {
        let leases = self.world.of::<Lease>(HOME);
        let _ = leases.delete("tremplin-controller", &DeleteParams::default()).await;
        let faults = faults.clone();
        Operator::start(
            &self.control_plane.admin_config(),
            settings(&["--deadline=2s"]),
            move |client| faults.wrap(client),
        )
    }

    async fn commit(&self, object: &str, target: &str) {
        let spec = format!("{{name: {object}.{}, targets: [{target}]}}", self.domain);
        self.world.commit(&self.team, object, &spec).await;
    }

    /// Waits until the name is as asked, and nothing is on its way.
    async fn settled(&self, object: &str, is_there: bool) {
        let name = format!("{object}.{}", self.domain);
        eventually("it is as asked", async || {
            let record = self.world.of::<DnsRecord>(&self.team).get_opt(object).await.unwrap();
            let claim = self.world.cluster::<DnsClaim>().get_opt(&name).await.unwrap()?;
            let told = claim
                .status
                .as_ref()?
                .conditions
                .iter()
                .find(|found| found.type_ == "Ready")?;
            if !claim.spec.withdrawals.is_empty() || told.reason != if is_there { "Held" } else { "Releasing" } {
                return None;
            }
            let Some(record) = record else {
                return (!is_there).then_some(());
            };
            let status = record.status?;
            let ready = status.conditions.iter().find(|found| found.type_ == "Ready")?;
            let is_done = ready.reason == "Published" && ready.observed_generation == record.metadata.generation;
            (is_there && is_done && status.programmed.len() == 1).then_some(())
        })
        .await;
    }

    /// One step on a name of its own. Tells whether the fault came to pass.
    async fn trial(&mut self, step: Step, fault: Fault, at: usize) -> bool {
        self.trials += 1;
        let object = format!("n{}", self.trials);
        let none = Faults::new(Fault::None, 0);
        if let Some(before) = step.before() {
            self.commit(&object, before).await;
            let undisturbed = self.operator(&none).await;
            self.settled(&object, true).await;
            undisturbed.stop().await.unwrap();
        }
        let name = format!("{object}.{}", self.domain);
        let watch = (step == Step::Update).then(|| Resolver::start(&self.server, &name));
        if let Some(after) = step.after() {
            self.commit(&object, after).await;
        } else {
            let records = self.world.of::<DnsRecord>(&self.team);
            records.delete(&object, &DeleteParams::default()).await.unwrap();
        }
        let is_there = step.after().is_some();
        let faults = Faults::new(fault, at);
        let first = self.operator(&faults).await;
        let struck = tokio::select! {
            () = faults.struck.notified() => true,
            () = self.settled(&object, is_there) => {
                // A write after it is as asked, such as the zone's status, may still be on its way.
                tokio::time::timeout(Duration::from_millis(500), faults.struck.notified()).await.is_ok()
            }
        };
        let last = if struck && fault != Fault::Swallow {
            first.kill();
            self.operator(&none).await
        } else {
            first
        };
        self.settled(&object, is_there).await;
        last.stop().await.unwrap();
        if let Some(watch) = watch {
            watch.stop(&format!("{step:?} {fault:?} at write {at}")).await;
        }
        self.expect(&name, step.after());
        let found = self.server.data(self.domain).await;
        let expected = self.expected.clone();
        assert_eq!(found, expected, "{step:?} {fault:?} at write {at}");
        let mark = self
            .server
            .current(self.domain, &format!("_tremplin.{name}"), "TXT")
            .await;
        assert_eq!(mark.is_some(), is_there, "{step:?} {fault:?} at write {at}: {mark:?}");
        struck
    }

    fn expect(&mut self, name: &str, target: Option<&str>) {
        let Some(target) = target else { return };
        let added = if target == HOST {
            set(name, "CNAME", 300, &[target])
        } else {
            set(name, "A", 300, &[target])
        };
        self.expected.insert(added);
    }
}

/// Asks for a name again and again, as resolvers do.
struct Resolver {
    stop: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
    task: JoinHandle<Vec<String>>,
}

impl Resolver {
    fn start(server: &Server, name: &str) -> Self {
        let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (address, name) = (server.dns(), name.to_owned());
        let (stopped, count) = (stop.clone(), asked.clone());
        let task = tokio::spawn(async move {
            let mut gaps = Vec::new();
            while !stopped.load(Ordering::SeqCst) {
                let answer = query::ask(address, &name, RecordType::A).await.unwrap();
                count.fetch_add(1, Ordering::SeqCst);
                let data = answer.data(RecordType::A);
                if data != [OLD] && data != [NEW] {
                    gaps.push(format!("{:?} {data:?}", answer.code));
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            gaps
        });
        Self { stop, asked, task }
    }

    /// Ends it: there was always an answer.
    async fn stop(self, when: &str) {
        self.stop.store(true, Ordering::SeqCst);
        let gaps = self.task.await.unwrap();
        assert!(self.asked.load(Ordering::SeqCst) > 10, "{when}: hardly asked");
        assert_eq!(gaps, Vec::<String>::new(), "{when}");
    }
}

/// Every write of every step in turn.
async fn every_write(server: Server, domain: &'static str, fault: Fault) {
    let mut scene = Scene::new(server, domain).await;
    for step in STEPS {
        let mut at = 1;
        while scene.trial(step, fault, at).await {
            at += 1;
            assert!(at < MOST, "{step:?} never comes to rest");
        }
        // The claim, the record's status and the zone's.
        assert!(at > 3, "only {at} writes of {step:?} were disturbed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_any_write_names_on_bind_are_as_asked() {
    let server = Server::bind("crash.example", FOREIGN).await;
    every_write(server, "crash.example", Fault::SilenceAfter).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_any_write_names_on_bind_are_as_asked() {
    let server = Server::bind("crash.example", FOREIGN).await;
    every_write(server, "crash.example", Fault::SilenceBefore).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_any_answer_lost_names_on_bind_are_as_asked() {
    let server = Server::bind("crash.example", FOREIGN).await;
    every_write(server, "crash.example", Fault::Swallow).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_any_write_names_on_powerdns_are_as_asked() {
    let server = Server::power_dns("crash.example", FOREIGN).await;
    every_write(server, "crash.example", Fault::SilenceAfter).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_any_write_names_on_powerdns_are_as_asked() {
    let server = Server::power_dns("crash.example", FOREIGN).await;
    every_write(server, "crash.example", Fault::SilenceBefore).await;
}
