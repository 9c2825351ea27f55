//! Aliases that lead in a circle: no resolver follows them to an end.

use super::name::Fqdn;
use super::reasons::Reason;
use super::rrset::{RecordType, RrSet};
use super::wanted;
use crate::api::dns::DnsRecordSpec;
use crate::fault::Fault;

/// How far aliases are followed: resolvers give up about there.
const MOST_STEPS: usize = 16;

/// Whether no CNAME of these sets, which a spec asks for, leads back to its own name. `alias`: where a name leads by the CNAME of another record.
///
/// # Errors
/// `InvalidSpec`, with the way around.
pub fn check(spec: &DnsRecordSpec, sets: &[RrSet], alias: impl Fn(&Fqdn) -> Option<Fqdn>) -> Result<(), Fault<Reason>> {
    for set in sets.iter().filter(|set| set.type_ == RecordType::Cname) {
        let first = set.values.first().and_then(|host| Fqdn::parse(host).ok());
        let way: Vec<_> = std::iter::successors(first, &alias).take(MOST_STEPS).collect();
        let Some(end) = way.iter().position(|name| *name == set.name) else {
            continue;
        };
        let steps: Vec<_> = way.iter().take(end + 1).map(Fqdn::as_str).collect();
        let message = format!("{} would lead in a circle: to {}", set.name, steps.join(", then to "));
        let fix = "write the host that serves it";
        return Err(Fault::stalled(Reason::InvalidSpec, message, fix).at(wanted::field(spec)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::testing::name;

    fn cname(from: &str, to: &str) -> RrSet {
        RrSet {
            name: name(from),
            type_: RecordType::Cname,
            ttl: 300,
            values: [to.to_owned()].into(),
        }
    }

    #[test]
    fn a_way_back_is_found_and_another_circle_is_not_ours() {
        let alias = |from: &Fqdn| match from.as_str() {
            "b.z.org" => Some(name("c.z.org")),
            "c.z.org" => Some(name("a.z.org")),
            "d.z.org" => Some(name("e.z.org")),
            "e.z.org" => Some(name("d.z.org")),
            _ => None,
        };
        let spec = serde_saphyr::from_str("{name: a.z.org, type: CNAME, values: [b.z.org]}").unwrap();
        let fault = check(&spec, &[cname("a.z.org", "b.z.org")], alias).unwrap_err();
        assert_eq!(fault.field.as_deref(), Some("spec.values"));
        assert_eq!(
            fault.message,
            "a.z.org would lead in a circle: to b.z.org, then to c.z.org, then to a.z.org"
        );
        assert_eq!(check(&spec, &[cname("f.z.org", "b.z.org")], |_| None), Ok(()));
        assert_eq!(
            check(&spec, &[cname("f.z.org", "d.z.org")], alias),
            Ok(()),
            "and it ends"
        );
    }
}
