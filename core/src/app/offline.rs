//! The way of an app through the house without a cluster: what the command line prints, checks and compares.
//!
//! It is the same validation and the same renderer as the controller's. What only a cluster can give is left out: owner
//! references, the marks of Secrets' contents, who holds a host.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::hosts::HostClaims;
use super::reasons::Reason;
use super::render::{self, DesiredApp, Marks};
use super::requests::restarted_at;
use super::validate::{Context, validate};
use crate::api::startup_app::StartupApp;
use crate::fault::Fault;
use crate::platform::{NamespaceContext, Platform};

/// The first attempt of a release: its Job's name is made from the number.
const FIRST_ATTEMPT: i64 = 1;

/// An app as it is to be once its version is released.
#[derive(Clone, Debug)]
pub struct Rendered {
    /// Every child, in the order of application; the release's Job before the Deployments, as in the cluster.
    pub objects: Vec<Value>,
    /// The position of the release's Job in `objects`, and the key of the version it releases.
    pub release: Option<(usize, String)>,
    /// Where it will answer.
    pub url: Option<String>,
}

/// Renders an app.
///
/// # Errors
/// Every obstacle that the spec, the annotations, the platform and the namespace's labels show.
pub fn offline(
    app: &StartupApp,
    namespace: &NamespaceContext,
    platform: &Platform,
) -> Result<Rendered, Vec<Fault<Reason>>> {
    let hosts = HostClaims::default();
    let context = Context {
        platform,
        namespace,
        hosts: &hosts,
    };
    let valid = validate(app, context)?;
    let marks = Marks {
        restarted_at: restarted_at(app, Timestamp::MAX)
            .map_err(|fault| vec![fault])?
            .map(|at| at.to_string()),
        release_key: valid.release.as_ref().map(|release| release.key.clone()),
        ..Marks::default()
    };
    let DesiredApp {
        service_account,
        // The release machine's memory: nothing is remembered without a cluster.
        release_record: _,
        services,
        disruption_budgets,
        deployments,
        cron_jobs,
        ingress,
        dns_records,
    } = render::render(&valid, platform, &marks);
    let mut objects = Objects::default();
    objects.add([&service_account]);
    objects.add(&services);
    objects.add(&disruption_budgets);
    let release = valid.release.as_ref().map(|release| {
        let mut job = render::release_job(&valid, platform, release, FIRST_ATTEMPT);
        // The operator makes it suspended, to record it before it runs. Nobody would resume this one.
        if let Some(spec) = &mut job.spec {
            spec.suspend = None;
        }
        objects.add([&job]);
        (objects.written.len().saturating_sub(1), release.key.clone())
    });
    objects.add(&deployments);
    objects.add(&cron_jobs);
    objects.add(&ingress);
    objects.add(&dns_records);
    let url = valid
        .exposure
        .and_then(|exposure| Some(exposure.class.url(&exposure.hosts.first()?.host)));
    let Objects { written, faults } = objects;
    if !faults.is_empty() {
        return Err(faults);
    }
    Ok(Rendered {
        objects: written,
        release,
        url,
    })
}

/// The objects as JSON; or why one cannot be written so, which no object of our own making does.
#[derive(Default)]
struct Objects {
    written: Vec<Value>,
    faults: Vec<Fault<Reason>>,
}

impl Objects {
    fn add<'a, T: Serialize + 'a>(&mut self, more: impl IntoIterator<Item = &'a T>) {
        for object in more {
            match serde_json::to_value(object) {
                Ok(object) => self.written.push(object),
                Err(error) => self.faults.push(Fault::stalled(
                    Reason::InternalError,
                    format!("an object cannot be written: {error}"),
                    "",
                )),
            }
        }
    }
}
