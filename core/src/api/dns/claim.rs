//! `DnsClaim`: who holds a name and everything below it. Written by the operator alone.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who holds a name and everything below it, since when. Its creation decides: first come, first served. It outlives
/// the records by the zone's quarantine.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "tremplin.dev",
    version = "v1alpha1",
    kind = "DnsClaim",
    plural = "dnsclaims",
    status = "DnsClaimStatus",
    category = "tremplin",
    derive = "PartialEq",
    cel,
    doc = "Who holds a DNS name and everything below it, since when. Written by the operator alone",
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
    printcolumn(name = "Key", type_ = "string", json_path = ".spec.key"),
    printcolumn(name = "Holder", type_ = "string", json_path = ".spec.holder.namespace"),
    printcolumn(name = "Since", type_ = "date", json_path = ".spec.claimedAt"),
    printcolumn(name = "Release-At", type_ = "string", json_path = ".spec.releaseAt"),
    printcolumn(name = "Records", type_ = "integer", json_path = ".status.records", priority = 1)
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("self.key == oldSelf.key && self.holder == oldSelf.holder && self.claimedAt == oldSelf.claimedAt && self.zone == oldSelf.zone")
        .message("a claim's key, zone, holder and time cannot be changed: to take a name away, delete the DnsClaim"),
)]
pub struct DnsClaimSpec {
    /// The canonical name that is held.
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
    /// The domain of the zone that it is in.
    #[schemars(length(min = 1, max = 253))]
    pub zone: String,
    /// Who holds it.
    pub holder: Holder,
    /// Since when. Of two clusters that serve the same zone, the older time wins.
    #[schemars(extend("maxLength" = 40))]
    pub claimed_at: Time,
    /// What is to be taken out of the zone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000))]
    pub withdrawals: Vec<Withdrawal>,
    /// How many records have gone and left data to be withdrawn. It grows also when that was noted before, so that who
    /// strikes it off sees that it was asked for anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub departures: Option<i64>,
    /// Until when nobody else gets the name, though its holder has no record left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("maxLength" = 40))]
    pub release_at: Option<Time>,
}

/// Who holds a name.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Holder {
    /// The namespace.
    #[schemars(length(min = 1, max = 63))]
    pub namespace: String,
}

/// A record set that is to be taken out of the zone.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Withdrawal {
    /// Its canonical name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    #[schemars(length(min = 1, max = 16))]
    pub type_: String,
}

/// What is true of a claim right now. It can be rebuilt at any time.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct DnsClaimStatus {
    /// The generation of the spec that the rest of this status speaks of; -1 before the operator has seen the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready` always; `Reconciling` and `Stalled` only while true; `Orphaned` while data could not be withdrawn;
    /// `Admitted` is false while something is published that would no longer be admitted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// How many DnsRecords and hosts of StartupApps use the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records: Option<i32>,
    /// What waits for the platform team's approval. To approve, set the annotation `tremplin.dev/approved` to `approve` of
    /// an entry, and read the list again before the next: it takes the place of what the annotation said. At most 50 are
    /// shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub approvals: Vec<ApprovalRequest>,
    /// What a human at the zone's desk is asked to do, where the provider is `Request`: 100 at a time, the others when these
    /// are done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub requests: Vec<Request>,
}

/// A record set that waits for approval.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalRequest {
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub type_: String,
    /// Its data, one line each.
    pub values: Vec<String>,
    /// What to set the annotation to: all that is approved already, and this one with name, type and a hash of the data, so
    /// that other data need another approval.
    pub approve: String,
}

/// A change that a human is asked to make.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// `Create`, `Replace` or `Delete`.
    pub action: String,
    /// The name.
    pub name: String,
    /// The type.
    #[serde(rename = "type")]
    pub type_: String,
    /// The TTL in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_seconds: Option<i32>,
    /// The data.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
    /// Since when it is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// The request in words, French and English.
    pub text: String,
}
