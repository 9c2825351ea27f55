//! The app that a record follows by `spec.appRef`.

use super::reasons::Reason;
use crate::fault::Fault;

/// What an app is to the records that follow it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Followed {
    /// There is no such app in the namespace.
    Gone,
    /// The app is not to be reached from outside.
    NotExposed,
    /// Where it is reached: addresses and hosts; empty while it is nowhere yet.
    At(Vec<String>),
}

impl Followed {
    /// Where it is reached.
    ///
    /// # Errors
    /// `AppGone`, `AppNotExposed`; `AppHasNoAddress` while nobody says where.
    pub fn targets(&self, app: &str) -> Result<&[String], Fault<Reason>> {
        let fault = match self {
            Self::At(targets) if !targets.is_empty() => return Ok(targets),
            Self::At(_) => {
                let message = format!("the StartupApp {app} has no public address yet");
                Fault::waiting(Reason::AppHasNoAddress, message, "")
            }
            Self::NotExposed => {
                let message = format!("the StartupApp {app} is not to be reached from outside");
                Fault::stalled(Reason::AppNotExposed, message, "")
            }
            Self::Gone => {
                let message = format!("there is no StartupApp {app} in this namespace");
                Fault::stalled(Reason::AppGone, message, "")
            }
        };
        Err(fault.at("spec.appRef"))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::api::dns::DnsRecord;
    use crate::dns::claim::Key;
    use crate::dns::judge::{Judgement, Observed, Place, judge};
    use crate::dns::testing::{at, name, profile, zone};

    const ZONE: &str = "{domain: z.org, provider: {type: Request}, admission: {namespaces: {matchLabels: {team: a}}}}";

    /// What becomes of a record that follows an app without an address, in a namespace with that label.
    fn awaiting(team: &str, holder: Option<&str>) -> Judgement {
        let record: DnsRecord = serde_saphyr::from_str(
            "{apiVersion: tremplin.dev/v1alpha1, kind: DnsRecord, metadata: {name: site}, spec: {name: a.z.org, appRef: {name: site}}}",
        )
        .unwrap();
        let (zone, name) = (zone(ZONE), name("a.z.org"));
        let key = Key::of(&name, &zone);
        let claim = holder.map(|holder| key.claim(&zone, holder, at(5)));
        let place = Place { name, key };
        let observed = Observed {
            zone: &zone,
            profile: &profile(),
            namespace: "blue",
            labels: &BTreeMap::from([("team".to_owned(), team.to_owned())]),
            environment: None,
            claim: claim.as_ref(),
            contact: None,
            claims_held: 0,
            older: &[],
            app: Some(&Followed::At(Vec::new())),
        };
        judge(&record, &place, &observed)
    }

    #[test]
    fn a_record_that_may_not_have_its_name_does_not_wait_for_its_app() {
        let reason = |team, holder| awaiting(team, holder).verdict.unwrap_err().reason;
        assert_eq!(reason("a", None), Reason::AppHasNoAddress);
        assert_eq!(reason("a", Some("blue")), Reason::AppHasNoAddress);
        assert_eq!(reason("b", None), Reason::NamespaceNotAdmitted);
        assert_eq!(reason("a", Some("red")), Reason::NameHeld);
    }
}
