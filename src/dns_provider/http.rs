//! Requests to the providers that speak HTTP: bounded in time and size, at the account's pace, never redirected.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER};
use http::{Method, StatusCode};
use jiff::Timestamp;
use reqwest::Url;
use serde::de::DeserializeOwned;

use super::Failure;
use super::account::{Account, Kind};
use super::words::words;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a whole exchange may take, once it is its turn.
const EXCHANGE: Duration = Duration::from_secs(20);
/// The largest answer that is read, in octets.
const LARGEST: usize = 16 * 1024 * 1024;
/// How much of a provider's message is passed on, in characters.
const LONGEST_MESSAGE: usize = 300;

/// How a provider is reached.
pub(super) struct Client {
    http: reqwest::Client,
    base: Url,
    provider: &'static str,
    account: Arc<Account>,
    headers: HeaderMap,
    secrets: Vec<String>,
}

/// What a client is made of.
pub(super) struct Settings<'a> {
    /// The provider, as messages name it.
    pub(super) provider: &'static str,
    /// The address of the API.
    pub(super) url: &'a str,
    /// Certificates that are trusted beside the public authorities, PEM.
    pub(super) ca: Option<&'a [u8]>,
    pub(super) account: Arc<Account>,
    /// Headers of every request.
    pub(super) headers: Vec<(HeaderName, String)>,
    /// What no message may hold.
    pub(super) secrets: Vec<String>,
}

/// A request.
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<String>,
}

/// What was answered.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Client {
    pub(super) fn new(settings: Settings<'_>) -> Result<Self, Failure> {
        let Settings { provider, url, .. } = settings;
        let base = Url::parse(url).map_err(|error| Failure::Settings(format!("the address {url:?}: {error}")))?;
        if base.cannot_be_a_base() || base.query().is_some() || !base.username().is_empty() || base.password().is_some()
        {
            return Err(Failure::Settings(
                "the address of the API is http:// or https://, a host and a path, no more".into(),
            ));
        }
        let mut headers = HeaderMap::new();
        for (name, value) in settings.headers {
            headers.insert(name, sensitive(&value)?);
        }
        Ok(Self {
            http: client(settings.ca)?,
            base,
            provider,
            account: settings.account,
            headers,
            secrets: settings.secrets,
        })
    }

    /// The address of something below the API's, each segment and value encoded as needed.
    pub(super) fn url(&self, segments: &[&str], query: &[(&str, &str)]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    /// A reading request.
    pub(super) fn get(&self, segments: &[&str], query: &[(&str, &str)]) -> Call {
        Call::new(Method::GET, self.url(segments, query), None)
    }

    /// A request with a JSON body.
    pub(super) fn json(&self, method: Method, segments: &[&str], body: &serde_json::Value) -> Call {
        Call::new(method, self.url(segments, &[]), Some(body.to_string()))
    }

    /// Sends a request at its turn; gives what was answered, save when there is nothing to tell apart (no answer, asked
    /// too often, a fault of the provider's own, a redirection).
    pub(super) async fn send(&self, call: Call) -> Result<Answer, Failure> {
        self.send_signed(call, |_| Ok(())).await
    }

    /// As [`Client::send`]; `sign` sees the request when it leaves, for signatures with a time.
    pub(super) async fn send_signed(
        &self,
        mut call: Call,
        sign: impl FnOnce(&mut Call) -> Result<(), Failure>,
    ) -> Result<Answer, Failure> {
        let kind = if call.method == Method::GET {
            Kind::Read
        } else {
            Kind::Write
        };
        self.account.turn(kind).await?;
        for (name, value) in &self.headers {
            call.headers.insert(name, value.clone());
        }
        sign(&mut call)?;
        let Call {
            method,
            url,
            headers,
            body,
        } = call;
        let mut request = self.http.request(method, url).headers(headers);
        if let Some(body) = body {
            request = request.body(body);
        }
        let response = request.send().await.map_err(|error| self.unanswered(&error))?;
        let answer = self.whole(response).await?;
        self.judge(answer)
    }

    async fn whole(&self, mut response: reqwest::Response) -> Result<Answer, Failure> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.unanswered(&error))? {
            if body.len() + chunk.len() > LARGEST {
                return Err(Failure::Unavailable(format!(
                    "{} answered with more than {LARGEST} octets",
                    self.provider
                )));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer {
            status: response.status(),
            headers: std::mem::take(response.headers_mut()),
            body,
        })
    }

    fn judge(&self, answer: Answer) -> Result<Answer, Failure> {
        let status = answer.status;
        let after = retry_after(&answer.headers, Timestamp::now());
        if status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::SERVICE_UNAVAILABLE && after.is_some() {
            return Err(self.account.close(after));
        }
        if status.is_redirection() {
            let to = answer.headers.get(LOCATION).and_then(|to| to.to_str().ok());
            return Err(Failure::Settings(self.clean(&format!(
                "{} sends elsewhere ({}): correct the address of the API",
                self.provider,
                to.unwrap_or("it does not say where")
            ))));
        }
        if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT {
            let words = words(content_type(&answer), &answer.body);
            return Err(Failure::Unavailable(self.message(status, &words)));
        }
        let is_blank = answer.body.iter().all(u8::is_ascii_whitespace);
        if status.is_success() && content_type(&answer) == "text/html" && !is_blank {
            // Somebody in between, such as a sign-in page: the provider may never have heard of the request.
            let message = format!("{} answered with a page for people", self.provider);
            return Err(Failure::Unavailable(message));
        }
        Ok(answer)
    }

    /// What went wrong, with the provider's own words.
    pub(super) fn message(&self, status: StatusCode, words: &str) -> String {
        let words = self.clean(words);
        let status = status.as_u16();
        if words.is_empty() {
            format!("{} answered {status}", self.provider)
        } else {
            format!("{} answered {status}: {words}", self.provider)
        }
    }

    /// The class of a refusal, as most APIs mean their statuses.
    pub(super) fn refusal(&self, status: StatusCode, words: &str) -> Failure {
        let message = self.message(status, words);
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Failure::Unauthorized(message),
            StatusCode::NOT_FOUND => Failure::NoZone(message),
            StatusCode::CONFLICT | StatusCode::PRECONDITION_FAILED => Failure::Changed(message),
            _ => Failure::Refused(message),
        }
    }

    /// How many more writes may be made within about a minute; `None`: any number.
    pub(super) fn room(&self) -> Option<usize> {
        self.account.room()
    }

    /// Begins with writes that belong together: nobody else of the account does while what this gives is held.
    ///
    /// # Errors
    /// [`Failure::Busy`] where the account's rate would stop them in the middle.
    pub(super) async fn together(&self, writes: usize) -> Result<impl Drop + '_, Failure> {
        self.account.together(writes).await
    }

    /// The provider wants no more requests of any zone of the account before `after`.
    pub(super) fn busy(&self, after: Option<Duration>) -> Failure {
        self.account.close(after)
    }

    /// The JSON of a good answer.
    pub(super) fn parse<T: DeserializeOwned>(&self, answer: &Answer) -> Result<T, Failure> {
        self.expect(
            answer,
            |type_| type_ == "application/json" || type_.ends_with("+json"),
            "JSON",
        )?;
        serde_json::from_slice(&answer.body).map_err(|error| self.not_understood(&error))
    }

    /// The XML of an answer.
    pub(super) fn parse_xml<T: DeserializeOwned>(&self, answer: &Answer) -> Result<T, Failure> {
        self.expect(answer, |type_| type_ == "text/xml" || type_ == "application/xml", "XML")?;
        quick_xml::de::from_str(&String::from_utf8_lossy(&answer.body)).map_err(|error| self.not_understood(&error))
    }

    fn expect(&self, answer: &Answer, good: impl Fn(&str) -> bool, what: &str) -> Result<(), Failure> {
        let essence = content_type(answer);
        if good(essence) {
            return Ok(());
        }
        Err(Failure::Unavailable(self.clean(&format!(
            "{} answered with {essence:?} in the place of {what}",
            self.provider
        ))))
    }

    fn not_understood(&self, error: &dyn Error) -> Failure {
        Failure::Unavailable(self.clean(&format!("the answer of {} is not understood: {error}", self.provider)))
    }

    fn unanswered(&self, error: &reqwest::Error) -> Failure {
        let mut causes = Vec::new();
        let mut source = error.source();
        while let Some(cause) = source {
            causes.push(cause.to_string());
            source = cause.source();
        }
        let why = match (error.is_timeout(), error.is_connect()) {
            (true, true) => format!("no connection within {} s", CONNECT.as_secs()),
            (true, false) => format!("no whole answer within {} s", EXCHANGE.as_secs()),
            _ => causes.last().cloned().unwrap_or_else(|| "the connection broke".into()),
        };
        Failure::Unavailable(self.clean(&format!("{} did not answer: {why}", self.provider)))
    }

    /// One line without control characters and credentials.
    fn clean(&self, text: &str) -> String {
        let mut text = text
            .split(char::is_control)
            .map(str::trim)
            .collect::<Vec<_>>()
            .join(" ");
        for secret in self.secrets.iter().filter(|secret| !secret.is_empty()) {
            text = text.replace(secret.as_str(), "***");
        }
        text.trim().chars().take(LONGEST_MESSAGE).collect()
    }
}

