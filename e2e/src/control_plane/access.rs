//! Who may speak to a control plane: clients and kubeconfig files of users and service accounts.

use std::path::PathBuf;

use anyhow::{Context, Result};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::Client;
use kube::api::{Api, PostParams};
use serde_json::Value;

use super::ControlPlane;
use crate::certificates::write_private;
use crate::kubeconfig::config;

impl ControlPlane {
    /// A client with every right. It belongs to the Tokio runtime of its caller.
    pub fn client(&self) -> Result<Client> {
        Client::try_from(self.admin_config()).context("failed to build a client")
    }

    /// A client of a user who has the rights that RBAC gives to the name and the groups.
    pub async fn client_as(&self, user: &str, groups: &[&str]) -> Result<Client> {
        Client::try_from(config(self.document_as(user, groups)?).await?).context("failed to build a client")
    }

    /// A client of a service account, which must exist, by a token valid for an hour.
    pub async fn client_as_service_account(&self, namespace: &str, name: &str) -> Result<Client> {
        let document = self.document_as_service_account(namespace, name).await?;
        Client::try_from(config(document).await?).context("failed to build a client")
    }

    /// A kubeconfig file for a user, to run a program with.
    pub fn kubeconfig_as(&self, user: &str, groups: &[&str]) -> Result<PathBuf> {
        self.write_kubeconfig(user, &self.document_as(user, groups)?)
    }

    /// A kubeconfig file for a service account, which must exist, valid for an hour.
    pub async fn kubeconfig_as_service_account(&self, namespace: &str, name: &str) -> Result<PathBuf> {
        let document = self.document_as_service_account(namespace, name).await?;
        self.write_kubeconfig(&format!("{namespace}-{name}"), &document)
    }

    pub(crate) fn document_as(&self, user: &str, groups: &[&str]) -> Result<Value> {
        Ok(self
            .server
            .with_certificate("tremplin", &self.authority.client(user, groups)?))
    }

    async fn document_as_service_account(&self, namespace: &str, name: &str) -> Result<Value> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client()?, namespace);
        let spec = TokenRequestSpec {
            expiration_seconds: Some(3600),
            ..Default::default()
        };
        let request = TokenRequest {
            spec: Some(spec),
            ..Default::default()
        };
        let answer = accounts
            .create_token_request(name, &PostParams::default(), &request)
            .await;
        let answer = answer.with_context(|| format!("no token for service account {namespace}/{name}"))?;
        let token = answer
            .status
            .and_then(|status| status.token)
            .context("the API server gave no token")?;
        Ok(self.server.with_token("tremplin", &token))
    }

    fn write_kubeconfig(&self, name: &str, document: &Value) -> Result<PathBuf> {
        let path = self
            .folder()
            .join(format!("kubeconfig-{}", name.replace(['/', ':'], "-")));
        write_private(&path, &document.to_string())?;
        Ok(path)
    }
}
