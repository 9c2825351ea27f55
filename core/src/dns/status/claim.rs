//! The status of a DnsClaim.

use jiff::Timestamp;

use super::not_ready;
use crate::api::dns::{ApprovalRequest, DnsClaim, DnsClaimStatus, Request};
use crate::conditions::{Conditions, READY, State};
use crate::dns::admission::{Approval, unapproved};
use crate::dns::judge::Judgement;
use crate::dns::reasons::Reason;
use crate::dns::rrset::RrSet;
use crate::dns::zone::Zone;
use crate::fault::{Class, Fault};
use crate::labels;

/// What the status is made from, beside the claim.
pub struct ClaimFacts {
    /// How many records and hosts use it.
    pub uses: usize,
    /// Why what was withdrawn is still in the zone, if it is known.
    pub stuck: Option<Fault<Reason>>,
    /// What waits for approval.
    pub approvals: Vec<ApprovalRequest>,
    /// Records that are published and would no longer be admitted, and why.
    pub not_admitted: Vec<String>,
    /// What a desk is asked to do.
    pub requests: Vec<Request>,
    /// Now.
    pub now: Timestamp,
}

const MOST_APPROVALS: usize = 50;
const MOST_REQUESTS: usize = 100;

/// The status of a claim.
pub fn claim_status(claim: &DnsClaim, mut facts: ClaimFacts) -> DnsClaimStatus {
    let old = claim
        .status
        .as_ref()
        .map(|status| status.conditions.clone())
        .unwrap_or_default();
    let generation = claim.metadata.generation.unwrap_or_default();
    let mut conditions = Conditions::new(&old, generation, facts.now);
    let pending = claim.spec.withdrawals.len();
    if let Some(why) = facts.stuck.filter(|_| pending > 0) {
        let fault = still_there(pending, &why);
        if fault.class == Class::Stalled {
            conditions.set("Orphaned", State::True, Reason::Orphaned.as_str(), &super::told(&fault));
        }
        not_ready(&mut conditions, &fault);
    } else if pending > 0 && facts.uses == 0 {
        let message = format!("{pending} record set(s) are about to be taken out of the zone");
        not_ready(&mut conditions, &Fault::waiting(Reason::Withdrawing, message, ""));
    } else if let Some(at) = &claim.spec.release_at {
        let message = format!("no record and no app uses it: nobody else gets it before {}", at.0);
        conditions.set(READY, State::True, Reason::Releasing.as_str(), &message);
    } else {
        let message = format!("held by the namespace {}", claim.spec.holder.namespace);
        conditions.set(READY, State::True, Reason::Held.as_str(), &message);
    }
    admitted(&mut conditions, &facts.not_admitted);
    facts.approvals.truncate(MOST_APPROVALS);
    facts.requests.truncate(MOST_REQUESTS);
    DnsClaimStatus {
        observed_generation: Some(generation),
        conditions: conditions.finish(),
        records: i32::try_from(facts.uses).ok(),
        approvals: facts.approvals,
        requests: facts.requests,
    }
}

/// What of the records of a claim waits for the platform team. What is refused for another reason does not: approved, it
/// would be refused still.
pub fn approvals<'a>(
    claim: &DnsClaim,
    zone: &Zone,
    judgements: impl IntoIterator<Item = &'a Judgement>,
) -> Vec<ApprovalRequest> {
    let annotations = claim.metadata.annotations.as_ref();
    let given = annotations
        .and_then(|annotations| annotations.get(labels::APPROVED))
        .map(|text| Approval::parse(text))
        .unwrap_or_default();
    let request = |set: &RrSet| ApprovalRequest {
        name: set.name.to_string(),
        type_: set.type_.to_string(),
        values: set.values.iter().cloned().collect(),
        approve: Approval::of(set).beside(&given),
    };
    let waits =
        |judgement: &&Judgement| matches!(&judgement.verdict, Err(fault) if fault.reason == Reason::WaitingForApproval);
    let waiting = judgements.into_iter().filter(waits);
    waiting
        .flat_map(|judgement| unapproved(&judgement.sets, zone, &given))
        .map(request)
        .collect()
}

/// The platform team hears of what its rules, or the zone's deletion, left behind.
fn admitted(conditions: &mut Conditions<'_>, refused: &[String]) {
    const SHOWN: usize = 5;
    if refused.is_empty() {
        return;
    }
    let mut shown: Vec<_> = refused.iter().take(SHOWN).cloned().collect();
    if refused.len() > SHOWN {
        shown.push(format!("{} more", refused.len() - SHOWN));
    }
    let message = format!("{}. Next: {}", shown.join("; "), Reason::NoLongerAllowed.action());
    conditions.set("Admitted", State::False, Reason::NoLongerAllowed.as_str(), &message);
}

