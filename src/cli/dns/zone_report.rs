//! `dns zone-report`: how a zone fares, for those who answer for it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::bail;
use clap::Args;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use tremplin_core::api::dns::{PlannedChange, RecordCounts};
use tremplin_core::api::{DnsClaim, DnsZone};
use tremplin_core::dns::Reason;
use tremplin_core::dns::desk::TAKEN_BY;
use tremplin_core::dns::status::EXPIRY_WARNING;
use tremplin_core::json::{items, text};

use super::{fqdn, typed};
use crate::cli::cluster::{Cluster, ClusterChoice, block_on};
use crate::cli::options::{Form, Output};
use crate::cli::{Exit, Io};

mod words;

/// Tell how a zone fares: whose its records are, who holds which names, what is refused, planned or stuck
///
/// Reads DnsZones, DnsRecords and DnsClaims of the whole cluster, with the rights of who asks. Exit code 1 when something
/// waits for the platform team.
#[derive(Args, Debug)]
pub struct Arguments {
    /// The DnsZone, by its name or its domain
    #[arg(value_name = "ZONE")]
    zone: String,

    #[command(flatten)]
    cluster: ClusterChoice,

    #[command(flatten)]
    output: Output,
}

pub fn run(arguments: &Arguments, io: &mut Io<'_>) -> anyhow::Result<Exit> {
    let report = block_on(async {
        let cluster = arguments.cluster.connect().await?;
        let zone = find(&cluster, &arguments.zone).await?;
        let records = cluster.list("DnsRecord", "", "").await?;
        let claims = cluster.list("DnsClaim", "", "").await?;
        Report::new(&zone, &records, &claims, Timestamp::now())
    })?;
    if arguments.output.form == Form::Table {
        write!(io.output, "{}", report.in_words())?;
    } else {
        arguments.output.print(&report, io)?;
    }
    Ok(if report.findings.is_empty() {
        Exit::Fine
    } else {
        Exit::Found
    })
}

async fn find(cluster: &Cluster, name: &str) -> anyhow::Result<Value> {
    let zones = cluster.list("DnsZone", "", "").await?;
    let known: Vec<String> = zones
        .iter()
        .map(|zone| text(zone, "/metadata/name").to_owned())
        .collect();
    let domain = fqdn(name).ok();
    let is_it = |zone: &Value| {
        text(zone, "/metadata/name") == name || (domain.is_some() && fqdn(text(zone, "/spec/domain")).ok() == domain)
    };
    match zones.into_iter().find(is_it) {
        Some(zone) => Ok(zone),
        None if known.is_empty() => bail!("the cluster has no DnsZone"),
        None => bail!("there is no DnsZone {name}: there are {}", known.join(", ")),
    }
}

/// How a zone fares.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    name: String,
    domain: String,
    provider: &'static str,
    mode: String,
    paused: bool,
    /// What waits for the platform team, in words.
    findings: Vec<String>,
    /// How many record sets are whose, at the last audit.
    records: RecordCounts,
    /// The orphaned ones, at most 50.
    orphans: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_audit_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    credentials_expire_at: Option<Timestamp>,
    /// Deletions of the last hour, and when the breaker tripped.
    deletions: i32,
    /// Those of them that were begun and are not known to be done: they count too.
    deletions_open: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    breaker_tripped_at: Option<Timestamp>,
    /// The names that each namespace holds.
    claims: BTreeMap<String, Vec<String>>,
    /// Names whose data are still in the zone, although nobody asks for them any more.
    withdrawals: Vec<Withdrawal>,
    /// What the desk of the zone is asked.
    requests: Vec<Asked>,
    /// Names that nobody uses, and that are kept from others.
    quarantines: Vec<Quarantine>,
    /// DnsRecords that are not ready.
    troubled: Vec<Troubled>,
    /// What would be written, where nothing is.
    plan: Vec<PlannedChange>,
}

/// Data that are about to be taken out of the zone.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Withdrawal {
    name: String,
    #[serde(rename = "type")]
    type_: String,
    holder: String,
    /// What keeps them there.
    message: String,
}

/// What a human at the desk of the zone is asked to do.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Asked {
    action: String,
    name: String,
    #[serde(rename = "type")]
    type_: String,
    holder: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
    /// Who said to make it.
    #[serde(skip_serializing_if = "Option::is_none")]
    taken_by: Option<String>,
}

/// A name that nobody uses.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Quarantine {
    key: String,
    holder: String,
    free_after: Timestamp,
}

/// A DnsRecord that is not ready.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Troubled {
    namespace: String,
    name: String,
    fqdn: String,
    reason: String,
    since: String,
    message: String,
    /// Whether somebody else has the name.
    conflict: bool,
}

/// A domain in its canonical form; what is none stays as it is.
fn domain(text: &str) -> String {
    fqdn(text).map_or_else(|_| text.to_owned(), |domain| domain.to_string())
}

/// The condition of an object.
fn condition<'a>(object: &'a Value, type_: &str) -> Option<&'a Value> {
    items(object, "/status/conditions").find(|found| text(found, "/type") == type_)
}

