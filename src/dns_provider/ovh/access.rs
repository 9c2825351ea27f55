//! Signed calls, and what the credential may.

use http::{HeaderName, HeaderValue, StatusCode};
use jiff::Timestamp;
use serde::Deserialize;
use sha1::{Digest, Sha1};
use tokio::sync::Mutex;
use tremplin_core::dns::Fqdn;

use super::PROFILE;
use crate::dns_provider::data::hexadecimal;
use crate::dns_provider::http::{Answer, Call, Client, Settings, sensitive};
use crate::dns_provider::{Credential, Failure, Parts};

/// The calls that are made below `/domain/zone/{zone}`: what an access rule must grant.
const NEEDED: [(&str, &str); 6] = [
    ("GET", ""),
    ("GET", "/record"),
    ("POST", "/record"),
    ("PUT", "/record/1"),
    ("DELETE", "/record/1"),
    ("POST", "/refresh"),
];

pub(super) struct Access {
    pub(super) client: Client,
    application_key: String,
    application_secret: String,
    consumer_key: String,
    /// How far their clock is ahead of ours, in seconds. `None`: not yet asked.
    ahead: Mutex<Option<i64>>,
}

#[derive(Deserialize)]
struct CurrentCredential {
    status: String,
    expiration: Option<String>,
    rules: Option<Vec<Rule>>,
}

#[derive(Deserialize)]
struct Rule {
    method: String,
    path: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Error {
    message: String,
    error_code: Option<String>,
}

impl Access {
    pub(super) fn new(url: &str, parts: Parts<'_>) -> Result<Self, Failure> {
        let application_key = parts.secret.text("application-key")?;
        let application_secret = parts.secret.text("application-secret")?;
        let consumer_key = parts.secret.text("consumer-key")?;
        let client = Client::new(Settings {
            provider: PROFILE.name,
            url,
            ca: parts.ca,
            account: parts.shared.account(&PROFILE, &[url, &application_key, &consumer_key]),
            headers: Vec::new(),
            secrets: vec![
                application_secret.clone(),
                consumer_key.clone(),
                application_key.clone(),
            ],
        })?;
        Ok(Self {
            client,
            application_key,
            application_secret,
            consumer_key,
            ahead: Mutex::new(None),
        })
    }

    /// Sends a call, signed when it leaves.
    pub(super) async fn send(&self, call: Call) -> Result<Answer, Failure> {
        let ahead = self.ahead().await?;
        let answer = self.client.send_signed(call, |call| self.sign(call, ahead)).await?;
        if !answer.status.is_success() {
            // What their support asks for. It is another each time: in a message it would be news each time.
            let query = answer.headers.get("x-ovh-queryid").and_then(|id| id.to_str().ok());
            tracing::info!(status = answer.status.as_u16(), query, "OVHcloud refused a call");
        }
        // Their clock went another way than ours since.
        if answer.status == StatusCode::BAD_REQUEST && error(&answer).error_code.as_deref() == Some("QUERY_TIME_OUT") {
            *self.ahead.lock().await = None;
            return Err(Failure::Unavailable(self.words(&answer)));
        }
        Ok(answer)
    }

    async fn ahead(&self) -> Result<i64, Failure> {
        let mut ahead = self.ahead.lock().await;
        if let Some(ahead) = *ahead {
            return Ok(ahead);
        }
        let answer = self.client.send(self.client.get(&["auth", "time"], &[])).await?;
        if !answer.status.is_success() {
            return Err(self.refusal(&answer));
        }
        let time: i64 = self.client.parse(&answer)?;
        let found = time.saturating_sub(Timestamp::now().as_second());
        *ahead = Some(found);
        Ok(found)
    }

    fn sign(&self, call: &mut Call, ahead: i64) -> Result<(), Failure> {
        let time = Timestamp::now().as_second().saturating_add(ahead).to_string();
        let Self {
            application_key,
            application_secret,
            consumer_key,
            ..
        } = self;
        let (method, url) = (&call.method, &call.url);
        let body = call.body.as_deref().unwrap_or_default();
        let signed = format!("{application_secret}+{consumer_key}+{method}+{url}+{body}+{time}");
        let digest = hexadecimal(&Sha1::digest(signed));
        for (name, value) in [
            ("x-ovh-application", application_key.as_str()),
            ("x-ovh-consumer", consumer_key),
            ("x-ovh-timestamp", &time),
            ("x-ovh-signature", &format!("$1${digest}")),
        ] {
            call.headers.insert(HeaderName::from_static(name), sensitive(value)?);
        }
        if call.body.is_some() {
            let json = HeaderValue::from_static("application/json;charset=utf-8");
            call.headers.insert(http::header::CONTENT_TYPE, json);
        }
        Ok(())
    }

