//! How an app becomes reachable from outside the cluster.

use std::collections::BTreeMap;

use super::label::LabelKey;

/// A class of exposure, such as `internet` or `intranet`.
#[derive(Clone, Debug, PartialEq)]
pub struct Exposure {
    /// The name by which apps ask for it.
    pub name: String,
    /// Whether an app that names no class gets this one.
    pub is_default: bool,
    /// How a browser reaches it: what `status.url` begins with.
    pub scheme: Scheme,
    /// The port of the URL. `None`: the scheme's own.
    pub port: Option<u16>,
    /// Where DnsRecords that follow its apps lead: addresses, or one host. Empty: where an app's Ingress is reached.
    pub targets: Vec<String>,
    /// The objects that make it so.
    pub via: ExposureType,
}

impl Exposure {
    /// The URL of a host under this class, without a trailing slash.
    pub fn url(&self, host: &str) -> String {
        match self.port {
            Some(port) => format!("{}://{host}:{port}", self.scheme.as_str()),
            None => format!("{}://{host}", self.scheme.as_str()),
        }
    }
}

/// The objects behind a class of exposure.
#[derive(Clone, Debug, PartialEq)]
pub enum ExposureType {
    /// An Ingress per app.
    Ingress(IngressClass),
}

/// How the Ingress of a class looks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IngressClass {
    /// `spec.ingressClassName`. `None`: left out, and the cluster's default class takes it.
    pub class_name: Option<String>,
    /// Who ends TLS.
    pub tls: Tls,
    /// Annotations for the ingress controller, as they are.
    pub annotations: BTreeMap<LabelKey, String>,
}

/// The first part of a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Not encrypted on the way to the user.
    Http,
    /// Encrypted, here or in front of the cluster.
    Https,
}

impl Scheme {
    /// `http` or `https`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// 80 or 443.
    pub fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// Who ends TLS for the hosts of an Ingress.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Tls {
    /// Nobody here: there is none, or a proxy in front of the cluster does. The Ingress has no `tls`.
    #[default]
    None,
    /// The ingress controller with its own certificate: `tls` lists the hosts and names no Secret.
    ControllerDefault,
    /// A certificate that lies in a Secret of the app's namespace.
    Secret {
        /// The Secret's name.
        name: String,
    },
    /// cert-manager, which makes a Secret per app.
    CertManager {
        /// The ClusterIssuer that signs.
        cluster_issuer: String,
    },
}
