//! `dns import`: an existing zone as DnsRecords.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use serde_json::json;
use tremplin_core::api::DnsZone;
use tremplin_core::api::dns::ProviderType;
use tremplin_core::dns::import::{self, Import, NAMESPACE};
use tremplin_core::dns::profile::Alias;
use tremplin_core::dns::{Fqdn, Profile, RrSet, Zone, zone_file};

use super::{fqdn, sound, typed};
use crate::cli::cluster::block_on;
use crate::cli::input;
use crate::cli::options::{Files, to_yaml};
use crate::cli::{Exit, Io, counted};
use crate::dns_provider::{self, Shared};

/// Print the DnsRecords that an existing zone comes to, and the adoptions that give its names to teams
///
/// What is left out, and why, is told beside the output, and what the DnsZone would refuse or change of the rest: with a zone
/// file, one that says nothing of its own. Nothing is written anywhere. Exit code 1 when something of the
/// zone could not be read.
#[derive(Args, Debug)]
pub struct Arguments {
    /// The zone's domain
    #[arg(long, value_name = "DOMAIN", value_parser = fqdn)]
    zone: Fqdn,

    /// A zone file, as BIND has it and most providers export it, or - for the standard input
    #[arg(long, value_name = "FILE|-", required_unless_present = "provider_file")]
    zone_file: Option<PathBuf>,

    /// A file with a DnsZone, whose provider is asked for the zone
    #[arg(long, value_name = "FILE|-", requires = "secret_file", conflicts_with = "zone_file")]
    provider_file: Option<PathBuf>,

    /// The credential of that provider: lines KEY=VALUE, with the keys of the Secret
    #[arg(long, value_name = "FILE", requires = "provider_file")]
    secret_file: Option<PathBuf>,

    /// Certificates in PEM that are trusted for that provider, beside the public authorities
    #[arg(long, value_name = "FILE", requires = "provider_file")]
    ca_file: Option<PathBuf>,

    /// How many labels below the zone a claim has: spec.claims.depth of the DnsZone
    #[arg(long, value_name = "NUMBER", default_value_t = 1, conflicts_with = "provider_file", value_parser = clap::value_parser!(u8).range(1..=5))]
    depth: u8,

    /// Print the adoptions alone, as what spec of the DnsZone is to be merged with
    #[arg(long)]
    adoptions: bool,
}

pub fn run(arguments: &Arguments, io: &mut Io<'_>) -> anyhow::Result<Exit> {
    let (zone, profile, sets, unread) = match (&arguments.zone_file, &arguments.provider_file) {
        (Some(file), _) => {
            let (sets, unread) = from_file(file, &arguments.zone, io)?;
            (untold(arguments)?, any_provider(), sets, unread)
        }
        (None, Some(file)) => {
            let zone = zone_of(arguments, file, io)?;
            let sets = from_provider(arguments, &zone)?;
            let profile = dns_provider::profile(zone.spec.provider.type_);
            (zone, profile, sets, Vec::new())
        }
        (None, None) => bail!("give --zone-file or --provider-file"),
    };
    let depth = Zone::parse(&zone).map_err(|fault| anyhow!("{fault}"))?.depth;
    let import = import::import(&sets, &arguments.zone, depth);
    if arguments.adoptions {
        write!(io.output, "{}", adoptions(&import)?)?;
    } else {
        write!(io.output, "{}", records(&import)?)?;
    }
    for why in &unread {
        writeln!(io.errors, "not read: {why}")?;
    }
    for (set, why) in &import.left_out {
        writeln!(io.errors, "left out: {} {}: {why}", set.name, set.type_)?;
    }
    let changes = import::changes(&import, &zone, &profile).map_err(|fault| anyhow!("{fault}"))?;
    for (record, what) in changes {
        writeln!(io.errors, "note: {record}: {what}")?;
    }
    writeln!(
        io.errors,
        "{} of {}; {} left out",
        counted(import.records.len(), "DnsRecord"),
        counted(sets.len(), "record set"),
        import.left_out.len() + unread.len()
    )?;
    Ok(if unread.is_empty() { Exit::Fine } else { Exit::Found })
}

/// What a file has, and what could not be read of it.
fn from_file(file: &Path, zone: &Fqdn, io: &mut Io<'_>) -> anyhow::Result<(Vec<RrSet>, Vec<String>)> {
    let mut text = String::new();
    if file.as_os_str() == "-" {
        let read = io.input.read_to_string(&mut text);
        read.context("failed to read the standard input")?;
    } else {
        text = read(file)?;
    }
    let (sets, errors) = zone_file::read_all(&text, zone);
    let unread = errors.into_iter().map(|error| format!("{}: {error}", file.display()));
    Ok((sets, unread.collect()))
}

/// A DnsZone that says nothing of its own: its rules are those of the documentation.
fn untold(arguments: &Arguments) -> anyhow::Result<DnsZone> {
    let spec = json!({
        "domain": arguments.zone.as_str(),
        "provider": {"type": "Request"},
        "claims": {"depth": arguments.depth},
    });
    typed(
        &json!({"apiVersion": "tremplin.dev/v1alpha1", "kind": "DnsZone", "metadata": {"name": arguments.zone.as_str()}, "spec": spec}),
    )
}

/// A provider of which nothing is known: it takes everything.
fn any_provider() -> Profile {
    Profile {
        alias: Alias::Anywhere,
        ..dns_provider::profile(ProviderType::Request)
    }
}

