//! `DnsZone`: a zone that a platform team opens to teams, with the credential of its provider and its rules.

mod provider;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::LabelSelector;
use super::record::RecordTypeChoice;
use crate::api::startup_app::Environment;
pub use provider::{
    AlwaysData, ExternalDns, Gandi, Ovh, PointDns, PowerDns, Provider, ProviderType, RequestDesk, Rfc2136, Route53,
    Scaleway, SecretRef,
};

/// A DNS zone that a platform team opens to teams. Without `mode: Enforce` nothing is ever written to it.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "tremplin.dev",
    version = "v1alpha1",
    kind = "DnsZone",
    plural = "dnszones",
    status = "DnsZoneStatus",
    category = "tremplin",
    derive = "PartialEq",
    cel,
    doc = "A DNS zone that a platform team opens to teams. Without mode: Enforce nothing is ever written to it",
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(
        name = "Status",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason"
    ),
    printcolumn(name = "Domain", type_ = "string", json_path = ".spec.domain"),
    printcolumn(name = "Provider", type_ = "string", json_path = ".spec.provider.type"),
    printcolumn(name = "Mode", type_ = "string", json_path = ".status.mode"),
    printcolumn(name = "Owned", type_ = "integer", json_path = ".status.records.owned"),
    printcolumn(name = "Foreign", type_ = "integer", json_path = ".status.records.foreign"),
    printcolumn(name = "Orphaned", type_ = "integer", json_path = ".status.records.orphaned"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("self.provider.type != 'Request' || !has(self.drift) || !has(self.drift.policy) || self.drift.policy != 'Warn'")
        .message("drift.policy: Warn is for zones that the operator writes: a desk is always asked again"),
    validation = Rule::new("(has(self.claims) && has(self.claims.depth) ? self.claims.depth : 1) == (has(oldSelf.claims) && has(oldSelf.claims.depth) ? oldSelf.claims.depth : 1)")
        .message("spec.claims.depth cannot be changed: names that are held would be free to others"),
)]
pub struct DnsZoneSpec {
    /// The domain, such as `incubateur.net`. It cannot be changed.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("spec.domain cannot be changed: make another DnsZone"))]
    pub domain: String,
    /// Who serves the zone, and how it is written.
    pub provider: Provider,
    /// `Report` plans and writes nothing; `Enforce` writes. Absent: `Report`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<ZoneMode>,
    /// Whom a refused team may ask, when the holder of a name gives no contact: an address or a link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub contact: Option<String>,
    /// Who may have which names, and what they may say. Absent: nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admission: Option<Admission>,
    /// How names are held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claims: Option<Claims>,
    /// Existing records that are given to a team. A team cannot adopt by itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000))]
    pub adoptions: Vec<Adoption>,
    /// The bounds of TTLs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<TtlBounds>,
    /// What stops the operator before it breaks much.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub safety: Option<Safety>,
    /// The authoritative servers. Absent: those of the zone's NS records.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub authorities: Vec<Authority>,
    /// How changes of others are found, and what is done about them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift: Option<DriftSettings>,
    /// Writes nothing until it is false again. Absent: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<bool>,
}

/// Whether a zone is written.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum ZoneMode {
    /// Plans, counts and tells; writes nothing.
    Report,
    /// Writes.
    Enforce,
}

/// Who may have which names in a zone, and what they may say.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("!has(self.types) || !('Auto' in self.types)")
        .message("admission.types are types of the DNS: write A, AAAA and CNAME instead of Auto"),
    validation = Rule::new("!has(self.approvalRequiredFor) || !('Auto' in self.approvalRequiredFor)")
        .message("admission.approvalRequiredFor are types of the DNS: write A, AAAA and CNAME instead of Auto"),
)]
pub struct Admission {
    /// The namespaces, by their labels. Absent: none; `{}`: every one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespaces: Option<LabelSelector>,
    /// Which names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name_policy: Option<NamePolicy>,
    /// Types. Absent: all but NS.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub types: Vec<RecordTypeChoice>,
    /// Types that need the platform team's approval, record by record.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub approval_required_for: Vec<RecordTypeChoice>,
    /// Where names may lead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub targets: Option<TargetPolicy>,
    /// How many names a namespace may hold. Absent: 20.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100_000))]
    pub max_claims_per_namespace: Option<i32>,
    /// How many record sets may be below one claim. Absent: 50.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100_000))]
    pub max_records_per_claim: Option<i32>,
}

/// Which names a team may have.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NamePolicy {
    /// A regular expression (RE2) that the claimed label must match whole. Absent: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub pattern: Option<String>,
    /// Labels that no team gets, such as `www` or `mail`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 500), inner(length(min = 1, max = 253)))]
    pub reserved: Vec<String>,
    /// A label of the namespace whose value the claimed label must be, or begin with, followed by a hyphen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 317))]
    pub prefix_from_label: Option<String>,
    /// The environments whose namespaces may have names here, as the platform file maps their labels. Absent: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 3))]
    pub environments: Vec<Environment>,
}

/// Where names may lead.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TargetPolicy {
    /// Hosts must be one of these domains, or below. Absent: any host.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(min = 1, max = 253)))]
    pub allow_suffixes: Vec<String>,
    /// Addresses must be in one of these ranges. Absent: any address.
    #[serde(default, rename = "allowCIDRs", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(min = 1, max = 64)))]
    pub allow_cidrs: Vec<String>,
    /// Refuses addresses that are not of the public Internet, unless `allowCIDRs` names them. Absent: true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deny_private: Option<bool>,
}

/// How names are held.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Claims {
    /// How many labels below the zone a claim has: it covers everything below itself. It cannot be changed. Absent: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 5))]
    pub depth: Option<i32>,
    /// For how long a name that is no longer used is kept from others, in seconds. Absent: 30 days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 31_536_000))]
    pub release_after_seconds: Option<i32>,
}

