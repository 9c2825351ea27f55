//! A request as a service sees it, and what it answers.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::Response;
use serde_json::Value;

/// A request that came in.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// `GET`, …
    pub method: String,
    /// The path as it came, without the query.
    pub path: String,
    /// The query as it came.
    pub query: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: String,
}

impl Incoming {
    pub(super) fn new(method: &Method, uri: &Uri, headers: HeaderMap, body: &Bytes) -> Self {
        Self {
            method: method.to_string(),
            path: uri.path().to_owned(),
            query: uri.query().unwrap_or_default().to_owned(),
            headers,
            body: String::from_utf8_lossy(body).into_owned(),
        }
    }

    /// A header's value, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// The decoded segments of the path, and the method before them.
    pub fn route(&self) -> Vec<String> {
        let segments = self.path.split('/').filter(|segment| !segment.is_empty());
        let decoded = segments.map(|segment| percent_encoding::percent_decode_str(segment).decode_utf8_lossy());
        std::iter::once(self.method.clone())
            .chain(decoded.map(std::borrow::Cow::into_owned))
            .collect()
    }

    /// The value of one parameter of the query, decoded.
    pub fn parameter(&self, name: &str) -> Option<String> {
        let mut parameters = form_urlencoded::parse(self.query.as_bytes());
        parameters.find_map(|(key, value)| (key == name).then(|| value.into_owned()))
    }

    /// The URL as the client wrote it, the scheme being plain HTTP.
    pub fn url(&self) -> String {
        let question = if self.query.is_empty() { "" } else { "?" };
        format!("http://{}{}{question}{}", self.header("host"), self.path, self.query)
    }

    /// The body as JSON; null when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }
}

/// What is answered.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: String,
}

/// What tells one answer from every other, as services put it into them.
pub(super) fn answer_id() -> String {
    static ANSWERS: AtomicU64 = AtomicU64::new(1);
    format!("EU.ext-{}.fake", ANSWERS.fetch_add(1, Ordering::Relaxed))
}

impl Reply {
    /// Without a body.
    pub fn empty(status: u16) -> Self {
        Self {
            status,
            ..Self::default()
        }
    }

    /// With a body of JSON.
    pub fn json(status: u16, body: &Value) -> Self {
        Self::text(status, "application/json", body.to_string())
    }

    /// With a body of this type.
    pub fn text(status: u16, content_type: &str, body: String) -> Self {
        Self {
            status,
            headers: vec![("content-type", content_type.to_owned())],
            body,
        }
    }

    /// With one more header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// With `Retry-After`, in whole seconds.
    #[must_use]
    pub fn retry_after(self, wait: Duration) -> Self {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        self.header("retry-after", seconds.to_string())
    }

    pub(super) fn into_response(self) -> Response {
        let mut response = Response::builder().status(self.status);
        for (name, value) in self.headers {
            response = response.header(name, value);
        }
        response.body(Body::from(self.body)).unwrap_or_else(|_| {
            let mut broken = Response::new(Body::from("the fake made an answer that is none"));
            *broken.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            broken
        })
    }
}

/// What happens to the service later.
type Act<S> = Box<dyn FnOnce(&mut S) + Send>;

/// What is answered, and what happens later.
pub struct Outcome<S> {
    pub(super) reply: Reply,
    pub(super) later: Vec<(Duration, Act<S>)>,
}

impl<S> Outcome<S> {
    /// And this happens after `wait`.
    #[must_use]
    pub fn then(mut self, wait: Duration, act: impl FnOnce(&mut S) + Send + 'static) -> Self {
        self.later.push((wait, Box::new(act)));
        self
    }
}

impl<S> From<Reply> for Outcome<S> {
    fn from(reply: Reply) -> Self {
        Self {
            reply,
            later: Vec::new(),
        }
    }
}

/// A call that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// `GET`, …
    pub method: String,
    /// The path and the query, as they came.
    pub path: String,
    /// What was sent.
    pub body: String,
    /// How it was answered.
    pub status: u16,
    /// When it was answered.
    pub at: SystemTime,
}

impl Call {
    pub(super) fn new(request: &Incoming, reply: &Reply) -> Self {
        let question = if request.query.is_empty() { "" } else { "?" };
        Self {
            method: request.method.clone(),
            path: format!("{}{question}{}", request.path, request.query),
            body: request.body.clone(),
            status: reply.status,
            at: SystemTime::now(),
        }
    }
}
