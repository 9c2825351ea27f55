//! `dns verify`: what each authoritative server answers.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{anyhow, bail};
use clap::Args;
use serde::Serialize;
use tremplin_core::api::DnsRecord;
use tremplin_core::dns::wanted::without_zone;
use tremplin_core::dns::{Fqdn, RecordType, RrSet};

use super::table::table;
use super::{Place, fqdn, sound, typed};
use crate::cli::cluster::block_on;
use crate::cli::input;
use crate::cli::options::{Files, Form, Output};
use crate::cli::{Exit, Io};
use crate::dns_provider::authority::{self, Server, discovery};

/// Ask every authoritative server of a name itself, and tell whether all give the same answer
///
/// The servers are found by the NS records of the zone; no resolver is asked for the name, so that none keeps a negative
/// answer. With a DnsRecord (-f or --record) its own names and types are asked for, and compared. Exit code 1 when a
/// server is silent, answers otherwise, or when nothing is there.
#[derive(Args, Debug)]
pub struct Arguments {
    /// The name, such as mon-app.incubateur.net
    #[arg(value_name = "NAME", value_parser = fqdn)]
    name: Fqdn,

    /// A server to be asked, instead of those of the NS records; may be given again
    #[arg(long = "server", value_name = "HOST[:PORT]", value_parser = authority::host_and_port)]
    servers: Vec<(String, u16)>,

    /// A type to be asked for; may be given again. Absent: A and AAAA, which tell a CNAME too
    #[arg(long = "type", value_name = "TYPE", value_parser = record_type)]
    types: Vec<RecordType>,

    /// A file with the DnsRecord of the name, or - for the standard input
    #[arg(short = 'f', long = "filename", value_name = "FILE|-", conflicts_with_all = ["record", "types"])]
    file: Option<PathBuf>,

    /// The DnsRecord of the name, in the cluster
    #[arg(long, value_name = "DNSRECORD", conflicts_with = "types")]
    record: Option<String>,

    #[command(flatten)]
    place: Place,

    #[command(flatten)]
    output: Output,
}

fn record_type(text: &str) -> Result<RecordType, String> {
    match RecordType::of(&text.to_ascii_uppercase()) {
        RecordType::Alias => Err("servers answer an ALIAS with addresses: ask for A or AAAA".into()),
        RecordType::Other(other) => Err(format!("{other} is no type that is known here")),
        known => Ok(known),
    }
}

pub fn run(arguments: &Arguments, io: &mut Io<'_>) -> anyhow::Result<Exit> {
    let from_file = from_file(arguments, io)?;
    let report = block_on(async {
        let record = match from_file {
            Some(record) => Some(record),
            None => from_cluster(arguments).await?,
        };
        let wanted = record
            .as_ref()
            .map(|record| wanted(record, &arguments.name))
            .transpose()?;
        let (zone, servers) = servers(arguments, wanted.as_deref()).await?;
        anyhow::Ok(Report::ask(&arguments.name, zone, &servers, &questions(arguments, wanted)).await)
    })?;
    if arguments.output.form == Form::Table {
        write!(io.output, "{}", report.in_words())?;
    } else {
        arguments.output.print(&report, io)?;
    }
    report.exit()
}

fn from_file(arguments: &Arguments, io: &mut Io<'_>) -> anyhow::Result<Option<DnsRecord>> {
    let Some(file) = &arguments.file else { return Ok(None) };
    let files = Files {
        sources: vec![file.clone()],
        namespace: None,
        namespace_labels: Vec::new(),
    };
    let read = input::read(&files, io)?;
    sound(&read)?;
    let records = read
        .manifests
        .iter()
        .filter(|manifest| manifest.text("/kind") == "DnsRecord");
    for manifest in records {
        let record: DnsRecord = typed(&manifest.value)?;
        if fqdn(&record.spec.name).is_ok_and(|name| name == arguments.name) {
            return Ok(Some(record));
        }
    }
    bail!("{} has no DnsRecord of {}", file.display(), arguments.name)
}

async fn from_cluster(arguments: &Arguments) -> anyhow::Result<Option<DnsRecord>> {
    let Some(name) = &arguments.record else { return Ok(None) };
    let (cluster, namespace) = arguments.place.connect().await?;
    let Some(found) = cluster.get("DnsRecord", &namespace, name).await? else {
        bail!("there is no DnsRecord {name} in the namespace {namespace}");
    };
    typed(&found).map(Some)
}

