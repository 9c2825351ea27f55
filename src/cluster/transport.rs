//! Every request passes here: it is counted, and a write without the lease is never sent.
//!
//! The guard sits below everything that can write (children, status, events), so no caller can forget it.

use std::sync::Arc;

use http::{HeaderValue, Method, Request as HttpRequest, Response, header};
use kube::Client;
use kube::client::Body;
use tower::BoxError;

use crate::leader::Leadership;
use crate::metrics::{Metrics, Request};

/// What the API server's log calls us.
const USER_AGENT: HeaderValue = HeaderValue::from_static(concat!("tremplin/", env!("CARGO_PKG_VERSION")));

/// A write was asked for without the lease.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("not sent: this replica does not hold the lease")]
pub struct NotLeader;

/// A client whose requests are counted.
pub fn counted(client: Client, metrics: Arc<Metrics>) -> Client {
    wrapped(client, move |client, request| send(client, request, metrics.clone()))
}

/// A client whose requests are counted, and that sends no write without the lease.
pub fn fenced(client: Client, leadership: Leadership, metrics: Arc<Metrics>) -> Client {
    wrapped(client, move |client, request| {
        let (leadership, metrics) = (leadership.clone(), metrics.clone());
        async move {
            if *request.method() != Method::GET && !leadership.holds() {
                metrics
                    .requests
                    .get_or_create(&Request {
                        verb: verb(&request),
                        code: "refused",
                    })
                    .inc();
                return Err(BoxError::from(NotLeader));
            }
            send(client, request, metrics).await
        }
    })
}

async fn send(
    client: Client,
    mut request: HttpRequest<Body>,
    metrics: Arc<Metrics>,
) -> Result<Response<Body>, BoxError> {
    let verb = verb(&request);
    request.headers_mut().insert(header::USER_AGENT, USER_AGENT);
    let answer = client.send(request).await;
    let code = answer.as_ref().map_or("none", |answer| class(answer.status().as_u16()));
    metrics.requests.get_or_create(&Request { verb, code }).inc();
    Ok(answer?)
}

fn wrapped<F>(client: Client, send: impl Fn(Client, HttpRequest<Body>) -> F + Clone + Send + 'static) -> Client
where
    F: Future<Output = Result<Response<Body>, BoxError>> + Send + 'static,
{
    let namespace = client.default_namespace().to_owned();
    Client::new(
        tower::service_fn(move |request| send(client.clone(), request)),
        namespace,
    )
}

/// kube notes on each request what it is for.
fn verb(request: &HttpRequest<Body>) -> &'static str {
    request.extensions().get::<&'static str>().copied().unwrap_or("other")
}

fn class(code: u16) -> &'static str {
    match code {
        100..200 => "1xx",
        200..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        _ => "5xx",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::Api;
    use kube::api::DeleteParams;

    /// An API server that answers everything with 404.
    fn nobody() -> Client {
        let answer = r#"{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404}"#;
        let service = tower::service_fn(move |_: HttpRequest<Body>| async move {
            Response::builder()
                .status(404)
                .body(Body::from(answer.as_bytes().to_vec()))
                .map_err(BoxError::from)
        });
        Client::new(service, "blue")
    }

    #[tokio::test]
    async fn reads_pass_and_writes_are_refused_without_the_lease() {
        let metrics = Arc::new(Metrics::default());
        let client = fenced(nobody(), Leadership::follower(), metrics.clone());
        let api: Api<ConfigMap> = Api::namespaced(client, "blue");
        assert!(api.get_opt("a").await.unwrap().is_none());
        let error = api.delete("a", &DeleteParams::default()).await.unwrap_err();
        assert!(
            matches!(&error, kube::Error::Service(inner) if inner.is::<NotLeader>()),
            "{error:?}"
        );
        let text = metrics.text(|| {}).unwrap();
        assert!(
            text.contains(r#"requests_total{verb="delete",code="refused"} 1"#),
            "{text}"
        );
        assert!(text.contains(r#"requests_total{verb="get",code="4xx"} 1"#), "{text}");
    }
}
