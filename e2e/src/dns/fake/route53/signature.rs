//! AWS Signature Version 4, checked from the request as it came.

use std::time::{Duration, SystemTime};

use anyhow::Result;
use hmac::{Hmac, KeyInit, Mac};
use k8s_openapi::jiff::civil::DateTime;
use k8s_openapi::jiff::tz::TimeZone;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::{Digest, Sha256};

use super::super::Incoming;
use crate::dns::daemon::{hex, random};

/// What stays as it is in a canonical query.
const RESERVED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// How far the time of a signature may be from ours.
const WINDOW: Duration = Duration::from_mins(5);

/// The access key.
pub(super) struct Keys {
    pub(super) id: String,
    pub(super) secret: String,
    pub(super) expired: bool,
}

impl Keys {
    pub(super) fn new() -> Result<Self> {
        Ok(Self {
            id: format!("AKIA{}", hex(&random::<8>()?).to_uppercase()),
            secret: hex(&random::<20>()?),
            expired: false,
        })
    }

    /// Whether this key signed the request, for this service and now; or the refusal's code and message.
    pub(super) fn check(&self, request: &Incoming) -> Result<(), (&'static str, &'static str)> {
        let missing = ("MissingAuthenticationToken", "Missing Authentication Token");
        let mismatch = (
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match",
        );
        let authorization = request.header("authorization");
        let parts = authorization.strip_prefix("AWS4-HMAC-SHA256 ").ok_or(missing)?;
        let part = |name: &str| {
            let mut parts = parts.split(',').map(str::trim);
            parts
                .find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
                .ok_or(mismatch)
        };
        let (credential, signed, signature) = (part("Credential")?, part("SignedHeaders")?, part("Signature")?);
        let (id, scope) = credential.split_once('/').ok_or(mismatch)?;
        if self.expired || id != self.id {
            return Err((
                "InvalidClientTokenId",
                "The security token included in the request is invalid",
            ));
        }
        let date = request.header("x-amz-date");
        let day = date.get(..8).unwrap_or_default();
        if !is_now(date) {
            return Err(("RequestExpired", "Signature expired"));
        }
        if scope != format!("{day}/us-east-1/route53/aws4_request") || !signed.split(';').any(|name| name == "host") {
            return Err(mismatch);
        }
        let canonical = hex(&Sha256::digest(canonical(request, signed)));
        let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{canonical}");
        let mut key = format!("AWS4{}", self.secret).into_bytes();
        for word in scope.split('/') {
            key = keyed(&key, word);
        }
        if hex(&keyed(&key, &text)) == signature {
            Ok(())
        } else {
            Err(mismatch)
        }
    }
}

/// The request as it is signed.
fn canonical(request: &Incoming, signed: &str) -> String {
    let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let encode = |text: &str| utf8_percent_encode(&decode(text), &RESERVED).to_string();
    let pairs = request.query.split('&').filter(|pair| !pair.is_empty());
    let mut pairs: Vec<_> = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).collect();
    pairs.sort_by_cached_key(|(name, value)| (encode(name), encode(value)));
    let query: Vec<_> = pairs
        .iter()
        .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
        .collect();
    let headers = signed
        .split(';')
        .map(|name| format!("{name}:{}\n", request.header(name).trim()));
    let (method, path) = (&request.method, &request.path);
    let (query, headers) = (query.join("&"), headers.collect::<Vec<_>>().concat());
    format!(
        "{method}\n{path}\n{query}\n{headers}\n{signed}\n{}",
        hex(&Sha256::digest(&request.body))
    )
}

fn keyed(key: &[u8], text: &str) -> Vec<u8> {
    // A key of any length is one.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return Vec::new();
    };
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// Whether `20261123T060000Z` is within the window around now.
fn is_now(date: &str) -> bool {
    let signed = DateTime::strptime("%Y%m%dT%H%M%SZ", date).and_then(|signed| signed.to_zoned(TimeZone::UTC));
    let Ok(signed) = signed.map(|signed| SystemTime::from(signed.timestamp())) else {
        return false;
    };
    let now = SystemTime::now();
    let apart = now.duration_since(signed).or_else(|_| signed.duration_since(now));
    apart.is_ok_and(|apart| apart < WINDOW)
}
