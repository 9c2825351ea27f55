//! `tremplin controller`: the operator. Puts the parts together, and takes them apart in order.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use clap::Args;
use k8s_openapi::jiff::Timestamp;
use kube::client::ClientBuilder;
use kube::{Client, Config};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{sleep, timeout};
use tremplin_core::platform::Platform;

use super::Exit;
use crate::admin::{self, Admin, Endpoint};
use crate::cluster::{Cluster, ContentKeyError, Place, counted};
use crate::dns::{self, Claims, Dns, Records, Wake, Zones};
use crate::driver::{Cause, Driver, Growth, Limits, Reconcile};
use crate::key::Key;
use crate::leader::{self, Elector, Leadership, Lease};
use crate::metrics::Metrics;
use crate::platform_file::{PlatformFileError, Source};
use crate::settings::Settings;
use crate::startup_app::{Related, StartupApps, Watching};
use crate::telemetry::{self, LogLevelError};

/// How often an API server that does not answer at the start is asked again.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// How long giving back the lease may take: with the rounds' three seconds, a stop takes less than five.
const RELEASE: Duration = Duration::from_millis(1_500);

/// Run the operator
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    #[command(flatten)]
    settings: Settings,
}

/// Why the operator ended, other than by being asked to.
#[derive(Debug, thiserror::Error)]
pub enum ControllerError {
    /// The platform file.
    #[error(transparent)]
    Platform(#[from] PlatformFileError),
    /// The log's directives.
    #[error("--log")]
    Log(#[from] LogLevelError),
    /// No cluster is configured.
    #[error("no cluster is configured: {0}, and this is no pod with a service account")]
    Config(String),
    /// The client.
    #[error("failed to set up the client")]
    Client(#[from] kube::Error),
    /// The admin server's address, or the signals.
    #[error("{0}")]
    Io(&'static str, #[source] std::io::Error),
    /// The key of content hashes.
    #[error(transparent)]
    ContentKey(#[from] ContentKeyError),
    /// Another replica may write now. Kubernetes starts this one anew.
    #[error("the lease was lost")]
    LeaseLost,
    /// What it shows would be out of date from now on.
    #[error("a watch ended, which is a bug; its panic is told above")]
    WatchEnded,
}

/// Runs the operator until it is asked to stop.
///
/// # Errors
/// See [`ControllerError`].
pub fn run(arguments: Arguments) -> anyhow::Result<Exit> {
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(arguments.run())?;
    Ok(Exit::Fine)
}

impl Arguments {
    /// Works until SIGTERM or SIGINT.
    ///
    /// # Errors
    /// See [`ControllerError`].
    async fn run(self) -> Result<(), ControllerError> {
        let log_level = telemetry::start(self.settings.log_format, &self.settings.log)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(|error| ControllerError::Io("signals", error))?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| ControllerError::Io("signals", error))?;
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            tracing::info!("stopping");
            stop.send_replace(true);
            // The receivers see the value even when the sender is gone.
        });
        let listener = admin::bind(self.settings.admin_address)
            .await
            .map_err(|error| ControllerError::Io("--admin-address", error))?;
        let config = Config::infer()
            .await
            .map_err(|error| ControllerError::Config(super::cluster::unconfigured(&error)))?;
        let client = ClientBuilder::try_from(config)?.build();
        operate(client, self.settings, Endpoint { listener, log_level }, stopped).await
    }
}

/// The operator over any client: waits for the lease, works while it holds it, and stops in less than five seconds
/// once `stopped` turns true. Of the settings, the log's and the admin address are the caller's: see [`Endpoint`].
///
/// # Errors
/// See [`ControllerError`].
pub async fn operate(
    client: Client,
    settings: Settings,
    endpoint: Endpoint,
    mut stopped: watch::Receiver<bool>,
) -> Result<(), ControllerError> {
    let source = Source::of(&settings.platform.platform);
    let (platform, text) = source.load()?;
    let metrics = Arc::new(Metrics::default());
    let (platform_changes, platform) = watch::channel(Arc::new(platform));
    let (ready, is_ready) = watch::channel(false);
    let apps = Arc::new(OnceLock::new());
    let dns = Arc::new(OnceLock::new());
    let Endpoint { listener, log_level } = endpoint;
    let admin = admin(&metrics, &apps, &dns, is_ready, log_level);
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        platform = settings.platform.platform,
        "started"
    );

    let place = place(&client, &settings);
    let elected = async {
        let elector = tokio::select! {
            elector = elector(&client, &place, &settings, &metrics) => elector,
            _ = stopped.wait_for(|stopped| *stopped) => return Ok(()),
        };
        ready.send_replace(true);
        let leader = Leader {
            client,
            place,
            settings: settings.clone(),
            metrics: metrics.clone(),
            platform,
            apps,
            dns,
            ready,
            leadership: elector.leadership(),
        };
        let (give_back, asked_back) = oneshot::channel();
        let campaign = tokio::spawn(campaign(elector, asked_back));
        let result = leader.run(stopped).await;
        drop(give_back);
        // A task of ours that is neither cancelled nor panics.
        let _ = campaign.await;
        result
    };
    tokio::select! {
        result = elected => result,
        () = source.follow(text, &platform_changes, settings.platform_poll, &metrics) => Ok(()),
        result = admin::serve(listener, admin) => result.map_err(|error| ControllerError::Io("admin server", error)),
    }
}

fn admin(
    metrics: &Arc<Metrics>,
    apps: &Arc<OnceLock<Arc<StartupApps>>>,
    dns: &Arc<OnceLock<Arc<Dns>>>,
    ready: watch::Receiver<bool>,
    log_level: telemetry::LogLevel,
) -> Admin {
    let (metrics, apps, dns) = (metrics.clone(), apps.clone(), dns.clone());
    let counted = metrics.clone();
    let refresh = move || {
        if let Some(apps) = apps.get() {
            apps.measure(&counted);
        }
        for (kind, conditions) in dns.get().map(|dns| dns.counted()).unwrap_or_default() {
            counted.count_conditions(kind, &conditions);
        }
    };
    Admin {
        ready,
        metrics,
        refresh: Arc::new(refresh),
        log_level,
    }
}

fn place(client: &Client, settings: &Settings) -> Place {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = Some(host.trim()).filter(|host| !host.is_empty()).unwrap_or("tremplin");
    Place {
        namespace: settings
            .namespace
            .clone()
            .unwrap_or_else(|| client.default_namespace().to_owned()),
        cluster: settings.cluster.clone(),
        identity: leader::identity(settings.identity.as_deref().unwrap_or(host)),
    }
}

/// Asks until the API server answers.
async fn elector(client: &Client, place: &Place, settings: &Settings, metrics: &Arc<Metrics>) -> Elector {
    let lease = Lease {
        namespace: place.namespace.clone(),
        name: settings.lease_name.clone(),
        identity: place.identity.clone(),
        duration: settings.lease,
    };
    let client = counted(client.clone(), metrics.clone());
    loop {
        match Elector::new(&client, lease.clone()).await {
            Ok(elector) => return elector,
            Err(error) => tracing::warn!(
                error = &error as &dyn std::error::Error,
                "no lease to ask for; asking again"
            ),
        }
        sleep(ASK_AGAIN).await;
    }
}

/// Keeps the lease until it is lost or given back.
async fn campaign(mut elector: Elector, mut asked_back: oneshot::Receiver<()>) {
    tokio::select! {
        () = elector.campaign() => {}
        _ = &mut asked_back => {}
    }
    if timeout(RELEASE, elector.release()).await.is_err() {
        tracing::warn!("the lease could not be released in time; it ends by itself");
    }
}

type Received = mpsc::UnboundedReceiver<(Key, Cause)>;

/// What happens to the kinds of DNS.
struct DnsEvents {
    records: Received,
    claims: Received,
    zones: Received,
}

fn wake() -> (Wake, DnsEvents) {
    let (records, records_received) = mpsc::unbounded_channel();
    let (claims, claims_received) = mpsc::unbounded_channel();
    let (zones, zones_received) = mpsc::unbounded_channel();
    let events = DnsEvents {
        records: records_received,
        claims: claims_received,
        zones: zones_received,
    };
    (Wake { records, claims, zones }, events)
}

async fn until(stopped: &watch::Receiver<bool>) {
    let mut stopped = stopped.clone();
    drop(stopped.wait_for(|stopped| *stopped).await);
}

/// A replica that waits to lead, and leads.
struct Leader {
    client: Client,
    place: Place,
    settings: Settings,
    metrics: Arc<Metrics>,
    platform: watch::Receiver<Arc<Platform>>,
    apps: Arc<OnceLock<Arc<StartupApps>>>,
    dns: Arc<OnceLock<Arc<Dns>>>,
    ready: watch::Sender<bool>,
    leadership: Leadership,
}

impl Leader {
    async fn run(self, mut stopped: watch::Receiver<bool>) -> Result<(), ControllerError> {
        let mut stop = stopped.clone();
        tokio::select! {
            () = self.leadership.gained() => {}
            _ = stop.wait_for(|stopped| *stopped) => return Ok(()),
        }
        self.metrics.leader.set(1);
        let result = tokio::select! {
            biased;
            () = self.leadership.lost() => Err(ControllerError::LeaseLost),
            result = self.lead(&mut stopped) => result,
        };
        self.metrics.leader.set(0);
        result
    }

