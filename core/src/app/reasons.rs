//! The reasons of a StartupApp's conditions: a closed list. `tremplin explain` and the reference page are made from it.

use crate::fault::Refusal;
use crate::reason::reasons;

reasons! {
    // Ready is true.
    Running: "Every process runs the version asked for, with all its instances ready."
        => "Nothing.";
    Suspended: "`spec.suspend` is true: the operator leaves everything as it is."
        => "Set spec.suspend to false, or remove it, to let the operator work again.";

    // Something is on its way.
    Deploying: "A new version is rolling out, or instances are starting."
        => "Wait. `kubectl tremplin why` shows which instances are missing.";
    Releasing: "The release command of the new version is running; the old version keeps serving."
        => "Wait, at most spec.release.timeoutSeconds.";
    ReferenceMissing: "A Secret or ConfigMap that the app names does not exist, or lacks the key asked for."
        => "Create it, or correct the name. The app goes on by itself as soon as it is there.";
    ImagePullFailed: "The node cannot pull the image."
        => "Check that the tag exists and that the registry's pull secret may read it.";
    CrashLooping: "A container of the newest version ends again and again."
        => "Read its exit code and last words in the message, and its log with `kubectl logs`.";
    ContainerStartFailed: "The node cannot create or start the container, for example because the image runs as root."
        => "Follow the kubelet's message: most often a missing program, a missing key or an image that needs root.";
    ProbeFailing: "The container runs but does not pass its health check."
        => "Check that the process listens on the port it is given as PORT, or correct spec.processes[].health.";
    Unschedulable: "No node has room for an instance."
        => "Ask for less (spec.processes[].size), or ask the platform team for more.";
    QuotaExceeded: "The namespace's quota or limit range refuses an instance or an object."
        => "Follow the message: raise or lower spec.processes[].size or replicas, or ask the platform team for another quota.";
    PolicyRefused: "A policy of the platform refuses an object or an instance; the message quotes it."
        => "Change what the policy names; `kubectl tremplin check` finds it before the cluster does.";
    InstanceRefused: "The API server refuses an instance, and neither for a quota nor for a policy; the message quotes it."
        => "Follow the message. It is tried again by itself.";
    NamespaceTerminating: "The namespace is being deleted."
        => "Nothing, or create the app in another namespace.";
    ApiUnavailable: "The API server did not answer, or answered with a fault of its own."
        => "Nothing: it is tried again by itself.";
    Conflict: "Somebody else wrote the same object at the same time."
        => "Nothing: it is tried again by itself.";
    InternalError: "The operator met a fault of its own on this object; the others are not disturbed."
        => "Report it with the message. It is tried again by itself.";

    // A human must act.
    InvalidSpec: "A field of the spec, or an annotation, has a value that cannot work."
        => "Correct the field that the message names.";
    Malformed: "The object cannot be read at all: a field is of the wrong type or unknown to this operator."
        => "Correct the field that the message names, or upgrade the operator to the version of its CRDs.";
    InvalidImage: "An image is not fully qualified, has no tag, or has the tag `latest`."
        => "Write registry/repository:tag with a tag that names one version, or a digest.";
    UnknownExposure: "`spec.exposure` is not a class of the platform file."
        => "Use one of the classes that the message lists, or `None`.";
    UnknownSize: "A size is not one of the platform file's."
        => "Use one of the sizes that the message lists, or `resources`.";
    HostNotAllowed: "A host is outside the domains that the platform gives to this namespace."
        => "Use a host below one of the domains that the message lists, or ask the platform team.";
    HostTaken: "Another app, or an Ingress that is not ours, holds the host already."
        => "Choose another host, or have it given up there first.";
    NameHeld: "A host lies in a zone of ours, and another namespace holds its name: it is not routed. The rest of the app runs."
        => "Choose another host, or ask whom the message names.";
    NameNotClaimed: "A host lies in a zone of ours, and the namespace does not hold its name: it is not routed, unless it was before the zone was opened. The rest of the app runs."
        => "Commit a DnsRecord for the host.";
    NoHost: "The app is to be exposed, names no host, and the platform has no host template for its environment."
        => "Name a host in spec.hosts, or set spec.exposure to None.";
    EnvCycle: "Variables of `spec.env` refer to each other in a circle."
        => "Break the circle that the message names.";
    InvalidSchedule: "A cron's schedule or time zone cannot be read, or never fires."
        => "Correct it: five fields, as in `30 4 * * *`, and an IANA time zone.";
    NameTaken: "An object with the name of a child exists and is not this app's. It is left alone."
        => "Rename the app, or remove that object if nobody needs it.";
    ImmutableField: "A child has a field that cannot be changed on a live object."
        => "Delete the child that the message names; the operator makes it again.";
    InvalidChild: "The API server finds an object that the operator rendered invalid."
        => "Correct what the message names; report it if the spec looks right.";
    Forbidden: "The operator lacks a right that it needs."
        => "Ask the platform team to install the chart's roles.";
    ReleaseFailed: "The release command failed, or never started in its time; the old version keeps serving."
        => "Commit a version that releases, or try once more with `kubectl tremplin restart`.";
    ReleaseOutcomeUnknown: "The release command was started but its Job is gone: nobody knows whether it succeeded."
        => "Look at what it should have done, then commit a new version or run it again with `kubectl tremplin restart`.";
    RolloutFailed: "The new version was not ready within its progress deadline; instances of the old version that run keep serving."
        => "Follow `kubectl tremplin why`, and commit a version that starts.";

    // Reasons of other conditions.
    Released: "The release command of this version succeeded."
        => "Nothing.";
    Serving: "Every process has an instance that can serve."
        => "Nothing.";
    NotServing: "A process has no instance that can serve."
        => "See the Ready condition.";
    CronsSucceed: "The last run of every cron succeeded."
        => "Nothing.";
    CronFailed: "The last run of a cron failed."
        => "Read its log with `kubectl logs`, and run it again with `kubectl tremplin run-cron`.";
    NoMapping: "No rule of the platform file maps the namespace's labels to an environment: Production is assumed."
        => "Set spec.environment, or have the platform team map the namespace.";
    Compliant: "Every object of the app keeps the platform's rules."
        => "Nothing.";
    NamesHeld: "The namespace holds the name of every host that lies in a zone of ours."
        => "Nothing.";
    NamesPublished: "The DnsRecord of every host is published. Of one that is not, its own reason is told."
        => "Nothing.";
    NamesPending: "The DnsRecord of a host was not looked at yet."
        => "Wait.";
    RulesBroken: "An object of the app breaks a rule of the platform."
        => "Run `kubectl tremplin check` and follow its fixes.";
}

impl From<Refusal> for Reason {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NameTaken => Self::NameTaken,
            Refusal::ImmutableField => Self::ImmutableField,
            Refusal::QuotaExceeded => Self::QuotaExceeded,
            Refusal::PolicyRefused => Self::PolicyRefused,
            Refusal::Invalid => Self::InvalidChild,
            Refusal::Forbidden => Self::Forbidden,
            Refusal::NamespaceTerminating => Self::NamespaceTerminating,
            Refusal::Conflict => Self::Conflict,
            Refusal::ApiUnavailable => Self::ApiUnavailable,
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
