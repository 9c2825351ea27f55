//! `DnsRecord`: a name that a team asks for, and what it is to say.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::startup_app::ObjectRef;

/// A DNS name of a team: first come, first served, published and proven on the authoritative servers.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "tremplin.dev",
    version = "v1alpha1",
    kind = "DnsRecord",
    plural = "dnsrecords",
    namespaced,
    status = "DnsRecordStatus",
    shortname = "tdns",
    category = "tremplin",
    derive = "PartialEq",
    cel,
    doc = "A DNS name of a team: first come, first served, published and proven on the authoritative servers",
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
    printcolumn(name = "Name", type_ = "string", json_path = ".status.fqdn"),
    printcolumn(name = "Type", type_ = "string", json_path = ".status.effectiveType"),
    printcolumn(name = "Targets", type_ = "string", json_path = ".status.targets"),
    printcolumn(name = "TTL", type_ = "integer", json_path = ".status.effectiveTTLSeconds"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("[has(self.targets), has(self.values), has(self.appRef), has(self.mail), has(self.delegation)].filter(given, given).size() == 1")
        .message("spec needs exactly one of targets, values, appRef, mail and delegation: make one DnsRecord for each"),
    validation = Rule::new("!has(self.values) || (has(self.type) && self.type != 'Auto')")
        .message("spec.values is raw data: say in spec.type which type it is of"),
    validation = Rule::new("!(has(self.mail) || has(self.delegation)) || !has(self.type) || self.type == 'Auto'")
        .message("spec.mail and spec.delegation choose their types themselves: remove spec.type"),
    validation = Rule::new("!has(self.targets) || !has(self.type) || self.type in ['Auto', 'A', 'AAAA', 'CNAME', 'ALIAS']")
        .message("spec.targets are addresses and hosts (types A, AAAA, CNAME, ALIAS): write data of other types in spec.values"),
)]
pub struct DnsRecordSpec {
    /// The absolute name, such as `mon-app.incubateur.net`. Letters beyond ASCII are accepted and become A-labels.
    /// It cannot be changed: make another DnsRecord.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("spec.name cannot be changed: make another DnsRecord"))]
    pub name: String,

    /// The type of the record. Absent: `Auto`, which follows from the targets.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub type_: Option<RecordTypeChoice>,

    /// Addresses or hosts: IPv4 becomes A, IPv6 AAAA, a host CNAME (ALIAS at the apex, where the provider can).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 20), inner(length(min = 1, max = 254)))]
    pub targets: Vec<String>,

    /// Raw data in presentation form, such as `10 mail.example.org` for MX. TXT is written without quotes, whatever
    /// its length.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 50), inner(length(min = 1, max = 4096)))]
    pub values: Vec<String>,

    /// A StartupApp of this namespace: the record leads to where it is reached, which the platform says for the app's
    /// exposure, or else the status of its Ingress.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_ref: Option<ObjectRef>,

    /// How long others may keep the answer, in seconds. Clamped to what zone and provider allow; the effective value is
    /// in the status. Absent: the zone's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 2_147_483_647))]
    pub ttl_seconds: Option<i32>,

    /// Everything that mail needs at this name, as one unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mail: Option<Mail>,

    /// Hands the name to other name servers. Published only once these answer for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delegation: Option<Delegation>,

    /// What becomes of the data in the zone when this object is deleted: `Delete` withdraws it; with `Retain` it stays,
    /// marked as this namespace's. The name itself is free to others after the zone's quarantine, as with `Delete`.
    /// Absent: `Delete`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
}

/// The type of a record.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::upper_case_acronyms)]
pub enum RecordTypeChoice {
    /// Follows from the targets.
    Auto,
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    AAAA,
    /// Another name for a host.
    CNAME,
    /// As CNAME, answered with the host's addresses by the provider: also at the apex.
    ALIAS,
    /// Texts.
    TXT,
    /// Mail exchangers.
    MX,
    /// Which authorities may issue certificates.
    CAA,
    /// Services.
    SRV,
    /// Name servers.
    NS,
}

/// What becomes of the data in the zone.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeletionPolicy {
    /// It is withdrawn.
    Delete,
    /// It stays, with its holder's mark.
    Retain,
}

