use serde_json::Value;

use crate::cli::Exit;
use crate::cli::tests::{APP, Folder, Ran, kinds, objects, tremplin};

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
