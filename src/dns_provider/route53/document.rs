//! The XML that Route 53 speaks, and the way in which it writes names and texts.

use quick_xml::escape::escape;
use serde::Deserialize;
use tremplin_core::dns::{Fqdn, RecordType, RrSet};

use crate::dns_provider::data::{Sets, from_presentation, presentation};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ErrorResponse {
    pub(super) error: Error,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Error {
    pub(super) code: String,
    #[serde(default)]
    pub(super) message: String,
}

/// The answer to a batch, and to the question of how far it is.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Changed {
    pub(super) change_info: ChangeInfo,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ChangeInfo {
    pub(super) id: String,
    pub(super) status: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Zones {
    pub(super) hosted_zones: HostedZones,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct HostedZones {
    #[serde(default)]
    pub(super) hosted_zone: Vec<HostedZone>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct HostedZone {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) config: Option<Config>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Config {
    #[serde(default)]
    pub(super) private_zone: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Page {
    pub(super) resource_record_sets: ResourceRecordSets,
    pub(super) is_truncated: bool,
    pub(super) next_record_name: Option<String>,
    pub(super) next_record_type: Option<String>,
    pub(super) next_record_identifier: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ResourceRecordSets {
    #[serde(default)]
    pub(super) resource_record_set: Vec<Set>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Set {
    pub(super) name: String,
    #[serde(rename = "Type")]
    pub(super) type_: String,
    #[serde(rename = "TTL", default)]
    ttl: u32,
    #[serde(default)]
    resource_records: ResourceRecords,
    /// A set of Amazon's own: what it answers is elsewhere.
    alias_target: Option<AliasTarget>,
    /// One of several sets of the same name and type, of which one is chosen for each answer.
    #[serde(rename = "SetIdentifier")]
    one_of_several: Option<String>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ResourceRecords {
    #[serde(default)]
    resource_record: Vec<ResourceRecord>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ResourceRecord {
    value: String,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AliasTarget {
    #[serde(rename = "DNSName")]
    dns_name: String,
}

impl Set {
    pub(super) fn name(&self) -> Option<Fqdn> {
        Fqdn::parse(&unescaped(&self.name)).ok()
    }

    /// Adds its data to the sets that are read.
    pub(super) fn add_to(&self, sets: &mut Sets) {
        let type_ = RecordType::of(&self.type_);
        let mut add = |value| sets.add(&unescaped(&self.name), type_.clone(), self.ttl, value);
        if let Some(target) = &self.alias_target {
            // In the way, and equal to nothing that anybody wants.
            add(format!("an alias of Amazon's to {}", target.dns_name));
        }
        for record in &self.resource_records.resource_record {
            let value = from_presentation(&type_, &decimal(&record.value));
            add(match &self.one_of_several {
                Some(identifier) => format!("{value} (one of several: {identifier})"),
                None => value,
            });
        }
    }

    /// Whether it is this set, as texts may be written in several ways.
    pub(super) fn is(&self, set: &RrSet) -> bool {
        let mut sets = Sets::default();
        self.add_to(&mut sets);
        sets.into_vec() == std::slice::from_ref(set)
    }

    /// As it is written there.
    pub(super) fn as_written(&self) -> Written {
        Written {
            name: self.name.clone(),
            type_: self.type_.clone(),
            ttl: self.ttl,
            values: self
                .resource_records
                .resource_record
                .iter()
                .map(|record| record.value.clone())
                .collect(),
        }
    }
}

/// A set as it is written in a batch.
pub(super) struct Written {
    name: String,
    type_: String,
    ttl: u32,
    values: Vec<String>,
}

impl Written {
    /// As we write it.
    pub(super) fn of(set: &RrSet) -> Self {
        Self {
            name: set.name.absolute(),
            type_: set.type_.as_str().to_owned(),
            ttl: set.ttl,
            values: set
                .values
                .iter()
                .map(|value| octal(&presentation(&set.type_, value)))
                .collect(),
        }
    }

    /// The change `CREATE` or `DELETE` of it.
    pub(super) fn change(&self, action: &str) -> String {
        let records: String = self
            .values
            .iter()
            .map(|value| format!("<ResourceRecord><Value>{}</Value></ResourceRecord>", escape(value)))
            .collect::<Vec<_>>()
            .concat();
        format!(
            "<Change><Action>{action}</Action><ResourceRecordSet><Name>{}</Name><Type>{}</Type><TTL>{}</TTL>\
             <ResourceRecords>{records}</ResourceRecords></ResourceRecordSet></Change>",
            escape(&self.name),
            self.type_,
            self.ttl
        )
    }
}

/// A batch of changes.
pub(super) fn batch(changes: &[String]) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
         <ChangeResourceRecordSetsRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\">\
         <ChangeBatch><Changes>{}</Changes></ChangeBatch></ChangeResourceRecordSetsRequest>",
        changes.concat()
    )
}

/// A name whose octets may be written as `\052`, in octal.
fn unescaped(name: &str) -> String {
    let text = escapes(name, 8, |octet| char::from(octet).to_string());
    text.strip_suffix('.').map(str::to_owned).unwrap_or(text)
}

/// A text of a zone file, whose octets Route 53 writes in octal.
fn decimal(text: &str) -> String {
    escapes(text, 8, |octet| format!("\\{octet:03}"))
}

/// The opposite.
fn octal(text: &str) -> String {
    escapes(text, 10, |octet| format!("\\{octet:03o}"))
}

/// The text with its escapes of three digits written another way; those of one character stay.
fn escapes(text: &str, radix: u32, write: impl Fn(u8) -> String) -> String {
    let mut rest = text;
    let mut written = String::new();
    while let Some((before, after)) = rest.split_once('\\') {
        written.push_str(before);
        let digits = after
            .get(..3)
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()));
        if let Some(octet) = digits.and_then(|digits| u8::from_str_radix(digits, radix).ok()) {
            written.push_str(&write(octet));
            rest = after.get(3..).unwrap_or_default();
        } else {
            // Of `\\`, the second is no escape of its own.
            let length = after.chars().next().map_or(0, char::len_utf8);
            let (escaped, more) = after.split_at(length);
            written.push('\\');
            written.push_str(escaped);
            rest = more;
        }
    }
    written.push_str(rest);
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_octal_there_and_decimal_here() {
        assert_eq!(decimal(r#""a\303\251 \"b\" \\052""#), r#""a\195\169 \"b\" \\052""#);
        assert_eq!(octal(r#""a\195\169 \"b\" \\""#), r#""a\303\251 \"b\" \\""#);
        assert_eq!(unescaped(r"\052.beta.example."), "*.beta.example");
    }

    #[test]
    fn sets_of_amazons_own_are_seen_and_equal_nothing() {
        let page = "<ListResourceRecordSetsResponse><ResourceRecordSets><ResourceRecordSet>\
                    <Name>www.beta.example.</Name><Type>A</Type><AliasTarget><HostedZoneId>Z1</HostedZoneId>\
                    <DNSName>elb.amazonaws.com.</DNSName><EvaluateTargetHealth>false</EvaluateTargetHealth></AliasTarget>\
                    </ResourceRecordSet><ResourceRecordSet><Name>w.beta.example.</Name><Type>A</Type>\
                    <SetIdentifier>blue</SetIdentifier><Weight>1</Weight><TTL>60</TTL><ResourceRecords><ResourceRecord>\
                    <Value>192.0.2.1</Value></ResourceRecord></ResourceRecords></ResourceRecordSet></ResourceRecordSets>\
                    <IsTruncated>false</IsTruncated><MaxItems>300</MaxItems></ListResourceRecordSetsResponse>";
        let page: Page = quick_xml::de::from_str(page).unwrap();
        let mut sets = Sets::default();
        for set in &page.resource_record_sets.resource_record_set {
            set.add_to(&mut sets);
        }
        let values: Vec<_> = sets.into_vec().into_iter().flat_map(|set| set.values).collect();
        assert_eq!(
            values,
            [
                "192.0.2.1 (one of several: blue)",
                "an alias of Amazon's to elb.amazonaws.com."
            ]
        );
    }
}
