use std::fs;

use tremplin_core::yaml;

use crate::cli::Exit;
use crate::cli::tests::{APP, Folder, tremplin};

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
        ran.errors.contains(": 1 file written, 5 unchanged, 1 removed"),
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

fn render(folder: &Folder) -> crate::cli::tests::Ran {
    tremplin(
        &["render", "-f", &folder.path("in"), "--output-dir", &folder.path("out")],
        "",
    )
}

#[test]
fn a_file_of_ours_is_known_whatever_git_made_of_its_lines() {
    let folder = Folder::new(&[("in/app.yaml", APP)]);
    render(&folder);
    let name = "out/service-annuaire-web.yaml";
    let text = fs::read_to_string(folder.path(name)).unwrap();
    for changed in [text.replace('\n', "\r\n"), format!("\u{feff}{text}")] {
        folder.write(name, &changed);
        let ran = render(&folder);
        assert_eq!(ran.exit, Exit::Fine, "{}", ran.errors);
        assert_eq!(fs::read_to_string(folder.path(name)).unwrap(), text);
    }
}

#[test]
fn the_files_of_the_last_app_go_with_it() {
    let folder = Folder::new(&[("in/app.yaml", APP), ("out/README.md", "mine\n")]);
    render(&folder);
    fs::remove_file(folder.path("in/app.yaml")).unwrap();
    let ran = render(&folder);
    assert_eq!(
        (ran.exit, folder.names("out")),
        (Exit::Fine, vec!["README.md".to_owned()])
    );
    // From a file that holds no app, nothing is concluded.
    folder.write("other.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n");
    let ran = tremplin(
        &[
            "render",
            "-f",
            &folder.path("other.yaml"),
            "--output-dir",
            &folder.path("out"),
        ],
        "",
    );
    assert_eq!(ran.exit, Exit::Failed);
}

#[test]
fn what_cannot_be_put_in_its_place_leaves_nothing_behind() {
    let folder = Folder::new(&[("in/app.yaml", APP), ("out/deployment-annuaire-web.yaml/x", "")]);
    assert_eq!(render(&folder).exit, Exit::Failed);
    assert!(
        folder.names("out").iter().all(|name| !name.starts_with('.')),
        "{:?}",
        folder.names("out")
    );
}