/// An existing name that is given to a team.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Adoption {
    /// The absolute name, exactly.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Whose it becomes: the namespaces with these labels, of which the first that asks gets it.
    pub namespace_selector: LabelSelector,
}

/// The bounds of TTLs, in seconds.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("!has(self.min) || !has(self.max) || self.min <= self.max").message("ttl.min is more than ttl.max"))]
pub struct TtlBounds {
    /// What records get that ask for nothing. Absent: 300.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 2_147_483_647))]
    pub default: Option<i32>,
    /// The least. Absent: 60.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 2_147_483_647))]
    pub min: Option<i32>,
    /// The most. Absent: 86,400.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 2_147_483_647))]
    pub max: Option<i32>,
}

/// What stops the operator before it breaks much.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Safety {
    /// More deletions than this within an hour trip the breaker: nothing is written until a human acknowledges it.
    /// Absent: 20.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub max_deletes_per_hour: Option<i32>,
    /// Changing or deleting more than this part of what is ours within ten minutes, in percent, trips the breaker too;
    /// never fewer than 10 record sets. 100: nothing does. Absent: 20.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub max_changed_percent: Option<i32>,
    /// Names that are never written, whoever asks, nor is what is below them. (The apex stands for itself alone.)
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 500), inner(length(min = 1, max = 253)))]
    pub protected: Vec<String>,
    /// Keeps the zone as it was before it is changed, at most once an hour: at the provider where it can, else as an export
    /// in the operator's namespace. Absent: true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot_before_change: Option<bool>,
}

/// An authoritative server.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Authority {
    /// Its address: an IP address or a host name.
    #[schemars(length(min = 1, max = 253))]
    pub address: String,
    /// Its port. Absent: 53.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65_535))]
    pub port: Option<i32>,
}

/// How changes of others are found, and what is done about them.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DriftSettings {
    /// What is done about changes of others to what is ours: `Repair` puts them right, up to three times within an hour;
    /// `Warn` tells of them. Absent: `Repair`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<DriftPolicy>,
    /// How often the zone is looked at, in seconds. Absent: 300.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 10, max = 86_400))]
    pub interval_seconds: Option<i32>,
}

/// What is done about changes of others to what is ours.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum DriftPolicy {
    /// It is put right, up to three times within an hour.
    Repair,
    /// It is told.
    Warn,
}

/// What is true of a zone right now.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct DnsZoneStatus {
    /// The generation of the spec that the rest of this status speaks of; -1 before the operator has seen the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready` always; `Reconciling` and `Stalled` only while true; `CredentialsValid`, `Delegated`, `Synced`,
    /// `BreakerClosed`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// The mode in force: that of the spec, or the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<ZoneMode>,
    /// How many record sets of the zone are whose, at the last audit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records: Option<RecordCounts>,
    /// The orphaned ones, `name TYPE` each; at most 50.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub orphans: Vec<String>,
    /// When the whole zone was last compared with what is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_audit_at: Option<Time>,
    /// The serial of the zone at the last audit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audited_serial: Option<i64>,
    /// Each authoritative server, when it was last asked; at most 32.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub authorities: Vec<AuthorityStatus>,
    /// What would be written, in `mode: Report`, while paused or with the breaker open; at most 50.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub plan: Vec<PlannedChange>,
    /// The newest snapshots, newest first; at most 10.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub snapshots: Vec<SnapshotStatus>,
    /// What the breaker counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub breaker: Option<Breaker>,
    /// Since when data may be written that the provider was not told to publish, where that is a step of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unpublished: Option<Time>,
    /// When the credential ends, where the provider or the Secret (`expires-at`) tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_expire_at: Option<Time>,
}

/// How many record sets are whose.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct RecordCounts {
    /// With our mark and a holder.
    pub owned: i32,
    /// Of others: without our mark, or with the mark of another cluster or tool.
    pub foreign: i32,
    /// With our mark, and no object that asks for them: left behind by a claim that was deleted, or by hand.
    pub orphaned: i32,
}

/// An authoritative server.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct AuthorityStatus {
    /// The server.
    pub server: String,
    /// Why it did not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// A change that would be made.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct PlannedChange {
    /// `Create`, `Replace`, `Delete`, or `Refused` with the reason.
    pub action: String,
    /// The name.
    pub name: String,
    /// The type.
    #[serde(rename = "type")]
    pub type_: String,
    /// What would change, or why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// The zone as it was.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotStatus {
    /// The provider's name for it, or that of the ConfigMap in the operator's namespace that has the zone file (its key
    /// `zone`; a large one goes on in `NAME.1`, `NAME.2`, ...).
    pub id: String,
    /// When it was made.
    pub at: Time,
}

/// What the breaker counts.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Breaker {
    /// When it tripped. To let the zone be written again, set the annotation `tremplin.dev/breaker-acknowledged` to
    /// this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tripped_at: Option<Time>,
    /// Why it tripped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Since when what a human acknowledged is carried out: what is written meanwhile counts as acknowledged. Until all of it
    /// is, or for an hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged_at: Option<Time>,
    /// Deletions of the last hour, those of one minute together.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub deletions: Vec<Deletions>,
}

/// Deletions of one batch, or of the batches of one minute.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Deletions {
    /// When the last was.
    pub at: Time,
    /// How many are known to be done.
    pub count: i32,
    /// Record sets whose deletion was begun and is not known to be done, as `name TYPE`, at most 1,000: each counts once,
    /// however often it is tried.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000), inner(length(max = 300)))]
    pub open: Vec<String>,
}
