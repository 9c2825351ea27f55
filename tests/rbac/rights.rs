//! Rights: those that the chart's roles grant, and those that a request needs.

use std::collections::BTreeSet;

use tremplin_e2e::audit::AuditEvent;

use crate::helm::{chart, of_kind, template};
use crate::install::OPERATORS;

/// A right: the namespace it is for (empty: every one), API group, resource with its subresource, verb.
pub type Right = (&'static str, String, String, String);

/// Granted, but no request shows it here, each with its reason.
pub const UNSEEN: [(&str, &str, &str); 4] = [
    // Asked by an admission plugin, in this test too, of whoever sets blockOwnerDeletion: it makes no request.
    ("tremplin.dev", "startupapps/finalizers", "update"),
    // Asked by the same plugin of whoever changes the owner of an object that is there.
    ("", "configmaps", "delete"),
    // Asked when a write meets an Ingress that the watch of *all* Ingresses has not shown yet: a matter of milliseconds.
    ("networking.k8s.io", "ingresses", "get"),
    // Asked when a claim meets one of the same moment that the watch has not shown yet: to see who was faster.
    ("tremplin.dev", "dnsclaims", "get"),
];

/// The rights that the chart's roles grant.
pub async fn granted() -> BTreeSet<Right> {
    let objects = template(&chart("tremplin"), OPERATORS, &[]).await.unwrap();
    let mut granted = BTreeSet::new();
    for (kind, namespace) in [("ClusterRole", ""), ("Role", OPERATORS)] {
        let roles = of_kind(&objects, kind).into_iter();
        for role in roles.filter(|role| role["metadata"]["name"] == "tremplin-controller") {
            for rule in role["rules"].as_array().unwrap() {
                let words = |field: &str| {
                    let words = rule[field].as_array().unwrap().clone();
                    words.into_iter().map(|word| word.as_str().unwrap().to_owned())
                };
                for group in words("apiGroups") {
                    for resource in words("resources") {
                        granted.extend(words("verbs").map(|verb| (namespace, group.clone(), resource.clone(), verb)));
                    }
                }
            }
        }
    }
    granted
}

/// The rights that a request needs. An apply that creates needs `create` as well as `patch`.
pub fn needed(event: &AuditEvent) -> Vec<Right> {
    let namespace = if event.namespace == OPERATORS { OPERATORS } else { "" };
    let resource = match event.subresource.as_str() {
        "" => event.resource.clone(),
        subresource => format!("{}/{subresource}", event.resource),
    };
    let right = |verb: &str| (namespace, event.group.clone(), resource.clone(), verb.to_owned());
    let created = event.verb == "patch" && event.code == 201;
    [right(&event.verb)]
        .into_iter()
        .chain(created.then(|| right("create")))
        .collect()
}
