//! AWS Signature Version 4. Written here: the library would bring a dozen crates for these few lines.

use hmac::{Hmac, KeyInit as _, Mac as _};
use http::HeaderName;
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::dns_provider::Failure;
use crate::dns_provider::data::hexadecimal;
use crate::dns_provider::http::{Call, sensitive};

pub(super) struct Keys {
    pub(super) id: String,
    pub(super) secret: String,
    /// Of credentials that end by themselves.
    pub(super) session_token: Option<String>,
}

impl Keys {
    /// Signs a request for a service in `us-east-1`. Its query must be encoded as [`query`] does, and in order.
    pub(super) fn sign(&self, call: &mut Call, service: &str, now: Timestamp) -> Result<(), Failure> {
        let time = now.strftime("%Y%m%dT%H%M%SZ").to_string();
        let day = now.strftime("%Y%m%d").to_string();
        let host = match (call.url.host_str(), call.url.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (host, _) => host.unwrap_or_default().to_owned(),
        };
        let token = self.session_token.as_deref();
        let mut headers = vec![("host", host.as_str()), ("x-amz-date", &time)];
        headers.extend(token.map(|token| ("x-amz-security-token", token)));
        let signed: Vec<_> = headers.iter().map(|(name, _)| *name).collect();
        let signed = signed.join(";");
        let headers: String = headers
            .iter()
            .flat_map(|(name, value)| [*name, ":", value, "\n"])
            .collect();
        let body = hexadecimal(&Sha256::digest(call.body.as_deref().unwrap_or_default()));
        let (method, path, query) = (&call.method, call.url.path(), call.url.query().unwrap_or_default());
        let request = format!("{method}\n{path}\n{query}\n{headers}\n{signed}\n{body}");
        let scope = format!("{day}/us-east-1/{service}/aws4_request");
        let text = format!(
            "AWS4-HMAC-SHA256\n{time}\n{scope}\n{}",
            hexadecimal(&Sha256::digest(request))
        );
        let mut key = format!("AWS4{}", self.secret).into_bytes();
        for part in scope.split('/') {
            key = keyed(&key, part)?;
        }
        let signature = hexadecimal(&keyed(&key, &text)?);
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={signed}, Signature={signature}",
            self.id
        );
        let headers = [
            ("x-amz-date", Some(time.as_str())),
            ("authorization", Some(&authorization)),
            ("x-amz-security-token", token),
        ];
        for (name, value) in headers {
            if let Some(value) = value {
                call.headers.insert(HeaderName::from_static(name), sensitive(value)?);
            }
        }
        Ok(())
    }
}

fn keyed(key: &[u8], text: &str) -> Result<Vec<u8>, Failure> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key)
        .map_err(|_| Failure::Settings("the key `secret-access-key` of the Secret cannot sign".into()))?;
    mac.update(text.as_bytes());
    Ok(mac.finalize().into_bytes().to_vec())
}

/// A query as it is signed: in order, everything encoded but what never needs to be.
pub(super) fn query(pairs: &[(&str, &str)]) -> String {
    let mut pairs: Vec<_> = pairs
        .iter()
        .map(|(name, value)| format!("{}={}", encoded(name), encoded(value)))
        .collect();
    pairs.sort();
    pairs.join("&")
}

fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, octet| {
        if octet.is_ascii_alphanumeric() || b"-_.~".contains(&octet) {
            encoded.push(char::from(octet));
        } else {
            encoded.push('%');
            encoded.push_str(&hexadecimal(&[octet]).to_ascii_uppercase());
        }
        encoded
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `get-vanilla` and `get-vanilla-query-order-key-case` of the test suite that AWS published.
    #[test]
    fn requests_are_signed_as_aws_does() {
        let keys = Keys {
            id: "AKIDEXAMPLE".into(),
            secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into(),
            session_token: None,
        };
        let now: Timestamp = "2015-08-30T12:36:00Z".parse().unwrap();
        for (url, expected) in [
            (
                "https://example.amazonaws.com/".to_owned(),
                "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
            ),
            (
                format!(
                    "https://example.amazonaws.com/?{}",
                    query(&[("Param2", "value2"), ("Param1", "value1")])
                ),
                "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            ),
        ] {
            let mut call = Call::new(http::Method::GET, url.parse().unwrap(), None);
            keys.sign(&mut call, "service", now).unwrap();
            let authorization = call.headers.get("authorization").unwrap().to_str().unwrap();
            assert_eq!(
                authorization,
                format!(
                    "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
                     SignedHeaders=host;x-amz-date, Signature={expected}"
                )
            );
        }
    }

    #[test]
    fn a_query_is_encoded_and_in_order() {
        assert_eq!(
            query(&[("name", "*.a b/ü"), ("maxitems", "1")]),
            "maxitems=1&name=%2A.a%20b%2F%C3%BC"
        );
    }
}
