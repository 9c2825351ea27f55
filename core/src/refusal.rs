//! Reads the API server's refusals, also as the controller manager repeats them in a Deployment's conditions.

use crate::fault::Refusal;

/// The class of a refusal, by HTTP code, machine's reason and message.
pub fn of(code: u16, reason: &str, message: &str) -> Refusal {
    match code {
        403 if message.contains("because it is being terminated") => Refusal::NamespaceTerminating,
        400 | 403 | 422 if of_message(message).is_some() => of_message(message).unwrap_or(Refusal::Forbidden),
        403 => Refusal::Forbidden,
        404 if message.contains("namespaces ") => Refusal::NamespaceTerminating,
        409 if reason == "AlreadyExists" => Refusal::NameTaken,
        409 => Refusal::Conflict,
        422 if message.contains("field is immutable")
            || message.contains("may not be changed")
            || message.contains("are forbidden") =>
        {
            Refusal::ImmutableField
        }
        400 | 404 | 405 | 406 | 413 | 415 | 422 => Refusal::Invalid,
        _ => Refusal::ApiUnavailable,
    }
}

/// The class of a refusal of which only the message is left.
pub fn of_message(message: &str) -> Option<Refusal> {
    let quota = ["exceeded quota", "failed quota", USAGE, "max limit to request ratio"];
    let policy = [
        "violates PodSecurity",
        "admission webhook",
        "ValidatingAdmissionPolicy",
        "unable to validate against any security context constraint",
    ];
    if quota.iter().any(|words| message.contains(words)) {
        Some(Refusal::QuotaExceeded)
    } else if policy.iter().any(|words| message.contains(words)) {
        Some(Refusal::PolicyRefused)
    } else {
        None
    }
}

/// The class of the message with which a pod was refused to a controller, as far as it tells one.
pub fn of_creation(message: &str) -> Option<Refusal> {
    if message.contains("because it is being terminated") {
        return Some(Refusal::NamespaceTerminating);
    }
    of_message(message).or_else(|| {
        if message.starts_with("Internal error occurred") || message.contains("failed calling webhook") {
            Some(Refusal::ApiUnavailable)
        } else if message.contains(" is invalid: ") {
            Some(Refusal::Invalid)
        } else {
            None
        }
    })
}

/// What a LimitRange's refusal says between the resource and what it is counted per.
const USAGE: &str = " usage per ";

/// A quota's or LimitRange's refusal with its numbers and the field to change; `None` for other messages.
pub fn explain(message: &str) -> Option<String> {
    explain_quota(message).or_else(|| explain_limits(message))
}

/// The API server writes `exceeded quota: NAME, requested: a=1,b=2, used: a=3,b=4, limited: a=5,b=6`.
fn explain_quota(message: &str) -> Option<String> {
    let rest = message.split_once("exceeded quota: ")?.1;
    let (name, rest) = rest.split_once(", requested: ")?;
    let (requested, rest) = rest.split_once(", used: ")?;
    let (used, limited) = rest.split_once(", limited: ")?;
    let find = |list: &str, resource: &str| {
        list.split(',')
            .find_map(|pair| pair.trim().strip_prefix(resource)?.strip_prefix('=').map(str::to_owned))
    };
    let parts: Vec<String> = limited
        .split(',')
        .filter_map(|pair| {
            let (resource, limit) = pair.trim().split_once('=')?;
            let (asked, taken) = (find(requested, resource)?, find(used, resource)?);
            Some(format!("{resource}: {asked} asked, {taken} of {limit} used"))
        })
        .collect();
    Some(format!(
        "the quota {name} has no room ({}); lower spec.processes[].size or replicas, or ask for a larger quota",
        parts.join("; ")
    ))
}

