//! What an authority answers from the records of one zone (RFC 1034, 4.3.2; RFC 4592 for wildcards).

use std::collections::BTreeMap;
use std::net::IpAddr;

use anyhow::{Context, Result, bail};
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::{SOA, TXT};
use hickory_proto::rr::{LowerName, Name, RData, Record, RecordSet, RecordType};
use hickory_proto::serialize::txt::Parser;

use super::txt;
use crate::dns::query::{self, record};

/// How many aliases are followed.
const ALIASES: usize = 8;

/// The records of a zone, by name and type.
pub(super) struct Zone {
    origin: LowerName,
    nodes: BTreeMap<LowerName, BTreeMap<RecordType, Vec<Record>>>,
}

/// What is answered to a question.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Found {
    pub(super) code: ResponseCode,
    pub(super) authoritative: bool,
    pub(super) answers: Vec<Record>,
    pub(super) authorities: Vec<Record>,
    pub(super) additionals: Vec<Record>,
}

/// The records of these lines of a master file, names being relative to `origin`.
pub(super) fn records(origin: &str, text: &str) -> Result<Vec<query::Record>> {
    let sets = parse(origin, text)?;
    let records = sets.iter().flat_map(RecordSet::records_without_rrsigs);
    Ok(records.map(record).collect())
}

/// The first SOA of these lines.
pub(super) fn soa(origin: &str, text: &str) -> Result<SOA> {
    let sets = parse(origin, text)?;
    let mut records = sets.iter().flat_map(RecordSet::records_without_rrsigs);
    let soa = records.find_map(|record| match &record.data {
        RData::SOA(soa) => Some(soa.clone()),
        _ => None,
    });
    soa.with_context(|| format!("no SOA in the zone {origin}"))
}

fn parse(origin: &str, text: &str) -> Result<Vec<RecordSet>> {
    let text = format!("$TTL 3600\n{text}\n");
    let (_, sets) = Parser::new(text.as_str(), None, Some(absolute(origin)?))
        .parse()
        .with_context(|| format!("no records of {origin}:\n{text}"))?;
    Ok(sets.into_values().collect())
}

fn absolute(name: &str) -> Result<Name> {
    let mut name = Name::from_ascii(name).with_context(|| format!("{name:?} is no name"))?;
    name.set_fqdn(true);
    Ok(name)
}

/// A record as a service has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its name, relative to the zone (the apex being empty) or with a dot at its end.
    pub name: String,
    /// Its type, in letters.
    pub kind: String,
    /// In seconds.
    pub ttl: u32,
    /// Its data, as a master file has it.
    pub data: String,
}

impl Row {
    /// The record that a name server of the zone reads.
    pub(super) fn read(&self, origin: &str) -> Result<Record> {
        let Self { name, kind, ttl, data } = self;
        let name = if name.is_empty() { "@" } else { name };
        // The parser leaves out what is too much.
        let words = match kind.as_str() {
            "A" | "AAAA" | "CNAME" | "NS" | "PTR" => Some(1),
            "MX" => Some(2),
            "SRV" => Some(4),
            _ => None,
        };
        if words.is_some_and(|words| words != data.split_whitespace().count()) {
            bail!("no data of a {kind}: {data:?}");
        }
        // The parser reads `\195` in a string as something else, so strings are read here.
        let is_text = kind == "TXT";
        let data = if is_text { "\"\"" } else { data };
        let sets = parse(origin, &format!("{name} {ttl} IN {kind} {data}"))?;
        let mut records = sets.iter().flat_map(RecordSet::records_without_rrsigs).cloned();
        let (Some(mut record), None) = (records.next(), records.next()) else {
            bail!("not one record: {self:?}");
        };
        if is_text {
            let strings = txt::strings(&self.data).with_context(|| format!("not quoted: {self:?}"))?;
            if strings.iter().any(|string| string.len() > txt::MOST) {
                bail!("a string of more than {} octets: {self:?}", txt::MOST);
            }
            record.data = RData::TXT(TXT::from_bytes(strings.iter().map(Vec::as_slice).collect()));
        }
        Ok(record)
    }
}

impl From<&query::Record> for Row {
    fn from(record: &query::Record) -> Self {
        Self {
            name: format!("{}.", record.name),
            kind: record.kind.to_string(),
            ttl: record.ttl,
            data: record.data.clone(),
        }
    }
}

/// The name without the zone, the apex being empty.
pub(super) fn relative(name: &str, origin: &str) -> String {
    let above = name.strip_suffix(origin).unwrap_or(name);
    above.strip_suffix('.').unwrap_or(above).to_owned()
}

/// These rows as they are served: an ALIAS is what its target leads to, by this list of the world's names.
pub(super) fn resolved(rows: Vec<Row>, world: &[(String, IpAddr)]) -> Vec<Row> {
    let resolve = |row: Row| {
        if row.kind != "ALIAS" {
            return vec![row];
        }
        let target = row.data.trim_end_matches('.');
        let addresses = world.iter().filter(|(name, _)| name == target);
        let addresses = addresses.map(|(_, address)| Row {
            kind: if address.is_ipv4() { "A" } else { "AAAA" }.to_owned(),
            data: address.to_string(),
            ..row.clone()
        });
        addresses.collect()
    };
    rows.into_iter().flat_map(resolve).collect()
}

