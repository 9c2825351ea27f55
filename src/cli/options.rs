//! Options that several commands share.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::Serialize;

use tremplin_core::platform::{LabelKey, Platform, is_dns_label, is_label_value};

use super::Io;
use crate::platform_file::Source;
pub use crate::settings::PlatformChoice;

/// The manifests to read.
#[derive(Args, Debug)]
pub struct Files {
    /// A file, a folder (every .yaml, .yml and .json below it) or - for the standard input; may be given again
    #[arg(short = 'f', long = "filename", value_name = "FILE|DIR|-", required = true)]
    pub sources: Vec<PathBuf>,

    /// The namespace of objects that name none; an object that names another one is refused
    #[arg(short, long, value_name = "NAMESPACE", value_parser = valid_namespace)]
    pub namespace: Option<String>,

    /// The namespace's labels, where no cluster is asked; a Namespace object among the manifests tells them too
    #[arg(long, value_name = "KEY=VALUE,...", value_delimiter = ',', value_parser = label)]
    pub namespace_labels: Vec<(String, String)>,
}

/// The form of what is printed.
#[derive(Args, Debug)]
pub struct Output {
    /// The form of the output
    #[arg(short = 'o', long = "output", value_name = "FORM", default_value = "table")]
    pub form: Form,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// For people
    Table,
    /// For programs
    Json,
    /// For programs
    Yaml,
}

impl Output {
    /// Prints what a program reads.
    pub fn print(&self, value: &impl Serialize, io: &mut Io<'_>) -> anyhow::Result<()> {
        match self.form {
            Form::Yaml => write!(io.output, "{}", to_yaml(value)?)?,
            Form::Json | Form::Table => writeln!(io.output, "{}", serde_json::to_string_pretty(value)?)?,
        }
        Ok(())
    }
}

impl PlatformChoice {
    /// Reads the platform file or profile.
    pub fn load(&self) -> anyhow::Result<Platform> {
        Ok(Source::of(&self.platform).load()?.0)
    }
}

impl Files {
    /// Whether one of the sources is a folder, which may well be empty.
    pub fn has_folder(&self) -> bool {
        self.sources.iter().any(|source| source.is_dir())
    }
}

fn label(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write KEY=VALUE")?;
    let (key, value) = (key.trim(), value.trim());
    if LabelKey::new(key).is_none() {
        return Err(format!(
            "{key:?} is no label's key: write KEY=VALUE, as in dso/environment=dev"
        ));
    }
    if !is_label_value(value) {
        return Err(format!(
            "{value:?} is no label's value: at most 63 letters, digits, -, _ and ., with a letter or digit at both ends"
        ));
    }
    Ok((key.to_owned(), value.to_owned()))
}

/// The labels given on the command line, as a map.
pub fn labels(pairs: &[(String, String)]) -> BTreeMap<String, String> {
    pairs.iter().cloned().collect()
}

/// A namespace's name, as Kubernetes takes it.
pub fn valid_namespace(name: &str) -> Result<String, String> {
    if is_dns_label(name) {
        return Ok(name.to_owned());
    }
    Err(format!(
        "{name:?} is no name of a namespace: at most 63 of a-z, 0-9 and -, with a letter or digit at both ends"
    ))
}

/// An object as a YAML document, with a newline at its end.
pub fn to_yaml(object: &impl Serialize) -> anyhow::Result<String> {
    let mut text = serde_saphyr::to_string(object)?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}
