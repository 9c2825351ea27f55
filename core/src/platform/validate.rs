//! From the file as written to decisions: every name resolved, every value one that can work.

use std::collections::BTreeMap;

use crate::api::startup_app::Environment;
use crate::quantity::Quantity;
use crate::yaml::{self, Document};

use super::Platform;
use super::error::PlatformError;
use super::exposure::{Exposure, ExposureType, IngressClass, Scheme, Tls};
use super::file;
use super::host::{Domain, HostTemplate};
use super::label::{ENVIRONMENTS, LabelKey, LabelKeys, is_dns_label, is_dns_name, is_label_name};
use super::namespace::EnvironmentRule;
use super::pattern::Pattern;
use super::registry::Registries;
use super::rule::{Mode, Rule};
use super::security::Security;
use super::size::Size;
use super::time_zone::TimeZoneName;

/// A fault at a field, whose place in the file is not looked up yet.
struct Wrong {
    field: String,
    reason: String,
}

type Checked<T> = Result<T, Wrong>;

fn wrong<T>(field: impl Into<String>, reason: impl Into<String>) -> Checked<T> {
    Err(Wrong {
        field: field.into(),
        reason: reason.into(),
    })
}

pub(super) fn platform(text: &str) -> Result<Platform, PlatformError> {
    let document = yaml::parse_one(text)?;
    let written: file::PlatformFile = document.decode()?;
    check(&written).map_err(|Wrong { field, reason }| locate(&document, field, reason))
}

fn locate(document: &Document, field: String, reason: String) -> PlatformError {
    PlatformError {
        location: document.locate(&field),
        field,
        reason,
    }
}

fn check(written: &file::PlatformFile) -> Checked<Platform> {
    let (sizes, default_size) = sizes(&written.sizes)?;
    let instance_label = optional_key("argoCD.instanceLabelKey", written.argo_cd.instance_label_key.as_deref())?;
    Ok(Platform {
        domains: each("domains", &written.domains, domain)?,
        environments: each("environments", &written.environments, environment)?,
        project_label: optional_key("projectLabel", written.project_label.as_deref())?,
        label_keys: label_keys(&written.labels.keys, instance_label.as_ref())?,
        environment_values: environment_values(&written.labels.environment_values)?,
        exposures: exposures(&written.exposures)?,
        sizes,
        default_size,
        registries: registries(&written.registries)?,
        security: security(&written.security)?,
        time_zone: time_zone(written.time_zone.as_deref())?,
        policies: policies(&written.policies)?,
        instance_label_key: optional_key("argoCD.instanceLabelKey", written.argo_cd.instance_label_key.as_deref())?,
    })
}

fn each<T, U>(field: &str, items: &[T], check: impl Fn(&str, &T) -> Checked<U>) -> Checked<Vec<U>> {
    items
        .iter()
        .enumerate()
        .map(|(index, item)| check(&format!("{field}[{index}]"), item))
        .collect()
}

fn domain(field: &str, written: &file::DomainFile) -> Checked<Domain> {
    let any = written.domain == "*";
    if !any && !is_dns_name(&written.domain) {
        return wrong(
            format!("{field}.domain"),
            format!("{:?} is not a DNS name in lower case, nor *", written.domain),
        );
    }
    let host_template = match &written.host_template {
        None => None,
        Some(_) if any => return wrong(format!("{field}.hostTemplate"), "the domain * cannot give hosts"),
        Some(text) => match HostTemplate::parse(text) {
            Ok(template) => Some(template),
            Err(reason) => return wrong(format!("{field}.hostTemplate"), reason),
        },
    };
    Ok(Domain {
        name: (!any).then(|| written.domain.clone()),
        environments: written.environments.clone(),
        namespace_labels: keys_of(
            &format!("{field}.allowedNamespaces.matchLabels"),
            &written.allowed_namespaces.match_labels,
            str::to_owned,
        )?,
        host_template,
        dns_records: written.dns_records,
    })
}

fn environment(field: &str, written: &file::EnvironmentFile) -> Checked<EnvironmentRule> {
    if written.labels.is_empty() {
        return wrong(
            format!("{field}.labels"),
            "must name at least one label, else every namespace would fit",
        );
    }
    let labels = keys_of(&format!("{field}.labels"), &written.labels, |pattern| {
        Pattern::new(pattern)
    })?;
    Ok(EnvironmentRule {
        labels,
        environment: written.environment,
    })
}

fn keys_of<T>(
    field: &str,
    written: &BTreeMap<String, String>,
    value: impl Fn(&str) -> T,
) -> Checked<BTreeMap<LabelKey, T>> {
    written
        .iter()
        .map(|(name, text)| Ok((key(&format!("{field}.{name}"), name)?, value(text))))
        .collect()
}

fn key(field: &str, name: &str) -> Checked<LabelKey> {
    match LabelKey::new(name) {
        Some(key) => Ok(key),
        None => wrong(
            field,
            format!("{name:?} is not a label key such as app or example.org/app"),
        ),
    }
}

fn optional_key(field: &str, name: Option<&str>) -> Checked<Option<LabelKey>> {
    name.map(|name| key(field, name)).transpose()
}

