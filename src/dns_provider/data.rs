//! Between the canonical form of data and the ways in which providers write it.

use std::collections::{BTreeMap, BTreeSet};

use tremplin_core::dns::rrset::{canonical, unquoted};
pub(super) use tremplin_core::dns::zone_file::presentation;
use tremplin_core::dns::{Change, Fqdn, RecordType, RrSet};

/// Canonical data from the way zone files have it. What others wrote may be no valid data of its type: it is kept as it
/// is, so that it is still seen to be there.
pub(super) fn from_presentation(type_: &RecordType, text: &str) -> String {
    if *type_ == RecordType::Txt {
        return unquoted(text);
    }
    canonical(type_, text).unwrap_or_else(|_| text.split_ascii_whitespace().collect::<Vec<_>>().join(" "))
}

/// Canonical data where a name without a dot at its end is relative to the zone, and a text may be without quotes.
pub(super) fn from_relative(type_: &RecordType, text: &str, domain: &Fqdn) -> String {
    let text = text.trim();
    match type_ {
        RecordType::Txt if !text.starts_with('"') => text.to_owned(),
        RecordType::Cname | RecordType::Alias | RecordType::Ns | RecordType::Mx | RecordType::Srv
            if !text.ends_with('.') =>
        {
            let absolute = match text.strip_suffix('@') {
                Some(before) => format!("{before}{domain}."),
                None => format!("{text}.{domain}."),
            };
            from_presentation(type_, &absolute)
        }
        _ => from_presentation(type_, text),
    }
}

/// Changes that go into one call each: all of them if they fit; if not, all of one name together, up to `most` in a call
/// and `longest` by the measure of `size`.
pub(super) fn batches(
    changes: &[Change],
    most: usize,
    longest: usize,
    size: impl Fn(&Change) -> usize,
) -> Vec<Vec<&Change>> {
    if changes.len() <= most && changes.iter().map(&size).sum::<usize>() <= longest {
        return vec![changes.iter().collect()];
    }
    let mut names: Vec<Vec<&Change>> = Vec::new();
    let mut places = BTreeMap::new();
    for change in changes {
        let Some(name) = change.name() else { continue };
        let place = *places.entry(name).or_insert(names.len());
        match names.get_mut(place) {
            Some(some) => some.push(change),
            None => names.push(vec![change]),
        }
    }
    let mut batches: Vec<(usize, Vec<&Change>)> = Vec::new();
    for some in names {
        let length: usize = some.iter().copied().map(&size).sum();
        match batches.last_mut() {
            Some((full, batch)) if *full + length <= longest && batch.len() + some.len() <= most => {
                *full += length;
                batch.extend(some);
            }
            _ => batches.push((length, some)),
        }
    }
    batches.into_iter().map(|(_, batch)| batch).collect()
}

/// Octets as signatures are written.
pub(super) fn hexadecimal(octets: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(nibble.into(), 16).unwrap_or_default();
    octets
        .iter()
        .flat_map(|octet| [digit(octet >> 4), digit(octet & 15)])
        .collect()
}

/// Puts records together into sets. Records of one set with different TTLs have the least of them.
#[derive(Default)]
pub(super) struct Sets(BTreeMap<(Fqdn, RecordType), (u32, BTreeSet<String>)>);

impl Sets {
    /// Adds a record. A name that is none of ours (such as one with a space) is left out: no record of ours has it, so
    /// nothing is ever decided about it.
    pub(super) fn add(&mut self, name: &str, type_: RecordType, ttl: u32, value: String) {
        let Ok(name) = Fqdn::parse(name) else { return };
        let set = self.0.entry((name, type_)).or_insert((ttl, BTreeSet::new()));
        set.0 = set.0.min(ttl);
        set.1.insert(value);
    }

    pub(super) fn into_vec(self) -> Vec<RrSet> {
        let set = |((name, type_), (ttl, values))| RrSet {
            name,
            type_,
            ttl,
            values,
        };
        self.0.into_iter().map(set).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_goes_there_and_back() {
        for (type_, value, written) in [
            (RecordType::A, "192.0.2.1", "192.0.2.1"),
            (RecordType::Cname, "a.example.org", "a.example.org."),
            (RecordType::Mx, "10 mail.example.org", "10 mail.example.org."),
            (RecordType::Mx, "0 .", "0 ."),
            (RecordType::Srv, "0 5 5060 sip.example.org", "0 5 5060 sip.example.org."),
            (RecordType::Txt, r#"say "a\b""#, r#""say \"a\\b\"""#),
            (RecordType::Caa, r#"0 issue "ca.example""#, r#"0 issue "ca.example""#),
        ] {
            assert_eq!(presentation(&type_, value), written);
            assert_eq!(from_presentation(&type_, written), value);
        }
    }

    #[test]
    fn what_is_not_valid_is_still_seen() {
        assert_eq!(
            from_presentation(&RecordType::Cname, "*.example.org."),
            "*.example.org."
        );
        assert_eq!(from_presentation(&RecordType::Txt, "\"\""), "");
    }

    #[test]
    fn records_of_one_name_and_type_are_one_set() {
        let mut sets = Sets::default();
        sets.add("X.example.org.", RecordType::A, 600, "192.0.2.1".into());
        sets.add("x.example.org", RecordType::A, 300, "192.0.2.2".into());
        sets.add("a b.example.org", RecordType::A, 300, "192.0.2.2".into());
        let sets = sets.into_vec();
        assert_eq!((sets.len(), sets[0].ttl, sets[0].values.len()), (1, 300, 2));
    }
}