    async fn lead(&self, stopped: &mut watch::Receiver<bool>) -> Result<(), ControllerError> {
        self.ready.send_replace(false);
        let stop = async { drop(stopped.wait_for(|stopped| *stopped).await) };
        tokio::pin!(stop);
        let cluster = tokio::select! {
            cluster = self.cluster() => cluster?,
            () = &mut stop => return Ok(()),
        };
        let (roll_interval, now) = (self.settings.roll_interval, Timestamp::now);
        let cluster = Arc::new(cluster);
        let apps = StartupApps::new(cluster.clone(), self.platform.clone(), roll_interval, now);
        let apps = Arc::new(apps);
        let _ = self.apps.set(apps.clone());
        let (events, received) = mpsc::unbounded_channel();
        let watching = Watching {
            events,
            timeout: self.settings.watch_timeout,
        };
        let (wake, dns_events) = wake();
        let dns = Arc::new(Dns::new(cluster, self.platform.clone(), wake, now));
        let told = dns.clone();
        apps.also_tell(move |related| match related {
            Related::App(app) => told.app_moved(app),
            Related::Host(host) => told.host_moved(host),
            Related::Secret(secret) => told.secret_changed(secret),
        });
        // Each tells the other: one of the two must not hold on to it.
        let told = Arc::downgrade(&apps);
        dns.also_tell(move |name| {
            if let Some(told) = told.upgrade() {
                told.names_changed(name);
            }
        });
        let _ = self.dns.set(dns.clone());
        // Dropped at the end, which ends the watches.
        let mut watches = apps.watch(&watching);
        let mut dns_watches = dns.watch(&dns::Watching {
            timeout: self.settings.watch_timeout,
        });
        tokio::select! {
            () = self.work(apps, received, dns, dns_events, stop) => Ok(()),
            Some(_) = watches.join_next() => Err(ControllerError::WatchEnded),
            Some(_) = dns_watches.join_next() => Err(ControllerError::WatchEnded),
        }
    }

