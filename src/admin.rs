//! What the kubelet, Prometheus and an administrator ask of the controller.
//!
//! * `GET /healthz`: 200 while the program runs;
//! * `GET /readyz`: 200 once it works, also as the replica that waits for the lease;
//! * `GET /metrics`: Prometheus' text form;
//! * `PUT /log-level`, body = directives: from the same host only (`kubectl port-forward` is).

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::metrics::Metrics;
use crate::telemetry::LogLevel;

/// The version of Prometheus' text form that [`Metrics::text`] writes.
const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Where the operator is asked about itself, and what can be changed there.
pub struct Endpoint {
    /// Bound, so that whoever starts an operator knows its port.
    pub listener: TcpListener,
    /// Changes what is logged.
    pub log_level: LogLevel,
}

/// What the admin server tells and changes.
#[derive(Clone)]
pub struct Admin {
    /// Whether the program works.
    pub ready: watch::Receiver<bool>,
    /// What was counted.
    pub metrics: Arc<Metrics>,
    /// Brings counts that are taken only when asked up to date.
    pub refresh: Arc<dyn Fn() + Send + Sync>,
    /// Changes what is logged.
    pub log_level: LogLevel,
}

/// Listens at that address. `[::]` is every address of both families, unless the kernel is told otherwise
/// (`net.ipv6.bindv6only`); on a host without IPv6 it is every address of IPv4.
///
/// # Errors
/// When the address or port cannot be had.
pub async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let bound = TcpListener::bind(address).await;
    let every = address.ip() == Ipv6Addr::UNSPECIFIED;
    match bound {
        Err(error) if every && error.kind() != io::ErrorKind::AddrInUse => {
            tracing::debug!(
                error = &error as &dyn std::error::Error,
                "no IPv6: listening on IPv4 alone"
            );
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port())).await
        }
        bound => bound,
    }
}

/// Answers on `listener` until the future is dropped.
///
/// # Errors
/// When the listener fails.
pub async fn serve(listener: TcpListener, admin: Admin) -> io::Result<()> {
    let service = router(admin).into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).await
}

fn router(admin: Admin) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/log-level", put(log_level))
        .with_state(admin)
}

async fn readyz(State(admin): State<Admin>) -> Response {
    if *admin.ready.borrow() {
        "ok".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "starting").into_response()
    }
}

async fn metrics(State(admin): State<Admin>) -> Response {
    match admin.metrics.text(|| (admin.refresh)()) {
        Ok(text) => ([(header::CONTENT_TYPE, METRICS_TYPE)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn log_level(
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    State(admin): State<Admin>,
    directives: String,
) -> Response {
    if !peer.ip().to_canonical().is_loopback() {
        return (
            StatusCode::FORBIDDEN,
            "only from the same host: use kubectl port-forward",
        )
            .into_response();
    }
    match admin.log_level.set(directives.trim()) {
        Ok(()) => {
            tracing::info!(directives = directives.trim(), "log level changed");
            StatusCode::NO_CONTENT.into_response()
        }
        Err(error) => (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use tower::ServiceExt as _;

    fn admin(ready: bool) -> Router {
        let (_, ready) = watch::channel(ready);
        let log_level = crate::telemetry::LogLevel::fixed();
        router(Admin {
            ready,
            metrics: Arc::default(),
            refresh: Arc::new(|| {}),
            log_level,
        })
    }

    async fn ask(router: Router, method: &str, path: &str, peer: &str) -> (StatusCode, String) {
        let peer: SocketAddr = peer.parse().unwrap();
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .body(Body::from("debug"))
            .unwrap();
        request.extensions_mut().insert(ConnectInfo(peer));
        let answer = router.oneshot(request).await.unwrap();
        let status = answer.status();
        let body = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn it_is_alive_at_once_and_ready_only_when_it_works() {
        let far = "10.1.2.3:4";
        assert_eq!(ask(admin(false), "GET", "/healthz", far).await.0, StatusCode::OK);
        assert_eq!(
            ask(admin(false), "GET", "/readyz", far).await.0,
            StatusCode::SERVICE_UNAVAILABLE
        );
        assert_eq!(ask(admin(true), "GET", "/readyz", far).await.0, StatusCode::OK);
    }

    #[tokio::test]
    async fn it_listens_on_every_address_of_both_families() {
        let listener = bind("[::]:0".parse().unwrap()).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let reached = |ip: std::net::IpAddr| tokio::net::TcpStream::connect((ip, port));
        reached(Ipv4Addr::LOCALHOST.into()).await.unwrap();
        // As far as this machine has IPv6.
        if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).await.is_ok() {
            reached(Ipv6Addr::LOCALHOST.into()).await.unwrap();
        }
    }

    #[tokio::test]
    async fn metrics_answer_to_everybody() {
        let (status, text) = ask(admin(true), "GET", "/metrics", "10.1.2.3:4").await;
        assert_eq!(status, StatusCode::OK);
        assert!(text.contains("tremplin_build_info"), "{text}");
    }

    #[tokio::test]
    async fn the_log_level_is_changed_from_the_same_host_only() {
        assert_eq!(
            ask(admin(true), "PUT", "/log-level", "10.1.2.3:4").await.0,
            StatusCode::FORBIDDEN
        );
        assert_eq!(
            ask(admin(true), "PUT", "/log-level", "127.0.0.1:4").await.0,
            StatusCode::NO_CONTENT
        );
        assert_eq!(
            ask(admin(true), "PUT", "/log-level", "[::ffff:127.0.0.1]:4").await.0,
            StatusCode::NO_CONTENT
        );
    }
}
