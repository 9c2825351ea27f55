//! Records as OVHcloud has them.

use serde::Deserialize;
use tremplin_core::dns::{Fqdn, RecordType, RrSet, zone_file};

use crate::dns_provider::Failure;
use crate::dns_provider::data::{Sets, from_relative};

/// What a TTL of 0 stands for, in seconds.
const DEFAULT_TTL: u32 = 3600;

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Record {
    pub(super) id: u64,
    pub(super) field_type: String,
    #[serde(default)]
    pub(super) sub_domain: String,
    pub(super) target: String,
    #[serde(default)]
    ttl: Option<u32>,
}

impl Record {
    pub(super) fn is_at(&self, sub_domain: &str) -> bool {
        self.sub_domain.eq_ignore_ascii_case(sub_domain)
    }

    /// The type that name servers answer it as.
    pub(super) fn type_(&self) -> RecordType {
        served_as(&self.field_type)
    }

    /// In seconds.
    pub(super) fn ttl(&self) -> u32 {
        self.ttl.filter(|ttl| *ttl != 0).unwrap_or(DEFAULT_TTL)
    }

    /// The canonical data.
    pub(super) fn value(&self, domain: &Fqdn) -> String {
        from_relative(&self.type_(), &self.target, domain)
    }
}

/// The sets of an export of the zone, which is a master file without ids. What cannot be read has no name or data of
/// ours: it is told in the log, and left out.
///
/// # Errors
/// When it is no zone at all: nobody is to think that the zone is empty.
pub(super) fn of_export(text: &str, domain: &Fqdn) -> Result<Vec<RrSet>, Failure> {
    let (read, errors) = zone_file::read_all(text, domain);
    if !read
        .iter()
        .any(|set| set.name == *domain && set.type_ == RecordType::Soa)
    {
        let why = errors
            .first()
            .map_or_else(|| "it has no SOA".to_owned(), ToString::to_string);
        return Err(Failure::Unavailable(format!(
            "the export of {domain} by OVHcloud is not understood: {why}"
        )));
    }
    for error in errors {
        tracing::warn!(zone = %domain, %error, "a line of the export is not understood");
    }
    let mut sets = Sets::default();
    for set in read {
        let type_ = served_as(set.type_.as_str());
        for value in set.values {
            let value = if set.type_ == type_ {
                value
            } else {
                from_relative(&type_, &value, domain)
            };
            sets.add(set.name.as_str(), type_.clone(), set.ttl, value);
        }
    }
    Ok(sets.into_vec())
}

/// The type that name servers answer a type of theirs as.
fn served_as(field_type: &str) -> RecordType {
    match field_type {
        "SPF" | "DKIM" | "DMARC" => RecordType::Txt,
        other => RecordType::of(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_types_of_an_export_are_texts() {
        let text = "$TTL 3600\n@ IN SOA dns1.ovh.net. tech.ovh.net. (2026112300 86400 3600 3600000 300)\n\
                    s1._domainkey.mail IN TXT ( \"v=DKIM1;p=a\" \"b\" )\n\
                    mail 600 IN SPF \"v=spf1 -all\"\nmail 600 IN TXT \"other\"\nmail IN MX 10 mx\n";
        let domain = Fqdn::parse("beta.example").unwrap();
        let sets = of_export(text, &domain).unwrap();
        let told: Vec<_> = sets
            .iter()
            .map(|set| (set.name.as_str(), set.type_.as_str(), set.ttl))
            .collect();
        assert_eq!(
            told,
            [
                ("beta.example", "SOA", 3600),
                ("mail.beta.example", "TXT", 600),
                ("mail.beta.example", "MX", 3600),
                ("s1._domainkey.mail.beta.example", "TXT", 3600),
            ]
        );
        assert_eq!(sets[1].values, ["other".to_owned(), "v=spf1 -all".to_owned()].into());
        assert_eq!(sets[2].values, ["10 mx.beta.example".to_owned()].into());
        assert_eq!(sets[3].values, ["v=DKIM1;p=ab".to_owned()].into());
        for nothing in ["", "@ IN A", "\"open"] {
            assert!(
                matches!(of_export(nothing, &domain), Err(Failure::Unavailable(_))),
                "{nothing}"
            );
        }
    }
}
