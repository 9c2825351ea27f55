//! The content of Secrets and ConfigMaps as keyed hashes. The values are dropped in the function that reads them.
//!
//! Only metadata is watched. A new `resourceVersion` of an object that an app names costs one GET; its hashes are kept
//! until the next one. The hashes are HMAC-SHA-256 under a key of this installation, so that what a pod template shows
//! tells nobody whether two Secrets are equal to a guess.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use hmac::{Hmac, KeyInit as _, Mac as _};
use http::Request as HttpRequest;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{GetParams, PartialObjectMeta, PostParams};
use kube::core::request::Request;
use kube::{Api, Client, Resource};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tremplin_core::app::observed::{Content, ContentDigest};
use tremplin_core::app::valid::{ContentKind, ContentRef};
use tremplin_core::fault::{Fault, Refusal};

use super::Cluster;
use super::apply::fault;
use super::store::{Group, Item, Store};
use crate::key::Key;

/// The Secret of the operator's namespace that holds the key of the hashes. Without it every app that names a Secret
/// or a ConfigMap rolls once.
pub const KEY_SECRET: &str = "tremplin-content-key";
const KEY_FIELD: &str = "hmac";
const KEY_BYTES: usize = 32;

/// A Secret or ConfigMap, as far as its metadata tells.
#[derive(Clone, Debug)]
pub struct Source {
    key: Key,
    uid: String,
    version: String,
}

impl Source {
    /// From watched metadata; the rest is forgotten.
    pub fn of<K>(object: PartialObjectMeta<K>) -> Self {
        let metadata = object.metadata;
        Self {
            key: Key {
                namespace: metadata.namespace.unwrap_or_default(),
                name: metadata.name.unwrap_or_default(),
            },
            uid: metadata.uid.unwrap_or_default(),
            version: metadata.resource_version.unwrap_or_default(),
        }
    }
}

impl Item for Source {
    fn key(&self) -> Key {
        self.key.clone()
    }

    fn uid(&self) -> &str {
        &self.uid
    }

    fn version(&self) -> &str {
        &self.version
    }

    fn groups(&self) -> Vec<Group> {
        Vec::new()
    }

    fn differs(&self, other: &Self) -> bool {
        self.version != other.version
    }
}

/// The Secrets and ConfigMaps of the cluster.
#[derive(Default)]
pub struct Sources {
    /// The metadata of Secrets.
    pub secrets: Store<Source>,
    /// The metadata of ConfigMaps.
    pub config_maps: Store<Source>,
    hashed: Mutex<HashMap<(String, ContentRef), Hashed>>,
}

/// The hashes of one version.
#[derive(Clone)]
struct Hashed {
    uid: String,
    version: String,
    digest: Arc<ContentDigest>,
}

impl Sources {
    fn source(&self, namespace: &str, content: &ContentRef) -> Option<Arc<Source>> {
        let key = Key {
            namespace: namespace.to_owned(),
            name: content.name.clone(),
        };
        match content.kind {
            ContentKind::Secret => self.secrets.get(&key),
            ContentKind::ConfigMap => self.config_maps.get(&key),
        }
    }

    fn known(&self, place: &(String, ContentRef), source: &Source) -> Option<Arc<ContentDigest>> {
        let hashed = self.hashed.lock().unwrap_or_else(PoisonError::into_inner);
        let hashed = hashed.get(place)?;
        (hashed.uid == source.uid && hashed.version == source.version).then(|| hashed.digest.clone())
    }

    /// Drops what is known of one that is gone.
    pub fn forget(&self, namespace: &str, content: &ContentRef) {
        self.learn((namespace.to_owned(), content.clone()), None);
    }

    fn learn(&self, place: (String, ContentRef), hashed: Option<Hashed>) {
        let mut known = self.hashed.lock().unwrap_or_else(PoisonError::into_inner);
        match hashed {
            Some(hashed) => known.insert(place, hashed),
            None => known.remove(&place),
        };
    }
}

/// Of a Secret or ConfigMap, the fields that are hashed.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Values<V> {
    metadata: Versions,
    #[serde(default = "BTreeMap::new")]
    data: BTreeMap<String, V>,
    #[serde(default)]
    binary_data: BTreeMap<String, ByteString>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Versions {
    uid: String,
    resource_version: String,
}

/// The key of the hashes.
#[derive(Clone)]
pub struct ContentKey(Arc<[u8]>);

