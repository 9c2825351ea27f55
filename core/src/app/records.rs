//! DnsRecords beside an app: those that follow it, and those that lead from its hosts.

use super::validate;
use crate::api::StartupApp;
use crate::api::dns::{DnsRecord, DnsRecordSpec, RecordTypeChoice};
use crate::dns::follow::Followed;
use crate::dns::judge;
use crate::platform::{NamespaceContext, Platform};

/// What an app is to the DnsRecords that follow it. `addresses`: where its Ingress is reached.
pub fn followed(
    app: &StartupApp,
    platform: &Platform,
    namespace: &NamespaceContext,
    addresses: Vec<String>,
) -> Followed {
    match validate::exposed_by(app, platform, namespace) {
        Ok(None) => Followed::NotExposed,
        Ok(Some(class)) if !class.targets.is_empty() => Followed::At(class.targets),
        // One that is refused may be reached by what was rendered before: its Ingress tells.
        Ok(Some(_)) | Err(_) => Followed::At(addresses),
    }
}

/// Whether a record leads from a host somewhere, so that another one that does cannot stand beside it. (Texts and mail
/// can.)
pub fn leads_from(record: &DnsRecord, host: &str) -> bool {
    let DnsRecordSpec {
        targets,
        app_ref,
        delegation,
        type_,
        ..
    } = &record.spec;
    let leads = !targets.is_empty()
        || app_ref.is_some()
        || delegation.is_some()
        || matches!(
            type_,
            Some(
                RecordTypeChoice::A
                    | RecordTypeChoice::AAAA
                    | RecordTypeChoice::CNAME
                    | RecordTypeChoice::ALIAS
                    | RecordTypeChoice::NS
            )
        );
    leads && judge::name(record).is_ok_and(|name| name.as_str() == host)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_record_follows_its_app_to_where_the_platform_says_else_to_its_ingress() {
        let platform = "
exposures:
- {name: own, default: true, scheme: http, type: Ingress}
- {name: shared, scheme: http, type: Ingress, targets: [lb.example.org]}
domains: [{domain: '*'}]
sizes: {M: {cpu: 250m, memory: 256Mi, default: true}}
security: {type: OpenShift}";
        let platform = Platform::parse(platform).unwrap();
        let namespace = platform.namespace("blue", &BTreeMap::new());
        let ingress = || vec!["192.0.2.1".to_owned()];
        for (spec, expected) in [
            ("{image: 'ghcr.io/a/b:1', hosts: [x.org]}", Followed::At(ingress())),
            (
                "{image: 'ghcr.io/a/b:1', hosts: [x.org], exposure: shared}",
                Followed::At(vec!["lb.example.org".to_owned()]),
            ),
            ("{image: 'ghcr.io/a/b:1', exposure: None}", Followed::NotExposed),
            // Refused: what was rendered before may stand.
            ("{image: 'ghcr.io/a/b:latest', exposure: None}", Followed::At(ingress())),
        ] {
            let app = crate::app::testing::app(spec);
            assert_eq!(followed(&app, &platform, &namespace, ingress()), expected, "{spec}");
        }
    }
}
