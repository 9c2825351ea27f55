//! What the API server was asked: its audit log, parsed.
//!
//! Tests count requests here rather than in the client under test, so retries and requests nobody
//! meant to send are seen too.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use kube::Client;
use serde::Deserialize;
use serde_json::{Value, json};

/// How long a request that was answered may take to show in the log.
const SETTLE: Duration = Duration::from_secs(10);

/// How much the API server notes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AuditLevel {
    /// Who did what to which object.
    Metadata,
    /// And the body of what was sent.
    #[default]
    Request,
    /// And the body of the answer.
    RequestResponse,
}

impl AuditLevel {
    /// The policy file. Reads are noted without bodies whatever the level: they have none of their own
    /// and their answers are large.
    pub(crate) fn policy(self) -> String {
        let level = format!("{self:?}");
        let policy = json!({
            "apiVersion": "audit.k8s.io/v1",
            "kind": "Policy",
            "omitStages": ["RequestReceived"],
            "omitManagedFields": true,
            "rules": [
                {"level": "Metadata", "verbs": ["get", "list", "watch"]},
                {"level": level},
            ],
        });
        policy.to_string()
    }
}

/// One request, as the API server saw it.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditEvent {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    pub verb: String,
    /// The API group, empty for the core group and for paths that are no resource.
    pub group: String,
    /// The plural resource, empty for paths that are no resource (`/readyz`).
    pub resource: String,
    /// `status`, `scale`, `eviction`, … or empty.
    pub subresource: String,
    /// The namespace, or empty.
    pub namespace: String,
    /// The object's name, or empty (lists, creations with a generated name).
    pub name: String,
    /// Who asked; the impersonated user if there is one.
    pub user: String,
    /// What program asked.
    pub user_agent: String,
    /// The path and query.
    pub uri: String,
    /// The HTTP status of the answer.
    pub code: u16,
    /// `ResponseStarted` when a watch begins, `ResponseComplete` when a request is over, `Panic`.
    pub stage: String,
    /// What was sent, from level Request on.
    pub request_object: Option<Value>,
    /// What was answered, at level `RequestResponse`.
    pub response_object: Option<Value>,
    /// When it arrived, RFC 3339 in microseconds.
    pub received_at: String,
    /// When it came to `stage`, RFC 3339 in microseconds: at `ResponseComplete`, when it was answered.
    pub answered_at: String,
}

impl AuditEvent {
    /// Whether it changes something.
    pub fn is_write(&self) -> bool {
        matches!(
            self.verb.as_str(),
            "create" | "update" | "patch" | "delete" | "deletecollection"
        )
    }

    /// Whether it is a change that was only tried (`dryRun=All`).
    pub fn is_dry_run(&self) -> bool {
        self.uri.contains("dryRun=All")
    }
}

/// Reads the audit log of one API server.
#[derive(Clone, Debug)]
pub struct AuditLog {
    path: PathBuf,
}

/// A place in the log: what was asked before is behind it.
#[derive(Clone, Copy, Debug)]
pub struct Mark(u64);

/// The place before every request.
pub const BEGINNING: Mark = Mark(0);

impl AuditLog {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Every request from the beginning.
    ///
    /// # Errors
    /// If the file cannot be read or a line is not an audit event.
    pub fn all(&self) -> Result<Vec<AuditEvent>> {
        self.since(BEGINNING)
    }

    /// The requests after `mark`, without waiting for any that is under way: see [`AuditLog::mark`].
    ///
    /// # Errors
    /// As [`AuditLog::all`].
    pub fn since(&self, mark: Mark) -> Result<Vec<AuditEvent>> {
        let mut file = File::open(&self.path).with_context(|| format!("failed to open {}", self.path.display()))?;
        file.seek(SeekFrom::Start(mark.0))
            .context("failed to seek in the audit log")?;
        let mut text = String::new();
        file.read_to_string(&mut text).context("failed to read the audit log")?;
        // The last line may be half written.
        let complete = text.rsplit_once('\n').map_or("", |(complete, _)| complete);
        complete.lines().map(parse).collect()
    }

