//! Amazon Route 53, API 2013-04-01.
//!
//! What it has of its own, from its public documentation: a batch is all or nothing; `CREATE` fails when the set is there,
//! `DELETE` when it is not there exactly as told, so that a replacement (`DELETE` and `CREATE` in one batch) compares and swaps;
//! what was accepted is served some time later. Zones are never made or removed.

mod document;
mod signature;

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::BoxFuture;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, StatusCode};
use jiff::Timestamp;
use tokio::sync::{Mutex, OnceCell};
use tremplin_core::api::dns as api;
use tremplin_core::dns::profile::{Alias, Atomicity, Profile, Publication, Rate};
use tremplin_core::dns::{Change, Fqdn, RrSet};

use self::document::{Changed, Error, ErrorResponse, Page, Set, Written, Zones};
use self::signature::Keys;
use super::data::{Sets, batches};
use super::http::{Answer, Call, Client, Settings};
use super::{Credential, Failure, Parts, Provider};

const URL: &str = "https://route53.amazonaws.com";
const VERSION: &str = "2013-04-01";
/// How many sets go into one batch, and how many characters: half of what is allowed, as a replacement counts twice.
const BATCH: usize = 200;
const LONGEST: usize = 16_000;
/// How long a zone that is still at work on another batch is left alone.
const AT_WORK: Duration = Duration::from_secs(1);

pub(super) const PROFILE: Profile = Profile {
    name: "Route 53",
    min_ttl: 1,
    max_ttl: 0x7fff_ffff,
    atomicity: Atomicity::Batch(BATCH),
    // Aliases there lead to Amazon's own resources alone.
    alias: Alias::Never,
    without: &[],
    publication: Publication::Asynchronous,
    reads_by_name: 10,
    snapshots: false,
    // It stays what it was when the zone was made, unless somebody sets it.
    serial_moves: false,
    // Per account, whoever asks.
    rate: Some(Rate {
        requests: 5,
        writes: 5,
        per_seconds: 1,
    }),
};

/// A zone.
pub(super) struct Route53 {
    client: Client,
    keys: Keys,
    domain: Fqdn,
    zone: OnceCell<String>,
    expires_at: Option<Timestamp>,
    /// The changes that were accepted and not yet said to be served, the oldest first.
    pending: Mutex<Vec<String>>,
}

impl Route53 {
    pub(super) fn new(settings: &api::Route53, parts: Parts<'_>) -> Result<Self, Failure> {
        let keys = Keys {
            id: parts.secret.text("access-key-id")?,
            secret: parts.secret.text("secret-access-key")?,
            session_token: parts.secret.optional("session-token")?,
        };
        let url = settings.url.as_deref().unwrap_or(URL);
        let mut secrets = vec![keys.secret.clone()];
        secrets.extend(keys.session_token.clone());
        let client = Client::new(Settings {
            provider: PROFILE.name,
            url,
            ca: parts.ca,
            account: parts.shared.account(&PROFILE, &[url, &keys.id]),
            headers: Vec::new(),
            secrets,
        })?;
        let zone = settings.hosted_zone_id.as_deref().map(bare);
        Ok(Self {
            client,
            keys,
            domain: parts.domain.clone(),
            zone: OnceCell::new_with(zone),
            expires_at: parts.secret.expires_at()?,
            pending: Mutex::default(),
        })
    }

    fn call(&self, method: Method, path: &[&str], query: &[(&str, &str)], body: Option<String>) -> Call {
        let mut url = self.client.url(&[&[VERSION], path].concat(), &[]);
        if !query.is_empty() {
            url.set_query(Some(&signature::query(query)));
        }
        let mut call = Call::new(method, url, body);
        call.headers.remove(http::header::ACCEPT);
        if call.body.is_some() {
            call.headers
                .insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
        }
        call
    }

    async fn send(&self, call: Call) -> Result<Result<Answer, (StatusCode, Error)>, Failure> {
        let sign = |call: &mut Call| self.keys.sign(call, "route53", Timestamp::now());
        let answer = self.client.send_signed(call, sign).await?;
        if answer.status.is_success() {
            return Ok(Ok(answer));
        }
        let ErrorResponse { error } = self.client.parse_xml(&answer)?;
        Ok(Err((answer.status, error)))
    }

