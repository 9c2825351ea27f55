//! What is done about a `StartupApp`. What is right is decided in [`tremplin_core::app`]; nothing is decided here.

mod hosts;
mod observe;
mod report;
mod turns;
mod watches;

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use kube::Resource;
use serde::Serialize;
use tokio::sync::watch;
use tremplin_core::api::StartupApp;
use tremplin_core::api::startup_app::InventoryItem;
use tremplin_core::app::render::{DesiredApp, owner_reference};
use tremplin_core::app::{self, Decision, Hold, Observed, Plan, Reason, Reminders, Step, decide, reminders, status};
use tremplin_core::fault::{Class, Fault, Refusal};
use tremplin_core::platform::Platform;

use crate::cluster::{self, Applied, Child, ChildKind, Cluster, Group, NamespaceLabels, Owner, Store};
use crate::driver::{Accident, Outcome, Reconcile};
use crate::key::Key;
use hosts::Hosts;
use observe::View;
use turns::Turns;
pub use watches::{Events, Watching};

/// How many steps of a protocol are taken in one round: a release takes three.
const STEPS: usize = 6;
/// When the API server's refusal is tried again though nothing that is watched changed.
const REFUSED_AGAIN: Duration = Duration::from_mins(5);
/// When something that is not watched, such as a quota's room, is asked for again.
const WAITING_AGAIN: Duration = Duration::from_mins(1);

/// An app as the watch shows it.
pub type Seen = cluster::Seen<StartupApp>;

/// The apps of the cluster, and all that their rounds read and write.
pub struct StartupApps {
    cluster: Arc<Cluster>,
    apps: Arc<Store<Seen>>,
    namespaces: Store<NamespaceLabels>,
    hosts: Hosts,
    platform: watch::Receiver<Arc<Platform>>,
    turns: Turns,
    beside: OnceLock<Beside>,
    events: OnceLock<Events>,
    now: fn() -> Timestamp,
}

