//! What is at the names that something is asked for, and what that comes to.

use std::collections::BTreeMap;

use tremplin_core::dns::plan::{Planned, Want};
use tremplin_core::dns::{Fqdn, Reason, Zone};

use super::write::{names, plan_all, read};
use crate::dns_provider::{Failure, Provider};

/// Reads what is at the names of these wants, and plans. What seems to be somebody else's is read again: a provider is
/// read name by name, and who writes meanwhile, such as an operator that lost its lease and does not know it yet, may
/// show data and not the mark that belongs to it.
///
/// # Errors
/// The provider's failure.
pub async fn plan(
    provider: &dyn Provider,
    wants: &BTreeMap<Fqdn, Want>,
    zone: &Zone,
) -> Result<BTreeMap<Fqdn, Planned>, Failure> {
    let mut planned = plan_once(provider, wants, zone).await?;
    let seems_foreign = |name: &Fqdn| {
        let conflict = planned.get(name).and_then(|planned| planned.conflict.as_ref());
        conflict.is_some_and(|fault| fault.reason == Reason::NotOurs)
    };
    let doubted: BTreeMap<Fqdn, Want> = wants
        .iter()
        .filter(|(name, _)| seems_foreign(name))
        .map(|(name, want)| (name.clone(), want.clone()))
        .collect();
    if !doubted.is_empty() {
        planned.extend(plan_once(provider, &doubted, zone).await?);
    }
    Ok(planned)
}

async fn plan_once(
    provider: &dyn Provider,
    wants: &BTreeMap<Fqdn, Want>,
    zone: &Zone,
) -> Result<BTreeMap<Fqdn, Planned>, Failure> {
    let current = read(provider, &names(wants, &zone.domain)).await?;
    Ok(plan_all(wants, &current, zone, provider.profile()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::FutureExt as _;
    use futures::future::BoxFuture;
    use k8s_openapi::jiff::Timestamp;
    use serde_json::json;
    use tremplin_core::api::DnsZone;
    use tremplin_core::api::dns::ProviderType;
    use tremplin_core::dns::ownership::{Mark, Owner, mark_name};
    use tremplin_core::dns::{Change, Profile, RecordType, RrSet};

    use super::*;
    use crate::dns_provider::{Credential, profile};

    /// Shows data first, and its mark from the second reading on, if ever.
    struct Torn {
        profile: Profile,
        data: RrSet,
        mark: Option<RrSet>,
        readings: AtomicUsize,
    }

    impl Provider for Torn {
        fn profile(&self) -> &Profile {
            &self.profile
        }

        fn verify(&self) -> BoxFuture<'_, Result<Credential, Failure>> {
            async { Ok(Credential::default()) }.boxed()
        }

        fn read<'a>(&'a self, _: &'a BTreeSet<Fqdn>) -> BoxFuture<'a, Result<Vec<RrSet>, Failure>> {
            let is_first = self.readings.fetch_add(1, Ordering::SeqCst) == 0;
            let mark = self.mark.clone().filter(|_| !is_first);
            async move { Ok(mark.into_iter().chain([self.data.clone()]).collect()) }.boxed()
        }

        fn read_all(&self) -> BoxFuture<'_, Result<Vec<RrSet>, Failure>> {
            unreachable!()
        }

        fn write<'a>(&'a self, _: &'a [Change]) -> BoxFuture<'a, Result<(), Failure>> {
            unreachable!()
        }
    }

    async fn planned(is_marked: bool) -> (Planned, usize) {
        let object = json!({
            "apiVersion": "tremplin.dev/v1alpha1", "kind": "DnsZone", "metadata": {"name": "shared"},
            "spec": {"domain": "z.org", "provider": {"type": "PowerDNS"}},
        });
        let zone = Zone::parse(&serde_json::from_value::<DnsZone>(object).unwrap()).unwrap();
        let name = Fqdn::parse("app.z.org").unwrap();
        let data = RrSet {
            name: name.clone(),
            type_: RecordType::A,
            ttl: 300,
            values: ["192.0.2.1".to_owned()].into(),
        };
        let owner = Owner {
            cluster: "one".into(),
            namespace: "blue".into(),
            since: Timestamp::UNIX_EPOCH,
        };
        let mark = Mark {
            owner: owner.clone(),
            types: [RecordType::A].into(),
        };
        let mark = mark.set(mark_name(&name, &zone.domain, false).unwrap());
        let provider = Torn {
            profile: profile(ProviderType::PowerDns),
            data: data.clone(),
            mark: is_marked.then_some(mark),
            readings: AtomicUsize::new(0),
        };
        let want = Want {
            name: name.clone(),
            owner,
            sets: [(RecordType::A, data)].into(),
            withdraw: BTreeSet::new(),
            adopted: false,
        };
        let wants = BTreeMap::from([(name.clone(), want)]);
        let mut planned = plan(&provider, &wants, &zone).await.unwrap();
        (planned.remove(&name).unwrap(), provider.readings.into_inner())
    }

    #[tokio::test]
    async fn what_was_read_while_it_was_written_is_not_taken_for_foreign() {
        assert_eq!(planned(true).await, (Planned::default(), 2));
    }

    #[tokio::test]
    async fn what_is_read_twice_without_our_mark_is_foreign() {
        let (planned, readings) = planned(false).await;
        assert_eq!(planned.conflict.unwrap().reason, Reason::NotOurs);
        assert_eq!(readings, 2);
    }
}
