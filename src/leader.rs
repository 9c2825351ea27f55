//! The lease: one replica writes, and stops before another may begin.
//!
//! [`kube_lease_manager`] takes and renews the `Lease`. It does not say until when the lease is valid, and while the
//! API server does not answer it goes on believing; so every answer to its requests is read here as well, and
//! [`Leadership`] ends by the clock, at four fifths of the lease's duration after the last renewal was *sent*. What is
//! left tolerates clocks that differ between nodes. A program that was frozen meanwhile finds its leadership over
//! before its first write.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, Response};
use kube::Client;
use kube::client::Body;
use kube_lease_manager::{LeaseCreateMode, LeaseManager, LeaseManagerError, LeaseParams};
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tower::BoxError;

/// The wait before the lease is asked for again after an error.
const RETRY: Duration = Duration::from_millis(200);

/// Where this replica stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Another holds the lease, or nobody yet.
    Follower,
    /// This replica holds it until then.
    Leader(Instant),
    /// It was lost or given up. There is no way back: the program ends.
    Over,
}

/// Whether this replica may write. Checked before each write by the layer below `cluster`.
#[derive(Clone, Debug)]
pub struct Leadership(Arc<watch::Sender<Standing>>);

impl Leadership {
    /// Of a replica that does not hold the lease.
    pub fn follower() -> Self {
        Self(Arc::new(watch::Sender::new(Standing::Follower)))
    }

    /// Whether a write may be sent now.
    pub fn holds(&self) -> bool {
        matches!(*self.0.borrow(), Standing::Leader(until) if Instant::now() < until)
    }

    /// Ends it at once: no further write is sent.
    pub fn give_up(&self) {
        self.0.send_replace(Standing::Over);
    }

    /// Waits until this replica may write.
    pub async fn gained(&self) {
        let mut standing = self.0.subscribe();
        // The sender lives in `self`, so it cannot be gone.
        let _ = standing
            .wait_for(|standing| matches!(standing, Standing::Leader(_)))
            .await;
    }

    /// Waits until this replica, having held the lease, may write no more.
    pub async fn lost(&self) {
        let mut standing = self.0.subscribe();
        loop {
            let until = match *standing.borrow_and_update() {
                Standing::Over => return,
                Standing::Leader(until) => Some(until),
                Standing::Follower => None,
            };
            let expiry = async {
                match until {
                    Some(until) => sleep_until(until).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                // A renewal that is there counts, though its time came at the same moment.
                biased;
                _ = standing.changed() => {}
                () = expiry => self.give_up(),
            }
        }
    }

    fn renewed(&self, until: Instant) {
        self.0.send_if_modified(|standing| {
            let over = *standing == Standing::Over;
            if !over {
                *standing = Standing::Leader(until);
            }
            !over
        });
    }
}

/// Which lease, and who asks for it.
#[derive(Clone, Debug)]
pub struct Lease {
    /// The namespace of the `Lease`.
    pub namespace: String,
    /// The name of the `Lease`.
    pub name: String,
    /// Who asks: unique among replicas *and* among the runs of one replica.
    pub identity: String,
    /// For how long it is valid; whole seconds, at least 3.
    pub duration: Duration,
}

/// Asks for the lease, keeps it, gives it back.
pub struct Elector {
    client: Client,
    lease: Lease,
    manager: LeaseManager,
    leadership: Leadership,
}

impl Elector {
    /// Creates the `Lease` if there is none, and takes nothing yet.
    ///
    /// # Errors
    /// When the API server does not answer or refuses.
    pub async fn new(client: &Client, lease: Lease) -> Result<Self, LeaseManagerError> {
        let leadership = Leadership::follower();
        let client = observed(client.clone(), lease.clone(), leadership.clone());
        let manager = manager(&client, &lease).await?;
        Ok(Self {
            client,
            lease,
            manager,
            leadership,
        })
    }

    /// Where this replica stands, now and later.
    pub fn leadership(&self) -> Leadership {
        self.leadership.clone()
    }