impl ContentKey {
    /// A name for the cluster, made once with the key: it tells nothing of the key.
    pub fn cluster(&self) -> String {
        let digest = Sha256::new().chain_update(b"cluster").chain_update(&self.0).finalize();
        digest.iter().take(5).fold(String::new(), |mut name, byte| {
            // Writing to a string does not fail.
            let _ = write!(name, "{byte:02x}");
            name
        })
    }

    /// Reads the key of this installation; makes it the first time. Only the leader may.
    ///
    /// # Errors
    /// When the API server refuses, or the Secret holds no key.
    pub async fn ensure(client: &Client, namespace: &str) -> Result<Self, ContentKeyError> {
        let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
        if let Some(secret) = secrets.get_opt(KEY_SECRET).await? {
            return Self::of(&secret);
        }
        let key: [u8; KEY_BYTES] = rand::random();
        let mut secret = Secret {
            data: Some(BTreeMap::from([(KEY_FIELD.to_owned(), ByteString(key.to_vec()))])),
            ..Secret::default()
        };
        secret.metadata.name = Some(KEY_SECRET.to_owned());
        match secrets.create(&PostParams::default(), &secret).await {
            Ok(secret) => Self::of(&secret),
            Err(kube::Error::Api(status)) if status.code == 409 => Self::of(&secrets.get(KEY_SECRET).await?),
            Err(error) => Err(error.into()),
        }
    }

    fn of(secret: &Secret) -> Result<Self, ContentKeyError> {
        let key = secret
            .data
            .as_ref()
            .and_then(|data| data.get(KEY_FIELD))
            .filter(|key| key.0.len() >= KEY_BYTES);
        key.map(|key| Self(key.0.as_slice().into()))
            .ok_or(ContentKeyError::NoKey)
    }

    /// The hash of parts, as 32 hexadecimal digits. No two lists of parts are written alike.
    fn hash<'a>(&self, parts: impl Iterator<Item = &'a [u8]>) -> String {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else {
            // HMAC takes keys of any length.
            return String::new();
        };
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac.finalize()
            .into_bytes()
            .iter()
            .take(16)
            .fold(String::new(), |mut text, byte| {
                let _ = write!(text, "{byte:02x}");
                text
            })
    }

    fn digest<'a>(
        &self,
        place: &(String, ContentRef),
        values: impl Iterator<Item = (&'a str, &'a [u8])> + Clone,
    ) -> ContentDigest {
        // The place is hashed too: equal content in two namespaces does not look equal.
        let place = [
            place.0.as_bytes(),
            place.1.kind.as_str().as_bytes(),
            place.1.name.as_bytes(),
        ];
        let all = place
            .into_iter()
            .chain(values.clone().flat_map(|(key, value)| [key.as_bytes(), value]));
        let one = |(key, value): (&'a str, &'a [u8])| {
            (
                key.to_owned(),
                self.hash(place.into_iter().chain([key.as_bytes(), value])),
            )
        };
        ContentDigest {
            whole: self.hash(all),
            keys: values.map(one).collect(),
        }
    }
}

/// Why there is no key for the hashes.
#[derive(Debug, thiserror::Error)]
pub enum ContentKeyError {
    /// The API server refused.
    #[error("failed to read or make the Secret {KEY_SECRET}")]
    Api(#[from] kube::Error),
    /// Somebody emptied it.
    #[error(
        "the Secret {KEY_SECRET} holds no key of {KEY_BYTES} bytes under {KEY_FIELD}: delete it; apps that name Secrets or ConfigMaps then roll once"
    )]
    NoKey,
}

impl Cluster {
    /// What an app names, as it is now.
    ///
    /// # Errors
    /// When the API server does not answer; also, as transient, when the operator may not read it.
    pub async fn content(&self, namespace: &str, content: &ContentRef) -> Result<Content, Fault<Refusal>> {
        let place = (namespace.to_owned(), content.clone());
        let Some(source) = self.sources.source(namespace, content) else {
            self.sources.learn(place, None);
            return Ok(Content::Missing);
        };
        if let Some(digest) = self.sources.known(&place, &source) {
            return Ok(Content::Present(ContentDigest::clone(&digest)));
        }
        let what = format!("{} {}", content.kind.as_str(), content.name);
        match self.read_content(&place).await {
            Ok(hashed) => {
                let digest = hashed.digest.clone();
                self.sources.learn(place, Some(hashed));
                Ok(Content::Present(ContentDigest::clone(&digest)))
            }
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(Content::Missing),
            Err(error) => Err(fault(&error, &what)),
        }
    }