impl Report {
    fn new(zone: &Value, records: &[Value], claims: &[Value], now: Timestamp) -> anyhow::Result<Self> {
        let object: DnsZone = typed(zone)?;
        let status = object.status.clone().unwrap_or_default();
        let breaker = status.breaker.unwrap_or_default();
        let mut report = Self {
            name: object.metadata.name.clone().unwrap_or_default(),
            // As claims and statuses have it, however it is written.
            domain: domain(&object.spec.domain),
            provider: object.spec.provider.type_.as_str(),
            mode: object
                .spec
                .mode
                .map_or_else(|| "Report".to_owned(), |mode| format!("{mode:?}")),
            paused: object.spec.paused == Some(true),
            findings: Vec::new(),
            records: status.records.unwrap_or_default(),
            orphans: status.orphans,
            last_audit_at: status.last_audit_at.map(|at| at.0),
            credentials_expire_at: status.credentials_expire_at.map(|at| at.0),
            deletions: breaker.deletions.iter().map(|deletions| deletions.count).sum(),
            deletions_open: breaker.deletions.iter().map(|deletions| deletions.open.len()).sum(),
            breaker_tripped_at: breaker.tripped_at.map(|at| at.0),
            claims: BTreeMap::new(),
            withdrawals: Vec::new(),
            requests: Vec::new(),
            quarantines: Vec::new(),
            troubled: Vec::new(),
            plan: status.plan,
        };
        report.look_at_zone(zone, now);
        report.look_at_claims(claims)?;
        report.troubled = records.iter().filter_map(|record| report.troubled(record)).collect();
        let refused = report.troubled.iter().filter(|record| record.conflict).count();
        if !report.requests.is_empty() {
            let open = report.requests.len();
            report.findings.push(format!("{open} request(s) wait for the desk"));
        }
        if refused > 0 {
            report
                .findings
                .push(format!("{refused} DnsRecord(s) ask for a name that somebody else has"));
        }
        Ok(report)
    }

    fn look_at_zone(&mut self, zone: &Value, now: Timestamp) {
        if condition(zone, "Ready").is_none() {
            self.findings.push("the operator has not looked at the zone yet".into());
        }
        let bad = items(zone, "/status/conditions").filter(|found| {
            text(found, "/status") == "False" && !matches!(text(found, "/type"), "Reconciling" | "Stalled")
        });
        let mut bad: Vec<_> = bad.collect();
        // What is wrong is told once, by the condition that says what to do, and not by each that comes of it.
        bad.sort_by_key(|found| text(found, "/type") != "Ready");
        let mut reasons = BTreeSet::new();
        bad.retain(|found| reasons.insert(text(found, "/reason")));
        self.findings.extend(bad.into_iter().map(|found| {
            let about = text(found, "/type");
            let (reason, message) = (text(found, "/reason"), text(found, "/message"));
            format!("{about} is false ({reason}): {message}")
        }));
        let is_told = reasons.contains(Reason::CredentialInvalid.as_str());
        // The condition says it too, but only once the operator has checked the credential again.
        if let Some(ends) = self
            .credentials_expire_at
            .filter(|ends| ends.duration_since(now) < EXPIRY_WARNING && !is_told)
        {
            self.findings.push(format!("the credential ends at {ends}"));
        }
        if self.records.orphaned > 0 {
            self.findings.push(format!(
                "{} record set(s) have our mark, and nobody asks for them: {}",
                self.records.orphaned,
                self.orphans.join(", ")
            ));
        }
    }

    fn look_at_claims(&mut self, claims: &[Value]) -> anyhow::Result<()> {
        for value in claims.iter().filter(|claim| text(claim, "/spec/zone") == self.domain) {
            let claim: DnsClaim = typed(value)?;
            let holder = claim.spec.holder.namespace.clone();
            self.claims
                .entry(holder.clone())
                .or_default()
                .push(claim.spec.key.clone());
            if let Some(orphaned) = condition(value, "Orphaned") {
                self.findings
                    .push(format!("{}: {}", claim.spec.key, text(orphaned, "/message")));
            }
            let message = condition(value, "Ready").map_or("", |ready| text(ready, "/message"));
            let withdrawals = claim.spec.withdrawals.into_iter();
            self.withdrawals.extend(withdrawals.map(|withdrawal| Withdrawal {
                name: withdrawal.name,
                type_: withdrawal.type_,
                holder: holder.clone(),
                message: message.to_owned(),
            }));
            let status = claim.status.unwrap_or_default();
            let annotations = claim.metadata.annotations.unwrap_or_default();
            self.requests.extend(status.requests.into_iter().map(|asked| Asked {
                action: asked.action,
                name: asked.name,
                type_: asked.type_,
                holder: holder.clone(),
                since: asked.since.map(|at| at.0),
                taken_by: annotations.get(TAKEN_BY).cloned(),
            }));
            self.findings.extend(status.approvals.iter().map(|asked| {
                let values = asked.values.join(", ");
                format!(
                    "{} {} ({values}) of {holder} waits for approval: {}",
                    asked.name, asked.type_, asked.approve
                )
            }));
            if let Some(at) = claim.spec.release_at {
                self.quarantines.push(Quarantine {
                    key: claim.spec.key,
                    holder,
                    free_after: at.0,
                });
            }
        }
        Ok(())
    }

    /// A record of this zone that is not ready.
    fn troubled(&self, record: &Value) -> Option<Troubled> {
        if text(record, "/status/zone") != self.domain {
            return None;
        }
        let ready = condition(record, "Ready").filter(|ready| text(ready, "/status") != "True")?;
        Some(Troubled {
            namespace: text(record, "/metadata/namespace").to_owned(),
            name: text(record, "/metadata/name").to_owned(),
            fqdn: text(record, "/status/fqdn").to_owned(),
            reason: text(ready, "/reason").to_owned(),
            since: text(ready, "/lastTransitionTime").to_owned(),
            message: text(ready, "/message").to_owned(),
            conflict: record.pointer("/status/conflict").is_some_and(Value::is_object),
        })
    }
}

#[cfg(test)]
mod tests;
