//! The status of a DnsZone.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::{MOST_SERVERS, carry, not_ready, told};
use crate::api::dns::{AuthorityStatus, DnsZone, DnsZoneStatus, PlannedChange, ZoneMode};
use crate::conditions::{self, Conditions, READY, State, is_true};
use crate::dns::reasons::Reason;
use crate::fault::Fault;

/// What the status is made from, beside the zone. What a round did not find out stays as it was told before.
#[derive(Default)]
pub struct ZoneFacts {
    /// Why the zone cannot be used or written at all.
    pub fault: Option<Fault<Reason>>,
    /// Whether the credential was found good, and when it ends.
    pub credential: Option<Result<Option<Timestamp>, Fault<Reason>>>,
    /// What the authoritative servers said.
    pub authorities: Option<Vec<AuthorityStatus>>,
    /// What would be written, where nothing is.
    pub plan: Vec<PlannedChange>,
    /// Counts, snapshots, audit and breaker, as they are now.
    pub kept: DnsZoneStatus,
}

const CREDENTIALS_VALID: &str = "CredentialsValid";
const LONGEST_PLAN: usize = 50;
const MOST_ORPHANS: usize = 50;
const MOST_SNAPSHOTS: usize = 10;
/// The action of a planned change that is none: somebody else's data is at the name.
pub const REFUSED: &str = "Refused";
/// A credential that ends within this is told.
pub const EXPIRY_WARNING: SignedDuration = SignedDuration::from_hours(30 * 24);

/// The status of a zone.
pub fn zone_status(zone: &DnsZone, facts: ZoneFacts, now: Timestamp) -> DnsZoneStatus {
    let old = zone.status.clone().unwrap_or_default();
    let generation = zone.metadata.generation.unwrap_or_default();
    let mut conditions = Conditions::new(&old.conditions, generation, now);
    let mut status = facts.kept;
    status.observed_generation = Some(generation);
    status.mode = Some(zone.spec.mode.unwrap_or(ZoneMode::Report));
    if let Some(Ok(expires_at)) = &facts.credential {
        status.credentials_expire_at = expires_at.map(Time);
    }
    let ends = status.credentials_expire_at.as_ref().map(|at| at.0);
    let ended = ends.filter(|at| *at <= now).map(ended);
    match (&facts.credential, &ended) {
        (Some(Err(fault)), _) | (_, Some(fault)) => {
            conditions.set(CREDENTIALS_VALID, State::False, fault.reason.as_str(), &told(fault));
        }
        (None, None) if !is_true(&old.conditions, CREDENTIALS_VALID) => {
            carry(&mut conditions, &old.conditions, CREDENTIALS_VALID);
        }
        // Valid when it was last tried: with time its end comes near.
        _ => credential(&mut conditions, ends, now),
    }
    let mut fault = facts.fault.or(ended);
    match facts.authorities {
        None => carry(&mut conditions, &old.conditions, "Delegated"),
        Some(authorities) => {
            fault = fault.or_else(|| nobody_answers(&authorities));
            delegated(&mut conditions, &authorities);
            status.authorities = authorities;
            status.authorities.truncate(MOST_SERVERS);
        }
    }
    let breaker = status
        .breaker
        .as_ref()
        .and_then(|breaker| breaker.tripped_at.as_ref().map(|at| (at, breaker)));
    if let Some((at, breaker)) = breaker {
        let message = breaker.message.clone().unwrap_or_default();
        let fix = format!(
            "read status.plan; to let it be written, kubectl annotate --overwrite dnszone {} {}={}",
            zone.metadata.name.as_deref().unwrap_or_default(),
            crate::labels::BREAKER_ACKNOWLEDGED,
            at.0
        );
        let open = Fault::stalled(Reason::BreakerOpen, message, fix);
        conditions.set(
            "BreakerClosed",
            State::False,
            Reason::BreakerOpen.as_str(),
            &told(&open),
        );
        fault = fault.or(Some(open));
    } else {
        conditions.set("BreakerClosed", State::True, Reason::Closed.as_str(), "");
    }
    let (mut plan, changes): (Vec<_>, Vec<_>) = facts.plan.into_iter().partition(|change| change.action == REFUSED);
    let (refused, planned) = (plan.len(), changes.len());
    // What is refused first: it is what a plan is read for.
    plan.extend(changes);
    plan.truncate(LONGEST_PLAN);
    status.plan = plan;
    status.orphans.truncate(MOST_ORPHANS);
    status.snapshots.truncate(MOST_SNAPSHOTS);
    match fault {
        Some(fault) => {
            conditions.set("Synced", State::False, fault.reason.as_str(), &told(&fault));
            not_ready(&mut conditions, &fault);
        }
        None if zone.spec.mode != Some(ZoneMode::Enforce) => {
            let message =
                format!("{planned} change(s) planned, {refused} name(s) refused, none written: spec.mode is Report");
            conditions.set("Synced", State::Unknown, Reason::Reporting.as_str(), &message);
            conditions.set(READY, State::True, Reason::Reporting.as_str(), &message);
        }
        None if zone.spec.paused == Some(true) => {
            let message = format!("{planned} change(s) wait: spec.paused is true");
            let reason = Reason::ZoneNotWritten.as_str();
            conditions.set("Synced", State::Unknown, reason, &message);
            conditions.set(READY, State::True, reason, &message);
        }
        None => {
            conditions.set("Synced", State::True, Reason::Audited.as_str(), "");
            conditions.set(READY, State::True, Reason::Synced.as_str(), "");
        }
    }
    status.conditions = conditions.finish();
    status
}

