use serde_json::json;

use super::*;
use crate::yaml;

const NAMESPACE: &str = "b4qjvd14--22dxmh";

fn clean() -> Vec<Value> {
    yaml::parse(include_str!("clean.yaml"))
        .unwrap()
        .into_iter()
        .map(|document| document.value)
        .collect()
}

/// The profile, with the rule that is off by default switched on.
fn platform(profile: &str) -> Platform {
    let text = crate::platform::BUNDLED
        .iter()
        .find(|bundled| bundled.name == profile)
        .unwrap()
        .text;
    Platform::parse(&format!("{text}policies: {{labels-advised: Warn}}\n")).unwrap()
}

fn findings(profile: &str, objects: &[Value]) -> Vec<Finding> {
    let platform = platform(profile);
    let labels = [
        ("app.kubernetes.io/managed-by", "dso-console"),
        ("dso/environment", "prod"),
    ];
    let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let namespace = platform.namespace(NAMESPACE, &labels);
    check(objects, &platform, &[(NAMESPACE.to_owned(), namespace)].into())
}

/// Sets the field at a JSON pointer of the object of that kind; `null` removes it.
fn broken(kind: &str, pointer: &str, value: Value) -> Vec<Value> {
    let mut objects = clean();
    let object = objects.iter_mut().find(|object| object["kind"] == kind).unwrap();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let parent = object
        .pointer_mut(parent)
        .unwrap_or_else(|| panic!("{kind} has no {pointer}"));
    match (parent, value) {
        (Value::Object(map), Value::Null) => assert!(map.remove(key).is_some(), "{kind} has no {pointer}"),
        (Value::Object(map), value) => drop(map.insert(key.to_owned(), value)),
        (parent, value) => parent[key.parse::<usize>().unwrap()] = value,
    }
    objects
}

#[test]
fn clean_objects_have_no_findings() {
    assert_eq!(findings("cpin-mi", &clean()), []);
}

