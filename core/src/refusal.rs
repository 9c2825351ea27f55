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
    let quota = [
        "exceeded quota",
        "failed quota",
        "maximum cpu usage",
        "maximum memory usage",
        "minimum cpu usage",
        "minimum memory usage",
        "must be less than or equal to",
    ];
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

/// A quota's refusal with its numbers and the field to change; `None` for other messages.
///
/// The API server writes `exceeded quota: NAME, requested: a=1,b=2, used: a=3,b=4, limited: a=5,b=6`.
pub fn explain(message: &str) -> Option<String> {
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
}
