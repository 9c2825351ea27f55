//! A zone of a real name server, opened by the platform team, and a name in it that the team asks for.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tokio::process::Command;

use super::{OPERATOR, Site, app, repository_root};
use crate::command::run;
use crate::dns::{KEY_NAME, Standing, ZoneText};
use crate::packages::{self, Package};

/// The zone that is opened. Names below `example` are nobody's (RFC 2606).
const DOMAIN: &str = "startups.example";
/// The DnsZone, and the Secret with its credential.
const ZONE: &str = "startups";
/// The name in `e2e/demo/names/hello.yaml`.
const NAME: &str = "hello";

const DIG: Package = Package::new("bind9-dnsutils", "dig");

/// Starts the name server of the cluster in `folder`, or finds it. Pods and this machine reach it at the same address.
pub(super) async fn serve(folder: &Path, address: Ipv4Addr) -> Result<Standing> {
    packages::ensure(&[DIG]).await?;
    Standing::up(folder, SocketAddr::from((address, 53)), &ZoneText::empty(DOMAIN)).await
}

/// Opens the zone to the team's namespace, as a platform team would.
pub(super) async fn open(site: &Site, server: &Standing) -> Result<()> {
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": ZONE, "namespace": OPERATOR},
        "stringData": {"tsig-key-name": KEY_NAME, "tsig-secret": server.secret},
    });
    let objects = [secret, zone(&site.namespace, server.address)];
    site.cluster.apply(&objects, &site.folder.join("zone.json")).await
}

fn zone(namespace: &str, server: SocketAddr) -> Value {
    json!({
        "apiVersion": "tremplin.dev/v1alpha1", "kind": "DnsZone", "metadata": {"name": ZONE},
        "spec": {
            "domain": DOMAIN,
            "mode": "Enforce",
            "contact": "the platform team",
            "provider": {
                "type": "RFC2136",
                "secretRef": {"name": ZONE},
                "rfc2136": {"server": server.to_string()},
            },
            "authorities": [{"address": server.ip(), "port": server.port()}],
            "admission": {
                "namespaces": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
                // The demo's addresses are those that no machine has (RFC 5737).
                "targets": {"allowCIDRs": ["192.0.2.0/24"]},
            },
        },
    })
}

/// Applies what the team commits, and waits until the authoritative server answers as asked. Gives the name.
pub(super) async fn publish(site: &Site) -> Result<String> {
    let committed = repository_root().join("e2e/demo/names");
    let committed = committed.display().to_string();
    site.cluster.kubectl(&["apply", "--filename", &committed]).await?;
    let record = app::until_ready(&site.cluster, "dnsrecord", NAME).await?;
    let name = record.pointer("/status/fqdn").and_then(Value::as_str);
    name.map(str::to_owned)
        .context("the record is ready and its status has no name")
}

/// What `dig` prints, and the command as a person would write it.
pub(super) async fn dig(server: SocketAddr, name: &str) -> Result<(String, String)> {
    let words = [format!("@{}", server.ip()), name.to_owned(), "+short".to_owned()];
    let printed = run(Command::new("dig").args(&words)).await?;
    Ok((format!("dig {}", words.join(" ")), printed))
}
