//! The fakes of providers, by clients that know no better: each trap is shown to bite.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod always_data;
mod base;
mod faults;
mod gandi;
mod ovh;
mod point_dns;
mod route53;
mod scaleway;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::Value;
use tremplin_e2e::dns::query::{RecordType, ResponseCode, ask};

const DEADLINE: Duration = Duration::from_secs(30);
const ZONE: &str = "beta.example";

/// What was answered to a call.
struct Told {
    status: u16,
    headers: http::HeaderMap,
    text: String,
}

impl Told {
    /// The body, null when it is no JSON.
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }
}

/// One call with these headers.
async fn call(method: &str, url: &str, headers: &[(&str, String)], body: &str) -> Told {
    let mut request = http::Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    let answer = tremplin_e2e::http::send(request.body(body.to_owned()).unwrap())
        .await
        .unwrap();
    Told {
        status: answer.status().as_u16(),
        headers: answer.headers().clone(),
        text: answer.into_body(),
    }
}

/// How the authority answers, and the data of the records.
async fn served(dns: SocketAddr, name: &str, kind: RecordType) -> (ResponseCode, Vec<String>) {
    let answer = ask(dns, name, kind).await.unwrap();
    assert!(answer.authoritative);
    (answer.code, answer.data(kind))
}

async fn eventually<F: AsyncFnMut() -> bool>(what: &str, mut condition: F) {
    let deadline = Instant::now() + DEADLINE;
    while !condition().await {
        assert!(Instant::now() < deadline, "not within {DEADLINE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
