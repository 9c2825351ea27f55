use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;
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

    fn write(&self, name: &str, text: &str) {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub fn path(&self, name: &str) -> String {
        self.0.join(name).to_string_lossy().into_owned()
    }

    fn names(&self, folder: &str) -> Vec<String> {
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

fn objects(output: &str) -> Vec<Value> {
    yaml::parse(output)
        .unwrap()
        .into_iter()
        .map(|document| document.value)
        .collect()
}

fn kinds(output: &str) -> Vec<String> {
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
fn an_app_is_rendered_in_the_order_of_application() {
    let app = format!("{APP}  release: {{command: [migrate]}}\n  crons: [{{name: purge, schedule: '@daily'}}]\n");
    let ran = tremplin(&["render", "-f", "-"], &app);
    assert_eq!((ran.exit, ran.errors.as_str()), (Exit::Fine, ""));
    let expected = [
        "ServiceAccount",
        "Service",
        "PodDisruptionBudget",
        "Job",
        "Deployment",
        "CronJob",
        "Ingress",
    ];
    assert_eq!(kinds(&ran.output), expected);
    let job = &objects(&ran.output)[3];
    assert_eq!(job["spec"].get("suspend"), None, "nobody would resume it");
    assert_eq!(ran.output, tremplin(&["render", "-f", "-"], &app).output);
}

#[test]
fn for_argo_cd_the_release_becomes_a_hook_that_needs_nothing_applied_later() {
    let app = format!("{APP}  release: {{command: [migrate]}}\n");
    let ran = tremplin(&["render", "-f", "-", "--for", "argo-cd"], &app);
    let objects = objects(&ran.output);
    let job = objects.iter().find(|object| object["kind"] == "Job").unwrap();
    assert_eq!(job["metadata"]["annotations"]["argocd.argoproj.io/hook"], "PreSync");
    assert_eq!(
        job["metadata"]["annotations"]["argocd.argoproj.io/hook-delete-policy"],
        "BeforeHookCreation"
    );
    assert_eq!(job["spec"]["template"]["spec"].get("serviceAccountName"), None);
    let others = objects.iter().filter(|object| object["kind"] != "Job");
    assert!(
        others
            .into_iter()
            .all(|object| !object.to_string().contains("argocd.argoproj.io"))
    );
}

#[test]
fn json_is_one_list() {
    let ran = tremplin(&["render", "-f", "-", "-o", "json"], APP);
    let list: Value = serde_json::from_str(&ran.output).unwrap();
    assert_eq!(
        (list["kind"].as_str(), list["items"][0]["kind"].as_str()),
        (Some("List"), Some("ServiceAccount"))
    );
}

#[test]
fn the_namespace_s_labels_come_from_a_manifest_or_the_command_line() {
    let labels = "{app.kubernetes.io/managed-by: dso-console, dso/environment: dev, dso/project.slug: portail}";
    let namespace = format!("---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: b4--22, labels: {labels}}}\n");
    let host = |ran: &Ran| {
        let ingress = objects(&ran.output)
            .into_iter()
            .find(|object| object["kind"] == "Ingress");
        ingress.unwrap_or_else(|| panic!("{}", ran.errors))["spec"]["rules"][0]["host"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let by_manifest = tremplin(
        &["render", "-f", "-", "-n", "b4--22", "--platform", "cpin-mi"],
        &format!("{APP}{namespace}"),
    );
    let flag = "app.kubernetes.io/managed-by=dso-console,dso/environment=dev,dso/project.slug=portail";
    let by_flag = tremplin(
        &[
            "render",
            "-f",
            "-",
            "-n",
            "b4--22",
            "--platform",
            "cpin-mi",
            "--namespace-labels",
            flag,
        ],
        APP,
    );
    assert_eq!(
        host(&by_manifest),
        "annuaire-dev-portail.app.mi.cpin.numerique-interieur.com"
    );
    assert_eq!(by_manifest.output, by_flag.output);
    assert_eq!(
        host(&tremplin(&["render", "-f", "-", "-n", "paris"], APP)),
        "annuaire-paris.localhost"
    );
    assert_eq!(
        host(&tremplin(&["render", "-f", "-"], APP)),
        "annuaire-default.localhost"
    );
}

#[test]
fn another_namespace_than_asked_for_is_refused() {
    let app = APP.replace("{name: annuaire}", "{name: annuaire, namespace: lyon}");
    let ran = tremplin(&["render", "-f", "-", "-n", "paris"], &app);
    assert_eq!(ran.exit, Exit::Failed);
    assert!(
        ran.errors
            .contains("<stdin>:3:28: metadata.namespace: is lyon, but -n says paris"),
        "{}",
        ran.errors
    );
}

#[test]
fn what_is_wrong_is_told_with_file_line_and_column() {
    for (text, told) in [
        (
            format!("{APP}  colour: red\n"),
            "app.yaml:6:3: spec.colour: unknown field",
        ),
        (format!("{APP}  crons:\n"), "app.yaml:6:3: spec.crons: has no value"),
        (
            format!("{APP}  image: x\n"),
            "app.yaml:6:3: duplicate mapping key: image",
        ),
        (
            format!("{APP}  env: {{A: yes}}\n"),
            "app.yaml:6:9: spec.env.A: is a boolean, not a string: put it in quotes",
        ),
        (format!("{APP}  processes: [\n"), "app.yaml:6:"),
        (format!("{APP}  size: L\n"), "app.yaml:6:3: spec.size: unknown field"),
        (
            format!("{APP}---\n{APP}"),
            "app.yaml:9:12: metadata.name: the app annuaire is in",
        ),
        (
            APP.replace("v1alpha1", "v1beta1"),
            "app.yaml:1:1: apiVersion: is tremplin.dev/v1beta1, but",
        ),
        (
            APP.replace("{name: annuaire}", "{name: annuaire, labels: {a: yes}}"),
            "app.yaml:3:37: metadata.labels.a: invalid type",
        ),
        (
            APP.replace("ghcr.io/betagouv/annuaire:8f2c1e0", "annuaire"),
            "app.yaml:5:3: spec.image: the image annuaire does not name its registry",
        ),
        ("hello: world\n".into(), "app.yaml:1:1: not a Kubernetes object"),
        (
            format!(
                "apiVersion: v1\nkind: List\nitems:\n- {}",
                APP.trim_end().replace('\n', "\n  ")
            ) + "\n    colour: red\n",
            "app.yaml:9:5: spec.colour: unknown",
        ),
    ] {
        let folder = Folder::new(&[("app.yaml", &text)]);
        let ran = tremplin(&["render", "-f", &folder.path("app.yaml")], "");
        assert_eq!((ran.exit, ran.output.as_str()), (Exit::Failed, ""), "{text}");
        assert!(ran.errors.contains(told), "{told}\n{}", ran.errors);
    }
}

#[test]
fn every_fault_is_told_in_one_run() {
    let ran = tremplin(
        &["render", "-f", "-"],
        &format!("{APP}  colour: red\n  hosts: [a]\n---\n{APP}  exposure: mars\n"),
    );
    assert_eq!(ran.errors.lines().count(), 4, "{}", ran.errors);
}

#[test]
fn a_folder_is_read_whole_and_other_files_in_it_do_not_disturb() {
    let folder = Folder::new(&[
        ("apps/b.yml", &APP.replace("annuaire}", "b}")),
        ("apps/a.yaml", &APP.replace("annuaire}", "a}")),
        (
            "apps/c.json",
            r#"{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}"#,
        ),
        ("values.yaml", "replicas: 2\n"),
        ("README.md", "# hello: [\n"),
        (".git/x.yaml", "a: [\n"),
    ]);
    let ran = tremplin(&["render", "-f", &folder.path("")], "");
    assert_eq!((ran.exit, ran.errors.as_str()), (Exit::Fine, ""));
    let names = objects(&ran.output)
        .into_iter()
        .filter(|object| object["kind"] == "Deployment");
    let names: Vec<_> = names
        .map(|object| object["metadata"]["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["a-web", "b-web"]);
}

#[test]
fn a_folder_keeps_foreign_files_and_loses_stale_ones_of_ours() {
    let folder = Folder::new(&[("out/README.md", "mine\n"), ("out/secret.yaml", "kind: Secret\n")]);
    let out = folder.path("out");
    let app = format!("{APP}  crons: [{{name: purge, schedule: '@daily'}}]\n");
    assert_eq!(
        tremplin(&["render", "-f", "-", "--output-dir", &out], &app).exit,
        Exit::Fine
    );
    assert!(folder.names("out").contains(&"cronjob-annuaire-purge.yaml".to_owned()));
    let again = tremplin(&["render", "-f", "-", "--output-dir", &out], &app);
    assert!(
        again.errors.contains(": 0 files written, 7 unchanged, 0 removed"),
        "{}",
        again.errors
    );
    let ran = tremplin(&["render", "-f", "-", "--output-dir", &out], APP);
    assert!(
        ran.errors.contains(": 1 files written, 5 unchanged, 1 removed"),
        "{}",
        ran.errors
    );
    let expected = [
        "README.md",
        "deployment-annuaire-web.yaml",
        "ingress-annuaire.yaml",
        "kustomization.yaml",
        "poddisruptionbudget-annuaire-web.yaml",
        "secret.yaml",
        "service-annuaire-web.yaml",
        "serviceaccount-annuaire.yaml",
    ];
    assert_eq!(folder.names("out"), expected);
    let kustomization = fs::read_to_string(folder.path("out/kustomization.yaml")).unwrap();
    let listed = yaml::parse_one(&kustomization).unwrap().value["resources"].clone();
    for file in listed.as_array().unwrap() {
        assert!(
            folder.names("out").contains(&file.as_str().unwrap().to_owned()),
            "{file}"
        );
    }
    assert_eq!(
        fs::read_to_string(folder.path("out/secret.yaml")).unwrap(),
        "kind: Secret\n"
    );
}

#[test]
fn a_foreign_file_in_the_way_stops_everything() {
    let folder = Folder::new(&[("out/kustomization.yaml", "resources: []\n")]);
    let ran = tremplin(&["render", "-f", "-", "--output-dir", &folder.path("out")], APP);
    assert_eq!(ran.exit, Exit::Failed);
    assert!(
        ran.errors.contains("kustomization.yaml is in the way"),
        "{}",
        ran.errors
    );
    assert_eq!(folder.names("out"), ["kustomization.yaml"]);
}

#[test]
fn the_platform_file_s_fault_is_told_with_its_place() {
    let folder = Folder::new(&[("platform.yaml", "security: {type: OpenShift}\nsizes: {}\n")]);
    let ran = tremplin(&["render", "-f", "-", "--platform", &folder.path("platform.yaml")], APP);
    assert_eq!(ran.exit, Exit::Failed);
    assert!(
        ran.errors.contains("platform.yaml:2:1: sizes: exactly one size"),
        "{}",
        ran.errors
    );
    let ran = tremplin(&["render", "-f", "-", "--platform", "nowhere"], APP);
    assert!(
        ran.errors
            .contains("no such profile: there are generic, cpin-pax, cpin-mi"),
        "{}",
        ran.errors
    );
}

#[test]
fn the_crds_are_printed_whole() {
    let ran = tremplin(&["crds"], "");
    assert_eq!(
        (ran.exit, kinds(&ran.output)),
        (Exit::Fine, vec!["CustomResourceDefinition".to_owned()])
    );
}

#[test]
fn every_reason_is_explained() {
    let all = tremplin(&["explain"], "").output;
    for reason in tremplin_core::app::Reason::ALL {
        let ran = tremplin(&["explain", &reason.as_str().to_lowercase()], "");
        assert_eq!(ran.exit, Exit::Fine);
        assert!(
            ran.output.contains(reason.when()) && ran.output.contains(reason.action()),
            "{}",
            ran.output
        );
        assert!(all.contains(reason.as_str()));
    }
    assert_eq!(tremplin(&["explain", "Tired"], "").exit, Exit::Failed);
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
