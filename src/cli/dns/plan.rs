//! `dns plan`: what would be written for DnsRecords. The rules and the plan are the operator's own; what is there is asked
//! of the authoritative servers, so that nobody needs the zone's credential.

mod owner;
mod report;
mod round;
mod served;
mod view;

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;
use jiff::Timestamp;
use k8s_openapi::api::networking::v1::Ingress;
use tremplin_core::api::{DnsClaim, DnsRecord, DnsZone, StartupApp};
use tremplin_core::dns::opened::Opened;
use tremplin_core::json::text;
use tremplin_core::labels;
use tremplin_core::live::Kept as _;
use tremplin_core::platform::Platform;

use super::{Place, sound, typed};
use crate::cli::cluster::{Cluster, block_on};
use crate::cli::input::{self, Input};
use crate::cli::options::{Files, Form, Output, PlatformChoice};
use crate::cli::{Exit, Io};
use report::Report;
use round::Round;
use view::{View, keep_age};

/// Tell what would be written for DnsRecords, and why some would be refused; nothing is written
///
/// DnsZones, DnsClaims and the namespace's labels are read from the cluster, with the rights of who asks, and what is
/// there now from the authoritative servers. DnsZones, StartupApps and Namespaces among the files come before those of the
/// cluster. What environment the namespace is, and where exposures are reached, is the platform file's to say: give the one
/// of your platform (--platform), or the plan assumes a plain cluster. Exit code 1 when something would be written or refused.
#[derive(Args, Debug)]
pub struct Arguments {
    /// A file or folder with DnsRecords, or - for the standard input; may be given again. Absent: those of the namespace
    #[arg(short = 'f', long = "filename", value_name = "FILE|DIR|-")]
    sources: Vec<PathBuf>,

    /// Ask no cluster: the DnsZones are among the files, and who holds which name is not known
    #[arg(long, requires = "sources")]
    offline: bool,

    #[command(flatten)]
    place: Place,

    #[command(flatten)]
    platform: PlatformChoice,

    #[command(flatten)]
    output: Output,
}

pub fn run(arguments: &Arguments, io: &mut Io<'_>) -> anyhow::Result<Exit> {
    let files = Files {
        sources: arguments.sources.clone(),
        namespace: arguments.place.namespace.clone(),
        namespace_labels: Vec::new(),
    };
    let given = input::read(&files, io)?;
    sound(&given)?;
    let platform = arguments.platform.load()?;
    let (view, report) = block_on(async {
        let (mut view, zones) = if arguments.offline {
            (View::offline(platform, &arguments.place), Vec::new())
        } else {
            from_cluster(arguments, platform, &given).await?
        };
        let now = Timestamp::now();
        let asked = take_files(&mut view, zones, &given, now)?;
        let report = Report::new(&Round::of(&view, now), &view, &asked).await;
        anyhow::Ok((view, report))
    })?;
    for note in &view.notes {
        writeln!(io.errors, "{note}")?;
    }
    if arguments.output.form == Form::Table {
        write!(io.output, "{}", report.in_words())?;
    } else {
        arguments.output.print(&report, io)?;
    }
    Ok(report.exit())
}

/// What a person may see of the cluster.
async fn from_cluster(
    arguments: &Arguments,
    platform: Platform,
    given: &Input,
) -> anyhow::Result<(View, Vec<DnsZone>)> {
    let (cluster, namespace) = arguments.place.connect().await?;
    let mut view = View::of(platform, namespace);
    let mut zones = Vec::new();
    match cluster.list("DnsZone", "", "").await {
        Ok(found) => zones = found.iter().map(typed).collect::<anyhow::Result<_>>()?,
        Err(error)
            if given
                .manifests
                .iter()
                .any(|manifest| manifest.text("/kind") == "DnsZone") =>
        {
            view.notes
                .push(format!("the cluster's DnsZones are not seen: {error:#}"));
        }
        Err(error) => return Err(error).context("give the DnsZone with -f, when you may not see those of the cluster"),
    }
    match cluster.list("DnsClaim", "", "").await {
        Ok(claims) => view.claims = claims.iter().map(typed::<DnsClaim>).collect::<anyhow::Result<_>>()?,
        Err(error) => view.notes.push(format!("who holds which name is not seen: {error:#}")),
    }
    view.labels = labels_of(&cluster, &mut view.notes, &view.namespace).await?;
    let records = cluster.list("DnsRecord", &view.namespace, "").await?;
    view.records = records.iter().map(typed).collect::<anyhow::Result<_>>()?;
    if let Err(error) = look_at_apps(&cluster, &mut view).await {
        view.notes
            .push(format!("where apps are reached is not seen: {error:#}"));
    }
    Ok((view, zones))
}

