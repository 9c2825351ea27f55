//! Where the program is run: a namespace of its own, with a kubeconfig.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind, TypeMeta};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tremplin_core::api::StartupApp;
use tremplin_core::live::STARTUP_APP_MANAGER;
use tremplin_e2e::ControlPlane;

use crate::common::install_crds;

/// A namespace of its own, with the CRDs installed.
pub struct Place {
    pub client: kube::Client,
    pub kubeconfig: PathBuf,
    pub namespace: String,
}

pub async fn place() -> Place {
    let plane = ControlPlane::shared().await.unwrap();
    let client = plane.client().unwrap();
    install_crds(&client).await;
    Place {
        client,
        kubeconfig: plane.kubeconfig(),
        namespace: plane.namespace("cli").await.unwrap(),
    }
}

impl Place {
    /// Runs the program with `-n` set to the namespace.
    pub async fn run(&self, arguments: &[&str], input: &str) -> Ran {
        run_as(
            Path::new(env!("CARGO_BIN_EXE_tremplin")),
            &self.kubeconfig,
            &[arguments, &["-n", &self.namespace]].concat(),
            input,
        )
        .await
    }

    /// Writes objects as the operator would: with its field manager, and owned by the app.
    pub async fn apply_as_operator(&self, rendered: &str, app: &Value) {
        for mut object in documents(rendered) {
            object["metadata"]["ownerReferences"] = json!([{
                "apiVersion": "tremplin.dev/v1alpha1", "kind": "StartupApp", "name": "annuaire",
                "uid": app["metadata"]["uid"], "controller": true, "blockOwnerDeletion": true,
            }]);
            self.apply(&object, STARTUP_APP_MANAGER).await;
        }
    }

    pub async fn apply(&self, object: &Value, manager: &str) -> Value {
        let types: TypeMeta = serde_json::from_value(object.clone()).unwrap();
        let resource = ApiResource::from_gvk(&GroupVersionKind::try_from(&types).unwrap());
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), &self.namespace, &resource);
        let params = PatchParams::apply(manager).force();
        let name = object["metadata"]["name"].as_str().unwrap();
        serde_json::to_value(api.patch(name, &params, &Patch::Apply(object)).await.unwrap()).unwrap()
    }

    pub fn apps(&self) -> Api<StartupApp> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub async fn status_of_app(&self, status: Value) {
        let patch = Patch::Merge(json!({ "status": status }));
        let params = PatchParams::default();
        self.apps().patch_status("annuaire", &params, &patch).await.unwrap();
    }
}

pub struct Ran {
    pub code: Option<i32>,
    pub output: String,
    pub errors: String,
}

pub async fn run_as(program: &Path, kubeconfig: &Path, arguments: &[&str], input: &str) -> Ran {
    let mut child = Command::new(program)
        .args(arguments)
        .env("KUBECONFIG", kubeconfig)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    // A command that reads no input may be gone already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes()).await;
    let ended = tokio::time::timeout(Duration::from_mins(1), child.wait_with_output());
    let Output { status, stdout, stderr } = ended.await.unwrap().unwrap();
    Ran {
        code: status.code(),
        output: String::from_utf8(stdout).unwrap(),
        errors: String::from_utf8(stderr).unwrap(),
    }
}

pub fn documents(text: &str) -> Vec<Value> {
    tremplin_core::yaml::parse(text)
        .unwrap()
        .into_iter()
        .map(|document| document.value)
        .collect()
}

pub fn tempdir() -> PathBuf {
    let name = format!(
        "tremplin-command-line-{}-{:?}",
        std::process::id(),
        std::thread::current().id()
    );
    let folder = std::env::temp_dir().join(name.replace(['(', ')'], ""));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}