/// The DnsZone of a file.
fn zone_of(arguments: &Arguments, file: &Path, io: &mut Io<'_>) -> anyhow::Result<DnsZone> {
    let files = Files {
        sources: vec![file.to_owned()],
        namespace: None,
        namespace_labels: Vec::new(),
    };
    let read_files = input::read(&files, io)?;
    sound(&read_files)?;
    let found = read_files
        .manifests
        .iter()
        .find(|manifest| manifest.text("/kind") == "DnsZone")
        .ok_or_else(|| anyhow!("{} has no DnsZone", file.display()))?;
    let zone: DnsZone = typed(&found.value)?;
    if fqdn(&zone.spec.domain).as_ref() != Ok(&arguments.zone) {
        bail!("the DnsZone is of {}, not of {}", zone.spec.domain, arguments.zone);
    }
    Ok(zone)
}

fn from_provider(arguments: &Arguments, zone: &DnsZone) -> anyhow::Result<Vec<RrSet>> {
    let secret = match &arguments.secret_file {
        Some(file) => secret(&read(file)?).with_context(|| format!("failed to read {}", file.display()))?,
        None => BTreeMap::new(),
    };
    let ca = arguments.ca_file.as_deref().map(read).transpose()?;
    let shared = Shared::default();
    let ca = ca.as_ref().map(String::as_bytes);
    let provider = dns_provider::build(&zone.spec.provider, &arguments.zone, &secret, ca, &shared)?;
    block_on(async { Ok(provider.read_all().await?) })
}

fn read(file: &Path) -> anyhow::Result<String> {
    fs::read_to_string(file).with_context(|| format!("failed to read {}", file.display()))
}

/// Lines `KEY=VALUE`; empty ones and those that begin with `#` say nothing. No message shows a value.
fn secret(text: &str) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    let told = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    told.map(|(number, line)| {
        let (key, value) = line
            .split_once('=')
            .ok_or_else(|| anyhow!("line {number} is not KEY=VALUE"))?;
        Ok((key.trim().to_owned(), value.trim().as_bytes().to_vec()))
    })
    .collect()
}

/// Documents that can be applied, and what belongs into the DnsZone as a comment at their end.
fn records(import: &Import) -> anyhow::Result<String> {
    let mut text = String::new();
    for record in &import.records {
        text += "---\n";
        text += &to_yaml(record)?;
    }
    if !import.adoptions.is_empty() {
        text += "# For the DnsZone, once every ";
        text += NAMESPACE;
        text += " is the namespace that gets the name:\n";
        for line in adoptions(import)?.lines() {
            text += "# ";
            text += line;
            text.push('\n');
        }
    }
    Ok(text)
}

fn adoptions(import: &Import) -> anyhow::Result<String> {
    to_yaml(&json!({"spec": {"adoptions": import.adoptions}}))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::cli::tests::{Folder, objects, tremplin};

    const ZONE: &str = "$TTL 300\n@ IN SOA ns1 admin 1 2 3 4 5\n@ IN NS ns1\napp IN A 192.0.2.1\napp IN TXT \"one; two\"\nodd IN A nonsense\n";

    #[test]
    fn a_zone_file_becomes_records_and_adoptions_and_the_rest_is_told() {
        let ran = tremplin(&["dns", "import", "--zone", "z.example", "--zone-file", "-"], ZONE);
        assert_eq!(ran.exit, Exit::Found, "an entry was not read");
        let found = objects(&ran.output);
        let names: Vec<_> = found
            .iter()
            .map(|object| object["metadata"]["name"].as_str().unwrap())
            .collect();
        assert_eq!(names, ["app", "app-txt"]);
        assert_eq!(found[0]["spec"]["targets"], json!(["192.0.2.1"]));
        assert!(ran.output.contains("# spec:\n#   adoptions:\n"), "{}", ran.output);
        assert!(
            ran.errors
                .contains("left out: z.example SOA: the provider keeps the SOA")
                && ran.errors.contains("not read: -: line 6: ")
                && ran
                    .errors
                    .contains("note: app: the DnsZone refuses it (TargetNotAllowed): 192.0.2.1 is not of the public")
                && ran.errors.ends_with("2 DnsRecords of 4 record sets; 3 left out\n"),
            "{}",
            ran.errors
        );
        // What is printed can be read again, as a team would commit it.
        assert_eq!(tremplin(&["check", "-f", "-"], &ran.output).exit, Exit::Fine);
        let whole = ZONE.replace("odd IN A nonsense\n", "");
        let arguments = [
            "dns",
            "import",
            "--zone",
            "z.example",
            "--zone-file",
            "-",
            "--adoptions",
        ];
        let ran = tremplin(&arguments, &whole);
        assert_eq!(ran.exit, Exit::Fine);
        let patch: Value = objects(&ran.output).remove(0);
        assert_eq!(patch["spec"]["adoptions"][0]["name"], "app.z.example");
    }

    #[test]
    fn a_credential_is_read_line_by_line_and_never_shown() {
        let read = secret("# of the desk\napi-key = a=b\n\n").unwrap();
        assert_eq!(read, BTreeMap::from([("api-key".to_owned(), b"a=b".to_vec())]));
        let folder = Folder::new(&[
            (
                "zone.yaml",
                "apiVersion: tremplin.dev/v1alpha1\nkind: DnsZone\nmetadata: {name: z}\nspec: {domain: z.example, provider: {type: OVH, secretRef: {name: s}}}\n",
            ),
            ("secret", "hunter2\n"),
        ]);
        let (zone, secret) = (folder.path("zone.yaml"), folder.path("secret"));
        let arguments = [
            "dns",
            "import",
            "--zone",
            "z.example",
            "--provider-file",
            &zone,
            "--secret-file",
            &secret,
        ];
        let ran = tremplin(&arguments, "");
        assert_eq!(ran.exit, Exit::Failed);
        assert!(
            ran.errors.contains("line 1 is not KEY=VALUE") && !ran.errors.contains("hunter2"),
            "{}",
            ran.errors
        );
    }
}
