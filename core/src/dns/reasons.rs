//! The reasons of the conditions of DnsRecord, DnsZone and DnsClaim: a closed list. `tremplin explain` and the reference
//! page are made from it.

use crate::fault::Refusal;
use crate::reason::reasons;

reasons! {
    // Ready is true.
    Published: "The authoritative servers answer as asked."
        => "Nothing.";
    Synced: "The zone is as the records of its teams ask for."
        => "Nothing.";
    Reporting: "The zone is in `mode: Report`: changes are planned and told in status.plan, and nothing is written."
        => "Read the plan; set spec.mode to Enforce when it is right.";
    Held: "The name is held, and records or apps of its holder use it."
        => "Nothing.";

    // Something is on its way.
    Programming: "The data is about to be written to the zone."
        => "Wait. `kubectl tremplin why` shows what it waits for.";
    Publishing: "The data is written at the provider, and not yet answered by every authoritative server."
        => "Wait. The message names the servers.";
    WaitingForApproval: "The zone wants the platform team's approval for this type."
        => "Ask the platform team to approve; the DnsClaim shows what to approve.";
    WaitingForRecord: "Another DnsRecord of the namespace has data in the same record set and cannot be judged: the set is left as it is."
        => "Correct or delete the DnsRecord that the message names.";
    WaitingForDesk: "A human at the zone's desk is asked to make the change."
        => "Wait, or ask the desk that the message names.";
    ZoneNotWritten: "The zone is in `mode: Report`, or paused: nothing is written."
        => "Ask the platform team to open the zone.";
    BreakerOpen: "So many changes at once were asked of the zone that it is written no more until a human has looked."
        => "The platform team looks at status.plan of the DnsZone and acknowledges with the annotation that its message names.";
    ProviderUnavailable: "The provider does not answer, or with a fault of its own."
        => "Nothing: it is tried again by itself.";
    ProviderBusy: "The provider's rate limit is reached."
        => "Nothing: it goes on by itself.";
    ChildServersSilent: "The name servers of the delegation do not answer for the name yet."
        => "Set up the zone on these servers: the delegation is published as soon as they answer authoritatively.";
    AppHasNoAddress: "The app that the record follows has no public address yet."
        => "Wait for its Ingress, or see `kubectl tremplin why startupapp/NAME`.";
    Releasing: "No record and no app uses the name: it is kept from others until the time in spec.releaseAt."
        => "Nothing. To keep it, make a DnsRecord in the namespace that holds it.";
    Withdrawing: "Data is about to be taken out of the zone."
        => "Wait.";
    ApiUnavailable: "The API server did not answer, or answered with a fault of its own."
        => "Nothing: it is tried again by itself.";
    Conflict: "Somebody else wrote the same object at the same time."
        => "Nothing: it is tried again by itself.";
    InternalError: "The operator met a fault of its own on this object; the others are not disturbed."
        => "Report it with the message. It is tried again by itself.";

    // A human must act: the team.
    InvalidSpec: "A field of the spec has a value that cannot work."
        => "Correct the field that the message names.";
    Malformed: "The object cannot be read at all: a field is of the wrong type or unknown to this operator."
        => "Correct the field that the message names, or upgrade the operator to the version of its CRDs.";
    InvalidMail: "The mail settings would not work."
        => "Correct what the message names.";
    AppNotExposed: "The app that the record follows is not to be reached from outside. What is published stays."
        => "Give the app a host or an exposure, or remove the record.";
    AppGone: "The app that the record follows does not exist. What is published stays: whoever gets the address gets the visitors."
        => "Remove the record, or correct spec.appRef.";
    NoZone: "No DnsZone covers the name."
        => "Use a name below one of the zones of `kubectl get dnszones`, or ask the platform team for a zone.";
    NameHeld: "Another namespace holds the name, or keeps it in quarantine."
        => "Choose another name, or ask the contact in status.conflict.";
    NotClaimable: "The apex of a zone, names above its depth and names that begin with `*` or `_` there belong to nobody."
        => "Use a name below one that you hold, or ask the platform team for an entry in adoptions of the DnsZone.";
    NotOurs: "The zone has data at this name, or above it up to the claimed name, that Tremplin did not write. It is left alone, and nothing is put beside or below it."
        => "Choose another name, or ask the platform team to give the data to you by adoptions of the DnsZone.";
    DuplicateRecord: "An older DnsRecord of this namespace says something beside which this cannot stand: for the same name and type, or across a delegation."
        => "Remove one of the two.";
    NamespaceNotAdmitted: "The zone does not admit this namespace."
        => "Ask the platform team; the message names the rule.";
    EnvironmentNotAdmitted: "The zone does not admit namespaces of this environment."
        => "Use a zone for this environment.";
    NameNotAllowed: "The zone's rules do not allow this name."
        => "Choose a name as the message says.";
    NameReserved: "The zone reserves this name."
        => "Choose another name.";
    TypeNotAllowed: "The zone does not allow records of this type, or its provider has none."
        => "Use another type, or ask the platform team.";
    TargetNotAllowed: "The zone does not allow names to lead there."
        => "Use a target that the message allows, or ask the platform team.";
    TooManyClaims: "The namespace holds as many names of the zone as it may."
        => "Give up a name, or ask the platform team for more.";
    TooManyRecords: "The claim has as many record sets as it may."
        => "Remove records below the name, or ask the platform team for more.";
    NoLongerAllowed: "What is published would no longer be admitted. It stays published, and is not changed any more."
        => "Team and platform team settle it: the message names the rule.";
    Drifted: "Somebody else changed the data in the zone, and the zone's policy is to tell, not to repair."
        => "Put it right by hand, or ask the platform team for spec.drift.policy Repair.";
    DriftLoop: "Somebody else undid the data three times within an hour: it is left as it is."
        => "Find the other writer; then change the DnsRecord, or set the annotation `tremplin.dev/resumed-at` to now.";

    // A human must act: the platform team.
    InvalidZone: "A field of the DnsZone has a value that cannot work: no record of the zone is judged or written."
        => "The platform team corrects the field that the message names.";
    DuplicateZone: "An older DnsZone has the same domain: that one counts."
        => "Remove one of the two.";
    ProtectedName: "The zone protects this name from every change."
        => "Ask the platform team.";
    CredentialMissing: "The Secret with the provider's credential does not exist, or lacks a key."
        => "Create it in the operator's namespace with the keys that the provider's page names.";
    CredentialInvalid: "The provider does not accept the credential, or not for this zone."
        => "Renew the credential in the Secret: it is read again by itself.";
    CredentialExpiring: "The credential ends within 30 days."
        => "Renew it in the Secret: it is read again by itself.";
    ApiMissing: "The cluster does not serve an API that the zone is written by."
        => "Install it (for ExternalDNS, the CRD of DNSEndpoint): it is found by itself.";
    ZoneUnknown: "The provider's account has no such zone."
        => "Correct spec.domain, or use the credential of the account that has the zone.";
    ProviderRefused: "The provider refuses the change, however often it is asked; the message quotes it."
        => "Correct what the message names.";
    Forbidden: "The operator lacks a right that it needs."
        => "Install the chart's roles.";
    Orphaned: "Data that is no longer wanted could not be taken out of the zone."
        => "See the DnsZone. If the zone is gone for good, delete the DnsClaim.";

    // Reasons of other conditions.
    Accepted: "The zone's rules admit the record, and the namespace holds its name."
        => "Nothing.";
    Written: "The data is written at the provider."
        => "Nothing.";
    Answered: "Every authoritative server answers as asked."
        => "Nothing.";
    CachesHold: "Older or negative answers may still be in caches, until status.visibleAfter."
        => "Wait until then.";
    Visible: "No older answer can be in a cache any more."
        => "Nothing.";
    TargetGone: "A target no longer resolves: whoever gets its name gets the visitors of this one."
        => "Correct the target, or remove the record.";
    TargetUnknown: "Whether the target resolves could not be found out."
        => "Nothing: it is asked again.";
    Resolves: "Every target resolves."
        => "Nothing.";
    MailComplete: "SPF, DKIM, DMARC and the mail exchangers that are named pass the checks."
        => "Nothing, or follow the advice in the message.";
    MailUnknown: "Whether mail would work could not be found out: something that it needs did not answer."
        => "Nothing: it is asked again.";
    MailIncomplete: "Something that mail needs is missing or fails a check; the message names it."
        => "Add or correct it.";
    ChildServersAnswer: "The name servers of the delegation answer for the name."
        => "Nothing.";
    LameDelegation: "A name server of the delegation no longer answers for the name."
        => "Repair it, or remove the delegation: whoever gets that server gets the name.";
    CredentialValid: "The provider accepts the credential."
        => "Nothing.";
    Closed: "The breaker is closed: changes are within bounds."
        => "Nothing.";
    Audited: "The zone was compared with what is asked for."
        => "Nothing.";
    AuthoritiesAnswer: "The authoritative servers answer for the zone."
        => "Nothing.";
    AuthoritiesSilent: "An authoritative server does not answer for the zone."
        => "Let the operator reach port 53 of the zone's name servers, correct its NS records, or name others in spec.authorities of the DnsZone.";
}

impl From<Refusal> for Reason {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Forbidden | Refusal::PolicyRefused | Refusal::QuotaExceeded => Self::Forbidden,
            Refusal::Conflict | Refusal::NameTaken => Self::Conflict,
            Refusal::ImmutableField | Refusal::Invalid => Self::InternalError,
            Refusal::NamespaceTerminating | Refusal::ApiUnavailable => Self::ApiUnavailable,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_says_when_and_what_to_do() {
        for reason in Reason::ALL {
            assert!(
                reason.when().ends_with('.') && reason.action().ends_with('.'),
                "{reason:?}"
            );
        }
    }
}
