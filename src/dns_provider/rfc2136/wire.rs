//! Between record sets and the records of messages.

use std::net::{Ipv4Addr, Ipv6Addr};

use hickory_proto::rr::rdata::{A, AAAA, CNAME, MX, NS, NULL, SRV, TXT};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType as Code};
use tremplin_core::dns::{Fqdn, RecordType, RrSet};

use crate::dns_provider::Failure;
use crate::dns_provider::data::{self, Sets, from_presentation};

/// What a server adds by itself for DNSSEC: no records of anybody.
const SIGNING: [Code; 5] = [Code::RRSIG, Code::NSEC, Code::NSEC3, Code::NSEC3PARAM, Code::DNSKEY];

pub(in crate::dns_provider) fn name(fqdn: &Fqdn) -> Result<Name, Failure> {
    absolute(fqdn.as_str())
}

fn absolute(text: &str) -> Result<Name, Failure> {
    let mut name = Name::from_ascii(text).map_err(|error| Failure::Refused(format!("the name {text:?}: {error}")))?;
    name.set_fqdn(true);
    Ok(name)
}

pub(in crate::dns_provider) fn code(type_: &RecordType) -> Result<Code, Failure> {
    // The provider's own, without a number of its own.
    if *type_ == RecordType::Alias {
        return Err(Failure::Refused("dynamic updates know no ALIAS".into()));
    }
    type_
        .as_str()
        .parse()
        .map_err(|_| Failure::Refused(format!("records of type {type_} are not written")))
}

/// The records of a set.
pub(super) fn records(set: &RrSet) -> Result<Vec<Record>, Failure> {
    let owner = name(&set.name)?;
    set.values
        .iter()
        .map(|value| {
            let data = data(&set.type_, value)?;
            Ok(Record::from_rdata(owner.clone(), set.ttl, data))
        })
        .collect()
}

/// What stands for a whole set, without data: with class `ANY` or `NONE` (RFC 2136, 2.4 and 2.5).
pub(super) fn whole(name: Name, type_: Code, class: DNSClass) -> Record {
    let mut record = Record::update0(name, 0, type_).into_record_of_rdata();
    record.dns_class = class;
    record
}

fn data(type_: &RecordType, value: &str) -> Result<RData, Failure> {
    let wrong = || Failure::Refused(format!("{value:?} is no data of a record of type {type_}"));
    let words: Vec<&str> = value.split(' ').collect();
    let number = |text: &str| text.parse::<u16>().map_err(|_| wrong());
    Ok(match (type_, words.as_slice()) {
        (RecordType::A, [address]) => RData::A(A(address.parse::<Ipv4Addr>().map_err(|_| wrong())?)),
        (RecordType::Aaaa, [address]) => RData::AAAA(AAAA(address.parse::<Ipv6Addr>().map_err(|_| wrong())?)),
        (RecordType::Cname, [host]) => RData::CNAME(CNAME(absolute(host)?)),
        (RecordType::Ns, [host]) => RData::NS(NS(absolute(host)?)),
        (RecordType::Mx, [preference, host]) => RData::MX(MX::new(number(preference)?, absolute(host)?)),
        (RecordType::Srv, [priority, weight, port, host]) => RData::SRV(SRV::new(
            number(priority)?,
            number(weight)?,
            number(port)?,
            absolute(host)?,
        )),
        (RecordType::Txt, _) => RData::TXT(TXT::from_bytes(strings(value))),
        (RecordType::Caa, [flags, tag, ..]) => {
            let text = value.splitn(3, ' ').nth(2).unwrap_or_default().trim_matches('"');
            let flags = flags.parse::<u8>().map_err(|_| wrong())?;
            let length = u8::try_from(tag.len()).map_err(|_| wrong())?;
            // RFC 8659, 4.1.
            plain(Code::CAA, [&[flags, length], tag.as_bytes(), text.as_bytes()].concat())
        }
        (RecordType::Ds, [tag, algorithm, digest_type, digest]) => {
            let small = |text: &str| text.parse::<u8>().map_err(|_| wrong());
            let mut octets = number(tag)?.to_be_bytes().to_vec();
            octets.extend([small(algorithm)?, small(digest_type)?]);
            octets.extend(digits(digest).ok_or_else(wrong)?);
            // RFC 4034, 5.1.
            plain(Code::DS, octets)
        }
        _ => return Err(wrong()),
    })
}