/// The API server writes `maximum cpu usage per Container is 1, but limit is 2`, or `minimum`, or `request`, and
/// several of them as `[…, …]`. Source: kubernetes/kubernetes, plugin/pkg/admission/limitranger/admission.go,
/// `minConstraint` and `maxConstraint`.
fn explain_limits(message: &str) -> Option<String> {
    let found: Vec<_> = message
        .match_indices(USAGE)
        .filter_map(|(at, _)| {
            let (before, rest) = (message.get(..at)?, message.get(at + USAGE.len()..)?);
            let mut words = before.rsplit([' ', '[']);
            let (resource, bound) = (words.next()?, words.next()?);
            let (per, rest) = rest.split_once(" is ")?;
            let (limit, rest) = rest.split_once(", but ")?;
            let asked = rest.split_once(" is ")?.1.split([',', ']']).next()?;
            let bound = match bound {
                "maximum" => "at most",
                "minimum" => "at least",
                _ => return None,
            };
            Some((bound, format!("{resource}: {asked} asked, {bound} {limit} per {per}")))
        })
        .collect();
    let first = found.first()?.0;
    let change = match first {
        _ if found.iter().any(|(bound, _)| *bound != first) => "fitting",
        "at most" => "smaller",
        _ => "larger",
    };
    let numbers: Vec<_> = found.into_iter().map(|(_, numbers)| numbers).collect();
    Some(format!(
        "the namespace's LimitRange does not allow it ({}); choose a {change} spec.processes[].size or resources, or ask for other limits",
        numbers.join("; ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUOTA: &str = r#"pods "x" is forbidden: exceeded quota: dso-quota, requested: limits.cpu=500m,limits.memory=256Mi, used: limits.cpu=1,limits.memory=1Gi, limited: limits.cpu=1,limits.memory=1Gi"#;

    #[test]
    fn refusals_are_told_apart() {
        for (code, reason, message, class) in [
            (403, "Forbidden", QUOTA, Refusal::QuotaExceeded),
            (
                403,
                "Forbidden",
                r#"pods "x" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot"#,
                Refusal::PolicyRefused,
            ),
            (
                403,
                "Forbidden",
                "deployments.apps \"x\" is forbidden: ValidatingAdmissionPolicy 'labels' with binding 'b' denied request: no label tier",
                Refusal::PolicyRefused,
            ),
            (
                400,
                "BadRequest",
                "admission webhook \"validate.kyverno.svc\" denied the request: no",
                Refusal::PolicyRefused,
            ),
            (403, "Forbidden", "User \"x\" cannot patch resource", Refusal::Forbidden),
            (
                403,
                "Forbidden",
                "unable to create new content in namespace n because it is being terminated",
                Refusal::NamespaceTerminating,
            ),
            (
                404,
                "NotFound",
                "namespaces \"n\" not found",
                Refusal::NamespaceTerminating,
            ),
            (409, "AlreadyExists", "", Refusal::NameTaken),
            (409, "Conflict", "", Refusal::Conflict),
            (
                422,
                "Invalid",
                "spec.selector: Invalid value: field is immutable",
                Refusal::ImmutableField,
            ),
            (422, "Invalid", "spec.replicas: Invalid value: -1", Refusal::Invalid),
            (503, "ServiceUnavailable", "", Refusal::ApiUnavailable),
            (500, "InternalError", "", Refusal::ApiUnavailable),
            (429, "TooManyRequests", "", Refusal::ApiUnavailable),
        ] {
            assert_eq!(of(code, reason, message), class, "{code} {message}");
        }
    }

    #[test]
    fn a_quota_is_told_with_its_numbers() {
        let told = explain(QUOTA).unwrap();
        assert!(
            told.contains("limits.cpu: 500m asked, 1 of 1 used; limits.memory: 256Mi asked, 1Gi of 1Gi used"),
            "{told}"
        );
        assert_eq!(explain("something else"), None);
    }

    #[test]
    fn a_limit_range_is_told_with_its_numbers() {
        for (message, numbers, change) in [
            (
                r#"pods "x" is forbidden: maximum cpu usage per Container is 50m, but limit is 250m"#,
                "(cpu: 250m asked, at most 50m per Container)",
                "smaller",
            ),
            (
                r#"pods "x" is forbidden: [minimum cpu usage per Container is 300m, but request is 250m, minimum memory usage per Container is 1Gi, but request is 256Mi]"#,
                "(cpu: 250m asked, at least 300m per Container; memory: 256Mi asked, at least 1Gi per Container)",
                "larger",
            ),
            (
                r#"pods "x" is forbidden: [minimum cpu usage per Pod is 300m, but request is 250m, maximum memory usage per Pod is 1Gi, but limit is 2Gi]"#,
                "(cpu: 250m asked, at least 300m per Pod; memory: 2Gi asked, at most 1Gi per Pod)",
                "fitting",
            ),
        ] {
            assert_eq!(of(403, "Forbidden", message), Refusal::QuotaExceeded);
            let told = explain(message).unwrap();
            assert!(told.contains(numbers) && told.contains(change), "{told}");
        }
        let ratio = "cpu max limit to request ratio per Container is 2, but provided ratio is 4.000000";
        assert_eq!(of_message(ratio), Some(Refusal::QuotaExceeded));
        assert_eq!(explain(ratio), None, "as the API server says it");
    }
}