    /// The end of the log, once every request answered so far is in it.
    ///
    /// The server writes a line just after its answer: so this sends a request of its own, which no
    /// program sends, and waits until that one is in the log.
    ///
    /// # Errors
    /// If the server does not answer, or the request does not show within 10 s.
    pub async fn mark(&self, client: &Client) -> Result<Mark> {
        let signpost = format!("/version?mark={}", nonce());
        let request = http_get(&signpost)?;
        client
            .request_text(request)
            .await
            .context("the API server does not answer")?;
        let deadline = Instant::now() + SETTLE;
        loop {
            if let Some(position) = self.position_after(&signpost)? {
                return Ok(position);
            }
            if Instant::now() > deadline {
                bail!("a request did not show in {} within {SETTLE:?}", self.path.display());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The requests between two marks.
    ///
    /// # Errors
    /// As [`AuditLog::all`].
    pub fn between(&self, from: Mark, to: Mark) -> Result<Vec<AuditEvent>> {
        let mut file = File::open(&self.path).with_context(|| format!("failed to open {}", self.path.display()))?;
        file.seek(SeekFrom::Start(from.0))
            .context("failed to seek in the audit log")?;
        let mut text = String::new();
        file.take(to.0.saturating_sub(from.0))
            .read_to_string(&mut text)
            .context("failed to read the audit log")?;
        let events: Result<Vec<_>> = text.lines().map(parse).collect();
        Ok(events?
            .into_iter()
            .filter(|event| !event.uri.starts_with("/version?mark="))
            .collect())
    }

    fn position_after(&self, signpost: &str) -> Result<Option<Mark>> {
        let text =
            std::fs::read_to_string(&self.path).with_context(|| format!("failed to read {}", self.path.display()))?;
        let Some(found) = text.rfind(signpost) else {
            return Ok(None);
        };
        let end = text.get(found..).and_then(|rest| rest.find('\n'));
        Ok(end.and_then(|end| u64::try_from(found + end + 1).ok()).map(Mark))
    }
}

fn http_get(path: &str) -> Result<http::Request<Vec<u8>>> {
    http::Request::get(path)
        .body(Vec::new())
        .context("failed to build a request")
}

/// A number that this run has not used.
fn nonce() -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed))
}

/// The line as `audit.k8s.io/v1` defines it; only what we tell.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    verb: String,
    stage: String,
    #[serde(rename = "requestURI")]
    request_uri: String,
    user: User,
    impersonated_user: Option<User>,
    #[serde(default)]
    user_agent: String,
    #[serde(default)]
    object_ref: ObjectRef,
    response_status: Option<ResponseStatus>,
    request_object: Option<Value>,
    response_object: Option<Value>,
    request_received_timestamp: String,
    stage_timestamp: String,
}

#[derive(Deserialize)]
struct User {
    #[serde(default)]
    username: String,
}

#[derive(Deserialize)]
struct ResponseStatus {
    #[serde(default)]
    code: u16,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ObjectRef {
    api_group: String,
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
}

fn parse(line: &str) -> Result<AuditEvent> {
    let line: Line = serde_json::from_str(line).context("a line of the audit log that does not parse")?;
    Ok(AuditEvent {
        verb: line.verb,
        group: line.object_ref.api_group,
        resource: line.object_ref.resource,
        subresource: line.object_ref.subresource,
        namespace: line.object_ref.namespace,
        name: line.object_ref.name,
        user: line.impersonated_user.unwrap_or(line.user).username,
        user_agent: line.user_agent,
        uri: line.request_uri,
        code: line.response_status.map_or(0, |status| status.code),
        stage: line.stage,
        request_object: line.request_object,
        response_object: line.response_object,
        received_at: line.request_received_timestamp,
        answered_at: line.stage_timestamp,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_told_by_what_was_asked_and_by_whom() {
        let line = r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Request","auditID":"x","stage":"ResponseComplete",
            "requestURI":"/apis/apps/v1/namespaces/blue/deployments/green?dryRun=All","verb":"patch",
            "user":{"username":"admin","groups":["system:masters"]},"impersonatedUser":{"username":"red"},
            "sourceIPs":["127.0.0.1"],"userAgent":"tremplin/1",
            "objectRef":{"resource":"deployments","namespace":"blue","name":"green","apiGroup":"apps","apiVersion":"v1"},
            "responseStatus":{"metadata":{},"code":200},"requestObject":{"spec":{"replicas":2}},
            "requestReceivedTimestamp":"2026-01-01T00:00:00.000001Z","stageTimestamp":"2026-01-01T00:00:00.100000Z"}"#;
        let event = parse(&line.replace('\n', "")).unwrap();
        assert_eq!(
            (event.verb.as_str(), event.resource.as_str(), event.code),
            ("patch", "deployments", 200)
        );
        assert_eq!(
            (event.namespace.as_str(), event.name.as_str(), event.user.as_str()),
            ("blue", "green", "red")
        );
        assert!(event.is_write() && event.is_dry_run());
        assert_eq!(event.answered_at, "2026-01-01T00:00:00.100000Z");
        assert_eq!(event.request_object, Some(json!({"spec": {"replicas": 2}})));
    }
}
