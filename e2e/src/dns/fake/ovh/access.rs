//! Who may call: keys, signature and clock, then the rules of the credential.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use serde_json::{Value, json};
use sha1::{Digest, Sha1};

use super::super::{Incoming, Reply, answer_id};
use crate::dns::daemon::{hex, random};

/// How far the server's clock is ahead of ours, in seconds.
const AHEAD: u64 = 2 * 3600;
/// How old a signature may be, in seconds.
const WINDOW: u64 = 60;

pub(super) struct Access {
    pub(super) application_key: String,
    pub(super) application_secret: String,
    pub(super) consumer_key: String,
    pub(super) token: String,
    /// Method and path, of which a `*` is anything.
    pub(super) rules: Vec<(String, String)>,
    pub(super) expiration: Option<String>,
    pub(super) expired: bool,
}

impl Access {
    /// New keys, with the rights that the operator of a zone needs, and no more.
    pub(super) fn new(zone: &str) -> Result<Self> {
        let rule = |method: &str, path: &str| (method.to_owned(), format!("/domain/zone/{zone}{path}"));
        Ok(Self {
            application_key: word()?,
            application_secret: word()?,
            consumer_key: word()?,
            token: word()?,
            rules: vec![
                rule("GET", ""),
                rule("GET", "/*"),
                rule("POST", "/record"),
                rule("PUT", "/record/*"),
                rule("DELETE", "/record/*"),
                rule("POST", "/refresh"),
            ],
            expiration: None,
            expired: false,
        })
    }

    /// The server's time, in seconds.
    pub(super) fn now() -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        since.as_secs() + AHEAD
    }

    pub(super) fn credential(&self) -> Value {
        let rules = self.rules.iter();
        json!({
            "credentialId": 1,
            "applicationId": 1,
            "status": if self.expired { "expired" } else { "validated" },
            "expiration": self.expiration,
            "rules": rules.map(|(method, path)| json!({"method": method, "path": path})).collect::<Vec<_>>(),
        })
    }

    pub(super) fn check(&self, request: &Incoming, path: &[&str]) -> Result<(), Reply> {
        if request.header("authorization") != format!("Bearer {}", self.token) {
            self.check_signature(request)?;
        }
        if self.expired {
            return Err(refused(403, "INVALID_CREDENTIAL", "This credential is not valid"));
        }
        let path = format!("/{}", path.join("/"));
        let own = path == "/auth/currentCredential";
        if own || self.rules.iter().any(|rule| grants(rule, &request.method, &path)) {
            return Ok(());
        }
        Err(refused(403, "NOT_GRANTED_CALL", "This call has not been granted"))
    }

    fn check_signature(&self, request: &Incoming) -> Result<(), Reply> {
        if request.header("x-ovh-application") != self.application_key {
            return Err(refused(403, "INVALID_KEY", "This application key is invalid"));
        }
        if request.header("x-ovh-consumer") != self.consumer_key {
            return Err(refused(403, "NOT_CREDENTIAL", "This credential does not exist"));
        }
        let timestamp = request.header("x-ovh-timestamp");
        let signed_at: u64 = timestamp.parse().unwrap_or_default();
        if signed_at.abs_diff(Self::now()) > WINDOW {
            return Err(refused(400, "QUERY_TIME_OUT", "Query out of time"));
        }
        let (method, url, body) = (&request.method, request.url(), &request.body);
        let (secret, consumer) = (&self.application_secret, &self.consumer_key);
        let signed = format!("{secret}+{consumer}+{method}+{url}+{body}+{timestamp}");
        if request.header("x-ovh-signature") != format!("$1${}", hex(&Sha1::digest(signed))) {
            return Err(refused(400, "INVALID_SIGNATURE", "Invalid signature"));
        }
        Ok(())
    }
}

/// Whether a rule covers a call. One on `/x/*` does not cover `/x`.
fn grants((method, pattern): &(String, String), called: &str, path: &str) -> bool {
    let fits = pattern
        .strip_suffix('*')
        .map_or(pattern == path, |prefix| path.starts_with(prefix));
    method == called && fits
}

fn refused(status: u16, code: &str, message: &str) -> Reply {
    let body = json!({"errorCode": code, "httpCode": status.to_string(), "message": message});
    Reply::json(status, &body).header("x-ovh-queryid", answer_id())
}

fn word() -> Result<String> {
    Ok(hex(&random::<16>()?))
}
