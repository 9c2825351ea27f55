//! Keeps a store up to date by one watch, for ever.
//!
//! Each watch stands alone: one that fails backs off by itself and slows no other.

use std::collections::HashSet;
use std::fmt::Debug;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;

use super::Cluster;
use super::store::{Change, Item, Store};
use crate::key::Key;
use crate::metrics::Watched;

/// Objects per page, for API servers that cannot stream lists.
const PAGE: u32 = 500;

/// Which objects are watched.
#[derive(Clone, Debug)]
pub struct Selection {
    /// A label selector; `None` for all objects.
    pub labels: Option<String>,
    /// After how long the watch is opened anew.
    pub timeout: Duration,
}

impl Selection {
    fn config(&self) -> watcher::Config {
        let seconds = u32::try_from(self.timeout.as_secs()).unwrap_or(u32::MAX).max(1);
        let config = watcher::Config::default().timeout(seconds);
        match &self.labels {
            Some(labels) => config.labels(labels),
            None => config,
        }
    }
}

impl Cluster {
    /// Follows the selected objects of a kind, in every namespace, into `store`. `keep` takes from an object what the
    /// store keeps; `changed` is told every difference.
    pub async fn follow<R, T>(
        &self,
        selection: Selection,
        keep: impl Fn(R) -> T,
        store: &Store<T>,
        changed: impl Fn(Change<T>),
    ) where
        R: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
        T: Item,
    {
        let api: Api<R> = Api::all(self.client.clone());
        let kind = R::kind(&()).into_owned();
        let mut config = selection.config().streaming_lists();
        loop {
            let mut events = watcher(api.clone(), config.clone()).default_backoff().boxed();
            let mut seen = HashSet::new();
            loop {
                match events.try_next().await {
                    Ok(Some(event)) => take(event, &keep, store, &mut seen, &changed),
                    Ok(None) => break,
                    Err(error) => {
                        let watched = Watched { kind: kind.clone() };
                        self.metrics.watch_errors.get_or_create(&watched).inc();
                        if cannot_stream_lists(&error) {
                            tracing::info!(kind, "the API server does not stream lists; listing in pages");
                            config = selection.config().page_size(PAGE);
                            break;
                        }
                        let error = &error as &dyn std::error::Error;
                        tracing::warn!(kind, error, "watch broke; it is opened again");
                    }
                }
            }
        }
    }
}

fn take<R, T: Item>(
    event: Event<R>,
    keep: &impl Fn(R) -> T,
    store: &Store<T>,
    seen: &mut HashSet<Key>,
    changed: &impl Fn(Change<T>),
) {
    match event {
        Event::Init => seen.clear(),
        Event::InitApply(object) => {
            let object = keep(object);
            seen.insert(object.key());
            store.put(object).into_iter().for_each(changed);
        }
        Event::InitDone => {
            store.listed(seen).into_iter().for_each(changed);
            *seen = HashSet::new();
        }
        Event::Apply(object) => store.put(keep(object)).into_iter().for_each(changed),
        Event::Delete(object) => {
            let object = keep(object);
            store.remove(&object.key(), object.uid()).into_iter().for_each(changed);
        }
    }
}

/// A server whose feature `WatchList` is off answers 422 to `sendInitialEvents` (on by default since Kubernetes 1.34).
fn cannot_stream_lists(error: &watcher::Error) -> bool {
    matches!(error, watcher::Error::WatchStartFailed(kube::Error::Api(status)) if status.code == 422 || status.code == 400)
}
