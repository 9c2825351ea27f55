//! From Ingress objects to the proxy's configuration. Pure: the same objects give the same text.
//!
//! The rules are those of the Ingress specification
//! (<https://kubernetes.io/docs/concepts/services-networking/ingress/>): an exact host before a wildcard
//! before none, then the longest path, then `Exact` before `Prefix`. Two Ingresses with the same host and
//! path: the older one wins. TLS is not served. `ImplementationSpecific` is `Prefix`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::networking::v1::{HTTPIngressPath, Ingress, IngressBackend};

/// Everything the text depends on.
pub struct Inputs<'a> {
    /// Where the proxy listens.
    pub listen: SocketAddr,
    /// The proxy's control socket, by which a new process takes the listening socket over.
    pub socket: &'a Path,
    /// The Ingresses that are ours.
    pub ingresses: &'a [Ingress],
    /// The Services they may name.
    pub services: &'a [Service],
}

/// The configuration of HAProxy 2.6 or newer.
///
/// Two proxies never share a port (`noreuseport`): each would answer half of the other's requests.
/// A request gets one connection of its own to the Service, and no second try: what a client would see
/// during a roll is seen here too, not smoothed over.
pub fn render(inputs: &Inputs) -> String {
    let rules = rules(inputs.ingresses);
    let mut text = format!(
        "global\n  \
           maxconn 2000\n  \
           noreuseport\n  \
           stats socket {socket} mode 600 level admin expose-fd listeners\n\
         defaults\n  \
           mode http\n  \
           timeout connect 2s\n  \
           timeout client 60s\n  \
           timeout server 60s\n  \
           option http-server-close\n  \
           option forwardfor\n  \
           http-reuse never\n  \
           retries 0\n  \
           retry-on none\n\
         frontend http\n  \
           bind {listen}\n  \
           http-request set-var(txn.host) req.hdr(host),field(1,:),lower\n  \
           http-request set-header X-Forwarded-Proto http\n",
        socket = inputs.socket.display(),
        listen = inputs.listen,
    );
    let mut backends = BTreeMap::new();
    for rule in &rules {
        let backend = Backend::find(rule, inputs.services);
        let _ = writeln!(text, "  use_backend {}{}", backend.name(), rule.condition());
        backends.insert(backend.name(), backend);
    }
    text += "  default_backend unknown\n\
             backend unknown\n  \
               http-request return status 404 content-type text/plain string \"no Ingress has this host and path\\n\"\n";
    for (name, backend) in &backends {
        let _ = write!(text, "backend {name}\n{}", backend.body());
    }
    text
}

/// One host and path, and where it leads. The order of the fields' comparison is the order of precedence.
struct Rule<'a> {
    namespace: &'a str,
    host: Host<'a>,
    path: Option<&'a str>,
    exact: bool,
    service: &'a str,
    port: Port<'a>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Host<'a> {
    Exact(&'a str),
    Wildcard(&'a str),
    Any,
}

#[derive(Clone, Copy)]
enum Port<'a> {
    Number(i32),
    Name(&'a str),
}

/// All rules, the first that matches first.
fn rules(ingresses: &[Ingress]) -> Vec<Rule<'_>> {
    let mut oldest_first: Vec<_> = ingresses.iter().collect();
    oldest_first.sort_by_key(|ingress| {
        let meta = &ingress.metadata;
        (
            meta.creation_timestamp.clone(),
            meta.namespace.clone(),
            meta.name.clone(),
        )
    });
    let mut rules: Vec<_> = oldest_first.into_iter().flat_map(rules_of).collect();
    // A stable sort: among equals the older Ingress stays first.
    rules.sort_by(|a, b| a.precedence().cmp(&b.precedence()));
    rules
}

fn rules_of(ingress: &Ingress) -> Vec<Rule<'_>> {
    let namespace = ingress.metadata.namespace.as_deref().unwrap_or_default();
    let Some(spec) = &ingress.spec else { return Vec::new() };
    let mut rules = Vec::new();
    for rule in spec.rules.iter().flatten() {
        let paths = rule.http.iter().flat_map(|http| &http.paths);
        rules.extend(paths.filter_map(|path| Rule::of_path(namespace, rule.host.as_deref(), path)));
    }
    rules.extend(
        spec.default_backend
            .as_ref()
            .and_then(|backend| Rule::of_backend(namespace, None, backend)),
    );
    rules
}

impl<'a> Rule<'a> {
    fn of_path(namespace: &'a str, host: Option<&'a str>, path: &'a HTTPIngressPath) -> Option<Self> {
        let rule = Self::of_backend(namespace, host, &path.backend)?;
        let text = path.path.as_deref().unwrap_or("/");
        // A control character would end the line, and what follows would be read as configuration.
        if text.chars().any(char::is_control) {
            return None;
        }
        Some(Self {
            path: Some(text),
            exact: path.path_type == "Exact",
            ..rule
        })
    }