/// Mail at a name: who receives it (MX), who may send it (SPF), how it is signed (DKIM), what to do with the rest (DMARC).
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("has(self.preset) || has(self.mx) || has(self.spf) || has(self.dkim) || has(self.dmarc)")
        .message("spec.mail is empty: name a preset, or at least one of mx, spf, dkim and dmarc"),
    validation = Rule::new("!has(self.preset) || self.preset != 'None' || !(has(self.mx) || has(self.spf) || has(self.dkim) || has(self.dmarc))")
        .message("the preset None says that no mail is sent or received: remove mx, spf, dkim and dmarc"),
)]
pub struct Mail {
    /// A mail service whose values are known, or `None`: this name sends and receives no mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preset: Option<MailPreset>,
    /// The mail exchangers. Absent: the preset's, if it has any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub mx: Vec<MailExchanger>,
    /// The whole SPF record, `v=spf1 …`. Absent: the preset's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub spf: Option<String>,
    /// The DKIM keys. The mail service gives them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["selector".into()]))]
    pub dkim: Vec<Dkim>,
    /// The whole DMARC record, `v=DMARC1; …`. Absent: the preset's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub dmarc: Option<String>,
}

/// A mail service.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailPreset {
    /// Brevo, formerly Sendinblue.
    Brevo,
    /// Mailjet.
    Mailjet,
    /// Tipimail.
    Tipimail,
    /// No mail at all: null MX (RFC 7505), `v=spf1 -all`, DMARC `p=reject`.
    None,
}

/// A mail exchanger.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MailExchanger {
    /// Its preference: the lowest is tried first.
    #[schemars(range(min = 0, max = 65_535))]
    pub priority: i32,
    /// Its host name.
    #[schemars(length(min = 1, max = 254))]
    pub host: String,
}

/// A DKIM key (RFC 6376).
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("has(self.record) != has(self.target)")
    .message("a DKIM key needs exactly one of record (the TXT record) and target (the host that has it)"))]
pub struct Dkim {
    /// The selector: the part of the name before `._domainkey`.
    #[schemars(length(min = 1, max = 63))]
    pub selector: String,
    /// The TXT record, such as `v=DKIM1; k=rsa; p=…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub record: Option<String>,
    /// A host of the mail service that has the key: published as CNAME.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 254))]
    pub target: Option<String>,
}

/// Other name servers for a name and everything below it.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Delegation {
    /// Their host names; at least two, as RFC 2182 asks.
    #[schemars(length(min = 2, max = 10), inner(length(min = 1, max = 254)))]
    pub nameservers: Vec<String>,
    /// DS records of the child zone in presentation form: key tag, algorithm, digest type, digest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10), inner(length(min = 1, max = 200)))]
    pub ds: Vec<String>,
}

/// What is true of a name right now, as the operator saw it. It can be rebuilt from cluster and zone at any time.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct DnsRecordStatus {
    /// The generation of the spec that the rest of this status speaks of; -1 before the operator has seen the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready` always; `Reconciling` and `Stalled` only while true; `Accepted`, `Programmed`, `Published`, `Propagated`,
    /// and `MailReady`, `Delegated`, `TargetResolves` where they apply.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// The canonical name: lower case, A-labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fqdn: Option<String>,
    /// The domain of the zone that it is in; while none covers its name, of the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// The types that are published, such as `A` or `A,AAAA`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective_type: Option<String>,
    /// What is published, in one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub targets: Option<String>,
    /// The TTL that this record comes to, in seconds, within the bounds of zone and provider. Texts of several records at
    /// one name have the least of theirs.
    #[serde(default, rename = "effectiveTTLSeconds", skip_serializing_if = "Option::is_none")]
    pub effective_ttl_seconds: Option<i32>,
    /// The claim that covers the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<ClaimSummary>,
    /// Who or what stands in the way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conflict: Option<Conflict>,
    /// What each authoritative server answered when it was last asked; at most 32.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub authoritative: Vec<AuthorityAnswer>,
    /// When the last old or negative answer has left every cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visible_after: Option<Time>,
    /// Changes of others that were found and what was done about them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift: Option<Drift>,
    /// The record sets that were written for this object, or are about to be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub programmed: Vec<ProgrammedSet>,
}

/// A claim, in short.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ClaimSummary {
    /// The DnsClaim's name.
    pub name: String,
    /// Since when this namespace holds it.
    pub since: Time,
}

/// Who or what stands in the way of a name.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Conflict {
    /// What is the case.
    pub reason: String,
    /// Whom to ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<String>,
    /// Since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
}

/// What an authoritative server answered.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct AuthorityAnswer {
    /// The server: its name or address.
    pub server: String,
    /// The serial that the zone had there when it was first seen to answer as asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<i64>,
    /// Whether it answers as asked for.
    pub matches: bool,
    /// What it answered instead, or why it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Changes that others made to what is ours.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Drift {
    /// When it was last found.
    pub detected_at: Time,
    /// What was found: `Changed` or `Missing`.
    pub kind: String,
    /// How often it was put right within the last hour.
    pub corrections: i32,
}

/// A record set that was written.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "camelCase")]
pub struct ProgrammedSet {
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub type_: String,
    /// A hash of TTL and data; empty before it is written.
    pub hash: String,
}