/// What these rows are to a name server of the zone; those that it cannot read are left out.
pub(super) fn readable(origin: &str, rows: &[Row]) -> Vec<query::Record> {
    let records = rows.iter().filter_map(|row| row.read(origin).ok());
    records.map(|read| record(&read)).collect()
}

impl Zone {
    /// A zone of these records.
    ///
    /// It fails as a name server does that reads it: when something does not parse, is outside the zone, or stands
    /// beside an alias.
    pub(super) fn new(origin: &str, soa: SOA, rows: &[Row]) -> Result<Self> {
        let apex = absolute(origin)?;
        let mut zone = Self {
            origin: apex.clone().into(),
            nodes: BTreeMap::new(),
        };
        zone.insert(Record::from_rdata(apex, 3600, RData::SOA(soa)))?;
        for row in rows {
            zone.insert(row.read(origin)?)?;
        }
        for (name, sets) in &zone.nodes {
            if sets.contains_key(&RecordType::CNAME) && (sets.len() > 1 || sets.values().any(|set| set.len() > 1)) {
                bail!("{name}: CNAME and other data");
            }
        }
        Ok(zone)
    }

    fn insert(&mut self, record: Record) -> Result<()> {
        let name = LowerName::from(&record.name);
        if !self.origin.zone_of(&name) {
            bail!("{name} is out of zone");
        }
        let set = self
            .nodes
            .entry(name)
            .or_default()
            .entry(record.record_type())
            .or_default();
        if !set.iter().any(|other| other.data == record.data) {
            set.push(record);
        }
        Ok(())
    }

    /// What is answered when `name` is asked for.
    pub(super) fn find(&self, name: &LowerName, kind: RecordType) -> Found {
        if !self.origin.zone_of(name) {
            return Found {
                code: ResponseCode::Refused,
                ..Found::default()
            };
        }
        let mut found = Found {
            authoritative: true,
            ..Found::default()
        };
        let mut name = name.clone();
        for _ in 0..ALIASES {
            if let Some(cut) = self.cut(&name, kind) {
                return self.refer(found, &cut);
            }
            let Some(records) = self.at(&name, kind) else {
                found.code = ResponseCode::NXDomain;
                break;
            };
            let alias = records.first().and_then(|record| match &record.data {
                RData::CNAME(target) if kind != RecordType::CNAME => Some(LowerName::from(&target.0)),
                _ => None,
            });
            let none = records.is_empty();
            found.answers.extend(records);
            match alias {
                // The way goes on elsewhere, or in a circle.
                Some(target) if !self.origin.zone_of(&target) => return found,
                Some(target) => name = target,
                None if none => break,
                None => return found,
            }
        }
        found.authorities = self.set(&self.origin, RecordType::SOA);
        found
    }

    /// The name below the apex from which on others answer, if `name` is there or below.
    fn cut(&self, name: &LowerName, kind: RecordType) -> Option<LowerName> {
        let above: Vec<_> = self.ancestors(name).collect();
        let mut candidates = above.into_iter().rev().filter(|above| *above != self.origin);
        candidates.find(|above| {
            let parents_own = kind == RecordType::DS && above == name;
            !parents_own && !self.set(above, RecordType::NS).is_empty()
        })
    }

    fn refer(&self, mut found: Found, cut: &LowerName) -> Found {
        // What was answered on the way is still ours.
        found.authoritative = !found.answers.is_empty();
        found.authorities = self.set(cut, RecordType::NS);
        let servers = found.authorities.iter().filter_map(|record| match &record.data {
            RData::NS(server) => Some(LowerName::from(&server.0)),
            _ => None,
        });
        found.additionals = servers
            .flat_map(|server| [RecordType::A, RecordType::AAAA].map(|kind| self.set(&server, kind)))
            .flatten()
            .collect();
        found
    }

    /// The records at `name`, or those that a wildcard gives it; `None` when there is no such name.
    fn at(&self, name: &LowerName, kind: RecordType) -> Option<Vec<Record>> {
        if let Some(sets) = self.nodes.get(name) {
            return Some(chosen(sets, kind));
        }
        if self.exists(name) {
            return Some(Vec::new());
        }
        let encloser = self.ancestors(name).find(|above| self.exists(above))?;
        let wildcard = Name::from_ascii("*").ok()?.append_domain(&Name::from(&encloser)).ok()?;
        let mut records = chosen(self.nodes.get(&LowerName::from(wildcard))?, kind);
        for record in &mut records {
            record.name = name.into();
        }
        Some(records)
    }

    /// Whether there is something at or below `name`.
    fn exists(&self, name: &LowerName) -> bool {
        let next = self.nodes.range(name..).next();
        next.is_some_and(|(next, _)| name.zone_of(next))
    }