    /// Whether the credential is valid, and its rules grant what is needed for a zone.
    pub(super) async fn verify(&self, domain: &Fqdn) -> Result<Credential, Failure> {
        let answer = self.send(self.client.get(&["auth", "currentCredential"], &[])).await?;
        if !answer.status.is_success() {
            return Err(self.refusal(&answer));
        }
        let credential: CurrentCredential = self.client.parse(&answer)?;
        if credential.status != "validated" {
            return Err(Failure::Unauthorized(format!(
                "the consumer key is not validated ({}): open its validation address, or make another",
                credential.status
            )));
        }
        let rules = credential.rules.unwrap_or_default();
        for (method, below) in NEEDED {
            let path = format!("/domain/zone/{domain}{below}");
            if !rules.iter().any(|rule| rule.grants(method, &path)) {
                let rule = path.replace("/record/1", "/record/*");
                return Err(Failure::Unauthorized(format!(
                    "the consumer key has no access rule for {method} {rule}"
                )));
            }
        }
        // A time that is not understood is no reason to refuse a good credential.
        let expires_at = credential.expiration.and_then(|text| text.parse().ok());
        Ok(Credential { expires_at })
    }

    /// The class of an answer that is no success.
    pub(super) fn refusal(&self, answer: &Answer) -> Failure {
        let Error { message, error_code } = error(answer);
        let words = self.words(answer);
        match (answer.status.as_u16(), error_code.as_deref()) {
            // 460: the credential has expired.
            (401 | 403 | 460, _) | (_, Some("INVALID_SIGNATURE" | "INVALID_KEY" | "INVALID_CREDENTIAL")) => {
                Failure::Unauthorized(words)
            }
            (404, _) if message.contains("requested object") => Failure::Changed(words),
            (404, _) => Failure::NoZone(words),
            (409, _) => Failure::Changed(words),
            (400, _) if message.to_ascii_lowercase().contains("invalid signature") => Failure::Unauthorized(words),
            _ => Failure::Refused(words),
        }
    }

    fn words(&self, answer: &Answer) -> String {
        let Error { message, error_code } = error(answer);
        let code = error_code.map(|code| format!(" ({code})")).unwrap_or_default();
        self.client.message(answer.status, &format!("{message}{code}"))
    }
}

impl Rule {
    /// `*` stands for anything; a rule on `/x/*` does not cover `/x`.
    fn grants(&self, method: &str, path: &str) -> bool {
        let mut parts = self.path.split('*');
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = path.strip_prefix(first) else {
            return false;
        };
        if self.method != method {
            return false;
        }
        let mut ends_open = false;
        for part in parts {
            let Some(place) = rest.rfind(part) else { return false };
            rest = rest.get(place + part.len()..).unwrap_or_default();
            ends_open = part.is_empty();
        }
        rest.is_empty() || ends_open
    }
}

fn error(answer: &Answer) -> Error {
    serde_json::from_slice(&answer.body).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_with_a_star_does_not_cover_the_path_before_it() {
        let zone = "/domain/zone/beta.example";
        for (pattern, path, granted) in [
            ("/domain/zone/beta.example", zone, true),
            ("/domain/zone/beta.example/*", zone, false),
            (
                "/domain/zone/beta.example/*",
                "/domain/zone/beta.example/record/7",
                true,
            ),
            ("/domain/zone/*", zone, true),
            ("/*", zone, true),
            ("/domain/zone/*/record", "/domain/zone/beta.example/record", true),
            ("/domain/zone/*/record", "/domain/zone/beta.example/records", false),
            (
                "/domain/zone/other.example/*",
                "/domain/zone/beta.example/record",
                false,
            ),
        ] {
            let rule = Rule {
                method: "GET".into(),
                path: pattern.into(),
            };
            assert_eq!(rule.grants("GET", path), granted, "{pattern} {path}");
            assert!(!rule.grants("PUT", path));
        }
    }
}
