//! Labels and annotations that the operator writes, and what it must never copy.
//!
//! Children get an explicit list only. Nothing is copied from the labels or annotations of a user's object: a copied
//! `argocd.argoproj.io/*`, `app.kubernetes.io/instance`, `helm.toolkit.fluxcd.io/*` or `kubectl.kubernetes.io/*` would
//! make another tool believe that the child is its own, and prune it.

/// Who manages the object: the value is [`MANAGER`]. Children are watched by this label.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// The value of [`MANAGED_BY`].
pub const MANAGER: &str = "tremplin";
/// The standard name label: the app.
pub const NAME: &str = "app.kubernetes.io/name";
/// The standard component label: the process, cron or release.
pub const COMPONENT: &str = "app.kubernetes.io/component";
/// The standard whole that a component belongs to: the app.
pub const PART_OF: &str = "app.kubernetes.io/part-of";

/// The app that a child belongs to. First of the two labels of every selector: frozen for ever.
pub const APP: &str = "tremplin.dev/app";
/// The process of a child. Second of the two labels of every selector: frozen for ever.
pub const PROCESS: &str = "tremplin.dev/process";
/// The cron of a child.
pub const CRON: &str = "tremplin.dev/cron";
/// Marks the release Job and its pod.
pub const RELEASE: &str = "tremplin.dev/release";

/// The tier of a child, where the platform has no key of its own for it.
pub const TIER: &str = "tremplin.dev/tier";
/// The technology of a child, where the platform has no key of its own for it.
pub const TECHNOLOGY: &str = "tremplin.dev/component";
/// The criticality of the app, where the platform has no key of its own for it.
pub const CRITICALITY: &str = "tremplin.dev/criticality";

/// The name of the release's container. That of a process or cron has the name of the process or cron.
pub const RELEASE_CONTAINER: &str = "release";

/// Prefix of all labels and annotations of ours.
pub const PREFIX: &str = "tremplin.dev/";

/// Annotation on a user's object: restart the processes, once for each newer time (RFC 3339).
pub const RESTARTED_AT: &str = "tremplin.dev/restarted-at";
/// Annotation on a user's object: run a cron now, once for each new value `<name>@<time>`.
pub const RUN_CRON: &str = "tremplin.dev/run-cron";

/// Annotation on a pod template: the keyed hash of the Secrets and ConfigMaps that the process uses.
pub const CONTENT: &str = "tremplin.dev/content";
/// Annotation on a Deployment: the key of the release that its template was released under.
pub const RELEASE_KEY: &str = "tremplin.dev/release-key";
/// Annotation on a `CronJob`: the last `run-cron` request that was handled, and the UID of its Job.
pub const RUN_HANDLED: &str = "tremplin.dev/run-handled";

/// Annotation on a Deployment: when its controllers were last reminded of an instance that was refused (RFC 3339).
pub const REMINDED_AT: &str = "tremplin.dev/reminded-at";
/// On a Deployment: the generation that the reminder gave it. Nothing but the annotations differs from the one before.
pub const REMINDED_GENERATION: &str = "tremplin.dev/reminded-generation";

/// Annotation on a Deployment: the hash of what the team wrote for it and the hash of the template rendered from that,
/// as `<written>/<template>`. When only the second changes, the operator or the platform changed, not the team.
pub const TEMPLATE: &str = "tremplin.dev/template";

/// Annotation on a DnsClaim, by the platform team: what of it is approved, `name/type/hash`, separated by commas.
pub const APPROVED: &str = "tremplin.dev/approved";
/// Annotation on a namespace: whom to ask about what it holds.
pub const CONTACT: &str = "tremplin.dev/contact";
/// Annotation on a DnsZone, by the platform team: the time at which the breaker tripped that is acknowledged.
pub const BREAKER_ACKNOWLEDGED: &str = "tremplin.dev/breaker-acknowledged";
/// Annotation on a DnsZone: compare the whole zone now, once for each newer time (RFC 3339).
pub const AUDIT_REQUESTED_AT: &str = "tremplin.dev/audit-requested-at";
/// Annotation on a DnsRecord: go on after a drift loop, once for each newer time (RFC 3339).
pub const RESUMED_AT: &str = "tremplin.dev/resumed-at";
/// Finalizer of a DnsRecord: its data is noted for withdrawal before it goes.
pub const DNS_FINALIZER: &str = "tremplin.dev/dns";
