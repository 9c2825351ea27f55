//! Two teams race for each of a thousand names while two operators, each a process of its own, write: one has lost its
//! lease and finds out late. Each name has one holder, the other team is told who, and the zone has the holder's data.
#![cfg(test)] // helpers here may unwrap as tests do

#[path = "dns/behind.rs"]
mod behind;
mod common;
#[path = "dns/world.rs"]
mod world;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use common::{HOME, eventually, install};
use futures::StreamExt as _;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::ListParams;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client};
use tremplin_core::api::{DnsClaim, DnsRecord};
use tremplin_core::dns::RrSet;
use tremplin_core::dns::ownership::Mark;
use tremplin_e2e::process::{Lifetime, Process, Program};
use tremplin_e2e::{ControlPlane, ControlPlaneOptions};
use world::{Server, World};

const NAMES: usize = 1_000;
/// Names that are raced for at the same time.
const BATCH: usize = 100;
const SETTINGS: &str = "{admission: {namespaces: {}, targets: {denyPrivate: false}, maxClaimsPerNamespace: 100000}}";
const DATA: [&str; 2] = ["192.0.2.1", "192.0.2.2"];

/// Every record by namespace and name, as a watch shows it: to list thousands again and again would take longer than
/// the races.
#[derive(Clone, Default)]
struct Records(Arc<Mutex<HashMap<(String, String), DnsRecord>>>);

impl Records {
    fn watch(client: Client) -> Self {
        let records = Self::default();
        let seen = records.0.clone();
        tokio::spawn(async move {
            let api: Api<DnsRecord> = Api::all(client);
            let mut changes = watcher(api, watcher::Config::default())
                .default_backoff()
                .applied_objects()
                .boxed();
            while let Some(change) = changes.next().await {
                let Ok(record) = change else { continue };
                let key = (
                    record.metadata.namespace.clone().unwrap(),
                    record.metadata.name.clone().unwrap(),
                );
                seen.lock().unwrap().insert(key, record);
            }
        });
        records
    }

    fn get(&self, team: &str, name: &str) -> Option<DnsRecord> {
        self.0.lock().unwrap().get(&(team.to_owned(), name.to_owned())).cloned()
    }

    /// Whether it is told that its team holds the name.
    fn holds(&self, team: &str, name: &str) -> bool {
        self.get(team, name).and_then(|record| record.status?.claim).is_some()
    }

    /// The reason of its `Ready`.
    fn reason(&self, team: &str, name: &str) -> Option<String> {
        let conditions = self.get(team, name)?.status?.conditions;
        Some(
            conditions
                .into_iter()
                .find(|condition| condition.type_ == "Ready")?
                .reason,
        )
    }
}

/// Waits until this is true of every name; the deadline begins anew with every name of which it is.
async fn each(names: &[String], what: &str, is_true: impl Fn(&String) -> bool) {
    let mut left: Vec<&String> = names.iter().collect();
    while let Some(first) = left.first() {
        let (what, before) = (format!("one more name {what}, such as {first}"), left.len());
        eventually(&what, async || {
            left.retain(|name| !is_true(name));
            (left.len() < before).then_some(())
        })
        .await;
    }
}

/// A zone, two teams that may ask for names in it, and a cluster that no operator looks after yet.
struct Contest {
    control_plane: ControlPlane,
    world: World,
    server: Server,
    domain: &'static str,
    teams: [String; 2],
    records: Records,
}

impl Contest {
    async fn open(zone: &str, domain: &'static str) -> Self {
        let control_plane = ControlPlane::start(ControlPlaneOptions::default()).await.unwrap();
        let client = install(&control_plane).await;
        let world = World { client: client.clone() };
        let server = Server::bind(domain, "").await;
        world.open(zone, domain, &server, SETTINGS).await;
        let teams = [
            world.team(&control_plane, "blue").await,
            world.team(&control_plane, "red").await,
        ];
        let records = Records::watch(client);
        Self {
            control_plane,
            world,
            server,
            domain,
            teams,
            records,
        }
    }

    /// Starts an operator as a process of its own.
    fn operator(&self, name: &'static str, lease: &str) -> Process {
        let kubeconfig = self.control_plane.kubeconfig_as(name, &["system:masters"]).unwrap();
        let program = Program::new(name, env!("CARGO_BIN_EXE_tremplin"))
            .arg("controller")
            .args(["--namespace", HOME, "--admin-address", "127.0.0.1:0"])
            .args(["--lease-name", lease, "--identity", name])
            .args(["--backoff", "50ms", "--backoff-cap", "1s"])
            .env("KUBECONFIG", kubeconfig.to_str().unwrap());
        program.start(self.control_plane.folder(), Lifetime::Attached).unwrap()
    }

