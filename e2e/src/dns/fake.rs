//! Fakes of providers' HTTP APIs: what the real services do, with all that bites in it, in memory.
//!
//! Each serves its zone over real DNS, so that "published" can be asked of an authority, and only once the service
//! it stands for would serve it. Each keeps a log of its calls, and **remembers the calls that no client of ours may
//! ever make** (those that replace or empty a zone): [`Fake::assert_clean`], and the end of the fake, fail the test
//! then. The facts come from the services' public documentation and from public clients; none was tried here.
//!
//! What all of them can is on [`Fake`]; what is one's own (credentials, oddities on demand) is on its own type.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, Uri};
use axum::response::Response;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::ZoneText;
use super::daemon::free_port;
use super::query::Record;

mod always_data;
mod exchange;
mod gandi;
mod limit;
mod name_server;
mod ovh;
mod point_dns;
mod route53;
mod scaleway;
mod txt;
mod zone;

pub use always_data::AlwaysData;
use exchange::answer_id;
pub use exchange::{Call, Incoming, Outcome, Reply};
pub use gandi::Gandi;
use limit::Bucket;
pub use limit::{Calls, Limit};
use name_server::NameServer;
pub use name_server::Published;
pub use ovh::Ovh;
pub use point_dns::PointDns;
pub use route53::Route53;
pub use scaleway::Scaleway;
pub use zone::Row;

/// What a fake is started with.
#[derive(Clone, Debug)]
pub struct FakeOptions {
    /// Its zone, and what is in it already. The SOA's serial goes up by one with each publication.
    pub zone: ZoneText,
    /// How many calls it takes. None: as many as come.
    pub limits: Vec<Limit>,
    /// How long it takes until what it accepted is served, where it does not serve it at once.
    pub delay: Duration,
    /// Where names outside the zone lead, without a dot at their end: what an ALIAS is served as.
    pub world: Vec<(String, IpAddr)>,
}

impl FakeOptions {
    /// An empty zone, no limits, and a delay of 100 ms.
    pub fn new(zone: &str) -> Self {
        Self {
            zone: ZoneText::empty(zone),
            limits: Vec::new(),
            delay: Duration::from_millis(100),
            world: Vec::new(),
        }
    }
}

/// What one service does with a request. It has the requests one after the other.
pub trait Service: Send + 'static {
    /// Answers, and says what happens later.
    fn answer(&mut self, request: &Incoming) -> Outcome<Self>
    where
        Self: Sized;

    /// Whether this is a call that no client of ours may make.
    fn forbids(&self, request: &Incoming) -> bool;

    /// The refusal of a call beyond a limit, which may come again after `wait`.
    fn throttle(&self, wait: Duration) -> Reply;

    /// Puts records into the zone as if they had always been there, and serves them.
    fn seed(&mut self, records: &[Record]) -> Result<()>;

    /// What it holds, whether served or not, in no order.
    fn stored(&self) -> Vec<Record>;

    /// Whether it still takes the credentials.
    fn expire(&mut self, expired: bool);
}

/// A running fake. It ends with this value.
pub struct Fake<S: Service> {
    shared: Arc<Shared<S>>,
    zone: String,
    url: String,
    name_server: NameServer,
    // Ends what it holds.
    _tasks: JoinSet<()>,
}

struct Shared<S> {
    service: Mutex<S>,
    calls: Mutex<Vec<Call>>,
    forbidden: Mutex<Vec<Call>>,
    buckets: Mutex<Vec<Bucket>>,
}

