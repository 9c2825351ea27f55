//! Names in shared DNS zones: what a team asks for, what a platform team opens, and who holds what.
#![allow(clippy::duplicated_attributes, reason = "each printed column has a type")]

mod claim;
mod record;
mod zone;

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use claim::{ApprovalRequest, DnsClaim, DnsClaimSpec, DnsClaimStatus, Holder, Request, Withdrawal};
pub use record::{
    AuthorityAnswer, ClaimSummary, Conflict, Delegation, DeletionPolicy, Dkim, DnsRecord, DnsRecordSpec,
    DnsRecordStatus, Drift, Mail, MailExchanger, MailPreset, ProgrammedSet, RecordTypeChoice,
};
pub use zone::{
    Admission, Adoption, AlwaysData, Authority, AuthorityStatus, Breaker, Claims, Deletions, DnsZone, DnsZoneSpec,
    DnsZoneStatus, DriftPolicy, DriftSettings, ExternalDns, Gandi, NamePolicy, Ovh, PlannedChange, PointDns, PowerDns,
    Provider, ProviderType, RecordCounts, RequestDesk, Rfc2136, Route53, Safety, Scaleway, SecretRef, SnapshotStatus,
    TargetPolicy, TtlBounds, ZoneMode,
};

use super::schema;

/// Objects by their labels, as everywhere in Kubernetes. Empty: every object.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LabelSelector {
    /// Labels that must all be there with these values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::match_labels")]
    pub match_labels: BTreeMap<String, String>,
    /// Requirements that must all be met.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub match_expressions: Vec<Requirement>,
}

/// One requirement on a label.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)")
    .message("values are needed with In and NotIn, and meaningless with Exists and DoesNotExist"))]
pub struct Requirement {
    /// The label.
    #[schemars(length(min = 1, max = 317))]
    pub key: String,
    /// How it is compared.
    pub operator: Operator,
    /// With what, for `In` and `NotIn`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50), inner(length(max = 63)))]
    pub values: Vec<String>,
}

/// How a label is compared.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// It has one of the values.
    In,
    /// It has none of the values, or is not there.
    NotIn,
    /// It is there.
    Exists,
    /// It is not there.
    DoesNotExist,
}
