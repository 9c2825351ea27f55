//! What is done about names in shared zones. What is right is decided in [`tremplin_core::dns`]; nothing is decided here.
//!
//! Three kinds, one room, since they are one matter: rounds of records judge and claim, rounds of claims let go, and the
//! round of a zone, of which there is only one at a time, is the only one that reads and writes the zone.

mod answers;
mod audit;
mod authorities;
mod behind;
mod board;
mod breaker;
mod check;
mod children;
mod claiming;
mod claims;
mod delegation;
mod desk;
mod drift;
mod external_dns;
mod observe;
mod outcome;
mod providers;
mod reading;
mod records;
mod report;
mod round;
mod snapshot;
mod watches;
mod write;
mod writer;
mod writing;
mod zones;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt as _;
use tokio::sync::Mutex;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;
use tremplin_core::api::{DnsClaim, DnsRecord, DnsZone};
use tremplin_core::dns::Fqdn;
use tremplin_core::platform::Platform;

use crate::cluster::{Cluster, NamespaceLabels, Seen, Store};
use crate::dns_provider::authority::discovery::Discovered;
use crate::driver::Cause;
use crate::key::Key;
use answers::Answers;
use audit::Audits;
use behind::Behind;
use board::Board;
use children::Children;
use providers::Providers;

pub use claims::Claims;
pub use records::Records;
pub use watches::Watching;
pub use zones::Zones;

/// The field manager of what is neither a child nor a status: claims, and our finalizer.
const MANAGER: &str = "tremplin/dns";

/// How many failed rounds in a row are not told: most faults of the API server pass before anybody reads them.
const TOLERATED: u32 = 2;

/// Where changes are sent.
pub type Events = UnboundedSender<(Key, Cause)>;

/// Whom a change is told.
#[derive(Clone)]
pub struct Wake {
    /// The rounds of records.
    pub records: Events,
    /// The rounds of claims.
    pub claims: Events,
    /// The rounds of zones.
    pub zones: Events,
}

/// All that the rounds read and write.
pub struct Dns {
    cluster: Arc<Cluster>,
    platform: watch::Receiver<Arc<Platform>>,
    records: Arc<Store<Seen<DnsRecord>>>,
    claims: Arc<Store<Seen<DnsClaim>>>,
    zones: Arc<Store<Seen<DnsZone>>>,
    namespaces: Store<NamespaceLabels>,
    board: Board,
    behind: Behind,
    audits: Audits,
    answers: Arc<Answers>,
    children: Arc<Children>,
    providers: Providers,
    discovered: Arc<Discovered>,
    claiming: Mutex<()>,
    wake: Wake,
    beside: OnceLock<Beside>,
    now: fn() -> Timestamp,
}

/// Who else is told that a name, and what is below it, may be somebody else's now, or that other rules are in force there.
type Beside = Box<dyn Fn(&str) + Send + Sync>;

impl Dns {
    /// With nothing watched yet.
    pub fn new(
        cluster: Arc<Cluster>,
        platform: watch::Receiver<Arc<Platform>>,
        wake: Wake,
        now: fn() -> Timestamp,
    ) -> Self {
        Self {
            records: cluster.resources.records.clone(),
            claims: cluster.resources.claims.clone(),
            zones: cluster.resources.zones.clone(),
            providers: Providers::of(cluster.clone()),
            cluster,
            platform,
            namespaces: Store::default(),
            board: Board::default(),
            behind: Behind::default(),
            audits: Audits::default(),
            answers: Arc::default(),
            children: Arc::default(),
            discovered: Arc::default(),
            claiming: Mutex::default(),
            wake,
            beside: OnceLock::new(),
            now,
        }
    }
}

/// A time as statuses keep it.
fn in_seconds(at: Timestamp) -> Time {
    Time(Timestamp::from_second(at.as_second()).unwrap_or(at))
}

/// A time from now, for the driver.
fn until(at: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(now)).unwrap_or(Duration::ZERO)
}

fn cluster_key(name: &str) -> Key {
    Key {
        namespace: String::new(),
        name: name.to_owned(),
    }
}

fn record_key(record: &DnsRecord) -> Key {
    Key {
        namespace: record.namespace().unwrap_or_default(),
        name: record.name_any(),
    }
}

fn claim_key(key: &Fqdn) -> Key {
    cluster_key(&tremplin_core::dns::claim::object_name(key))
}