    /// A backend without a path takes everything. One that is no Service (`resource`) is none of ours.
    fn of_backend(namespace: &'a str, host: Option<&'a str>, backend: &'a IngressBackend) -> Option<Self> {
        let service = backend.service.as_ref()?;
        let port = service.port.as_ref()?;
        let port = match (port.number, port.name.as_deref()) {
            (Some(number), _) => Port::Number(number),
            (None, name) => Port::Name(name?),
        };
        let host = match host {
            None | Some("") => Host::Any,
            Some(host) => host.strip_prefix("*.").map_or(Host::Exact(host), Host::Wildcard),
        };
        Some(Self {
            namespace,
            host,
            path: None,
            exact: false,
            service: &service.name,
            port,
        })
    }

    fn precedence(&self) -> impl Ord + '_ {
        let kind = match self.host {
            Host::Exact(_) => 0,
            Host::Wildcard(_) => 1,
            Host::Any => 2,
        };
        // Longer paths first, then exact ones, then by name so that equal objects give equal text.
        let longest = std::cmp::Reverse(self.path.map(|path| path.trim_end_matches('/').len() + 1));
        (kind, longest, !self.exact, &self.host, self.path)
    }

    fn condition(&self) -> String {
        let host = match self.host {
            Host::Exact(host) => format!(" {{ var(txn.host) -m str -- {} }}", quoted(host)),
            // A wildcard stands for exactly one label.
            Host::Wildcard(domain) => {
                let pattern = format!("^[^.]+\\.{}$", domain.replace('.', "\\."));
                format!(" {{ var(txn.host) -m reg -- {} }}", quoted(&pattern))
            }
            Host::Any => String::new(),
        };
        let paths = match self.path {
            None => Vec::new(),
            Some(path) if self.exact => vec![format!(" {{ path -m str -- {} }}", quoted(path))],
            // A prefix is one of whole path elements: /back is not a prefix of /backend.
            Some(path) => match path.trim_end_matches('/') {
                "" => Vec::new(),
                prefix => vec![
                    format!(" {{ path -m str -- {} }}", quoted(prefix)),
                    format!(" {{ path -m beg -- {} }}", quoted(&format!("{prefix}/"))),
                ],
            },
        };
        let alternatives: Vec<_> = if paths.is_empty() {
            vec![host]
        } else {
            paths.into_iter().map(|path| format!("{host}{path}")).collect()
        };
        match alternatives.join(" or") {
            always if always.is_empty() => always,
            condition => format!(" if{condition}"),
        }
    }
}

/// A word between single quotes, inside which HAProxy gives no character a meaning.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// Where a rule leads.
struct Backend<'a> {
    namespace: &'a str,
    service: &'a str,
    port: Port<'a>,
    /// The Service's cluster address and port, or why there is none.
    address: Result<String, &'static str>,
}

impl<'a> Backend<'a> {
    fn find(rule: &Rule<'a>, services: &[Service]) -> Self {
        let service = services.iter().find(|service| {
            service.metadata.namespace.as_deref() == Some(rule.namespace)
                && service.metadata.name.as_deref() == Some(rule.service)
        });
        let address = service
            .ok_or("there is no such Service")
            .and_then(|service| address(service, rule.port));
        Self {
            namespace: rule.namespace,
            service: rule.service,
            port: rule.port,
            address,
        }
    }

    /// Unique, since neither a namespace nor a Service may hold a dot in its name.
    fn name(&self) -> String {
        match self.port {
            Port::Number(number) => format!("{}.{}.{number}", self.namespace, self.service),
            Port::Name(name) => format!("{}.{}.{name}", self.namespace, self.service),
        }
    }

    fn body(&self) -> String {
        match &self.address {
            // kube-proxy chooses the pod behind this address, anew for each connection.
            Ok(address) => format!("  server service {address}\n"),
            Err(reason) => format!(
                "  http-request return status 503 content-type text/plain string \"{}/{}: {reason}\\n\"\n",
                self.namespace, self.service
            ),
        }
    }
}

fn address(service: &Service, wanted: Port) -> Result<String, &'static str> {
    let spec = service.spec.as_ref().ok_or("the Service has no spec")?;
    let ip = spec.cluster_ip.as_deref().filter(|ip| !matches!(*ip, "" | "None"));
    let ip = ip.ok_or("the Service has no cluster address")?;
    let port = spec.ports.iter().flatten().find(|port| match wanted {
        Port::Number(number) => port.port == number,
        Port::Name(name) => port.name.as_deref() == Some(name),
    });
    let port = port.ok_or("the Service has no such port")?.port;
    Ok(if ip.contains(':') {
        format!("[{ip}]:{port}")
    } else {
        format!("{ip}:{port}")
    })
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