/// What passes by itself, or by the platform team's opening the zone, leaves nothing behind: it is only not done yet.
fn still_there(pending: usize, why: &Fault<Reason>) -> Fault<Reason> {
    match why.class {
        Class::Stalled => {
            let message = format!("{pending} record set(s) could not be taken out of the zone: {why}");
            Fault::stalled(Reason::Orphaned, message, "")
        }
        Class::Waiting | Class::Transient => {
            let message = format!("{pending} record set(s) are still in the zone: {}", why.message);
            let fix = if why.fix.is_empty() {
                why.reason.action()
            } else {
                &why.fix
            };
            Fault::waiting(Reason::Withdrawing, message, fix)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::dns::Withdrawal;
    use crate::conditions::{RECONCILING, STALLED, find};
    use crate::dns::claim::Key;
    use crate::dns::rrset::RecordType;
    use crate::dns::testing::{at, name, set, zone};

    #[test]
    fn only_what_no_time_takes_away_is_orphaned() {
        let zone = zone("{domain: z.org, provider: {type: Request}}");
        let mut claim = Key::of(&name("a.z.org"), &zone).claim(&zone, "team", at(0));
        claim.spec.withdrawals = vec![Withdrawal {
            name: "a.z.org".to_owned(),
            type_: "A".to_owned(),
        }];
        for (why, reason, companion, orphaned) in [
            (
                Fault::transient(Reason::ProviderUnavailable, "it is away"),
                "Withdrawing",
                RECONCILING,
                false,
            ),
            (
                Fault::waiting(Reason::BreakerOpen, "nobody has looked", ""),
                "Withdrawing",
                RECONCILING,
                false,
            ),
            (
                Fault::stalled(Reason::ProviderRefused, "never", ""),
                "Orphaned",
                STALLED,
                true,
            ),
        ] {
            for uses in [0, 1] {
                let facts = ClaimFacts {
                    uses,
                    stuck: Some(why.clone()),
                    not_admitted: Vec::new(),
                    approvals: Vec::new(),
                    requests: Vec::new(),
                    now: at(0),
                };
                let conditions = claim_status(&claim, facts).conditions;
                let ready = find(&conditions, READY).unwrap();
                assert_eq!((ready.status.as_str(), ready.reason.as_str()), ("False", reason));
                assert!(ready.message.contains(&why.message), "{}", ready.message);
                assert!(find(&conditions, companion).is_some(), "{why}");
                assert_eq!(find(&conditions, "Orphaned").is_some(), orphaned, "{why}");
            }
        }
    }

    #[test]
    fn only_what_an_approval_lets_through_waits_for_one() {
        let zone = zone("{domain: z.org, provider: {type: Request}, admission: {approvalRequiredFor: [MX]}}");
        let mut claim = Key::of(&name("app.z.org"), &zone).claim(&zone, "team", at(0));
        let judgement = |value: &str, reason| Judgement {
            sets: vec![set(RecordType::Mx, value)],
            verdict: Err(Fault::stalled(reason, "", "")),
        };
        let judgements = [
            judgement("10 a.example", Reason::WaitingForApproval),
            judgement("10 b.example", Reason::TypeNotAllowed),
        ];
        let told = approvals(&claim, &zone, &judgements);
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].values, ["10 a.example"]);
        claim.metadata.annotations = Some([(labels::APPROVED.to_owned(), told[0].approve.clone())].into());
        assert_eq!(approvals(&claim, &zone, &judgements), []);
    }

    #[test]
    fn no_list_is_longer_than_the_schema_takes() {
        let zone = zone("{domain: z.org, provider: {type: Request}}");
        let claim = Key::of(&name("a.z.org"), &zone).claim(&zone, "team", at(0));
        let approval = |n: usize| ApprovalRequest {
            name: format!("n{n}.a.z.org"),
            type_: "MX".to_owned(),
            values: Vec::new(),
            approve: String::new(),
        };
        let request = |n: usize| Request {
            action: "Create".to_owned(),
            name: format!("n{n}.a.z.org"),
            type_: "A".to_owned(),
            ttl_seconds: None,
            values: Vec::new(),
            since: None,
            text: String::new(),
        };
        let facts = ClaimFacts {
            uses: 1,
            stuck: None,
            not_admitted: Vec::new(),
            approvals: (0..99).map(approval).collect(),
            requests: (0..199).map(request).collect(),
            now: at(0),
        };
        let status = claim_status(&claim, facts);
        assert_eq!((status.approvals.len(), status.requests.len()), (50, 100));
    }
}
