//! The reference for time: a client that sends, for each app, the very requests that the operator sent for one, and
//! does nothing else. No watch, no decision, no decoding of what is answered.
//!
//! It is as fast as the operator may be: as many apps at the same time, and of one app together what the operator
//! sends together, each request after the ones that it stands on.

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use futures::future::try_join_all;
use futures::{StreamExt as _, stream};
use http::header::CONTENT_TYPE;
use http::{Method, Request};
use kube::Client;
use kube::client::Body;
use tokio::sync::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinSet;
use tremplin_e2e::AuditEvent;

use crate::cluster::{App, Cluster};
use crate::ledger::Part;

/// Apps worked on at the same time: as many as the operator works on by default.
const WORKERS: usize = 16;
/// Custom resources created at the same time.
const CREATORS: usize = 8;

/// What the operator sent for one app.
#[derive(Clone, Debug)]
pub struct Recipe {
    app: App,
    requests: Vec<Sent>,
}

#[derive(Clone, Debug)]
struct Sent {
    part: Part,
    stage: u8,
    method: Method,
    content_type: &'static str,
    uri: String,
    body: String,
}

impl Recipe {
    /// From what the audit log holds of one app's creation, at level Request.
    pub fn of(app: App, mut events: Vec<AuditEvent>) -> Result<Self> {
        events.retain(|event| event.namespace == app.namespace);
        events.sort_by(|a, b| a.received_at.cmp(&b.received_at));
        let requests = events.iter().filter_map(|event| Some((Part::of(event)?, event)));
        let requests = requests.map(|(part, event)| Sent::of(part, event));
        let mut requests = requests.collect::<Result<Vec<_>>>()?;
        requests.sort_by_key(|sent| sent.stage);
        if requests.is_empty() {
            bail!("the operator sent nothing for {}", app.name);
        }
        Ok(Self { app, requests })
    }

    /// How many requests are about `part`.
    pub fn count(&self, part: Part) -> usize {
        self.requests.iter().filter(|sent| sent.part == part).count()
    }

    /// Sends all of it for another app, stage after stage, of a stage together.
    pub async fn perform(&self, client: &Client, app: &App) -> Result<()> {
        for stage in self.requests.chunk_by(|one, other| one.stage == other.stage) {
            try_join_all(stage.iter().map(|sent| self.send(sent, client, app))).await?;
        }
        Ok(())
    }

    async fn send(&self, sent: &Sent, client: &Client, app: &App) -> Result<()> {
        let for_app = |text: &str| {
            text.replace(&self.app.uid, &app.uid)
                .replace(&self.app.name, &app.name)
                .replace(&self.app.namespace, &app.namespace)
        };
        let uri = for_app(&sent.uri);
        let request = Request::builder()
            .method(sent.method.clone())
            .uri(&uri)
            .header(CONTENT_TYPE, sent.content_type)
            .body(Body::from(for_app(&sent.body).into_bytes()))?;
        let (head, body) = client.send(request).await?.into_parts();
        let body = body.collect_bytes().await.context("an answer that breaks off")?;
        if !head.status.is_success() {
            bail!("{} {uri}: {}", head.status, String::from_utf8_lossy(&body));
        }
        Ok(())
    }
}

/// When the operator sends it: what workloads and Ingresses stand on, these, the status, the Event.
fn stage(part: Part, resource: &str) -> u8 {
    match (part, resource) {
        (Part::Child, "serviceaccounts" | "configmaps" | "services" | "poddisruptionbudgets") => 0,
        (Part::Child, _) => 1,
        (Part::Status, _) => 2,
        (Part::Event, _) => 3,
    }
}

impl Sent {
    fn of(part: Part, event: &AuditEvent) -> Result<Self> {
        let (method, content_type) = match event.verb.as_str() {
            "create" => (Method::POST, "application/json"),
            "patch" if event.uri.contains("force=true") => (Method::PATCH, "application/apply-patch+yaml"),
            "patch" => (Method::PATCH, "application/merge-patch+json"),
            verb => bail!("a new app made the operator {verb} {}", event.uri),
        };
        let body = event.request_object.as_ref();
        Ok(Self {
            part,
            stage: stage(part, &event.resource),
            method,
            content_type,
            uri: event.uri.clone(),
            body: body
                .with_context(|| format!("the audit log has no body of {}", event.uri))?
                .to_string(),
        })
    }
}

/// Creates the apps of these numbers as fast as the API server takes them, and tells each.
pub async fn create_apps(
    cluster: &Cluster,
    numbers: std::ops::Range<usize>,
    mut created: impl FnMut(App),
) -> Result<()> {
    let mut apps = stream::iter(numbers)
        .map(|number| cluster.create_app(number))
        .buffer_unordered(CREATORS);
    while let Some(app) = apps.next().await {
        created(app?);
    }
    Ok(())
}

/// Creates the apps of these numbers, and does for each what the operator would, many at a time.
pub async fn burst(cluster: &Cluster, recipe: &Arc<Recipe>, numbers: std::ops::Range<usize>) -> Result<()> {
    let (sender, receiver) = unbounded_channel();
    let receiver = Arc::new(Mutex::new(receiver));
    let client = cluster.as_operator().await?;
    let mut workers = JoinSet::new();
    for _ in 0..WORKERS {
        workers.spawn(work(client.clone(), recipe.clone(), receiver.clone()));
    }
    let created = create_apps(cluster, numbers, |app| {
        // A worker that failed says so below.
        let _ = sender.send(app);
    })
    .await;
    drop(sender);
    while let Some(worker) = workers.join_next().await {
        worker.context("a worker panicked")??;
    }
    created
}

async fn work(client: Client, recipe: Arc<Recipe>, apps: Arc<Mutex<UnboundedReceiver<App>>>) -> Result<()> {
    loop {
        let app = apps.lock().await.recv().await;
        let Some(app) = app else { return Ok(()) };
        recipe.perform(&client, &app).await?;
    }
}
