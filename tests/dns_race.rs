//! Two teams race for each of a thousand names while two operators write: one has lost its lease and finds out late. Each
//! name has one holder, the other team is told who, and the zone has the holder's data.
#![cfg(test)] // helpers here may unwrap as tests do

#[path = "dns/behind.rs"]
mod behind;
mod common;
#[path = "dns/world.rs"]
mod world;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use common::{Operator, eventually, install};
use futures::StreamExt as _;
use kube::api::ListParams;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client};
use tremplin_core::api::{DnsClaim, DnsRecord};
use tremplin_core::dns::RrSet;
use tremplin_core::dns::ownership::Mark;
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

/// Both teams ask for each of these names at the same time.
async fn race(world: &World, teams: &[String; 2], names: &[String]) {
    let asked = names
        .iter()
        .flat_map(|name| teams.iter().zip(DATA).map(move |(team, data)| (name, team, data)));
    let commits = futures::stream::iter(asked).map(async |(name, team, data)| {
        let spec = format!("{{name: {name}.race.example, targets: [{data}]}}");
        world.commit(team, name, &spec).await;
    });
    commits.buffer_unordered(32).collect::<Vec<()>>().await;
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

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_races_have_one_winner_each() {
    let control_plane = ControlPlane::start(ControlPlaneOptions::default()).await.unwrap();
    let client = install(&control_plane).await;
    let world = World { client: client.clone() };
    let server = Server::bind("race.example", "").await;
    world.open("race", "race.example", &server, SETTINGS).await;
    let teams = [
        world.team(&control_plane, "blue").await,
        world.team(&control_plane, "red").await,
    ];
    let records = Records::watch(client);
    let operator = Operator::plain(&control_plane, &["--lease-name=holder"]);

    let names: Vec<String> = (0..NAMES).map(|number| format!("n{number}")).collect();
    for (batch, names) in names.chunks(BATCH).enumerate() {
        // It has a lease of its own, and so goes on writing until it ends.
        let late = Operator::plain(&control_plane, &[&format!("--lease-name=late-{batch}")]);
        eventually("the late one writes too", async || {
            (late.metric("tremplin_leader").await == Some(1.0)).then_some(())
        })
        .await;
        race(&world, &teams, names).await;
        each(names, "has a holder", |name| {
            teams.iter().any(|team| records.holds(team, name))
        })
        .await;
        late.kill();
        each(names, "is published for one and told to the other", |name| {
            let mut ends = teams.each_ref().map(|team| records.reason(team, name));
            ends.sort();
            ends.each_ref().map(Option::as_deref) == [Some("NameHeld"), Some("Published")]
        })
        .await;
    }

    let claims = world.cluster::<DnsClaim>().list(&ListParams::default()).await.unwrap();
    let holders: BTreeMap<_, _> = claims
        .items
        .into_iter()
        .map(|claim| (claim.spec.key, claim.spec.holder.namespace))
        .collect();
    assert_eq!(holders.len(), NAMES);
    let mut expected = BTreeSet::new();
    for name in &names {
        let host = format!("{name}.race.example");
        let side = teams.iter().position(|team| *team == holders[&host]).unwrap();
        expected.insert(behind::set(&host, "A", 300, &[DATA[side]]));
        let told = records.get(&teams[1 - side], name).unwrap().status.unwrap();
        let reason = told.conflict.unwrap().reason;
        assert!(reason.contains(&teams[side]), "{host}: {reason}");
    }
    let mut found = server.all("race.example").await;
    found.retain(|set| set.name.as_str() != "race.example" && !set.name.as_str().starts_with("ns"));
    let (marks, data): (BTreeSet<RrSet>, _) = found.into_iter().partition(|set| Mark::of(set).is_some());
    assert_eq!(data, expected);
    assert_eq!(marks.len(), NAMES);
    for set in marks {
        let mark = Mark::of(&set).unwrap();
        let host = set.name.as_str().trim_start_matches("_tremplin.");
        assert_eq!(mark.owner.namespace, holders[host]);
    }
    operator.stop().await.unwrap();
}