/// Keys that other tools, or our own selectors, live by.
const RESERVED: [&str; 7] = [
    "tremplin.dev/",
    "app.kubernetes.io/",
    "argocd.argoproj.io/",
    "kubectl.kubernetes.io/",
    "kustomize.toolkit.fluxcd.io/",
    "helm.toolkit.fluxcd.io/",
    "pod-template-hash",
];

/// `instance` is the label by which Argo CD would take every child for an object of its own, and prune it.
fn label_keys(written: &file::LabelKeysFile, instance: Option<&LabelKey>) -> Checked<LabelKeys> {
    let mut seen: Vec<LabelKey> = Vec::new();
    let mut read = |name: &str, written: &Option<String>| -> Checked<Option<LabelKey>> {
        let field = format!("labels.keys.{name}");
        let Some(key) = optional_key(&field, written.as_deref())? else {
            return Ok(None);
        };
        if instance == Some(&key) || RESERVED.iter().any(|reserved| key.as_str().starts_with(reserved)) {
            return wrong(field, format!("{key} is kept for other tools or for Tremplin itself"));
        }
        if seen.contains(&key) {
            return wrong(field, format!("{key} is used twice"));
        }
        seen.push(key.clone());
        Ok(Some(key))
    };
    Ok(LabelKeys {
        app: read("app", &written.app)?,
        env: read("env", &written.env)?,
        tier: read("tier", &written.tier)?,
        component: read("component", &written.component)?,
        criticality: read("criticality", &written.criticality)?,
    })
}

fn environment_values(written: &BTreeMap<Environment, String>) -> Checked<BTreeMap<Environment, String>> {
    for environment in ENVIRONMENTS {
        if let Some(value) = written.get(&environment).filter(|value| !is_label_name(value)) {
            return wrong(
                format!("labels.environmentValues.{environment:?}"),
                format!("{value:?} is not a label value"),
            );
        }
    }
    Ok(written.clone())
}

fn exposures(written: &[file::ExposureFile]) -> Checked<Vec<Exposure>> {
    let exposures = each("exposures", written, exposure)?;
    for (index, exposure) in exposures.iter().enumerate() {
        let earlier = || exposures.iter().take(index);
        if earlier().any(|other| other.name == exposure.name) {
            return wrong(
                format!("exposures[{index}].name"),
                format!("{} is there twice", exposure.name),
            );
        }
        if exposure.is_default && earlier().any(|other| other.is_default) {
            return wrong(
                format!("exposures[{index}].default"),
                "another exposure is the default already",
            );
        }
    }
    Ok(exposures)
}

fn exposure(field: &str, written: &file::ExposureFile) -> Checked<Exposure> {
    if !is_dns_label(&written.name) {
        let reason = format!("{:?} is not a name of a-z, 0-9 and -", written.name);
        return wrong(format!("{field}.name"), reason);
    }
    let scheme = match written.scheme {
        file::SchemeFile::Http => Scheme::Http,
        file::SchemeFile::Https => Scheme::Https,
    };
    let port = match written.port.map(u16::try_from) {
        None => None,
        Some(Ok(port)) if port > 0 => Some(port).filter(|port| *port != scheme.default_port()),
        Some(_) => return wrong(format!("{field}.port"), "must be between 1 and 65535"),
    };
    let via = match written.type_ {
        file::ExposureTypeFile::Ingress => {
            let ingress = written.ingress.clone().unwrap_or_default();
            ExposureType::Ingress(ingress_class(&format!("{field}.ingress"), &ingress)?)
        }
    };
    let ExposureType::Ingress(class) = &via;
    if scheme == Scheme::Http && class.tls != Tls::None {
        return wrong(format!("{field}.scheme"), "must be https where the Ingress ends TLS");
    }
    Ok(Exposure {
        name: written.name.clone(),
        is_default: written.default,
        scheme,
        port,
        targets: targets(&format!("{field}.targets"), &written.targets)?,
        via,
    })
}

/// Addresses, or one host: a name cannot lead to both.
fn targets(field: &str, written: &[String]) -> Checked<Vec<String>> {
    let is_address = |text: &String| text.parse::<std::net::IpAddr>().is_ok();
    if let Some(strange) = written.iter().find(|text| !is_address(text) && !is_dns_name(text)) {
        return wrong(
            field,
            format!("{strange:?} is neither an address nor a DNS name in lower case"),
        );
    }
    if written.len() > 1 && !written.iter().all(is_address) {
        return wrong(field, "must be addresses, or one host alone");
    }
    Ok(written.to_vec())
}

fn ingress_class(field: &str, written: &file::IngressFile) -> Checked<IngressClass> {
    if let Some(name) = written.class_name.as_deref().filter(|name| !is_dns_name(name)) {
        return wrong(format!("{field}.className"), format!("{name:?} is not a name"));
    }
    Ok(IngressClass {
        class_name: written.class_name.clone(),
        tls: tls(&format!("{field}.tls"), &written.tls)?,
        annotations: keys_of(&format!("{field}.annotations"), &written.annotations, str::to_owned)?,
    })
}

