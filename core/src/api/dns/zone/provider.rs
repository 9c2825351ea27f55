//! Who serves a zone, and how it is written.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::schema;

/// Who serves the zone, and how it is written.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("(self.type in ['ExternalDNS', 'Request']) != has(self.secretRef)")
        .message("provider.secretRef is missing, or given to a type that needs no credential (ExternalDNS, Request)"),
    validation = Rule::new("(!has(self.ovh) || self.type == 'OVH') && (!has(self.gandi) || self.type == 'Gandi') && (!has(self.scaleway) || self.type == 'Scaleway') && (!has(self.route53) || self.type == 'Route53') && (!has(self.alwaysData) || self.type == 'AlwaysData') && (!has(self.pointDNS) || self.type == 'PointDNS') && (!has(self.powerDNS) || self.type == 'PowerDNS') && (!has(self.rfc2136) || self.type == 'RFC2136') && (!has(self.externalDNS) || self.type == 'ExternalDNS') && (!has(self.request) || self.type == 'Request')")
        .message("provider has the settings of another type: remove them, or correct provider.type"),
    validation = Rule::new("!has(self.caSecretRef) || !(self.type in ['RFC2136', 'ExternalDNS', 'Request'])")
        .message("provider.caSecretRef is for providers that are reached by HTTPS: remove it"),
    validation = Rule::new("self.type != 'PowerDNS' || has(self.powerDNS)").message("provider.powerDNS is missing: write url there"),
    validation = Rule::new("self.type != 'RFC2136' || has(self.rfc2136)").message("provider.rfc2136 is missing: write server there"),
)]
pub struct Provider {
    /// Which service or protocol.
    #[serde(rename = "type")]
    pub type_: ProviderType,
    /// The Secret with the credential, in the operator's namespace. Its keys are those of the provider's page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretRef>,
    /// A Secret in the operator's namespace whose `ca.crt` is trusted for this provider, beside the public authorities; for
    /// providers that are reached by HTTPS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret_ref: Option<SecretRef>,
    /// Settings of OVH.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ovh: Option<Ovh>,
    /// Settings of Gandi.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gandi: Option<Gandi>,
    /// Settings of Scaleway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaleway: Option<Scaleway>,
    /// Settings of Route 53.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route53: Option<Route53>,
    /// Settings of AlwaysData.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub always_data: Option<AlwaysData>,
    /// Settings of PointDNS.
    #[serde(default, rename = "pointDNS", skip_serializing_if = "Option::is_none")]
    pub point_dns: Option<PointDns>,
    /// Settings of PowerDNS.
    #[serde(default, rename = "powerDNS", skip_serializing_if = "Option::is_none")]
    pub power_dns: Option<PowerDns>,
    /// Settings of RFC 2136.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rfc2136: Option<Rfc2136>,
    /// Settings of ExternalDNS.
    #[serde(default, rename = "externalDNS", skip_serializing_if = "Option::is_none")]
    pub external_dns: Option<ExternalDns>,
    /// Settings of the desk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestDesk>,
}

/// A Secret of the operator's own namespace: a zone is the cluster's, and its credential is nobody else's.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecretRef {
    /// The Secret's name, in the operator's namespace.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// A service or protocol.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProviderType {
    /// OVHcloud.
    #[serde(rename = "OVH")]
    Ovh,
    /// Gandi LiveDNS.
    Gandi,
    /// Scaleway Domains and DNS.
    Scaleway,
    /// Amazon Route 53.
    Route53,
    /// AlwaysData.
    AlwaysData,
    /// PointDNS.
    #[serde(rename = "PointDNS")]
    PointDns,
    /// A PowerDNS Authoritative Server, by its HTTP API.
    #[serde(rename = "PowerDNS")]
    PowerDns,
    /// Any server that takes dynamic updates signed with TSIG: BIND, Knot, PowerDNS, ...
    #[serde(rename = "RFC2136")]
    Rfc2136,
    /// An external-dns that runs in the cluster: a `DNSEndpoint` is written for it.
    #[serde(rename = "ExternalDNS")]
    ExternalDns,
    /// Humans at a desk: what they are to do is written in the status of the DnsClaim.
    Request,
}

impl ProviderType {
    /// The word in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ovh => "OVH",
            Self::Gandi => "Gandi",
            Self::Scaleway => "Scaleway",
            Self::Route53 => "Route53",
            Self::AlwaysData => "AlwaysData",
            Self::PointDns => "PointDNS",
            Self::PowerDns => "PowerDNS",
            Self::Rfc2136 => "RFC2136",
            Self::ExternalDns => "ExternalDNS",
            Self::Request => "Request",
        }
    }
}

/// Settings of OVH.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Ovh {
    /// The API's address. Absent: `https://eu.api.ovh.com/1.0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::address")]
    pub url: Option<String>,
}

/// Settings of Gandi.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Gandi {
    /// The API's address. Absent: `https://api.gandi.net/v5/livedns`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::address")]
    pub url: Option<String>,
    /// The organisation, where the token sees several.
    #[serde(default, rename = "sharingID", skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub sharing_id: Option<String>,
}

/// Settings of Scaleway.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Scaleway {
    /// The API's address. Absent: `https://api.scaleway.com/domain/v2beta1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::address")]
    pub url: Option<String>,
}

/// Settings of Route 53.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Route53 {
    /// The API's address. Absent: `https://route53.amazonaws.com`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::address")]
    pub url: Option<String>,
    /// The hosted zone. Absent: the public one of the domain, of which there must be one.
    #[serde(default, rename = "hostedZoneID", skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub hosted_zone_id: Option<String>,
}

/// Settings of AlwaysData.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AlwaysData {
    /// The API's address. Absent: `https://api.alwaysdata.com/v1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::address")]
    pub url: Option<String>,
    /// The account, where the key may act for several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub account: Option<String>,
}

/// Settings of PointDNS.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PointDns {
    /// The API's address. Absent: `https://api.pointhq.com`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::address")]
    pub url: Option<String>,
}

/// Settings of PowerDNS.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PowerDns {
    /// The address of its web server, such as `https://pdns.example.org:8081`.
    #[schemars(schema_with = "schema::address")]
    pub url: String,
    /// The server's name in the API. Absent: `localhost`.
    #[serde(default, rename = "serverID", skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub server_id: Option<String>,
}

/// Settings of RFC 2136.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rfc2136 {
    /// The primary server that takes updates: `host`, `host:port` or `[address]:port`; without a port, 53.
    #[schemars(length(min = 1, max = 253))]
    pub server: String,
}

/// Settings of ExternalDNS.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExternalDns {
    /// The namespace of the `DNSEndpoint`s. Absent: the operator's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub namespace: Option<String>,
    /// Labels of each `DNSEndpoint`, by which external-dns selects it (`--label-filter`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::match_labels")]
    pub labels: BTreeMap<String, String>,
}

/// Settings of the desk.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RequestDesk {
    /// Where the desk is reached: an address or a link, shown with each request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub contact: Option<String>,
}
