//! The report in words.

use std::fmt::Write as _;

use jiff::Timestamp;
use tremplin_core::api::dns::RecordCounts;

use super::{Quarantine, Report};
use crate::cli::dns::table::table;

impl Report {
    pub(super) fn in_words(&self) -> String {
        let mut told = self.head();
        // Writing to a text does not fail.
        let _ = writeln!(told, "\nFindings: {}", self.findings.len());
        for finding in &self.findings {
            let _ = writeln!(told, "  {finding}");
        }
        if !self.claims.is_empty() {
            let rows = self
                .claims
                .iter()
                .map(|(namespace, keys)| [namespace.clone(), keys.len().to_string(), keys.join(", ")]);
            told += "\nNames by namespace\n";
            told += &table(["NAMESPACE", "HELD", "NAMES"], rows);
        }
        if !self.withdrawals.is_empty() {
            let rows = self.withdrawals.iter().map(|left| {
                let message = left.message.lines().next().unwrap_or_default();
                [&left.name, &left.type_, &left.holder, message].map(str::to_owned)
            });
            told += "\nStill to be withdrawn\n";
            told += &table(["NAME", "TYPE", "HOLDER", "MESSAGE"], rows);
        }
        if !self.requests.is_empty() {
            let rows = self.requests.iter().map(|asked| {
                let since = asked.since.map(|at| at.to_string()).unwrap_or_default();
                let taken_by = asked.taken_by.as_deref().unwrap_or_default();
                [
                    &asked.action,
                    &asked.name,
                    &asked.type_,
                    &asked.holder,
                    &since,
                    taken_by,
                ]
                .map(str::to_owned)
            });
            told += "\nAsked of the desk\n";
            told += &table(["ACTION", "NAME", "TYPE", "HOLDER", "SINCE", "TAKEN BY"], rows);
        }
        if !self.quarantines.is_empty() {
            let rows = self.quarantines.iter().map(|quarantine| {
                let Quarantine {
                    key,
                    holder,
                    free_after,
                } = quarantine;
                [key.clone(), holder.clone(), free_after.to_string()]
            });
            told += "\nIn quarantine\n";
            told += &table(["NAME", "LAST HOLDER", "FREE AFTER"], rows);
        }
        if !self.troubled.is_empty() {
            let rows = self.troubled.iter().map(|record| {
                [
                    format!("{}/{}", record.namespace, record.name),
                    record.fqdn.clone(),
                    record.reason.clone(),
                    record.since.clone(),
                    record.message.lines().next().unwrap_or_default().to_owned(),
                ]
            });
            told += "\nNot ready\n";
            told += &table(["DNSRECORD", "NAME", "REASON", "SINCE", "MESSAGE"], rows);
        }
        if !self.plan.is_empty() {
            let rows = self.plan.iter().cloned().map(|change| {
                [
                    change.action,
                    change.name,
                    change.type_,
                    change.detail.unwrap_or_default(),
                ]
            });
            told += "\nPlanned, not written\n";
            told += &table(["ACTION", "NAME", "TYPE", "DETAIL"], rows);
        }
        told
    }

    fn head(&self) -> String {
        let at =
            |time: Option<Timestamp>, otherwise: &str| time.map_or_else(|| otherwise.to_owned(), |at| at.to_string());
        let RecordCounts {
            owned,
            foreign,
            orphaned,
        } = self.records;
        let paused = if self.paused { ", paused" } else { "" };
        format!(
            "DnsZone {} ({}) at {}, mode {}{paused}\n  Record sets: {owned} owned, {foreign} foreign, {orphaned} orphaned; last audit {}\n  Breaker: {}; {} deletion(s) within an hour, {} more begun\n  Credential ends: {}\n",
            self.name,
            self.domain,
            self.provider,
            self.mode,
            at(self.last_audit_at, "never"),
            self.breaker_tripped_at
                .map_or_else(|| "closed".to_owned(), |at| format!("open since {at}")),
            self.deletions,
            self.deletions_open,
            at(self.credentials_expire_at, "not told by the provider"),
        )
    }
}