/// Whether the credential was found good before it ended: then nobody knows whether it still is.
pub fn is_to_be_checked(status: &DnsZoneStatus, now: Timestamp) -> bool {
    let has_ended = status.credentials_expire_at.as_ref().is_some_and(|at| at.0 <= now);
    has_ended && is_true(&status.conditions, CREDENTIALS_VALID)
}

/// What is told of a credential whose end has come near since the status before: somebody is to renew it.
pub fn near_end<'a>(old: Option<&DnsZoneStatus>, new: &'a DnsZoneStatus) -> Option<&'a Condition> {
    let is_near = |condition: &&Condition| condition.reason == Reason::CredentialExpiring.as_str();
    let before = old.and_then(|old| conditions::find(&old.conditions, CREDENTIALS_VALID));
    let told = conditions::find(&new.conditions, CREDENTIALS_VALID).filter(is_near);
    told.filter(|_| !before.as_ref().is_some_and(is_near))
}

fn ended(at: Timestamp) -> Fault<Reason> {
    let fix = "renew it in the Secret, with its `expires-at` where it has one";
    Fault::stalled(
        Reason::CredentialInvalid,
        format!("the credential ended at {at:.0}"),
        fix,
    )
}

fn credential(conditions: &mut Conditions<'_>, expires_at: Option<Timestamp>, now: Timestamp) {
    match expires_at {
        Some(at) if at.duration_since(now) < EXPIRY_WARNING => {
            let message = format!("the credential ends at {at:.0}: renew it in the Secret, it is read again by itself");
            conditions.set(
                CREDENTIALS_VALID,
                State::True,
                Reason::CredentialExpiring.as_str(),
                &message,
            );
        }
        _ => conditions.set(CREDENTIALS_VALID, State::True, Reason::CredentialValid.as_str(), ""),
    }
}

/// While no authoritative server answers nothing is proven, whatever is written.
fn nobody_answers(authorities: &[AuthorityStatus]) -> Option<Fault<Reason>> {
    let silent: Vec<_> = authorities.iter().filter_map(silence).collect();
    let message = format!("no authoritative server answers for the zone: {}", silent.join("; "));
    (silent.len() == authorities.len()).then(|| Fault::waiting(Reason::AuthoritiesSilent, message, ""))
}

fn silence(authority: &AuthorityStatus) -> Option<String> {
    Some(format!("{}: {}", authority.server, authority.message.as_ref()?))
}