    fn refusal(&self, (status, error): (StatusCode, Error)) -> Failure {
        let Error { code, message } = error;
        let words = self.client.message(status, &format!("{message} ({code})"));
        let same = ["already exists", "was not found", "do not match", "conflicts with"];
        match code.as_str() {
            // No word of when.
            "Throttling" | "ThrottlingException" => self.client.busy(None),
            "PriorRequestNotComplete" => Failure::Busy { after: Some(AT_WORK) },
            "NoSuchHostedZone" => Failure::NoZone(words),
            "InvalidChangeBatch" if same.iter().any(|same| message.contains(same)) => Failure::Changed(words),
            "InvalidSignatureException" | "SignatureDoesNotMatch" | "RequestExpired" | "AccessDenied" => {
                Failure::Unauthorized(words)
            }
            _ => self.client.refusal(status, &format!("{message} ({code})")),
        }
    }

    async fn done(&self, call: Call) -> Result<Answer, Failure> {
        self.send(call).await?.map_err(|error| self.refusal(error))
    }

    /// The id of the hosted zone: that of the settings, or of the only public one of the name.
    async fn zone(&self) -> Result<&str, Failure> {
        let find = || async {
            let name = self.domain.absolute();
            let query = [("dnsname", name.as_str())];
            let answer = self
                .done(self.call(Method::GET, &["hostedzonesbyname"], &query, None))
                .await?;
            let zones: Zones = self.client.parse_xml(&answer)?;
            // The list goes on behind the name.
            let mut ours = zones.hosted_zones.hosted_zone.into_iter().filter(|zone| {
                zone.name.trim_end_matches('.') == self.domain.as_str()
                    && !zone.config.as_ref().is_some_and(|config| config.private_zone)
            });
            match (ours.next(), ours.next()) {
                (Some(zone), None) => Ok(bare(&zone.id)),
                (None, _) => Err(Failure::NoZone(format!(
                    "the account has no public hosted zone {}",
                    self.domain
                ))),
                (Some(_), Some(_)) => Err(Failure::Settings(format!(
                    "the account has several public hosted zones {}: write provider.route53.hostedZoneID",
                    self.domain
                ))),
            }
        };
        self.zone.get_or_try_init(find).await.map(String::as_str)
    }

    /// The sets from a name on, while `wanted` says so.
    async fn list(&self, from: Option<&Fqdn>, wanted: impl Fn(&Set) -> bool) -> Result<Vec<Set>, Failure> {
        let zone = self.zone().await?;
        let mut sets = Vec::new();
        let mut next = from.map(|name| vec![("name", name.absolute())]).unwrap_or_default();
        // Few sets are at a name; what comes behind them is not needed.
        next.push(("maxitems", if from.is_some() { "20" } else { "300" }.to_owned()));
        loop {
            let query: Vec<_> = next.iter().map(|(key, value)| (*key, value.as_str())).collect();
            let call = self.call(Method::GET, &["hostedzone", zone, "rrset"], &query, None);
            let page: Page = self.client.parse_xml(&self.done(call).await?)?;
            for set in page.resource_record_sets.resource_record_set {
                if !wanted(&set) {
                    return Ok(sets);
                }
                sets.push(set);
            }
            let (true, Some(name)) = (page.is_truncated, page.next_record_name) else {
                return Ok(sets);
            };
            next.retain(|(key, _)| *key == "maxitems");
            next.push(("name", name));
            next.extend(page.next_record_type.map(|type_| ("type", type_)));
            next.extend(page.next_record_identifier.map(|identifier| ("identifier", identifier)));
        }
    }

    async fn at(&self, name: &Fqdn) -> Result<Vec<Set>, Failure> {
        self.list(Some(name), |set| set.name().as_ref() == Some(name)).await
    }