impl<S: Service> Fake<S> {
    /// Starts the service that `make` makes of what it serves, its API being at `path`.
    async fn start_with(options: &FakeOptions, path: &str, make: impl FnOnce(Published) -> Result<S>) -> Result<Self> {
        let (name_server, records) = NameServer::start(&options.zone).await?;
        let mut service = make(name_server.published())?;
        service.seed(&records)?;
        let shared = Arc::new(Shared {
            service: Mutex::new(service),
            calls: Mutex::default(),
            forbidden: Mutex::default(),
            buckets: Mutex::new(options.limits.iter().map(Bucket::new).collect()),
        });
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("failed to listen at {address}"))?;
        let router = Router::new().fallback(handle::<S>).with_state(Arc::clone(&shared));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            // It fails only when the listener does, and then every call fails with it.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self {
            shared,
            zone: options.zone.name.clone(),
            url: format!("http://{address}{path}"),
            name_server,
            _tasks: tasks,
        })
    }

    /// The base of its URLs, as its documentation has it, without a slash at its end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where its zone is served, by UDP and TCP.
    pub fn dns(&self) -> SocketAddr {
        self.name_server.address()
    }

    /// Its zone, without a dot at its end.
    pub fn zone(&self) -> &str {
        &self.zone
    }

    /// Every call, in order, those that were refused included.
    pub fn calls(&self) -> Vec<Call> {
        lock(&self.shared.calls).clone()
    }

    /// How many calls there were.
    pub fn count(&self) -> usize {
        lock(&self.shared.calls).len()
    }

    /// How many of them were not merely to read.
    pub fn writes(&self) -> usize {
        let calls = lock(&self.shared.calls);
        calls.iter().filter(|call| call.method != "GET").count()
    }

    /// Forgets the calls that were made, the forbidden ones excepted.
    pub fn forget_calls(&self) {
        lock(&self.shared.calls).clear();
    }

    /// The forbidden calls, which are forgotten by that.
    pub fn take_forbidden(&self) -> Vec<Call> {
        std::mem::take(&mut lock(&self.shared.forbidden))
    }

    /// Fails the test if a forbidden call was made.
    ///
    /// # Panics
    /// Then.
    pub fn assert_clean(&self) {
        let forbidden = self.take_forbidden();
        assert!(forbidden.is_empty(), "forbidden calls were made: {forbidden:#?}");
    }

    /// Puts records into the zone as if they had always been there, and serves them: lines of a master file, names
    /// being relative to the apex.
    ///
    /// # Errors
    /// If they do not parse, or cannot be served.
    pub fn seed(&self, records: &str) -> Result<()> {
        let records = zone::records(&self.zone, records)?;
        self.service().seed(&records)
    }

    /// What the service holds, whether served or not, sorted.
    pub fn stored(&self) -> Vec<Record> {
        let mut records = self.service().stored();
        records.sort_by_cached_key(|record| (record.name.clone(), record.kind.to_string(), record.data.clone()));
        records
    }

    /// From now on the credentials are refused, as when their time is over.
    pub fn expire_credentials(&self) {
        self.service().expire(true);
    }

    /// They are good again, as if they had been renewed.
    pub fn renew_credentials(&self) {
        self.service().expire(false);
    }

    /// From now on it takes this many calls.
    pub fn set_limits(&self, limits: &[Limit]) {
        *lock(&self.shared.buckets) = limits.iter().map(Bucket::new).collect();
    }

    fn service(&self) -> MutexGuard<'_, S> {
        lock(&self.shared.service)
    }
}

impl<S: Service> Drop for Fake<S> {
    fn drop(&mut self) {
        // A test that already fails must not abort.
        if !std::thread::panicking() {
            self.assert_clean();
        }
    }
}

async fn handle<S: Service>(
    State(shared): State<Arc<Shared<S>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let request = Incoming::new(&method, &uri, headers, &body);
    let (reply, later) = match take(&shared, &request) {
        Ok(()) => {
            let Outcome { reply, later } = lock(&shared.service).answer(&request);
            (reply, later)
        }
        Err(wait) => (lock(&shared.service).throttle(wait), Vec::new()),
    };
    let call = Call::new(&request, &reply);
    if lock(&shared.service).forbids(&request) {
        lock(&shared.forbidden).push(call.clone());
    }
    lock(&shared.calls).push(call);
    for (wait, act) in later {
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            act(&mut lock(&shared.service));
        });
    }
    reply.into_response()
}

/// Takes one call from every limit that counts it, or says when to come again.
fn take<S>(shared: &Shared<S>, request: &Incoming) -> Result<(), Duration> {
    let now = Instant::now();
    let mut buckets = lock(&shared.buckets);
    let counted = || buckets.iter().filter(|bucket| bucket.counts(request));
    let wait = counted().map(|bucket| bucket.wait(now)).max().unwrap_or_default();
    if !wait.is_zero() {
        return Err(wait);
    }
    for bucket in buckets.iter_mut().filter(|bucket| bucket.counts(request)) {
        bucket.take(now);
    }
    Ok(())
}

/// What a test that failed left behind is as good as ever.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