fn delegated(conditions: &mut Conditions<'_>, authorities: &[AuthorityStatus]) {
    let silent: Vec<String> = authorities.iter().filter_map(silence).collect();
    if authorities.is_empty() {
        let message = "no authoritative server is known: see spec.authorities, or the NS records of the zone";
        conditions.set("Delegated", State::False, Reason::AuthoritiesSilent.as_str(), message);
    } else if silent.is_empty() {
        conditions.set("Delegated", State::True, Reason::AuthoritiesAnswer.as_str(), "");
    } else {
        conditions.set(
            "Delegated",
            State::False,
            Reason::AuthoritiesSilent.as_str(),
            &silent.join("; "),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::dns::SnapshotStatus;
    use crate::dns::testing::at;

    fn told_of(mode: Option<ZoneMode>, facts: ZoneFacts) -> DnsZoneStatus {
        let object = serde_json::json!({
            "apiVersion": "tremplin.dev/v1alpha1", "kind": "DnsZone", "metadata": {"name": "z"},
            "spec": {"domain": "a.org", "provider": {"type": "Request"}},
        });
        let mut zone: DnsZone = serde_json::from_value(object).unwrap();
        zone.spec.mode = mode;
        zone_status(&zone, facts, at(0))
    }

    #[test]
    fn the_mode_in_force_is_told_also_when_the_spec_names_none() {
        for (given, told) in [
            (None, ZoneMode::Report),
            (Some(ZoneMode::Report), ZoneMode::Report),
            (Some(ZoneMode::Enforce), ZoneMode::Enforce),
        ] {
            assert_eq!(told_of(given, ZoneFacts::default()).mode, Some(told), "{given:?}");
        }
    }

    #[test]
    fn the_end_of_a_credential_comes_near_with_time_alone() {
        let facts = |old: &DnsZoneStatus, credential| ZoneFacts {
            kept: old.clone(),
            credential,
            ..ZoneFacts::default()
        };
        let mut zone: DnsZone = serde_json::from_value(serde_json::json!({
            "apiVersion": "tremplin.dev/v1alpha1", "kind": "DnsZone", "metadata": {"name": "z"},
            "spec": {"domain": "a.org", "provider": {"type": "Request"}},
        }))
        .unwrap();
        let ends = at(100 * 86_400);
        let mut reasons = Vec::new();
        for (day, credential, is_ready) in [
            (0, Some(Ok(Some(ends))), true),
            (69, None, true),
            (71, None, true),
            // The provider may go on taking it: the Secret's own date is believed.
            (101, Some(Ok(Some(ends))), false),
            (102, None, false),
            (103, Some(Ok(None)), true),
        ] {
            let (old, now) = (zone.status.clone().unwrap_or_default(), at(day * 86_400));
            assert_eq!(is_to_be_checked(&old, now), day == 101, "once, on day {day}");
            let new = zone_status(&zone, facts(&old, credential), now);
            let told = crate::conditions::find(&new.conditions, CREDENTIALS_VALID).unwrap();
            assert_eq!(is_true(&new.conditions, READY), is_ready, "day {day}");
            assert_eq!(near_end(Some(&old), &new).is_some(), day == 71, "once, on day {day}");
            reasons.push(told.reason.clone());
            zone.status = Some(new);
        }
        assert_eq!(
            reasons,
            [
                "CredentialValid",
                "CredentialValid",
                "CredentialExpiring",
                "CredentialInvalid",
                "CredentialInvalid",
                "CredentialValid"
            ]
        );
    }

    #[test]
    fn a_zone_is_not_ready_while_no_authoritative_server_answers() {
        let server = |name: &str, message: Option<&str>| AuthorityStatus {
            server: name.to_owned(),
            message: message.map(ToOwned::to_owned),
        };
        let one = [server("ns1", Some("no answer")), server("ns2", None)];
        let none = [server("ns1", Some("no answer")), server("ns2", Some("refused"))];
        for (authorities, reason, delegated) in [
            (&one, "Synced", "False"),
            (&none, "AuthoritiesSilent", "False"),
            (&[server("ns1", None), server("ns2", None)], "Synced", "True"),
        ] {
            let facts = ZoneFacts {
                authorities: Some(authorities.to_vec()),
                ..ZoneFacts::default()
            };
            let conditions = told_of(Some(ZoneMode::Enforce), facts).conditions;
            let found = |type_: &str| crate::conditions::find(&conditions, type_).unwrap();
            assert_eq!(found(READY).reason, reason);
            assert_eq!(found("Delegated").status, delegated);
        }
    }

    #[test]
    fn a_plan_counts_all_and_shows_what_is_refused_first() {
        let change = |action: &str| PlannedChange {
            action: action.to_owned(),
            name: "n.a.org".to_owned(),
            type_: "A".to_owned(),
            detail: None,
        };
        let mut plan = vec![change("Create"); 60];
        plan.push(change(REFUSED));
        let facts = ZoneFacts {
            plan,
            ..ZoneFacts::default()
        };
        let status = told_of(None, facts);
        assert_eq!(status.plan[0].action, REFUSED);
        let ready = crate::conditions::find(&status.conditions, READY).unwrap();
        assert!(
            ready.message.starts_with("60 change(s) planned, 1 name(s) refused"),
            "{}",
            ready.message
        );
    }

    #[test]
    fn no_list_is_longer_than_the_schema_takes() {
        let server = |n: usize| AuthorityStatus {
            server: format!("ns{n}.a.org"),
            message: None,
        };
        let change = |n: usize| PlannedChange {
            action: "Create".to_owned(),
            name: format!("n{n}.a.org"),
            type_: "A".to_owned(),
            detail: None,
        };
        let snapshot = |n: usize| SnapshotStatus {
            id: n.to_string(),
            at: Time(at(0)),
        };
        let status = told_of(
            None,
            ZoneFacts {
                authorities: Some((0..99).map(server).collect()),
                plan: (0..99).map(change).collect(),
                kept: DnsZoneStatus {
                    snapshots: (0..99).map(snapshot).collect(),
                    ..DnsZoneStatus::default()
                },
                ..ZoneFacts::default()
            },
        );
        let lengths = [status.authorities.len(), status.plan.len(), status.snapshots.len()];
        assert_eq!(lengths, [32, 50, 10]);
        assert_eq!(status.snapshots[0].id, "0", "the newest are kept");
    }
}
