//! The DnsRecords of an app's hosts, where the platform gives them: each follows the app.

use super::{Frame, Part};
use crate::api::dns::{DnsRecord, DnsRecordSpec};
use crate::api::startup_app::ObjectRef;
use crate::names;

pub fn dns_record(frame: Frame<'_>, host: &str) -> DnsRecord {
    let app = &frame.app.identity.name;
    DnsRecord {
        metadata: frame.metadata(record_name(app, host), Part::App),
        spec: DnsRecordSpec {
            name: host.to_owned(),
            app_ref: Some(ObjectRef { name: app.clone() }),
            ..DnsRecordSpec::default()
        },
        status: None,
    }
}

/// The name of the DnsRecord of a host.
pub fn record_name(app: &str, host: &str) -> String {
    names::one_shot(app, "host", host)
}