/// Rule, what is broken, how, and where the finding must point: one breach, one finding.
#[test]
#[rustfmt::skip]
#[allow(clippy::too_many_lines, reason = "a table: at least one line per rule")]
fn one_breach_gives_one_finding_of_its_rule_at_its_field() {
    const POD: &str = "spec.template.spec";
    let front = |field: &str| format!("{POD}.containers[0].{field}");
    let pod = |field: &str| format!("{POD}.{field}");
    let job = |field: &str| format!("spec.jobTemplate.{field}");
    let at = str::to_owned;
    let spread = "/spec/template/spec/topologySpreadConstraints";
    let c = "/spec/template/spec/containers/0";
    let cron = "/spec/jobTemplate/spec/template/spec/containers/0";
    let long = "a".repeat(53);
    let mut broken_rules = std::collections::BTreeSet::new();
    for (rule, kind, pointer, value, object, field, message) in [
        (Rule::ImageRegistry, "Deployment", format!("{c}/image"), json!("annuaire:8f2c1e0"), "Deployment", front("image"), "does not name its registry"),
        (Rule::ImageRegistry, "Deployment", format!("{c}/image"), json!("registry.evil.fr/annuaire:8f2c1e0"), "Deployment", front("image"), "does not allow"),
        (Rule::ImageRegistry, "CronJob", format!("{cron}/image"), json!("evil.fr/ghcr.io/a:1"), "CronJob", job("spec.template.spec.containers[0].image"), "does not allow"),
        (Rule::ImageTag, "Deployment", format!("{c}/image"), json!("ghcr.io/betagouv/annuaire"), "Deployment", front("image"), "has no tag"),
        (Rule::ImageTag, "Deployment", "/spec/template/spec/initContainers/0/image".into(), json!("ghcr.io/betagouv/annuaire:latest"), "Deployment", pod("initContainers[0].image"), "tag latest"),
        (Rule::ImagePullPolicy, "Deployment", format!("{c}/imagePullPolicy"), json!("Always"), "Deployment", front("imagePullPolicy"), "does not say"),
        (Rule::PullSecret, "CronJob", "/spec/jobTemplate/spec/template/spec/imagePullSecrets".into(), json!([{"name": "other"}]), "CronJob", job("spec.template.spec.imagePullSecrets"), "registry-pull-secret is missing"),
        (Rule::Labels, "Deployment", "/metadata/labels/tier".into(), Value::Null, "Deployment", at("metadata.labels"), "missing or empty: tier"),
        (Rule::Labels, "Deployment", "/spec/template/metadata/labels/env".into(), json!(""), "Deployment", at("spec.template.metadata.labels"), "missing or empty: env"),
        (Rule::Labels, "CronJob", "/spec/jobTemplate/metadata".into(), Value::Null, "CronJob", job("metadata.labels"), "app, env, tier"),
        (Rule::LabelsAdvised, "Deployment", "/spec/template/metadata/labels/component".into(), Value::Null, "Deployment", at("spec.template.metadata.labels"), "component"),
        (Rule::Resources, "Deployment", format!("{c}/resources/limits/memory"), Value::Null, "Deployment", front("resources.limits.memory"), "has no limits for memory"),
        (Rule::Resources, "Deployment", "/spec/template/spec/initContainers/0/resources/requests/cpu".into(), Value::Null, "Deployment", pod("initContainers[0].resources.requests.cpu"), "has no requests for cpu"),
        (Rule::ResourcesEqual, "Deployment", format!("{c}/resources/limits/cpu"), json!("0.5"), "Deployment", front("resources.limits.cpu"), "asks for 250m of cpu and may use 500m"),
        (Rule::Probes, "Deployment", format!("{c}/readinessProbe"), Value::Null, "Deployment", pod("containers[0]"), "has no probe"),
        (Rule::Probes, "CronJob", format!("{cron}/livenessProbe"), Value::Null, "CronJob", job("spec.template.spec.containers[0]"), "has no probe"),
        (Rule::NonRoot, "Deployment", format!("{c}/securityContext/runAsNonRoot"), json!(false), "Deployment", front("securityContext.runAsNonRoot"), "nor does its pod"),
        (Rule::NonRoot, "Deployment", format!("{c}/securityContext/allowPrivilegeEscalation"), Value::Null, "Deployment", front("securityContext.allowPrivilegeEscalation"), "does not say"),
        (Rule::NonRoot, "Deployment", format!("{c}/securityContext/capabilities/drop"), json!(["NET_RAW"]), "Deployment", front("securityContext.capabilities.drop"), "does not drop all"),
        (Rule::NonRoot, "Deployment", format!("{c}/securityContext/capabilities/add"), json!(["SYS_TIME"]), "Deployment", front("securityContext.capabilities.add"), "SYS_TIME"),
        (Rule::NonRoot, "CronJob", format!("{cron}/securityContext/seccompProfile"), json!({"type": "Unconfined"}), "CronJob", job("spec.template.spec.containers[0].securityContext.seccompProfile.type"), "seccomp"),
        (Rule::FixedIds, "Deployment", "/spec/template/spec/securityContext/fsGroup".into(), json!(1000), "Deployment", pod("securityContext.fsGroup"), "OpenShift gives the ids"),
        (Rule::FixedIds, "Deployment", format!("{c}/securityContext/runAsUser"), json!(1000), "Deployment", front("securityContext.runAsUser"), "OpenShift gives the ids"),
        (Rule::ReadOnlyRoot, "Deployment", format!("{c}/securityContext/readOnlyRootFilesystem"), Value::Null, "Deployment", front("securityContext.readOnlyRootFilesystem"), "may write"),
        (Rule::ReadOnlyRoot, "Deployment", format!("{c}/volumeMounts/0/mountPath"), json!("/data"), "Deployment", front("volumeMounts"), "no writable /tmp"),
        (Rule::PrivilegedPort, "Deployment", format!("{c}/ports/0/containerPort"), json!(80), "Deployment", front("ports[0].containerPort"), "listens on 80"),
        (Rule::PrivilegedPort, "Deployment", format!("{c}/ports/0/hostPort"), json!(3000), "Deployment", front("ports[0].hostPort"), "of the node"),
        (Rule::HostAccess, "Deployment", "/spec/template/spec/hostNetwork".into(), json!(true), "Deployment", pod("hostNetwork"), "is true"),
        (Rule::HostAccess, "Deployment", format!("{c}/securityContext/privileged"), json!(true), "Deployment", front("securityContext.privileged"), "is privileged"),
        (Rule::VolumeTypes, "Deployment", "/spec/template/spec/volumes/0".into(), json!({"name": "tmp", "hostPath": {"path": "/tmp"}}), "Deployment", pod("volumes[0].hostPath"), "is a hostPath"),
        (Rule::PortsAgree, "Deployment", format!("{c}/readinessProbe/httpGet/port"), json!(8080), "Deployment", front("readinessProbe.httpGet.port"), "asks port 8080"),
        (Rule::PortsAgree, "Service", "/spec/ports/0/targetPort".into(), json!(8080), "Service", at("spec.ports[0].targetPort"), "none of its pods"),
        (Rule::PortsAgree, "Ingress", "/spec/rules/0/http/paths/0/backend/service/port".into(), json!({"number": 3000}), "Ingress", at("spec.rules[0].http.paths[0].backend.service.port"), "does not have"),
        (Rule::ServiceType, "Service", "/spec/type".into(), json!("NodePort"), "Service", at("spec.type"), "NodePort"),
        (Rule::ServiceType, "Service", "/spec/externalIPs".into(), json!(["192.0.2.1"]), "Service", at("spec.externalIPs"), "outside the cluster"),
        (Rule::ConfigmapCredentials, "ConfigMap", "/data/Secret_Key".into(), json!("x"), "ConfigMap", at("data.Secret_Key"), "credential"),
        (Rule::ConfigmapCredentials, "ConfigMap", "/data/key".into(), json!("x"), "ConfigMap", at("data.key"), "credential"),
        (Rule::Hosts, "Ingress", "/spec/rules/0/host".into(), json!("annuaire.beta.gouv.fr"), "Ingress", at("spec.rules[0].host"), "outside the domains allowed"),
        (Rule::Hosts, "Ingress", "/spec/rules/0/host".into(), json!("annuaire.example.org"), "Ingress", at("spec.rules[0].host"), "an example's name"),
        (Rule::Hosts, "Ingress", "/spec/rules/0/host".into(), json!("a..fr"), "Ingress", at("spec.rules[0].host"), "not a DNS name"),
        (Rule::Hosts, "Ingress", "/spec/rules/0/host".into(), Value::Null, "Ingress", at("spec.rules[0].host"), "every name of the cluster"),
        (Rule::Hosts, "Ingress", "/spec/tls".into(), json!([{"hosts": ["annuaire.beta.gouv.fr"]}]), "Ingress", at("spec.tls[0].hosts[0]"), "outside the domains allowed"),
        (Rule::Names, "CronJob", "/metadata/name".into(), json!(long), "CronJob", at("metadata.name"), "53 characters, 52 are possible"),
        (Rule::Names, "ConfigMap", "/metadata/name".into(), json!("Annuaire"), "ConfigMap", at("metadata.name"), "may hold only"),
        (Rule::Spread, "Deployment", spread.into(), json!([]), "Deployment", pod("topologySpreadConstraints"), "different nodes"),
        (Rule::Spread, "PodDisruptionBudget", "/spec/selector/matchLabels/role".into(), json!("back"), "Deployment", at("spec.replicas"), "no PodDisruptionBudget"),
        (Rule::Spread, "PodDisruptionBudget", "/spec".into(), json!({"minAvailable": "100%", "selector": {"matchLabels": {"role": "front"}}}), "PodDisruptionBudget", at("spec"), "lets none"),
        (Rule::JobTtl, "CronJob", "/spec/jobTemplate/spec/ttlSecondsAfterFinished".into(), Value::Null, "CronJob", job("spec.ttlSecondsAfterFinished"), "does not say"),
        (Rule::CronHistory, "CronJob", "/spec/failedJobsHistoryLimit".into(), Value::Null, "CronJob", at("spec.failedJobsHistoryLimit"), "is not set"),
        (Rule::ClaimSize, "PersistentVolumeClaim", "/spec/resources/requests/storage".into(), json!("1025Gi"), "PersistentVolumeClaim", at("spec.resources.requests.storage"), "1025Gi are asked for"),
        (Rule::ClusterScoped, "Namespace", "/metadata/uid".into(), Value::Null, "Namespace", at("kind"), "outside every namespace"),
        (Rule::ClusterScoped, "ResourceQuota", "/metadata/uid".into(), Value::Null, "ResourceQuota", at("kind"), "platform's to set"),
        (Rule::Quota, "ResourceQuota", "/spec/hard/limits.cpu".into(), json!("700m"), "ResourceQuota", at("spec.hard.limits.cpu"), "750m of limits.cpu are needed at most, 700m are allowed: 500m for Deployment/annuaire-front, 250m for CronJob/annuaire-purge"),
        (Rule::Quota, "ResourceQuota", "/spec/hard/memory".into(), json!("512Mi"), "ResourceQuota", at("spec.hard.memory"), "768Mi of memory are needed"),
    ] {
        let found = findings("cpin-mi", &broken(kind, &pointer, value.clone()));
        let [finding] = found.as_slice() else { panic!("{kind} {pointer} = {value}: {found:#?}") };
        assert_eq!((finding.rule, finding.kind.as_str()), (rule, object), "{kind} {pointer} = {value}: {finding:?}");
        assert_eq!(finding.field, field, "{kind} {pointer} = {value}: {finding:?}");
        assert!(finding.message.contains(message), "{kind} {pointer} = {value}: {finding:?}");
        broken_rules.insert(rule);
    }
    assert_eq!(broken_rules.into_iter().collect::<Vec<_>>(), Rule::ALL, "a rule has no bad manifest");
}