impl Call {
    pub(super) fn new(method: Method, url: Url, body: Option<String>) -> Self {
        let json = HeaderValue::from_static("application/json");
        let mut headers = HeaderMap::from_iter([(ACCEPT, json.clone())]);
        if body.is_some() {
            headers.insert(CONTENT_TYPE, json);
        }
        Self {
            method,
            url,
            headers,
            body,
        }
    }
}

/// The type of a body, without its parameters.
fn content_type(answer: &Answer) -> &str {
    let type_ = answer.headers.get(CONTENT_TYPE).and_then(|type_| type_.to_str().ok());
    type_
        .and_then(|type_| type_.split(';').next())
        .unwrap_or_default()
        .trim()
}

/// A header's value that logs do not show.
pub(super) fn sensitive(value: &str) -> Result<HeaderValue, Failure> {
    let mut value = HeaderValue::from_str(value)
        .map_err(|_| Failure::Settings("a credential has characters that no header can have".into()))?;
    value.set_sensitive(true);
    Ok(value)
}

fn client(ca: Option<&[u8]>) -> Result<reqwest::Client, Failure> {
    // The same that the client of the Kubernetes API takes. It may have been given before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // Proxies are those of the environment (HTTPS_PROXY, NO_PROXY).
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("tremplin/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .connect_timeout(CONNECT)
        .timeout(EXCHANGE);
    if let Some(pem) = ca {
        let certificates = reqwest::Certificate::from_pem_bundle(pem)
            .ok()
            .filter(|some| !some.is_empty())
            .ok_or_else(|| Failure::Settings("the key `ca.crt` of the Secret has no certificate in PEM".into()))?;
        builder = builder.tls_certs_merge(certificates);
    }
    builder.build().map_err(|error| {
        Failure::Settings(format!(
            "failed to prepare TLS: {:?}",
            error.source().map(ToString::to_string)
        ))
    })
}

/// Seconds or a date (RFC 9110, 10.2.3).
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(Duration::try_from(date.duration_since(now)).unwrap_or_default())
}