/// What a record asks for. What its app's address is stands in the cluster alone.
fn wanted(record: &DnsRecord, name: &Fqdn) -> anyhow::Result<Vec<RrSet>> {
    let own = fqdn(&record.spec.name).map_err(|error| anyhow!(error))?;
    if own != *name {
        bail!("the DnsRecord is of {own}, not of {name}");
    }
    if record.spec.app_ref.is_some() {
        bail!("the DnsRecord follows an app, so that its file does not say what is wanted: give --type instead");
    }
    let zone = record.status.as_ref().and_then(|status| status.zone.as_deref());
    let zone = zone.and_then(|zone| fqdn(zone).ok());
    without_zone(&record.spec, &own, zone.as_ref()).map_err(|fault| anyhow!("{fault}"))
}

async fn servers(arguments: &Arguments, wanted: Option<&[RrSet]>) -> anyhow::Result<(Option<Fqdn>, Vec<Server>)> {
    if !arguments.servers.is_empty() {
        let found = authority::servers(&arguments.servers).await;
        return Ok((None, found.map_err(|error| anyhow!(error))?));
    }
    // The records that hand a name over are in the zone above.
    let handed_over = |type_: &RecordType| matches!(type_, RecordType::Ns | RecordType::Ds);
    let below = match wanted {
        Some(sets) => sets.iter().any(|set| handed_over(&set.type_)),
        None => arguments.types.iter().any(handed_over),
    };
    let (zone, servers) = discovery::zone_of(&arguments.name, below)
        .await
        .map_err(|error| anyhow!("{error}; name the servers with --server"))?;
    Ok((Some(zone), servers))
}

/// One thing that every server is asked.
struct Question {
    name: Fqdn,
    type_: RecordType,
    wanted: Option<RrSet>,
}

fn questions(arguments: &Arguments, wanted: Option<Vec<RrSet>>) -> Vec<Question> {
    let Some(wanted) = wanted else {
        let asked = arguments.types.clone();
        let types = if asked.is_empty() {
            vec![RecordType::A, RecordType::Aaaa]
        } else {
            asked
        };
        let one = |type_| Question {
            name: arguments.name.clone(),
            type_,
            wanted: None,
        };
        return types.into_iter().map(one).collect();
    };
    wanted.iter().flat_map(about).collect()
}

/// What is asked about one set: of an ALIAS, what a provider makes of it.
fn about(set: &RrSet) -> Vec<Question> {
    let types = match set.type_ {
        RecordType::Alias => vec![RecordType::A, RecordType::Aaaa],
        _ => vec![set.type_.clone()],
    };
    let one = |type_| Question {
        name: set.name.clone(),
        type_,
        wanted: Some(set.clone()),
    };
    types.into_iter().map(one).collect()
}

/// What all said.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    name: String,
    /// The zone, where the servers were looked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    zone: Option<String>,
    /// Whether every server gives the same data.
    agree: bool,
    /// Whether that is what the DnsRecord asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    matches: Option<bool>,
    answers: Vec<Row>,
}

/// What one server said of one name and type.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    server: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    serial: Option<u32>,
    name: String,
    #[serde(rename = "type")]
    type_: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl_seconds: Option<u32>,
    values: BTreeSet<String>,
    no_such_name: bool,
    /// Why there is no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
    /// Why it is not what the DnsRecord asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    differs: Option<String>,
}

impl Report {
    async fn ask(name: &Fqdn, zone: Option<Fqdn>, servers: &[Server], questions: &[Question]) -> Self {
        let pairs = questions
            .iter()
            .flat_map(|question| servers.iter().map(move |server| (question, server)));
        let answers = futures::future::join_all(pairs.map(|(question, server)| Row::ask(question, server))).await;
        let agree = questions.iter().all(|question| {
            let of_question = answers
                .iter()
                .filter(|row| row.name == question.name.as_str() && row.type_ == question.type_.as_str());
            let data: BTreeSet<_> = of_question.clone().map(|row| (&row.values, row.no_such_name)).collect();
            // Every server may resolve an ALIAS for itself.
            let is_alias = question
                .wanted
                .as_ref()
                .is_some_and(|set| set.type_ == RecordType::Alias);
            of_question.clone().all(|row| row.failure.is_none()) && (is_alias || data.len() < 2)
        });
        let is_compared = questions.iter().any(|question| question.wanted.is_some());
        let is_as_wanted = || answers.iter().all(|row| row.failure.is_none() && row.differs.is_none());
        Self {
            name: name.to_string(),
            zone: zone.map(|zone| zone.to_string()),
            agree,
            matches: is_compared.then(is_as_wanted),
            answers,
        }
    }