#[test]
fn a_rule_is_as_serious_as_the_platform_says() {
    let objects = broken(
        "Deployment",
        "/spec/template/spec/containers/0/readinessProbe",
        Value::Null,
    );
    let text = crate::platform::BUNDLED[2].text;
    for (mode, severity) in [
        ("Off", None),
        ("Warn", Some(Severity::Warning)),
        ("Enforce", Some(Severity::Error)),
    ] {
        let platform = Platform::parse(&format!("{text}policies: {{probes: {mode}}}\n")).unwrap();
        let found = check(&objects, &platform, &BTreeMap::new());
        assert_eq!(
            found.iter().find(|f| f.rule == Rule::Probes).map(|f| f.severity),
            severity,
            "{mode}"
        );
    }
}

#[test]
fn root_is_refused_where_the_platform_gives_the_ids() {
    let context = "/spec/template/spec/securityContext/runAsUser";
    let ids = |value: i64| -> usize {
        let found = findings("cpin-pax", &broken("Deployment", context, json!(value)));
        found.iter().filter(|finding| finding.rule == Rule::FixedIds).count()
    };
    assert_eq!((ids(0), ids(10001)), (1, 0));
}

#[test]
fn a_surge_is_counted_when_the_rollout_cannot_do_without() {
    let mut objects = broken(
        "Deployment",
        "/spec/strategy/rollingUpdate",
        json!({"maxSurge": "50%", "maxUnavailable": 0}),
    );
    objects
        .iter_mut()
        .find(|object| object["kind"] == "ResourceQuota")
        .unwrap()["spec"]["hard"] = json!({"requests.cpu": "999m"});
    let found = findings("cpin-mi", &objects);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(
        found[0].message.starts_with("1 of requests.cpu are needed"),
        "{}",
        found[0].message
    );
}

#[test]
fn what_is_not_among_the_objects_is_not_guessed() {
    let alone: Vec<Value> = clean()
        .into_iter()
        .filter(|object| object["kind"] == "Service" || object["kind"] == "Ingress")
        .collect();
    assert_eq!(findings("cpin-mi", &alone), []);
}

#[test]
fn argo_cd_s_objects_are_the_platform_s() {
    let application = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": {"name": "a"}});
    let found = findings("cpin-mi", &[application]);
    assert_eq!((found.len(), found[0].rule), (1, Rule::ClusterScoped));
}

#[test]
fn whatever_the_object_looks_like_nothing_panics() {
    for object in [
        json!(null),
        json!([]),
        json!("Deployment"),
        json!({"kind": "Deployment"}),
        json!({"kind": "CronJob", "spec": []}),
        json!({"kind": "Ingress", "spec": {"rules": [null, 1, {"http": {"paths": [{}]}}]}}),
        json!({"kind": "Service", "metadata": {"name": 3}, "spec": {"ports": {}}}),
        json!({"kind": "Pod", "spec": {"containers": [null, {"image": 5, "ports": [1]}]}}),
    ] {
        check(&[object], &platform("generic"), &BTreeMap::new());
    }
}
