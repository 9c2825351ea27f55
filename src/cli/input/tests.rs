use crate::cli::Exit;
use crate::cli::tests::{APP, Folder, objects, tremplin};

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
        (
            format!(
                "{APP}---\n{}",
                APP.replace("annuaire}", "annuaire, namespace: default}")
            ),
            "app.yaml:9:12: metadata.name: the app annuaire is in",
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

/// An app that is taken for something else would be left out, and what was rendered from it before removed.
#[test]
fn what_is_nearly_an_app_is_a_fault_in_folders_too() {
    for (text, told) in [
        (APP.replace("StartupApp", "Startupapp"), "2:1: kind: is Startupapp, which tremplin.dev/v1alpha1 does not have: write kind: StartupApp"),
        (APP.replace("StartupApp", "PreviewEnv"), "2:1: kind: is PreviewEnv, which"),
        (APP.replace("kind: StartupApp\n", ""), "1:1: kind: is missing: write kind: StartupApp"),
        (APP.replace("kind: StartupApp", "kind:"), "2:1: kind: is missing: write kind: StartupApp"),
        (APP.replace("kind: StartupApp", "kind: [StartupApp]"), "2:1: kind: is missing"),
        (APP.replace("tremplin.dev/v1alpha1", "tremplin.dev/v1"), "1:1: apiVersion: is tremplin.dev/v1, but this program knows tremplin.dev/v1alpha1"),
        (APP.replace("tremplin.dev/v1alpha1", "tremplin.dev"), "1:1: apiVersion: is tremplin.dev, but"),
        (APP.replace("tremplin.dev", "tremplin.dv"), "1:1: apiVersion: is tremplin.dv/v1alpha1, but a StartupApp is of tremplin.dev/v1alpha1"),
        (APP.replace("tremplin.dev", "tremplin.device"), "1:1: apiVersion: is tremplin.device/v1alpha1, but"),
        (APP.replace("apiVersion:", "apiversion:"), "1:1: apiVersion: is missing: write apiVersion: tremplin.dev/v1alpha1"),
        ("metadata: {name: a}\nspec: {image: a}\n".into(), "1:1: kind: is missing: write the object's kind"),
        ("apiVersion: v1\nkind: List\nitem: []\n".into(), "1:1: items: is no list of objects"),
        (
            "apiVersion: tremplin.dev/v1alpha1\nkind: StartupAppList\nitems:\n- metadata: {name: a}\n  spec: {image: a}\n".into(),
            "4:3: kind: is missing",
        ),
        ("apiVersion: tremplin.dev/v1alpha1\nkind: StartupAppList\n".into(), "2:1: kind: is StartupAppList, which"),
        (APP.replace("annuaire}", "annuaire, namespace: Bad NS}"), "3:28: metadata.namespace: \"Bad NS\" is no name of a namespace"),
        (APP.replace("annuaire}", "annuaire, namespace: 5}"), "3:28: metadata.namespace: 5 is no text"),
    ] {
        let folder = Folder::new(&[("a.yaml", &text)]);
        for command in ["render", "check"] {
            let ran = tremplin(&[command, "-f", &folder.path("")], "");
            let expected = if command == "check" { Exit::Found } else { Exit::Failed };
            assert_eq!(ran.exit, expected, "{command} {text}{}", ran.output);
            if command == "render" {
                assert!(ran.errors.contains(told), "{told}\n{}", ran.errors);
            }
        }
    }
}

#[test]
fn a_list_in_a_list_is_read_with_its_places() {
    let inner = APP.trim_end().replace('\n', "\n    ");
    let text = format!(
        "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: List\n  items:\n  - {inner}\n      colour: red\n"
    );
    let ran = tremplin(&["render", "-f", "-"], &text);
    assert!(
        ran.errors.contains("<stdin>:12:7: spec.colour: unknown field"),
        "{}",
        ran.errors
    );
}

#[test]
fn a_namespace_and_labels_that_no_cluster_has_are_wrong_use() {
    for (arguments, told) in [
        (["-n", "Bad NS"], "'Bad NS' for '--namespace <NAMESPACE>'"),
        (["--namespace-labels", "=x"], "\"\" is no label's key"),
        (["--namespace-labels", "a=1,b=2 3"], "\"2 3\" is no label's value"),
        (["--namespace-labels", "a"], "write KEY=VALUE"),
    ] {
        let ran = tremplin(&[&["check", "-f", "-"], &arguments[..]].concat(), APP);
        assert_eq!(ran.exit, Exit::Failed);
        assert!(ran.errors.contains(told), "{told}\n{}", ran.errors);
    }
}

#[test]
fn a_linked_file_is_read_and_a_linked_folder_is_not_followed() {
    let folder = Folder::new(&[("in/other.yaml", "replicas: 2\n"), ("app.yaml", APP)]);
    let link = |target: &str, name: &str| std::os::unix::fs::symlink(target, folder.path(name)).unwrap();
    link("../app.yaml", "in/app.yaml");
    link(".", "in/again");
    link("..", "in/folder.yaml");
    let ran = tremplin(&["render", "-f", &folder.path("in")], "");
    assert_eq!((ran.exit, ran.errors.as_str()), (Exit::Fine, ""));
    assert!(ran.output.contains("name: annuaire-web"), "{}", ran.output);
}
