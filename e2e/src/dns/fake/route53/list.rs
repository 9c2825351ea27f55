//! What is listed: zones by name, and the sets of a zone.

use quick_xml::escape::escape;

use super::super::{Incoming, Reply};
use super::sets::{canonical, escaped, key};
use super::{PRIVATE, PUBLIC, Route53Service, Set, xml};

/// The most sets, or zones, of a page.
const SETS: usize = 300;
const ZONES: usize = 100;

impl Route53Service {
    /// The zones from a name on: those of that name, if there are any, and all that come after.
    pub(super) fn zones(&self, request: &Incoming) -> Reply {
        let origin = canonical(self.published.origin());
        // Another account's zone would not be here; another zone of this one is.
        let after = format!("zz-{origin}");
        let all = [
            (PRIVATE, &origin, true),
            (PUBLIC, &origin, false),
            ("Z0OTHER", &after, false),
        ];
        let from = request.parameter("dnsname").unwrap_or_default();
        let from_key = key(&from, "");
        let found = all
            .into_iter()
            .filter(|(_, name, _)| from.is_empty() || key(name, "") >= from_key);
        let size = size(request, ZONES);
        let zones: Vec<_> = found
            .map(|(id, name, private)| hosted_zone(id, name, private))
            .collect();
        let shown = zones.get(..size.min(zones.len())).unwrap_or_default().concat();
        let truncated = zones.len() > size;
        let content = format!(
            "<HostedZones>{shown}</HostedZones><DNSName>{}</DNSName><IsTruncated>{truncated}</IsTruncated>\
             <MaxItems>{size}</MaxItems>",
            escape(&from)
        );
        xml(200, "ListHostedZonesByNameResponse", &content)
    }

    pub(super) fn zone(&self, id: &str) -> Reply {
        let origin = canonical(self.published.origin());
        let servers = format!("<NameServers><NameServer>ns1.{origin}</NameServer></NameServers>");
        let content = format!(
            "{}<DelegationSet>{servers}</DelegationSet>",
            hosted_zone(id, &origin, id == PRIVATE)
        );
        xml(200, "GetHostedZoneResponse", &content)
    }

    /// The sets from a name and type on: the one of that name, if it is there, and all that come after.
    pub(super) fn list(&self, id: &str, request: &Incoming) -> Reply {
        let origin = self.published.origin();
        let mut sets: Vec<_> = self
            .sets(id)
            .into_iter()
            .flat_map(|sets| sets.0.values().cloned())
            .collect();
        sets.push(Set {
            name: canonical(origin),
            kind: "SOA".to_owned(),
            ttl: 900,
            values: vec![self.published.soa()],
        });
        sets.sort_by_cached_key(|set| key(&set.name, &set.kind));
        let (name, kind) = (request.parameter("name"), request.parameter("type"));
        let from = name.map(|name| key(&name, &kind.unwrap_or_default()));
        sets.retain(|set| from.as_ref().is_none_or(|from| key(&set.name, &set.kind) >= *from));
        let size = size(request, SETS);
        let next = sets.get(size).map(|set| {
            let (name, kind) = (escaped(&set.name), &set.kind);
            format!(
                "<NextRecordName>{}</NextRecordName><NextRecordType>{kind}</NextRecordType>",
                escape(&name)
            )
        });
        let shown: Vec<_> = sets.iter().take(size).map(told).collect();
        let content = format!(
            "<ResourceRecordSets>{}</ResourceRecordSets><IsTruncated>{}</IsTruncated>{}<MaxItems>{size}</MaxItems>",
            shown.concat(),
            next.is_some(),
            next.unwrap_or_default()
        );
        xml(200, "ListResourceRecordSetsResponse", &content)
    }
}

fn size(request: &Incoming, most: usize) -> usize {
    let wanted = request.parameter("maxitems").and_then(|value| value.parse().ok());
    wanted.unwrap_or(most).clamp(1, most)
}

fn hosted_zone(id: &str, name: &str, private: bool) -> String {
    format!(
        "<HostedZone><Id>/hostedzone/{id}</Id><Name>{}</Name><CallerReference>fake</CallerReference>\
         <Config><PrivateZone>{private}</PrivateZone></Config></HostedZone>",
        escape(name)
    )
}

fn told(set: &Set) -> String {
    let values = set.values.iter();
    let records = values.map(|value| format!("<ResourceRecord><Value>{}</Value></ResourceRecord>", escape(value)));
    format!(
        "<ResourceRecordSet><Name>{}</Name><Type>{}</Type><TTL>{}</TTL><ResourceRecords>{}</ResourceRecords>\
         </ResourceRecordSet>",
        escape(escaped(&set.name)),
        set.kind,
        set.ttl,
        records.collect::<Vec<_>>().concat()
    )
}