    /// Asks for the lease and keeps it, for ever or until it is lost. Dropping the future stops renewing.
    pub async fn campaign(&mut self) {
        let mut held = false;
        loop {
            match self.manager.changed().await {
                Ok(true) => {
                    held = true;
                    tracing::info!(identity = self.lease.identity, "holding the lease");
                }
                Ok(false) if held => return self.leadership.give_up(),
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "failed to ask for the lease");
                    sleep(RETRY).await;
                    if !held
                        && matches!(error, LeaseManagerError::NonexistentLease(_))
                        && let Ok(manager) = manager(&self.client, &self.lease).await
                    {
                        self.manager = manager;
                    }
                }
            }
        }
    }

    /// Stops writing and gives the lease back, so that another replica need not wait for its end.
    pub async fn release(self) {
        let held = self.leadership.holds();
        self.leadership.give_up();
        if !held {
            return;
        }
        match self.manager.release().await {
            Ok(()) => tracing::info!(identity = self.lease.identity, "released the lease"),
            Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "failed to release the lease"),
        }
    }
}

async fn manager(client: &Client, lease: &Lease) -> Result<LeaseManager, LeaseManagerError> {
    let seconds = lease.duration.as_secs();
    // Renewed after a third, so that an API server that is restarted does not cost the lease: leadership ends at four
    // fifths, several tries later.
    let grace = (seconds * 2 / 3).max(1);
    let params = LeaseParams::new(&lease.identity, seconds, grace);
    LeaseManager::new(
        client.clone(),
        &lease.name,
        &lease.namespace,
        params,
        LeaseCreateMode::AutoCreate,
    )
    .await
}

/// A client whose every request ends in time, and that notes each renewal.
fn observed(client: Client, lease: Lease, leadership: Leadership) -> Client {
    let namespace = client.default_namespace().to_owned();
    let service = tower::service_fn(move |request: Request<Body>| {
        let (client, lease, leadership) = (client.clone(), lease.clone(), leadership.clone());
        async move {
            let limit = lease.duration / 6;
            match timeout(limit, exchange(client, request, &lease, &leadership)).await {
                Ok(answer) => answer,
                Err(_) => Err(BoxError::from(format!("no answer about the lease within {limit:?}"))),
            }
        }
    });
    Client::new(service, namespace)
}

async fn exchange(
    client: Client,
    request: Request<Body>,
    lease: &Lease,
    leadership: &Leadership,
) -> Result<Response<Body>, BoxError> {
    let sent = Instant::now();
    let is_write = request.method() == Method::PATCH;
    let (head, body) = client.send(request).await?.into_parts();
    let body = body.collect_bytes().await?;
    if is_write && head.status.is_success() && is_held_by(&lease.identity, &body) {
        leadership.renewed(sent + lease.duration * 4 / 5);
    }
    Ok(Response::from_parts(head, Body::from(body)))
}

fn is_held_by(identity: &str, lease: &[u8]) -> bool {
    serde_json::from_slice::<Value>(lease)
        .is_ok_and(|lease| lease.pointer("/spec/holderIdentity").and_then(Value::as_str) == Some(identity))
}

/// A name of this run: `base` and eight random characters.
pub fn identity(base: &str) -> String {
    format!("{base}-{:08x}", rand::random::<u32>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn leadership_ends_by_the_clock() {
        let leadership = Leadership::follower();
        assert!(!leadership.holds());
        leadership.renewed(Instant::now() + Duration::from_secs(10));
        leadership.gained().await;
        assert!(leadership.holds());
        let before = Instant::now();
        leadership.lost().await;
        assert_eq!(before.elapsed().as_secs(), 10);
        assert!(!leadership.holds());
    }

    #[tokio::test(start_paused = true)]
    async fn a_renewal_extends_it_and_a_late_one_does_not_revive_it() {
        let leadership = Leadership::follower();
        leadership.renewed(Instant::now() + Duration::from_secs(1));
        leadership.renewed(Instant::now() + Duration::from_secs(5));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(leadership.holds());
        leadership.lost().await;
        leadership.renewed(Instant::now() + Duration::from_secs(5));
        assert!(!leadership.holds());
    }

    #[test]
    fn only_the_named_holder_holds_it() {
        let lease = br#"{"spec":{"holderIdentity":"blue"}}"#;
        assert!(is_held_by("blue", lease));
        assert!(!is_held_by("green", lease));
        assert!(!is_held_by("blue", b"{}"));
    }
}