    /// Submits a batch. What others wrote may be the same data written in another way: it is then looked up, and the
    /// same batch sent with it.
    async fn submit(&self, batch: &[&Change]) -> Result<(), Failure> {
        let before: Vec<&RrSet> = batch.iter().filter_map(|change| change.before.as_ref()).collect();
        let gone: Vec<Written> = before.iter().map(|set| Written::of(set)).collect();
        let answer = match self.post(&gone, batch).await? {
            Err((_, error)) if error.code == "InvalidChangeBatch" && error.message.contains("do not match") => {
                let mut gone = Vec::new();
                for set in before {
                    let there = self.at(&set.name).await?;
                    let same = there.iter().find(|written| written.is(set));
                    gone.push(same.map_or_else(|| Written::of(set), Set::as_written));
                }
                self.post(&gone, batch).await?
            }
            answer => answer,
        };
        let answer = answer.map_err(|error| self.refusal(error))?;
        let changed: Changed = self.client.parse_xml(&answer)?;
        if changed.change_info.status != "INSYNC" {
            self.pending.lock().await.push(bare(&changed.change_info.id));
        }
        Ok(())
    }

    async fn post(&self, gone: &[Written], batch: &[&Change]) -> Result<Result<Answer, (StatusCode, Error)>, Failure> {
        let there = batch.iter().filter_map(|change| change.after.as_ref());
        let changes: Vec<_> = gone
            .iter()
            .map(|set| set.change("DELETE"))
            .chain(there.map(|set| Written::of(set).change("CREATE")))
            .collect();
        let path = ["hostedzone", self.zone().await?, "rrset"];
        let body = Some(document::batch(&changes));
        self.send(self.call(Method::POST, &path, &[], body)).await
    }
}

/// An id without the path that it may come with.
fn bare(id: &str) -> String {
    id.rsplit('/').next().unwrap_or_default().to_owned()
}

fn sets<'a>(found: impl IntoIterator<Item = &'a Set>) -> Vec<RrSet> {
    let mut sets = Sets::default();
    for set in found {
        set.add_to(&mut sets);
    }
    sets.into_vec()
}

/// The characters of the values of a change.
fn size(change: &Change) -> usize {
    let sets = [&change.before, &change.after];
    let values = sets.into_iter().flatten().flat_map(|set| &set.values);
    values.map(|value| value.len() + value.len() / 32 + 8).sum()
}

impl Provider for Route53 {
    fn profile(&self) -> &Profile {
        &PROFILE
    }

    fn verify(&self) -> BoxFuture<'_, Result<Credential, Failure>> {
        Box::pin(async {
            self.at(&self.domain).await?;
            // The API does not tell when a key ends.
            Ok(Credential {
                expires_at: self.expires_at,
            })
        })
    }

    fn read<'a>(&'a self, names: &'a BTreeSet<Fqdn>) -> BoxFuture<'a, Result<Vec<RrSet>, Failure>> {
        Box::pin(async move {
            if names.len() > PROFILE.reads_by_name {
                return self.read_all().await;
            }
            let mut found = Vec::new();
            for name in names {
                found.extend(self.at(name).await?);
            }
            Ok(sets(&found))
        })
    }

    fn read_all(&self) -> BoxFuture<'_, Result<Vec<RrSet>, Failure>> {
        Box::pin(async { Ok(sets(&self.list(None, |_| true).await?)) })
    }

    fn write<'a>(&'a self, changes: &'a [Change]) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            if changes.is_empty() {
                return Ok(());
            }
            for batch in batches(changes, BATCH, LONGEST, size) {
                self.submit(&batch).await?;
            }
            Ok(())
        })
    }

    fn is_published(&self) -> BoxFuture<'_, Result<Option<bool>, Failure>> {
        Box::pin(async {
            let mut pending = self.pending.lock().await;
            while let Some(id) = pending.first() {
                let call = self.call(Method::GET, &["change", id], &[], None);
                let changed: Changed = self.client.parse_xml(&self.done(call).await?)?;
                if changed.change_info.status != "INSYNC" {
                    return Ok(Some(false));
                }
                pending.remove(0);
            }
            Ok(Some(true))
        })
    }
}
