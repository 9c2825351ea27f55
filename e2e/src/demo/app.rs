//! The sample application, from its manifest to an answer.

use std::net::{SocketAddr, ToSocketAddrs};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::kubernetes::Kubernetes;
use crate::http;

/// The name in `e2e/demo/infra/hello.yaml`.
pub(super) const NAME: &str = "hello";

/// How long the app may take to be ready.
const READY: Duration = Duration::from_mins(3);
/// How long its URL may take to answer once it is ready.
const ANSWERS: Duration = Duration::from_secs(30);

/// Waits until the app is ready. Gives its URL.
pub(super) async fn ready(cluster: &Kubernetes) -> Result<String> {
    let app = until_ready(cluster, "startupapp", NAME).await?;
    let url = app.pointer("/status/url").and_then(Value::as_str);
    url.map(str::to_owned)
        .context("the app is ready and its status has no URL")
}

/// Waits until an object is ready for the spec that was applied, telling each change of its state. Gives the object.
pub(super) async fn until_ready(cluster: &Kubernetes, kind: &str, name: &str) -> Result<Value> {
    let deadline = Instant::now() + READY;
    let mut told = String::new();
    loop {
        let object = cluster.get(&[kind, name]).await?;
        let state = State::of(&object);
        if state.is_ready {
            return Ok(object);
        }
        if state.words != told {
            eprintln!("      {}", state.words);
            told = state.words;
        }
        if Instant::now() > deadline {
            bail!("not ready after {} minutes: {told}", READY.as_secs() / 60);
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

struct State {
    is_ready: bool,
    words: String,
}

impl State {
    fn of(app: &Value) -> Self {
        let conditions = app.pointer("/status/conditions").and_then(Value::as_array);
        let ready = conditions
            .into_iter()
            .flatten()
            .find(|condition| text(condition, "type") == "Ready");
        let Some(ready) = ready else {
            return Self {
                is_ready: false,
                words: "the operator has not seen it yet".to_owned(),
            };
        };
        let seen = app.pointer("/status/observedGeneration").and_then(Value::as_i64);
        let is_current = seen.is_some() && seen == app.pointer("/metadata/generation").and_then(Value::as_i64);
        let words = format!("{}: {}", text(ready, "reason"), text(ready, "message"));
        Self {
            is_ready: is_current && text(ready, "status") == "True",
            words,
        }
    }
}

fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// Asks for the URL as a browser on this machine would, and gives what was answered.
pub(super) async fn answer(url: &str) -> Result<String> {
    let (host, address) = target(url)?;
    let deadline = Instant::now() + ANSWERS;
    loop {
        let failure = match http::get(address, &host, "/").await {
            Ok(answer) if answer.status == 200 => return Ok(answer.body.trim().to_owned()),
            Ok(answer) => format!("{}: {}", answer.status, answer.body.trim()),
            Err(error) => format!("{error:#}"),
        };
        if Instant::now() > deadline {
            bail!("{url} does not answer within {ANSWERS:?}; last: {failure}");
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The host with its port, and the address behind an `http://` URL. Names below `localhost` are this machine
/// (RFC 6761, 6.3), whatever the resolver says.
fn target(url: &str) -> Result<(String, SocketAddr)> {
    let host = url
        .strip_prefix("http://")
        .with_context(|| format!("{url} is not a plain HTTP URL"))?;
    let host = host.trim_end_matches('/');
    let (name, port) = host.split_once(':').unwrap_or((host, "80"));
    let name = if name.ends_with(".localhost") {
        "127.0.0.1"
    } else {
        name
    };
    let mut addresses = format!("{name}:{port}")
        .to_socket_addrs()
        .with_context(|| format!("{name} has no address"))?;
    Ok((
        host.to_owned(),
        addresses.next().with_context(|| format!("{name} has no address"))?,
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn app(generation: i64, observed: i64, status: &str) -> Value {
        let ready = json!({"type": "Ready", "status": status, "reason": "Releasing", "message": "the release runs"});
        json!({
            "metadata": {"generation": generation},
            "status": {"observedGeneration": observed, "conditions": [ready]},
        })
    }

    #[test]
    fn an_app_is_ready_only_for_the_spec_that_the_operator_has_seen() {
        assert!(State::of(&app(2, 2, "True")).is_ready);
        assert!(!State::of(&app(3, 2, "True")).is_ready);
        assert!(!State::of(&app(2, 2, "False")).is_ready);
        assert_eq!(State::of(&app(2, 2, "False")).words, "Releasing: the release runs");
        assert!(!State::of(&json!({"metadata": {"generation": 1}})).is_ready);
    }

    #[test]
    fn a_name_below_localhost_is_this_machine() {
        let (host, address) = target("http://hello-dev.localhost:8081/").unwrap();
        assert_eq!(
            (host.as_str(), address.to_string().as_str()),
            ("hello-dev.localhost:8081", "127.0.0.1:8081")
        );
        assert!(target("https://hello.example.org").is_err());
    }
}
