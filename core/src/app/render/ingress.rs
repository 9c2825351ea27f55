//! The Ingress of an app: its public names.

use std::collections::BTreeMap;

use k8s_openapi::api::networking::v1::{
    HTTPIngressPath, HTTPIngressRuleValue, Ingress, IngressBackend, IngressRule, IngressServiceBackend, IngressSpec,
    IngressTLS, ServiceBackendPort,
};

use super::{Frame, Part};
use crate::app::valid::{ValidExposure, ValidHost};
use crate::names;
use crate::platform::{ExposureType, IngressClass, Tls};

pub fn ingress(frame: Frame<'_>, exposure: &ValidExposure) -> Ingress {
    let ExposureType::Ingress(class) = &exposure.class.via;
    let name = frame.app.identity.name.clone();
    let mut metadata = frame.metadata(name.clone(), Part::App);
    metadata.annotations = Some(annotations(class)).filter(|annotations| !annotations.is_empty());
    Ingress {
        metadata,
        spec: Some(IngressSpec {
            ingress_class_name: class.class_name.clone(),
            rules: Some(exposure.hosts.iter().map(|host| rule(frame, host)).collect()),
            tls: tls(&name, class, &exposure.hosts),
            default_backend: None,
        }),
        status: None,
    }
}

fn annotations(class: &IngressClass) -> BTreeMap<String, String> {
    let issuer = match &class.tls {
        Tls::CertManager { cluster_issuer } => {
            Some(("cert-manager.io/cluster-issuer".to_owned(), cluster_issuer.clone()))
        }
        Tls::None | Tls::ControllerDefault | Tls::Secret { .. } => None,
    };
    class
        .annotations
        .iter()
        .map(|(key, value)| (key.as_str().to_owned(), value.clone()))
        .chain(issuer)
        .collect()
}

fn tls(app: &str, class: &IngressClass, hosts: &[ValidHost]) -> Option<Vec<IngressTLS>> {
    let secret_name = match &class.tls {
        Tls::None => return None,
        Tls::ControllerDefault => None,
        Tls::Secret { name } => Some(name.clone()),
        Tls::CertManager { .. } => Some(names::child(app, "tls", names::LABEL)),
    };
    Some(vec![IngressTLS {
        hosts: Some(hosts.iter().map(|host| host.host.clone()).collect()),
        secret_name,
    }])
}

fn rule(frame: Frame<'_>, host: &ValidHost) -> IngressRule {
    let path = |(path, process): &(String, String)| HTTPIngressPath {
        path: Some(path.clone()),
        path_type: "Prefix".into(),
        backend: IngressBackend {
            service: Some(IngressServiceBackend {
                name: frame.child_name(process),
                port: Some(ServiceBackendPort {
                    name: Some("http".into()),
                    number: None,
                }),
            }),
            resource: None,
        },
    };
    IngressRule {
        host: Some(host.host.clone()),
        http: Some(HTTPIngressRuleValue {
            paths: host.paths.iter().map(path).collect(),
        }),
    }
}
