//! What can be told of a DnsRecord or DnsZone without a cluster: by the same code that the operator decides with.

use super::judge;
use super::reasons::Reason;
use super::wanted::without_zone;
use super::zone::Zone;
use crate::api::dns::{DnsRecord, DnsZone, DriftPolicy, LabelSelector, Operator, Provider, ProviderType};
use crate::fault::{Class, Fault};

/// Looks at a record. Whether a zone takes it is not known here.
///
/// # Errors
/// The first field that cannot work in any zone.
pub fn record(record: &DnsRecord) -> Result<(), Fault<Reason>> {
    match without_zone(&record.spec, &judge::name(record)?, None) {
        Err(fault) if fault.class == Class::Stalled => Err(fault),
        // An app's address is the cluster's to tell.
        _ => Ok(()),
    }
}

/// Looks at a zone.
///
/// # Errors
/// The first field that cannot work.
pub fn zone(zone: &DnsZone) -> Result<(), Fault<Reason>> {
    let spec = &zone.spec;
    provider(&spec.provider)?;
    let admitted = spec
        .admission
        .as_ref()
        .and_then(|admission| admission.namespaces.as_ref());
    if let Some(admitted) = admitted {
        selector("spec.admission.namespaces", admitted)?;
    }
    for (index, adoption) in spec.adoptions.iter().enumerate() {
        let field = format!("spec.adoptions[{index}].namespaceSelector");
        selector(&field, &adoption.namespace_selector)?;
    }
    let drift = spec.drift.as_ref().and_then(|drift| drift.policy);
    if spec.provider.type_ == ProviderType::Request && drift == Some(DriftPolicy::Warn) {
        let message = "a desk is always asked again";
        let fault = Fault::stalled(Reason::InvalidZone, message, "remove it");
        return Err(fault.at("spec.drift.policy"));
    }
    Zone::parse(zone).map(drop)
}

/// Values stand beside the operators that compare with them, and no others.
fn selector(field: &str, given: &LabelSelector) -> Result<(), Fault<Reason>> {
    for (index, requirement) in given.match_expressions.iter().enumerate() {
        let compares = matches!(requirement.operator, Operator::In | Operator::NotIn);
        if compares == requirement.values.is_empty() {
            let message = "values are needed with In and NotIn, and meaningless with Exists and DoesNotExist";
            let fault = Fault::stalled(Reason::InvalidZone, message, "add values, or remove them");
            return Err(fault.at(format!("{field}.matchExpressions[{index}]")));
        }
    }
    Ok(())
}

/// The settings and the credential of a provider are those of its type.
fn provider(given: &Provider) -> Result<(), Fault<Reason>> {
    let type_ = given.type_;
    let invalid = |field: &str, message: String, fix: &str| {
        Err(Fault::stalled(Reason::InvalidZone, message, fix).at(format!("spec.provider.{field}")))
    };
    let settings = [
        ("ovh", given.ovh.is_some(), ProviderType::Ovh),
        ("gandi", given.gandi.is_some(), ProviderType::Gandi),
        ("scaleway", given.scaleway.is_some(), ProviderType::Scaleway),
        ("route53", given.route53.is_some(), ProviderType::Route53),
        ("alwaysData", given.always_data.is_some(), ProviderType::AlwaysData),
        ("pointDNS", given.point_dns.is_some(), ProviderType::PointDns),
        ("powerDNS", given.power_dns.is_some(), ProviderType::PowerDns),
        ("rfc2136", given.rfc2136.is_some(), ProviderType::Rfc2136),
        ("externalDNS", given.external_dns.is_some(), ProviderType::ExternalDns),
        ("request", given.request.is_some(), ProviderType::Request),
    ];
    for (field, is_given, of) in settings {
        if is_given && of != type_ {
            let message = format!(
                "these are the settings of {}, and the type is {}",
                of.as_str(),
                type_.as_str()
            );
            return invalid(field, message, "remove them, or correct spec.provider.type");
        }
        let needed = matches!(of, ProviderType::PowerDns | ProviderType::Rfc2136);
        if needed && of == type_ && !is_given {
            return invalid(field, "is missing".into(), "write where the server is");
        }
    }
    let without = matches!(type_, ProviderType::ExternalDns | ProviderType::Request);
    if given.ca_secret_ref.is_some() && (without || type_ == ProviderType::Rfc2136) {
        let message = format!("{} is not reached by HTTPS", type_.as_str());
        return invalid("caSecretRef", message, "remove it");
    }
    match (&given.secret_ref, without) {
        (None, false) => invalid(
            "secretRef",
            "is missing".into(),
            "name the Secret with the credential, in the operator's namespace",
        ),
        (Some(_), true) => invalid(
            "secretRef",
            format!("{} needs no credential", type_.as_str()),
            "remove it",
        ),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_has_its_own_settings_and_a_credential() {
        for (provider, field) in [
            ("{type: OVH}", "spec.provider.secretRef"),
            ("{type: OVH, secretRef: {name: s}, gandi: {}}", "spec.provider.gandi"),
            ("{type: PowerDNS, secretRef: {name: s}}", "spec.provider.powerDNS"),
            ("{type: RFC2136, secretRef: {name: s}}", "spec.provider.rfc2136"),
            ("{type: Request, secretRef: {name: s}}", "spec.provider.secretRef"),
            ("{type: OVH, secretRef: {name: s}, ovh: {}}", ""),
            (
                "{type: RFC2136, secretRef: {name: s}, rfc2136: {server: ns.example.org}}",
                "",
            ),
            ("{type: ExternalDNS}", ""),
        ] {
            let spec: serde_json::Value =
                serde_saphyr::from_str(&format!("{{domain: a.org, provider: {provider}}}")).unwrap();
            let object = serde_json::json!({"apiVersion": "tremplin.dev/v1alpha1", "kind": "DnsZone", "metadata": {"name": "z"}, "spec": spec});
            let told = zone(&serde_json::from_value(object).unwrap());
            let told = told.err().and_then(|fault| fault.field).unwrap_or_default();
            assert_eq!(told, field, "{provider}");
        }
    }

    #[test]
    fn bounds_that_cross_are_told() {
        let spec = "{domain: a.org, provider: {type: Request}, ttl: {min: 600, max: 60}}";
        let spec: serde_json::Value = serde_saphyr::from_str(spec).unwrap();
        let object = serde_json::json!({"apiVersion": "tremplin.dev/v1alpha1", "kind": "DnsZone", "metadata": {"name": "z"}, "spec": spec});
        let told = zone(&serde_json::from_value(object).unwrap()).unwrap_err();
        assert_eq!(told.field.as_deref(), Some("spec.ttl"));
    }
}