/// Who else is told of what is watched for apps.
type Beside = Box<dyn Fn(Related<'_>) + Send + Sync>;

/// What is watched for apps and concerns others too.
#[derive(Clone, Copy, Debug)]
pub enum Related<'a> {
    /// An app or its Ingress changed.
    App(&'a Key),
    /// A host is carried by an Ingress of an app, or no longer is.
    Host(&'a str),
    /// A Secret changed.
    Secret(&'a Key),
}

/// What a round came to.
struct Verdict {
    decision: Decision,
    done: app::Outcome,
    /// Whether it is the API server that refused.
    refused: bool,
    again: Option<Duration>,
}

impl Reconcile for StartupApps {
    const KIND: &'static str = "StartupApp";

    async fn reconcile(&self, key: &Key, failures: u32) -> Outcome {
        let Some(seen) = self.apps.get(key) else {
            self.turns.leave(key);
            return Outcome::Gone;
        };
        match &*seen {
            Seen::Malformed(malformed) => self.report_malformed(malformed).await,
            // Its children are owned: the cluster collects them.
            Seen::Object(app) if app.metadata.deletion_timestamp.is_some() => Outcome::Gone,
            Seen::Object(app) => match self.round(app, failures).await {
                Ok(outcome) => outcome,
                Err(fault) => {
                    let outcome = after(&fault, true);
                    if !is_blip(&outcome, failures) {
                        self.report_fault(&seen, &fault).await;
                    }
                    outcome
                }
            },
        }
    }

    async fn tell(&self, key: &Key, accident: &Accident) {
        if let Some(seen) = self.apps.get(key) {
            self.report_accident(&seen, accident).await;
        }
    }
}

impl StartupApps {
    /// Observe, decide (validate, render, next step), apply, take the step; when nothing is left to do, tell.
    async fn round(&self, app: &StartupApp, failures: u32) -> Result<Outcome, Fault<Reason>> {
        interfere(app);
        tracing::Span::current().record("generation", app.metadata.generation);
        let platform = self.platform.borrow().clone();
        let owner = owner(app)?;
        let mut gone_jobs = Vec::new();
        for _ in 0..STEPS {
            let View { observed, ask_again } = self.observe(app, &platform, &gone_jobs).await?;
            let decision = decide(app, &observed, &platform);
            let verdict = self.act(&owner, decision, &mut gone_jobs).await;
            let Some(verdict) = verdict else { continue };
            let View { observed, .. } = self.observe(app, &platform, &gone_jobs).await?;
            let remind_again = self.remind(&owner, &verdict.decision, &observed).await;
            let outcome = outcome(&verdict, [ask_again, remind_again].into_iter().flatten().min());
            if !is_blip(&outcome, failures) {
                let new = status(app, &observed, &verdict.decision, &verdict.done, (self.now)());
                self.report(app, &new).await?;
            }
            return Ok(outcome);
        }
        Ok(Outcome::Waiting {
            again: Some(Duration::from_secs(1)),
        })
    }

    /// Reminds of refused instances, unless everything is to be left as it is. Tells when to look again.
    async fn remind(&self, owner: &Owner, decision: &Decision, observed: &Observed) -> Option<Duration> {
        let Decision::Go(_) = decision else { return None };
        let now = (self.now)();
        let Reminders { due, again } = reminders(observed, now);
        for due in due {
            // What is refused here may be refused for the reason that its instances are, which is told in the status.
            if let Err(fault) = self.cluster.remind(owner, &due, now).await {
                tracing::warn!(%fault, deployment = due.name, "failed to remind of refused instances");
            }
        }
        again
    }

    /// Applies what was decided and takes the next step. `None`: a step was taken, so decide again.
    async fn act(&self, owner: &Owner, mut decision: Decision, gone_jobs: &mut Vec<String>) -> Option<Verdict> {
        let Decision::Go(plan) = &mut decision else {
            return Some(Verdict {
                decision,
                done: app::Outcome::default(),
                refused: false,
                again: None,
            });
        };
        let key = key(owner);
        let turn = if plan.upgrade && plan.hold.is_none() {
            self.turns.take(&key).err()
        } else {
            self.turns.leave(&key);
            None
        };
        if turn.is_some() {
            plan.wait_for_turn();
        }
        let again = turn.or(plan.step.requeue_after());
        let (fault, inventory) = match self.carry_out(owner, plan, gone_jobs).await {
            Ok(None) => return None,
            Ok(Some(applied)) => (None, inventory(&applied)),
            Err(fault) => (Some(fault.map(Reason::from)), Vec::new()),
        };
        Some(Verdict {
            decision,
            refused: fault.is_some(),
            done: app::Outcome { fault, inventory },
            again,
        })
    }

    async fn carry_out(
        &self,
        owner: &Owner,
        plan: &Plan,
        gone_jobs: &mut Vec<String>,
    ) -> Result<Option<Applied>, Fault<Refusal>> {
        let applied = self.apply(owner, plan).await?;
        let stepped = self.step(owner, &plan.step, gone_jobs).await?;
        Ok((!stepped).then_some(applied))
    }

    async fn apply(&self, owner: &Owner, plan: &Plan) -> Result<Applied, Fault<Refusal>> {
        let before = self.carried(owner);
        let applied = self.apply_and_prune(owner, plan).await;
        let after = self.carried(owner);
        self.hosts_moved(before.symmetric_difference(&after));
        if before != after {
            self.tell_beside(Related::App(&key(owner)));
        }
        applied
    }

    /// The hosts that the app's Ingress carries.
    fn carried(&self, owner: &Owner) -> BTreeSet<String> {
        let ingresses = self
            .cluster
            .children
            .ingresses
            .group(&Group::App(key(owner)))
            .into_iter();
        let own = ingresses.filter(|ingress| ingress.owner_uid() == Some(&owner.reference.uid));
        own.flat_map(|ingress| ingress.facts.hosts.clone()).collect()
    }

    async fn apply_and_prune(&self, owner: &Owner, plan: &Plan) -> Result<Applied, Fault<Refusal>> {
        let stages = stages(owner, plan)?;
        let applied = self.cluster.apply(owner, stages).await?;
        if plan.hold.is_none() {
            self.cluster.prune(owner, &applied).await?;
        }
        Ok(applied)
    }

    /// Takes the next step; `true` when one was taken.
    async fn step(&self, owner: &Owner, step: &Step, gone_jobs: &mut Vec<String>) -> Result<bool, Fault<Refusal>> {
        match step {
            Step::None => return Ok(false),
            Step::CreateJob(job) => {
                let child = owner
                    .child(ChildKind::Job, job.as_ref())
                    .map_err(|error| unrendered(&error))?;
                self.cluster.create_once(owner, &child).await?;
            }
            Step::ResumeJob { name, uid } => self.cluster.resume_job(owner, name, uid).await?,
            Step::LookUpJob { name, uid } => {
                if self.cluster.job_is_gone(owner, name, uid).await? {
                    gone_jobs.push(uid.clone());
                }
            }
        }
        Ok(true)
    }
}

/// Every child that is to be applied now, each in a stage after what it stands on. Destructured whole, so that a
/// forgotten child does not compile.
fn stages(owner: &Owner, plan: &Plan) -> Result<Vec<Vec<Child>>, Fault<Refusal>> {
    let DesiredApp {
        service_account,
        release_record,
        services,
        disruption_budgets,
        deployments,
        cron_jobs,
        ingress,
        dns_records,
    } = &plan.desired;
    let mut base = Vec::new();
    add(&mut base, owner, ChildKind::ServiceAccount, [service_account])?;
    add(&mut base, owner, ChildKind::ConfigMap, release_record)?;
    let (mut upper, mut names) = (Vec::new(), Vec::new());
    // Where instances of an older spec serve, the way to them stays that spec's too.
    if !matches!(plan.hold, Some(Hold::Missing(_))) {
        add(&mut base, owner, ChildKind::Service, services)?;
        add(&mut base, owner, ChildKind::PodDisruptionBudget, disruption_budgets)?;
        add(&mut upper, owner, ChildKind::Ingress, ingress)?;
        // Last: what is the matter with a name holds nothing else up.
        add(&mut names, owner, ChildKind::DnsRecord, dns_records)?;
    }
    if plan.applies_deployments() {
        add(&mut upper, owner, ChildKind::Deployment, deployments)?;
    }
    if plan.applies_cron_jobs() {
        add(&mut upper, owner, ChildKind::CronJob, cron_jobs)?;
    }
    Ok(vec![base, upper, names])
}

fn add<'a, T: Resource<DynamicType = ()> + Serialize + 'a>(
    stage: &mut Vec<Child>,
    owner: &Owner,
    kind: ChildKind,
    objects: impl IntoIterator<Item = &'a T>,
) -> Result<(), Fault<Refusal>> {
    for object in objects {
        stage.push(owner.child(kind, object).map_err(|error| unrendered(&error))?);
    }
    Ok(())
}

fn unrendered(error: &serde_json::Error) -> Fault<Refusal> {
    Fault::stalled(
        Refusal::Invalid,
        format!("a rendered object cannot be written as JSON: {error}"),
        "report this",
    )
}

fn owner(app: &StartupApp) -> Result<Owner, Fault<Reason>> {
    let namespace = app.metadata.namespace.clone().unwrap_or_default();
    let reference =
        owner_reference(app).ok_or_else(|| Fault::transient(Reason::InternalError, "the app has no UID"))?;
    Ok(Owner { namespace, reference })
}

fn key(owner: &Owner) -> Key {
    Key {
        namespace: owner.namespace.clone(),
        name: owner.reference.name.clone(),
    }
}

fn inventory(applied: &Applied) -> Vec<InventoryItem> {
    applied
        .children()
        .map(|(kind, name)| InventoryItem {
            kind: kind.as_str().into(),
            name: name.into(),
        })
        .collect()
}

/// What the driver does next.
fn outcome(verdict: &Verdict, ask_again: Option<Duration>) -> Outcome {
    let fault = match &verdict.decision {
        Decision::Refused(faults) => faults.iter().max_by_key(|fault| fault.class),
        Decision::Go(_) | Decision::Suspended(_) => verdict.done.fault.as_ref(),
    };
    let again = [verdict.again, ask_again].into_iter().flatten().min();
    fault.map_or(Outcome::Settled { again }, |fault| after(fault, verdict.refused))
}

/// What the driver does after a fault. `refused` by the API server, it is tried again though nothing watched changes.
fn after(fault: &Fault<Reason>, refused: bool) -> Outcome {
    match fault.class {
        Class::Waiting => Outcome::Waiting {
            again: refused.then_some(WAITING_AGAIN),
        },
        Class::Stalled => Outcome::Stalled {
            again: refused.then_some(REFUSED_AGAIN),
        },
        Class::Transient => Outcome::Failed(fault.to_string()),
    }
}

/// Whether a failure is so young that it may pass before anybody reads of it.
fn is_blip(outcome: &Outcome, failures: u32) -> bool {
    matches!(outcome, Outcome::Failed(_)) && failures < report::TOLERATED
}

/// Tests make a round panic or hang by an annotation; the program that is installed does not know it.
#[cfg(feature = "fault-injection")]
fn interfere(app: &StartupApp) {
    let wish = app
        .metadata
        .annotations
        .as_ref()
        .and_then(|annotations| annotations.get("tremplin.dev/test-panic"));
    #[expect(clippy::panic, reason = "what the annotation asks for")]
    if let Some(wish) = wish {
        panic!("{wish}");
    }
}

#[cfg(not(feature = "fault-injection"))]
fn interfere(_: &StartupApp) {}