fn plain(code: Code, octets: Vec<u8>) -> RData {
    let rdata = NULL::with(octets);
    RData::Unknown { code, rdata }
}

fn digits(text: &str) -> Option<Vec<u8>> {
    let values: Vec<u32> = text.chars().map(|c| c.to_digit(16)).collect::<Option<_>>()?;
    values
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => u8::try_from(high * 16 + low).ok(),
            _ => None,
        })
        .collect()
}

/// A text in strings of at most 255 octets, none of which ends inside a character.
fn strings(text: &str) -> Vec<&[u8]> {
    let mut strings = Vec::new();
    let mut rest = text;
    loop {
        let end = rest.floor_char_boundary(255);
        let (string, more) = rest.split_at(end);
        strings.push(string.as_bytes());
        if more.is_empty() {
            return strings;
        }
        rest = more;
    }
}

/// The sets that some records make.
pub(in crate::dns_provider) fn sets<'a>(records: impl IntoIterator<Item = &'a Record>) -> Vec<RrSet> {
    let mut sets = Sets::default();
    for record in records {
        let code = record.record_type();
        if SIGNING.contains(&code) {
            continue;
        }
        let type_ = match code {
            Code::Unknown(number) => RecordType::Other(format!("TYPE{number}")),
            code => RecordType::of(&code.to_string()),
        };
        let value = value(&type_, &record.data);
        sets.add(&record.name.to_ascii(), type_, record.ttl, value);
    }
    sets.into_vec()
}

fn value(type_: &RecordType, data: &RData) -> String {
    // Names as A-labels: as text, the library shows Unicode.
    let text = match data {
        RData::TXT(txt) => return String::from_utf8_lossy(&txt.txt_data.concat()).into_owned(),
        RData::CNAME(name) => name.0.to_ascii(),
        RData::NS(name) => name.0.to_ascii(),
        RData::MX(mx) => format!("{} {}", mx.preference, mx.exchange.to_ascii()),
        RData::SRV(srv) => format!("{} {} {} {}", srv.priority, srv.weight, srv.port, srv.target.to_ascii()),
        RData::Unknown { rdata, .. } => {
            // RFC 3597, 5.
            format!("\\# {} {}", rdata.anything.len(), data::hexadecimal(&rdata.anything))
        }
        other => other.to_string(),
    };
    from_presentation(type_, &text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_proto::op::Message;

    fn set(type_: RecordType, values: &[&str]) -> RrSet {
        RrSet {
            name: Fqdn::parse("*.x.beta.example").unwrap(),
            type_,
            ttl: 300,
            values: values.iter().map(|&value| value.to_owned()).collect(),
        }
    }

    #[test]
    fn sets_survive_the_wire() {
        let long = "é".repeat(400);
        let sent = [
            set(RecordType::A, &["192.0.2.1", "192.0.2.2"]),
            set(RecordType::Aaaa, &["2001:db8::1"]),
            set(
                RecordType::Caa,
                &["0 issue \"ca.example; policy=ev\"", "128 iodef \"mailto:a@b.example\""],
            ),
            set(RecordType::Cname, &["xn--t-9fab.example.org"]),
            set(
                RecordType::Ds,
                &["12345 13 2 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"],
            ),
            set(RecordType::Mx, &["0 .", "10 mail.example.org"]),
            set(RecordType::Ns, &["ns1.example.org"]),
            set(RecordType::Srv, &["0 5 5060 sip.example.org"]),
            set(RecordType::Txt, &[r#"a "quoted" \ text"#, &long]),
        ];
        let mut message = Message::query();
        for set in &sent {
            message.add_answers(records(set).unwrap());
        }
        let received = Message::from_vec(&message.to_vec().unwrap()).unwrap();
        let mut back = sets(&received.answers);
        let mut sent = sent.to_vec();
        back.sort();
        sent.sort();
        assert_eq!(back, sent);
    }

    #[test]
    fn a_type_without_a_number_is_refused() {
        assert!(matches!(code(&RecordType::Alias), Err(Failure::Refused(_))));
        assert!(matches!(
            code(&RecordType::Other("NONSENSE".into())),
            Err(Failure::Refused(_))
        ));
    }
}