    /// Waits until an operator holds a lease, and so writes.
    async fn leads(&self, operator: &Process, lease: &str) {
        let leases = self.world.of::<Lease>(HOME);
        eventually(&format!("{} holds {lease}", operator.name()), async || {
            operator.check().unwrap();
            let holder = leases.get_opt(lease).await.unwrap()?.spec?.holder_identity?;
            holder.starts_with(operator.name()).then_some(())
        })
        .await;
    }

    /// Both teams ask for each of these names at the same time.
    async fn race(&self, names: &[String]) {
        let asked = names
            .iter()
            .flat_map(|name| self.teams.iter().zip(DATA).map(move |(team, data)| (name, team, data)));
        let commits = futures::stream::iter(asked).map(async |(name, team, data)| {
            let spec = format!("{{name: {name}.{}, targets: [{data}]}}", self.domain);
            self.world.commit(team, name, &spec).await;
        });
        commits.buffer_unordered(32).collect::<Vec<()>>().await;
    }

    fn has_holder(&self, name: &str) -> bool {
        self.teams.iter().any(|team| self.records.holds(team, name))
    }

    /// Waits until each of these names is published for one team and told to the other, by this operator.
    async fn is_over(&self, names: &[String], operator: &Process) {
        each(names, "is published for one and told to the other", |name| {
            operator.check().unwrap();
            let mut ends = self.teams.each_ref().map(|team| self.records.reason(team, name));
            ends.sort();
            ends.each_ref().map(Option::as_deref) == [Some("NameHeld"), Some("Published")]
        })
        .await;
    }

    /// Each name has one holder, the other was told which, and the zone has the holder's data and mark, and no more.
    async fn has_one_winner_each(&self, names: &[String]) {
        let claims = self
            .world
            .cluster::<DnsClaim>()
            .list(&ListParams::default())
            .await
            .unwrap();
        let holders: BTreeMap<_, _> = claims
            .items
            .into_iter()
            .filter(|claim| claim.spec.key.ends_with(self.domain))
            .map(|claim| (claim.spec.key, claim.spec.holder.namespace))
            .collect();
        assert_eq!(holders.len(), names.len());
        let mut expected = BTreeSet::new();
        for name in names {
            let host = format!("{name}.{}", self.domain);
            let side = self.teams.iter().position(|team| *team == holders[&host]).unwrap();
            expected.insert(behind::set(&host, "A", 300, &[DATA[side]]));
            let told = self.records.get(&self.teams[1 - side], name).unwrap().status.unwrap();
            let reason = told.conflict.unwrap().reason;
            assert!(reason.contains(&self.teams[side]), "{host}: {reason}");
        }
        let mut found = self.server.all(self.domain).await;
        found.retain(|set| set.name.as_str() != self.domain && !set.name.as_str().starts_with("ns"));
        let (marks, data): (BTreeSet<RrSet>, _) = found.into_iter().partition(|set| Mark::of(set).is_some());
        assert_eq!(data, expected);
        assert_eq!(marks.len(), names.len());
        for set in marks {
            let mark = Mark::of(&set).unwrap();
            let host = set.name.as_str().trim_start_matches("_tremplin.");
            assert_eq!(mark.owner.namespace, holders[host]);
        }
    }
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("n{number}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_races_have_one_winner_each() {
    let contest = Contest::open("race", "race.example").await;
    let operator = contest.operator("holder", "holder");
    contest.leads(&operator, "holder").await;
    let names = names(NAMES);
    for (batch, names) in names.chunks(BATCH).enumerate() {
        // It has a lease of its own, and so goes on writing until it ends.
        let lease = format!("late-{batch}");
        let late = contest.operator("late", &lease);
        contest.leads(&late, &lease).await;
        contest.race(names).await;
        each(names, "has a holder", |name| contest.has_holder(name)).await;
        late.kill();
        contest.is_over(names, &operator).await;
    }
    contest.has_one_winner_each(&names).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_that_wakes_in_the_middle_of_races_that_another_decides_spoils_none() {
    let contest = Contest::open("woken", "woken.example").await;
    let first = contest.operator("first", "one");
    contest.leads(&first, "one").await;
    let second = contest.operator("second", "one");
    let names = names(2 * BATCH);
    let (before, after) = names.split_at(BATCH);
    contest.race(before).await;
    eventually("it is in the middle of it", async || {
        before.iter().any(|name| contest.has_holder(name)).then_some(())
    })
    .await;
    first.pause();
    contest.leads(&second, "one").await;
    contest.race(after).await;
    first.resume();
    contest.is_over(&names, &second).await;
    contest.has_one_winner_each(&names).await;
    eventually("who has lost the lease ends", async || first.check().err().map(drop)).await;
}
