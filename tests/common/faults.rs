//! Between the operator and the API server: writes are counted, and one of them ends badly.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::{Method, Request, Response};
use kube::Client;
use kube::client::Body;
use tokio::sync::Notify;
use tower::BoxError;

/// What happens at the chosen write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// It is done, and nothing is ever answered again: the operator is to be killed now.
    SilenceAfter,
    /// It is not sent, and nothing is ever answered again.
    SilenceBefore,
    /// It is done, and its answer is lost.
    Swallow,
}

/// Counts the writes of one operator.
#[derive(Clone)]
pub struct Faults {
    fault: Fault,
    at: usize,
    writes: Arc<AtomicUsize>,
    pub struck: Arc<Notify>,
}

impl Faults {
    /// `fault` at the write number `at`, from 1. Writes of the lease do not count.
    pub fn new(fault: Fault, at: usize) -> Self {
        Self {
            fault,
            at,
            writes: Arc::default(),
            struck: Arc::default(),
        }
    }

    /// How many writes there were.
    pub fn writes(&self) -> usize {
        self.writes.load(Ordering::SeqCst)
    }

    /// A client that passes here.
    pub fn wrap(&self, client: Client) -> Client {
        let faults = self.clone();
        let namespace = client.default_namespace().to_owned();
        let service = tower::service_fn(move |request: Request<Body>| {
            let (client, faults) = (client.clone(), faults.clone());
            async move { faults.send(client, request).await }
        });
        Client::new(service, namespace)
    }

    async fn send(&self, client: Client, request: Request<Body>) -> Result<Response<Body>, BoxError> {
        if *request.method() == Method::GET || request.uri().path().contains("/leases") {
            return Ok(client.send(request).await?);
        }
        let number = self.writes.fetch_add(1, Ordering::SeqCst) + 1;
        if number < self.at || self.fault == Fault::None {
            return Ok(client.send(request).await?);
        }
        match self.fault {
            Fault::Swallow if number == self.at => {
                client.send(request).await?;
                self.struck.notify_one();
                Err(BoxError::from("the connection broke before the answer"))
            }
            Fault::SilenceAfter if number == self.at => {
                client.send(request).await?;
                self.struck.notify_one();
                std::future::pending().await
            }
            Fault::SilenceBefore | Fault::SilenceAfter => {
                self.struck.notify_one();
                std::future::pending().await
            }
            Fault::Swallow | Fault::None => Ok(client.send(request).await?),
        }
    }
}

/// What answers instead of the API server.
#[derive(Clone, Copy, Debug)]
pub enum Instead {
    /// A refusal with that HTTP code.
    Refusal(u16),
    /// Nothing, for ever.
    Silence,
}

/// A client in front of which requests for that path never reach the API server.
pub fn keep_from(client: Client, path: &'static str, instead: Instead) -> Client {
    let namespace = client.default_namespace().to_owned();
    let service = tower::service_fn(move |request: Request<Body>| {
        let client = client.clone();
        async move {
            if !request.uri().path().ends_with(path) {
                return Ok(client.send(request).await?);
            }
            let code = match instead {
                Instead::Silence => std::future::pending().await,
                Instead::Refusal(code) => code,
            };
            let body = serde_json::json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
                "reason": "Forbidden", "message": format!("{path} is forbidden")});
            let answer = Response::builder()
                .status(code)
                .body(Body::from(body.to_string().into_bytes()));
            answer.map_err(BoxError::from)
        }
    });
    Client::new(service, namespace)
}