    async fn work(
        &self,
        apps: Arc<StartupApps>,
        events: Received,
        dns: Arc<Dns>,
        dns_events: DnsEvents,
        mut stop: impl Future<Output = ()> + Unpin,
    ) {
        let shown = async {
            apps.ready().await;
            dns.ready().await;
        };
        tokio::select! {
            () = shown => {}
            () = &mut stop => return,
        }
        self.ready.send_replace(true);
        tracing::info!(apps = apps.apps().len(), "working");
        let (stopping, stopped) = watch::channel(false);
        let limits = self.limits();
        // A zone's round writes as much as its provider's rate allows.
        let long = Limits {
            deadline: limits.deadline * 10,
            ..limits
        };
        let (records, claims) = (Arc::new(Records(dns.clone())), Arc::new(Claims(dns.clone())));
        let drivers = async {
            tokio::join!(
                self.driver(apps, events, limits).run(until(&stopped)),
                self.driver(records, dns_events.records, limits).run(until(&stopped)),
                self.driver(claims, dns_events.claims, limits).run(until(&stopped)),
                self.driver(Arc::new(Zones(dns)), dns_events.zones, long)
                    .run(until(&stopped)),
            );
        };
        tokio::pin!(drivers);
        tokio::select! {
            () = &mut drivers => return,
            () = stop => {}
        }
        stopping.send_replace(true);
        drivers.await;
    }

    fn driver<R: Reconcile>(&self, reconciler: Arc<R>, events: Received, limits: Limits) -> Driver<R> {
        Driver {
            reconciler,
            events,
            limits,
            metrics: self.metrics.clone(),
            random: rand::random,
        }
    }

    /// Asks until the API server answers.
    async fn cluster(&self) -> Result<Cluster, ContentKeyError> {
        loop {
            let (client, leadership, metrics) = (self.client.clone(), self.leadership.clone(), self.metrics.clone());
            match Cluster::new(client, leadership, metrics, &self.place).await {
                Err(ContentKeyError::Api(error)) => tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "no key for the hashes of content; asking again"
                ),
                made => return made,
            }
            sleep(ASK_AGAIN).await;
        }
    }

    fn limits(&self) -> Limits {
        Limits {
            concurrency: usize::from(self.settings.concurrency),
            deadline: self.settings.deadline,
            resync: self.settings.resync,
            backoff: Growth {
                first: self.settings.backoff,
                cap: self.settings.backoff_cap,
            },
        }
    }
}