    /// The name and all above it, up to the apex.
    fn ancestors(&self, name: &LowerName) -> impl Iterator<Item = LowerName> {
        let origin = self.origin.clone();
        std::iter::successors(Some(name.clone()), move |name| {
            (*name != origin).then(|| name.base_name())
        })
    }

    fn set(&self, name: &LowerName, kind: RecordType) -> Vec<Record> {
        let sets = self.nodes.get(name);
        sets.and_then(|sets| sets.get(&kind)).cloned().unwrap_or_default()
    }
}

/// The records of a type, or the alias that stands in its place.
fn chosen(sets: &BTreeMap<RecordType, Vec<Record>>, kind: RecordType) -> Vec<Record> {
    let alias = sets.get(&RecordType::CNAME);
    alias.or_else(|| sets.get(&kind)).cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
@ IN NS ns1
ns1 IN A 127.0.0.1
*.apps IN A 192.0.2.1
one.apps IN TXT "v=1" "c"
deep.one.apps IN A 192.0.2.2
www 60 IN CNAME deep.one.apps
out IN CNAME elsewhere.example.
round IN CNAME round
child IN NS ns.child
ns.child IN A 192.0.2.3
"#;

    fn zone(text: &str) -> Result<Zone> {
        let soa = soa("z.test", "@ IN SOA ns1 hostmaster 7 3600 600 86400 30")?;
        let rows: Vec<_> = records("z.test", text)?.iter().map(Row::from).collect();
        Zone::new("z.test", soa, &rows)
    }

    fn ask(name: &str, kind: RecordType) -> (ResponseCode, Vec<String>, Vec<String>) {
        let zone = zone(TEXT).unwrap();
        let found = zone.find(&absolute(name).unwrap().into(), kind);
        let told = |records: Vec<Record>| records.iter().map(|told| record(told).data).collect();
        (found.code, told(found.answers), told(found.authorities))
    }

    #[test]
    fn what_is_there_is_answered_and_aliases_are_followed() {
        let (code, answers, _) = ask("www.z.test", RecordType::A);
        assert_eq!(
            (code, answers),
            (
                ResponseCode::NoError,
                vec!["deep.one.apps.z.test.".to_owned(), "192.0.2.2".to_owned()]
            )
        );
        assert_eq!(ask("out.z.test", RecordType::A).1, ["elsewhere.example."]);
        assert_eq!(ask("one.apps.z.test", RecordType::TXT).1, [r#""v=1" "c""#]);
        assert_eq!(ask("round.z.test", RecordType::A).0, ResponseCode::NoError);
    }

    #[test]
    fn a_name_without_the_type_is_no_missing_name() {
        let soa = ["ns1.z.test. hostmaster.z.test. 7 3600 600 86400 30".to_owned()];
        for name in ["ns1.z.test", "apps.z.test"] {
            let (code, answers, authorities) = ask(name, RecordType::MX);
            assert_eq!((code, answers.len()), (ResponseCode::NoError, 0), "{name}");
            assert_eq!(authorities, soa);
        }
        let (code, _, authorities) = ask("nothing.z.test", RecordType::MX);
        assert_eq!((code, authorities.as_slice()), (ResponseCode::NXDomain, soa.as_slice()));
    }

    #[test]
    fn a_wildcard_answers_for_names_that_are_not_there_alone() {
        assert_eq!(ask("two.apps.z.test", RecordType::A).1, ["192.0.2.1"]);
        assert_eq!(ask("a.two.apps.z.test", RecordType::A).1, ["192.0.2.1"]);
        assert!(
            ask("one.apps.z.test", RecordType::A).1.is_empty(),
            "it is there, as a TXT"
        );
        assert_eq!(ask("other.one.apps.z.test", RecordType::A).0, ResponseCode::NXDomain);
    }

    #[test]
    fn what_was_delegated_is_referred() {
        let (code, answers, authorities) = ask("x.child.z.test", RecordType::A);
        assert_eq!((code, answers.len()), (ResponseCode::NoError, 0));
        assert_eq!(authorities, ["ns.child.z.test."]);
        assert_eq!(ask("z.other", RecordType::A).0, ResponseCode::Refused);
    }

    #[test]
    fn an_alias_beside_other_data_cannot_be_served() {
        let error = zone("a IN A 192.0.2.1\na IN CNAME b").err().unwrap();
        assert!(error.to_string().contains("CNAME and other data"), "{error:#}");
    }

    #[test]
    fn a_row_is_one_record_and_its_strings_are_octets() {
        let row = |kind: &str, data: &str| Row {
            name: "app".to_owned(),
            kind: kind.to_owned(),
            ttl: 60,
            data: data.to_owned(),
        };
        let text = r#""v=1; a=\"b\" \195" "c""#;
        assert_eq!(record(&row("TXT", text).read("z.test").unwrap()).data, text);
        let two = row("A", "192.0.2.1\napp IN A 192.0.2.2");
        for broken in [two, row("TXT", "bare"), row("TXT", &format!("\"{}\"", "x".repeat(256)))] {
            assert!(broken.read("z.test").is_err(), "{broken:?}");
        }
    }
}
