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
