use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;
use tremplin_core::reason::meanings;
use tremplin_core::yaml;

use super::*;

pub const APP: &str = "\
apiVersion: tremplin.dev/v1alpha1
kind: StartupApp
metadata: {name: annuaire}
spec:
  image: ghcr.io/betagouv/annuaire:8f2c1e0
";

/// What a run wrote.
pub struct Ran {
    pub exit: Exit,
    pub output: String,
    pub errors: String,
}

pub fn tremplin(arguments: &[&str], input: &str) -> Ran {
    named("tremplin", arguments, input)
}

fn named(program: &str, arguments: &[&str], input: &str) -> Ran {
    let (mut output, mut errors) = (Vec::new(), Vec::new());
    let mut io = Io {
        input: &mut input.as_bytes(),
        output: &mut output,
        errors: &mut errors,
    };
    let arguments = [program].iter().chain(arguments).map(OsString::from).collect();
    let exit = run(arguments, &mut io);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran {
        exit,
        output: text(output),
        errors: text(errors),
    }
}

/// A folder that goes with its test.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(files: &[(&str, &str)]) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "tremplin-cli-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let folder = Self(std::env::temp_dir().join(name));
        fs::create_dir_all(&folder.0).unwrap();
        for (name, text) in files {
            folder.write(name, text);
        }
        folder
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub fn path(&self, name: &str) -> String {
        self.0.join(name).to_string_lossy().into_owned()
    }

    pub fn names(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.0.join(folder)).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub fn objects(output: &str) -> Vec<Value> {
    yaml::parse(output)
        .unwrap()
        .into_iter()
        .map(|document| document.value)
        .collect()
}

pub fn kinds(output: &str) -> Vec<String> {
    objects(output)
        .iter()
        .map(|object| object["kind"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn the_command_line_is_well_formed() {
    command().debug_assert();
}

#[test]
fn help_is_no_error_and_tells_the_exit_codes() {
    let ran = tremplin(&["--help"], "");
    assert_eq!(ran.exit, Exit::Fine);
    assert!(
        ran.output
            .contains("Exit codes: 0 all is well; 1 findings or differences; 2 wrong use"),
        "{}",
        ran.output
    );
}

#[test]
fn wrong_use_ends_with_2_and_says_so_beside_the_output() {
    let ran = tremplin(&["render"], "");
    assert_eq!((ran.exit, ran.output.as_str()), (Exit::Failed, ""));
    assert!(ran.errors.contains("--filename"), "{}", ran.errors);
}

#[test]
fn as_a_plugin_it_calls_itself_kubectl_tremplin() {
    let ran = named("/usr/local/bin/kubectl-tremplin", &["render", "--help"], "");
    assert!(ran.output.contains("Usage: kubectl tremplin render"), "{}", ran.output);
    assert!(
        tremplin(&["render", "--help"], "")
            .output
            .contains("Usage: tremplin render")
    );
}

#[test]
fn the_crds_are_printed_whole() {
    let ran = tremplin(&["crds"], "");
    assert_eq!(
        (ran.exit, kinds(&ran.output)),
        (Exit::Fine, vec!["CustomResourceDefinition".to_owned(); 4])
    );
}

#[test]
fn every_reason_is_explained() {
    let all = tremplin(&["explain"], "").output;
    for meaning in meanings() {
        let ran = tremplin(&["explain", &meaning.reason.to_lowercase()], "");
        assert_eq!(ran.exit, Exit::Fine);
        assert!(
            ran.output.contains(meaning.when) && ran.output.contains(meaning.action),
            "{}",
            ran.output
        );
        assert!(all.contains(meaning.reason) && all.contains(meaning.when));
    }
    assert_eq!(tremplin(&["explain", "Tired"], "").exit, Exit::Failed);
    let all: Value = serde_json::from_str(&tremplin(&["explain", "-o", "json"], "").output).unwrap();
    assert_eq!(all.as_array().unwrap().len(), meanings().len());
}

#[test]
fn a_word_with_two_meanings_is_explained_for_both_kinds() {
    let both = tremplin(&["explain", "InvalidSpec"], "").output;
    assert!(
        both.contains("InvalidSpec (StartupApp)") && both.contains("InvalidSpec (DnsRecord, DnsZone, DnsClaim)"),
        "{both}"
    );
    let json: Value = serde_json::from_str(&tremplin(&["explain", "NotOurs", "-o", "json"], "").output).unwrap();
    assert_eq!(json.as_array().unwrap().len(), 1);
    assert_eq!(json[0]["reason"], "NotOurs");
    assert_eq!(
        json[0]["kinds"],
        serde_json::json!(["DnsRecord", "DnsZone", "DnsClaim"])
    );
}

#[test]
fn completions_know_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let script = tremplin(&["completions", shell], "").output;
        for name in command().get_subcommands().map(|command| command.get_name().to_owned()) {
            assert!(script.contains(&name), "{shell} {name}");
        }
    }
}

/// A stream that nobody can write to.
struct Broken(io::ErrorKind);

impl Write for Broken {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(self.0.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Err(self.0.into())
    }
}

fn onto(kind: io::ErrorKind, arguments: &[&str], input: &str) -> (Exit, String) {
    let mut errors = Vec::new();
    let mut io = Io {
        input: &mut input.as_bytes(),
        output: &mut Broken(kind),
        errors: &mut errors,
    };
    let arguments = ["tremplin"].iter().chain(arguments).map(OsString::from).collect();
    (run(arguments, &mut io), String::from_utf8(errors).unwrap())
}

#[test]
fn a_reader_that_has_seen_enough_changes_no_exit_code() {
    let bad = format!("{APP}  colour: red\n");
    let check = ["check", "-f", "-"];
    assert_eq!(onto(io::ErrorKind::BrokenPipe, &check, &bad).0, Exit::Found);
    assert_eq!(onto(io::ErrorKind::BrokenPipe, &check, APP).0, Exit::Fine);
    assert_eq!(
        onto(io::ErrorKind::BrokenPipe, &["render", "-f", "-"], &bad).0,
        Exit::Failed
    );
}

#[test]
fn output_that_cannot_be_written_is_told() {
    for arguments in [&["render", "-f", "-"][..], &["--help"]] {
        let (exit, errors) = onto(io::ErrorKind::StorageFull, arguments, APP);
        assert_eq!(exit, Exit::Failed);
        assert!(errors.starts_with("error: failed to write the output: "), "{errors}");
    }
}