    fn exit(&self) -> anyhow::Result<Exit> {
        if self.answers.iter().all(|row| row.failure.is_some()) {
            bail!("no server answers");
        }
        let is_there = self.answers.iter().any(|row| !row.values.is_empty());
        if self.agree && is_there && self.matches != Some(false) {
            Ok(Exit::Fine)
        } else {
            Ok(Exit::Found)
        }
    }

    fn in_words(&self) -> String {
        let mut told = self.name.clone();
        // Writing to a text does not fail.
        let _ = match &self.zone {
            Some(zone) => writeln!(told, ", in the zone {zone}"),
            None => writeln!(told),
        };
        let rows = self.answers.iter().map(Row::cells);
        told += &table(["SERVER", "SERIAL", "NAME", "TYPE", "TTL", "ANSWER"], rows);
        for row in &self.answers {
            if let Some(why) = &row.differs {
                let _ = writeln!(told, "{}: {} {}: {why}", row.server, row.name, row.type_);
            }
        }
        let is_there = self.answers.iter().any(|row| !row.values.is_empty());
        let verdict = match (self.agree, is_there, self.matches) {
            (false, ..) => "The servers do not agree.",
            (true, false, _) => "The servers agree: there is nothing.",
            (true, true, Some(false)) => "The servers agree, and the DnsRecord asks for something else.",
            (true, true, Some(true)) => "The servers agree, and it is what the DnsRecord asks for.",
            (true, true, None) => "The servers agree.",
        };
        told + verdict + "\n"
    }
}

impl Row {
    async fn ask(question: &Question, server: &Server) -> Self {
        let Question { name, type_, wanted } = question;
        let (answer, serial) = futures::future::join(
            authority::answer(server.address, name, type_),
            authority::serial(server.address, name),
        )
        .await;
        let differs = match (&answer, wanted) {
            // Texts of other records of the namespace stand beside its own.
            (Ok(_), Some(set)) if set.type_ == RecordType::Txt => {
                authority::includes(server.address, set).await.unwrap_or_else(Some)
            }
            (Ok(_), Some(set)) => authority::compare(server.address, set).await.unwrap_or_else(Some),
            _ => None,
        };
        let (answer, failure) = match answer {
            Ok(answer) => (answer, None),
            Err(why) => (authority::Answer::default(), Some(why)),
        };
        let aliases = answer.sets.iter().filter(|set| set.type_ != *type_);
        let values = answer.sets.iter().filter(|set| set.type_ == *type_);
        let values = values.flat_map(|set| set.values.iter().cloned());
        let led = aliases.flat_map(|set| set.values.iter().map(|host| format!("CNAME {host}")));
        Self {
            server: server.name.clone(),
            serial,
            name: name.to_string(),
            type_: type_.to_string(),
            ttl_seconds: answer.sets.iter().map(|set| set.ttl).min(),
            values: led.chain(values).collect(),
            no_such_name: answer.no_such_name,
            failure,
            differs,
        }
    }

    fn cells(&self) -> [String; 6] {
        let answer = match &self.failure {
            Some(why) => why.clone(),
            None if !self.values.is_empty() => self.values.iter().cloned().collect::<Vec<_>>().join(", "),
            None if self.no_such_name => "no such name".to_owned(),
            None => "nothing".to_owned(),
        };
        [
            self.server.clone(),
            self.serial.map(|serial| serial.to_string()).unwrap_or_default(),
            self.name.clone(),
            self.type_.clone(),
            self.ttl_seconds.map(|ttl| ttl.to_string()).unwrap_or_default(),
            answer,
        ]
    }
}