fn tls(field: &str, written: &file::TlsFile) -> Checked<Tls> {
    use file::TlsTypeFile as Type;
    if written.secret.is_some() && written.type_ != Type::Secret {
        return wrong(format!("{field}.secret"), "is only for type: Secret");
    }
    if written.cert_manager.is_some() && written.type_ != Type::CertManager {
        return wrong(format!("{field}.certManager"), "is only for type: CertManager");
    }
    match (written.type_, &written.secret, &written.cert_manager) {
        (Type::None, ..) => Ok(Tls::None),
        (Type::ControllerDefault, ..) => Ok(Tls::ControllerDefault),
        (Type::Secret, Some(secret), _) if is_dns_name(&secret.name) => Ok(Tls::Secret {
            name: secret.name.clone(),
        }),
        (Type::Secret, ..) => wrong(format!("{field}.secret.name"), "must name a Secret"),
        (Type::CertManager, _, Some(by)) if is_dns_name(&by.cluster_issuer) => Ok(Tls::CertManager {
            cluster_issuer: by.cluster_issuer.clone(),
        }),
        (Type::CertManager, ..) => wrong(
            format!("{field}.certManager.clusterIssuer"),
            "must name a ClusterIssuer",
        ),
    }
}

fn sizes(written: &BTreeMap<String, file::SizeFile>) -> Checked<(Vec<Size>, Size)> {
    let mut sizes = Vec::new();
    let mut default = None;
    for (name, size) in written {
        let field = format!("sizes.{name}");
        if !is_label_name(name) || name.len() > 20 {
            return wrong(field, "a size's name has at most 20 letters, digits, - and _");
        }
        let read = Size {
            name: name.clone(),
            cpu: quantity(&format!("{field}.cpu"), &size.cpu)?,
            memory: quantity(&format!("{field}.memory"), &size.memory)?,
        };
        if size.default && default.replace(read.clone()).is_some() {
            return wrong(format!("{field}.default"), "another size is the default already");
        }
        sizes.push(read);
    }
    sizes.sort_by(|a, b| (a.memory, a.cpu, &a.name).cmp(&(b.memory, b.cpu, &b.name)));
    match default {
        Some(default) => Ok((sizes, default)),
        None => wrong("sizes", "exactly one size must have default: true"),
    }
}

fn quantity(field: &str, text: &str) -> Checked<Quantity> {
    match text.parse::<Quantity>() {
        Ok(quantity) if !quantity.is_zero() => Ok(quantity),
        Ok(_) => wrong(field, "must be more than nothing"),
        Err(error) => wrong(field, error.to_string()),
    }
}

fn registries(written: &file::RegistriesFile) -> Checked<Registries> {
    let allowed = each("registries.allowed", &written.allowed, |field, pattern| {
        match pattern.split_once('/') {
            Some((host, _)) if !host.is_empty() => Ok(Pattern::new(pattern)),
            _ => wrong(
                field,
                format!("{pattern:?} must be a registry, a slash and a pattern, such as ghcr.io/*"),
            ),
        }
    })?;
    let pull_secrets = each("registries.pullSecrets", &written.pull_secrets, |field, name| {
        if is_dns_name(name) {
            Ok(name.clone())
        } else {
            wrong(field, format!("{name:?} is not the name of a Secret"))
        }
    })?;
    Ok(Registries { allowed, pull_secrets })
}

fn security(written: &file::SecurityFile) -> Checked<Security> {
    match (written.type_, &written.restricted) {
        (file::SecurityTypeFile::OpenShift, None) => Ok(Security::OpenShift),
        (file::SecurityTypeFile::OpenShift, Some(_)) => wrong("security.restricted", "is only for type: Restricted"),
        (file::SecurityTypeFile::Restricted, None) => {
            wrong("security.restricted", "is missing: give runAsUser and fsGroup")
        }
        (file::SecurityTypeFile::Restricted, Some(ids)) => {
            if ids.run_as_user < 1 {
                return wrong("security.restricted.runAsUser", "must be 1 or more: 0 is root");
            }
            if ids.fs_group < 0 || ids.run_as_group.is_some_and(|group| group < 0) {
                return wrong("security.restricted", "a group id must be 0 or more");
            }
            Ok(Security::Restricted {
                run_as_user: ids.run_as_user,
                run_as_group: ids.run_as_group,
                fs_group: ids.fs_group,
            })
        }
    }
}

fn time_zone(written: Option<&str>) -> Checked<TimeZoneName> {
    match TimeZoneName::new(written.unwrap_or("Etc/UTC")) {
        Ok(zone) => Ok(zone),
        Err(error) => wrong("timeZone", error.to_string()),
    }
}

fn policies(written: &BTreeMap<String, Mode>) -> Checked<BTreeMap<Rule, Mode>> {
    let known = || Rule::ALL.map(Rule::id).join(", ");
    written
        .iter()
        .map(|(id, mode)| match Rule::of(id) {
            Some(rule) => Ok((rule, *mode)),
            None => wrong(format!("policies.{id}"), format!("no such rule; there are {}", known())),
        })
        .collect()
}
