//! Kubeconfig files. They are written as JSON, which is YAML too, and hold everything they need.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};

use anyhow::{Context, Result};

use crate::certificates::Signed;

/// Where an API server is, and whom to believe it from.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub(crate) url: String,
    /// The authority's certificate, PEM.
    pub(crate) authority: String,
}

impl Server {
    /// For a user who has a certificate.
    pub(crate) fn with_certificate(&self, cluster: &str, signed: &Signed) -> Value {
        let user = json!({
            "client-certificate-data": BASE64_STANDARD.encode(&signed.certificate),
            "client-key-data": BASE64_STANDARD.encode(&signed.key),
        });
        self.document(cluster, &user)
    }

    /// For a user who has a bearer token.
    pub(crate) fn with_token(&self, cluster: &str, token: &str) -> Value {
        self.document(cluster, &json!({ "token": token }))
    }

    fn document(&self, name: &str, user: &Value) -> Value {
        json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": {
                "server": self.url,
                "certificate-authority-data": BASE64_STANDARD.encode(&self.authority),
            }}],
            "users": [{"name": name, "user": user}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            "current-context": name,
        })
    }
}

/// What a kubeconfig says, for the `kube` crate.
pub(crate) async fn config(document: Value) -> Result<kube::Config> {
    let kubeconfig: Kubeconfig = serde_json::from_value(document).context("a kubeconfig that does not parse")?;
    let options = KubeConfigOptions::default();
    kube::Config::from_custom_kubeconfig(kubeconfig, &options)
        .await
        .context("a kubeconfig that cannot be used")
}