    async fn read_content(&self, place: &(String, ContentRef)) -> Result<Hashed, kube::Error> {
        let (namespace, content) = place;
        let path = match content.kind {
            ContentKind::Secret => Secret::url_path(&(), Some(namespace)),
            ContentKind::ConfigMap => ConfigMap::url_path(&(), Some(namespace)),
        };
        let request = Request::new(path)
            .get(&content.name, &GetParams::default())
            .map_err(kube::Error::BuildRequest)?;
        // As text: a client that decodes logs what it cannot decode.
        let text = self.text("get", request).await?;
        match content.kind {
            ContentKind::Secret => hashed::<ByteString>(&self.content_key, place, &text, |value| &value.0),
            ContentKind::ConfigMap => hashed::<String>(&self.content_key, place, &text, String::as_bytes),
        }
        .map_err(kube::Error::SerdeError)
    }

    async fn text(&self, verb: &'static str, mut request: HttpRequest<Vec<u8>>) -> Result<String, kube::Error> {
        request.extensions_mut().insert(verb);
        self.client.request_text(request).await
    }
}

fn hashed<V: for<'de> Deserialize<'de>>(
    key: &ContentKey,
    place: &(String, ContentRef),
    text: &str,
    bytes: fn(&V) -> &[u8],
) -> Result<Hashed, serde_json::Error> {
    let values: Values<V> = serde_json::from_str(text)?;
    let texts = values.data.iter().map(|(key, value)| (key.as_str(), bytes(value)));
    let binaries = values
        .binary_data
        .iter()
        .map(|(key, value)| (key.as_str(), value.0.as_slice()));
    let digest = key.digest(place, texts.chain(binaries));
    Ok(Hashed {
        uid: values.metadata.uid,
        version: values.metadata.resource_version,
        digest: Arc::new(digest),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(namespace: &str) -> (String, ContentRef) {
        (namespace.to_owned(), ContentRef::secret("database"))
    }

    fn digest(namespace: &str, data: &str) -> ContentDigest {
        let key = ContentKey(Arc::from([7_u8; 32]));
        let text = format!(r#"{{"metadata":{{"uid":"1","resourceVersion":"2"}},"data":{data}}}"#);
        let hashed = hashed::<ByteString>(&key, &place(namespace), &text, |value| &value.0).unwrap();
        ContentDigest::clone(&hashed.digest)
    }

    #[test]
    fn equal_content_has_equal_hashes_and_each_key_its_own() {
        let before = digest("paris", r#"{"url":"YQ==","password":"Yg=="}"#);
        assert_eq!(before, digest("paris", r#"{"password":"Yg==","url":"YQ=="}"#));
        let after = digest("paris", r#"{"url":"YQ==","password":"Yw=="}"#);
        assert_ne!(before.whole, after.whole);
        assert_eq!(before.keys["url"], after.keys["url"]);
        assert_ne!(before.keys["password"], after.keys["password"]);
    }

    #[test]
    fn nothing_can_be_told_by_comparing_places() {
        assert_ne!(digest("paris", r#"{"a":"YQ=="}"#), digest("lyon", r#"{"a":"YQ=="}"#));
        let moved = digest("paris", r#"{"ab":"YQ=="}"#);
        assert_ne!(digest("paris", r#"{"a":"YmE="}"#).whole, moved.whole);
    }

    #[test]
    fn no_value_is_in_what_is_kept() {
        let kept = format!("{:?}", digest("paris", r#"{"password":"aHVudGVyMg=="}"#));
        assert!(!kept.contains("hunter2") && !kept.contains("aHVudGVyMg"), "{kept}");
    }

    #[test]
    fn the_binary_data_of_a_config_map_counts() {
        let key = ContentKey(Arc::from([7_u8; 32]));
        let of = |more: &str| {
            let text = format!(r#"{{"metadata":{{"uid":"1","resourceVersion":"2"}},"data":{{"a":"x"}}{more}}}"#);
            ContentDigest::clone(
                &hashed::<String>(&key, &place("paris"), &text, String::as_bytes)
                    .unwrap()
                    .digest,
            )
        };
        assert_ne!(of("").whole, of(r#","binaryData":{"b":"YQ=="}"#).whole);
    }
}