/// The apps that records may follow, and where each is reached.
async fn look_at_apps(cluster: &Cluster, view: &mut View) -> anyhow::Result<()> {
    let apps = cluster.list("StartupApp", &view.namespace, "").await?;
    let ingresses = cluster.list("Ingress", &view.namespace, labels::APP).await?;
    let mut addresses: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for app in &apps {
        let own = ingresses.iter().filter(|ingress| {
            let owner = text(ingress, "/metadata/ownerReferences/0/uid");
            !owner.is_empty() && owner == text(app, "/metadata/uid")
        });
        let points = own.flat_map(|ingress| Ingress::facts(ingress).addresses);
        addresses.insert(text(app, "/metadata/name").to_owned(), points.collect());
    }
    view.apps = apps.iter().map(typed).collect::<anyhow::Result<_>>()?;
    view.addresses = Some(addresses);
    Ok(())
}

async fn labels_of(
    cluster: &Cluster,
    notes: &mut Vec<String>,
    namespace: &str,
) -> anyhow::Result<BTreeMap<String, String>> {
    let Some(labels) = cluster.namespace_labels(namespace).await? else {
        notes.push(format!("the labels of the namespace {namespace} are not seen"));
        return Ok(BTreeMap::new());
    };
    Ok(labels.into_iter().collect())
}

/// Adds what the files say, and gives the names of the records that are asked about: those of the files, else those of the
/// namespace.
fn take_files(view: &mut View, mut zones: Vec<DnsZone>, given: &Input, now: Timestamp) -> anyhow::Result<Vec<String>> {
    view.labels.extend(given.labels_of(&view.namespace));
    view.labels
        .insert("kubernetes.io/metadata.name".into(), view.namespace.clone());
    let mut asked = Vec::new();
    for (index, manifest) in given.manifests.iter().enumerate() {
        match manifest.text("/kind") {
            "DnsZone" => {
                let mut zone: DnsZone = typed(&manifest.value)?;
                let known = take(&mut zones, |known| known.metadata.name == zone.metadata.name);
                keep_age(
                    &mut zone.metadata,
                    known.as_ref().map(|known| &known.metadata),
                    index,
                    now,
                );
                zones.push(zone);
            }
            "StartupApp" => {
                let app: StartupApp = typed(&manifest.value)?;
                view.apps.retain(|known| known.metadata.name != app.metadata.name);
                view.apps.push(app);
            }
            "DnsRecord" => {
                let namespace = text(&manifest.value, "/metadata/namespace");
                if !namespace.is_empty() && namespace != view.namespace {
                    bail!(
                        "{}: is of the namespace {namespace}: give -n {namespace}",
                        manifest.file
                    );
                }
                let mut record: DnsRecord = typed(&manifest.value)?;
                let known = take(&mut view.records, |known| known.metadata.name == record.metadata.name);
                keep_age(
                    &mut record.metadata,
                    known.as_ref().map(|known| &known.metadata),
                    index,
                    now,
                );
                record.status = known.and_then(|known| known.status);
                asked.extend(record.metadata.name.clone());
                view.records.push(record);
            }
            _ => {}
        }
    }
    view.opened = Opened::of(zones);
    if given.manifests.is_empty() {
        asked = view
            .records
            .iter()
            .filter_map(|record| record.metadata.name.clone())
            .collect();
    }
    Ok(asked)
}

fn take<T>(from: &mut Vec<T>, is_it: impl Fn(&T) -> bool) -> Option<T> {
    let index = from.iter().position(is_it)?;
    Some(from.remove(index))
}
