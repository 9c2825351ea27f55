//! The charts without a cluster: what they refuse, what they render, and that what is written about them is so.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic, and so may its helpers"
)]

#[path = "chart/helm.rs"]
mod helm;
#[path = "chart/values.rs"]
mod values;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use helm::{chart, helm, objects, of_kind, template};
use serde_json::{Value, json};
use tokio::process::Command;
use tremplin_core::api::crd;
use tremplin_core::platform::{BUNDLED, Platform, Rule, Security};
use tremplin_core::policy;
use tremplin_e2e::tools::{self, Tool};

/// Value sets that between them switch every option.
const VALUE_SETS: [&[&str]; 4] = [
    &[],
    &[
        "replicas=2",
        "metrics.serviceMonitor={\"enabled\":true,\"labels\":{\"release\":\"monitoring\"}}",
        "commonLabels={\"team\":\"platform\"}",
        "commonAnnotations={\"contact\":\"ops\"}",
        "podLabels={\"app\":\"ignored\",\"network\":\"inside\"}",
        "podAnnotations={\"note\":\"x\"}",
        "image={\"repository\":\"quay.io/tools/tremplin\",\"digest\":\"sha256:0000000000000000000000000000000000000000000000000000000000000000\"}",
        "imagePullSecrets=[{\"name\":\"registry-pull-secret\"}]",
        "priorityClassName=\"system-cluster-critical\"",
        "networkPolicy.apiServer={\"ports\":[6443],\"cidrs\":[\"10.0.0.1/32\"]}",
        "nodeSelector={\"role\":\"infra\"}",
        "tolerations=[{\"operator\":\"Exists\"}]",
        "affinity={\"nodeAffinity\":{}}",
        "extraArgs=[\"--concurrency=32\"]",
        "extraEnv=[{\"name\":\"TREMPLIN_CONCURRENCY\",\"value\":\"32\"}]",
        "cluster=\"prod-1\"",
        "proxy={\"https\":\"http://proxy.internal:3128\",\"exclude\":[\".internal\",\"10.0.0.0/8\"]}",
        "networkPolicy.dnsProviders={\"ports\":[8081,3128],\"cidrs\":[\"10.1.0.0/16\"]}",
    ],
    &[
        "platform={\"profile\":\"cpin-mi\"}",
        "security={\"runAsUser\":1000650000,\"runAsGroup\":0,\"fsGroup\":1000650000}",
        "networkPolicy={\"metricsFrom\":[],\"dnsProviders\":{\"ports\":[]}}",
        "log={\"format\":\"text\",\"level\":\"info,tremplin::cluster=debug\"}",
    ],
    &[
        "rbac={\"create\":false,\"tenantRoles\":false,\"readDns\":false}",
        "serviceAccount={\"create\":false,\"name\":\"given\"}",
        "networkPolicy.enabled=false",
        "metrics.service=false",
        "podDisruptionBudget=false",
        "platform.file=\"timeZone: Europe/Paris\\n\"",
    ],
];

async fn render(values: &[&str]) -> Vec<Value> {
    template(&chart("tremplin"), "operators", values).await.unwrap()
}

async fn refusal(values: &[&str]) -> String {
    template(&chart("tremplin"), "operators", values).await.unwrap_err()
}

fn pod_spec(objects: &[Value]) -> &Value {
    &of_kind(objects, "Deployment")[0]["spec"]["template"]["spec"]
}

#[tokio::test]
async fn both_charts_pass_helms_own_check() {
    for name in ["tremplin", "tremplin-crds"] {
        let answer = helm(&["lint", "--strict", chart(name).to_str().unwrap()]).await;
        assert!(answer.success, "{}{}", answer.stdout, answer.stderr);
    }
}

#[tokio::test]
async fn a_wrong_value_is_refused_and_named() {
    for (value, words) in [
        ("rplicas=2", "'rplicas' not allowed"),
        ("replicas=\"two\"", "at '/replicas': got string, want integer"),
        ("replicas=9", "at '/replicas': maximum: got 9, want 5"),
        ("image={\"tag\":\"latest\"}", "another image every day"),
        ("image={\"repository\":\"tremplin\"}", "names no registry"),
        ("image={\"repository\":\"team/tremplin\"}", "names no registry"),
        ("image={\"digest\":\"sha256:short\"}", "at '/image/digest'"),
        ("platform={\"profile\":\"cpin\"}", "'generic', 'cpin-pax', 'cpin-mi'"),
        ("metrics={\"port\":80}", "at '/metrics/port'"),
        ("security={\"runAsUser\":0}", "at '/security/runAsUser'"),
        (
            "resources={\"limits\":{\"cpu\":\"1\",\"memory\":\"lots\"}}",
            "at '/resources/limits/memory'",
        ),
        ("cluster=\"prod 1\"", "at '/cluster'"),
        ("proxy={\"https\":\"proxy:3128\"}", "at '/proxy/https'"),
        ("proxy={\"exclude\":[\"a,b\"]}", "at '/proxy/exclude/0'"),
        (
            "networkPolicy.dnsProviders={\"ports\":[70000]}",
            "at '/networkPolicy/dnsProviders/ports/0'",
        ),
        ("policyLabels={\"env\":\"not a label\"}", "at '/policyLabels/env'"),
        ("serviceAccount={\"create\":false}", "name the account to run as"),
        ("platform={\"file\":\"a: 1\",\"overrides\":{\"b\":1}}", "keep one"),
        (
            "metrics={\"service\":false,\"serviceMonitor\":{\"enabled\":true}}",
            "selects a Service",
        ),
    ] {
        let message = refusal(&[value]).await;
        assert!(message.contains(words), "{value}: {message}");
    }
}

#[tokio::test]
async fn the_workload_fits_pod_security_restricted_and_openshift_alike() {
    let objects = render(&[]).await;
    let pod = pod_spec(&objects);
    assert_eq!(
        pod["securityContext"],
        json!({"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}})
    );
    let container = &pod["containers"][0];
    assert_eq!(
        container["securityContext"],
        json!({
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": {"drop": ["ALL"]},
        })
    );
}

#[tokio::test]
async fn ids_are_set_when_they_are_given() {
    let objects = render(VALUE_SETS[2]).await;
    let context = &pod_spec(&objects)["securityContext"];
    assert_eq!(context["runAsUser"], 1_000_650_000);
    assert_eq!(context["runAsGroup"], 0);
    assert_eq!(context["fsGroup"], 1_000_650_000);
}

#[tokio::test]
async fn the_workload_keeps_the_rules_that_it_checks() {
    for values in VALUE_SETS {
        let objects = render(values).await;
        let deployment = of_kind(&objects, "Deployment")[0];
        for labels in [
            &deployment["metadata"]["labels"],
            &deployment["spec"]["template"]["metadata"]["labels"],
        ] {
            for (key, value) in [("app", "tremplin"), ("env", "prod"), ("tier", "backend")] {
                assert_eq!(labels[key], value, "{labels}");
            }
        }
        for container in pod_spec(&objects)["containers"].as_array().unwrap() {
            for kind in ["requests", "limits"] {
                assert!(
                    container["resources"][kind]["cpu"].is_string()
                        && container["resources"][kind]["memory"].is_string()
                );
            }
            assert!(container["livenessProbe"].is_object() && container["readinessProbe"].is_object());
            assert_eq!(container["imagePullPolicy"], "IfNotPresent");
        }
    }
}

#[tokio::test]
async fn what_the_chart_renders_keeps_the_rules_of_every_platform() {
    // A cluster-scoped object is what the platform team, and nobody else, installs.
    for profile in BUNDLED {
        let platform = Platform::bundled(profile.name).unwrap();
        for values in [VALUE_SETS[0], VALUE_SETS[1], VALUE_SETS[3]] {
            let pull = "imagePullSecrets=[{\"name\":\"registry-pull-secret\"}]";
            let objects = render(&[values, &[pull]].concat()).await;
            let findings = policy::check(&objects, &platform, &BTreeMap::new());
            let findings: Vec<_> = findings
                .iter()
                .filter(|finding| finding.rule != Rule::ClusterScoped)
                .collect();
            assert!(findings.is_empty(), "{}: {findings:#?}", profile.name);
        }
    }
}

#[tokio::test]
async fn no_right_is_a_wildcard_and_none_grants_rights() {
    let objects = render(&[]).await;
    let roles = [of_kind(&objects, "ClusterRole"), of_kind(&objects, "Role")].concat();
    assert_eq!(roles.len(), 6, "controller twice, view, edit, admin, read-dns");
    for role in roles {
        let text = role["rules"].to_string();
        assert!(!text.contains('*'), "{text}");
        for word in [
            "escalate",
            "bind",
            "impersonate",
            "rbac.authorization.k8s.io",
            "pods/exec",
            "nonResourceURLs",
        ] {
            assert!(!text.contains(&format!("\"{word}\"")), "{word} in {text}");
        }
    }
}

#[tokio::test]
async fn the_selector_is_the_same_whatever_the_values() {
    let expected = &of_kind(&render(&[]).await, "Deployment")[0]["spec"]["selector"].clone();
    for values in VALUE_SETS {
        let objects = render(values).await;
        let deployment = of_kind(&objects, "Deployment")[0];
        assert_eq!(&deployment["spec"]["selector"], expected);
        let labels = &deployment["spec"]["template"]["metadata"]["labels"];
        for (key, value) in expected["matchLabels"].as_object().unwrap() {
            assert_eq!(&labels[key], value);
        }
    }
}

/// The ports that the operator may go out to, each with its protocol, and where to.
fn ways_out(objects: &[Value]) -> Vec<(String, Value)> {
    let rules = of_kind(objects, "NetworkPolicy")[0]["spec"]["egress"]
        .as_array()
        .unwrap();
    let mut ways = Vec::new();
    for rule in rules {
        for port in rule["ports"].as_array().unwrap() {
            let way = format!("{}/{}", port["port"], port["protocol"].as_str().unwrap());
            ways.push((way, rule["to"].clone()));
        }
    }
    ways
}

#[tokio::test]
async fn the_operator_reaches_dns_and_the_providers_of_zones() {
    let ways = ways_out(&render(&[]).await);
    for port in ["53/UDP", "53/TCP", "443/TCP"] {
        assert!(ways.contains(&(port.to_owned(), Value::Null)), "{port}: {ways:?}");
    }
    let given = json!([{"ipBlock": {"cidr": "10.1.0.0/16"}}]);
    let ways = ways_out(&render(VALUE_SETS[1]).await);
    for port in ["8081/TCP", "8081/UDP", "3128/TCP"] {
        assert!(ways.contains(&(port.to_owned(), given.clone())), "{port}: {ways:?}");
    }
    let without: Vec<_> = ways_out(&render(VALUE_SETS[2]).await)
        .into_iter()
        .map(|(way, _)| way)
        .collect();
    let dns_and_server = ["53/UDP", "53/TCP", "5353/UDP", "5353/TCP", "443/TCP", "6443/TCP"];
    assert_eq!(without, dns_and_server);
}

#[tokio::test]
async fn the_cluster_and_the_proxy_are_given_to_the_operator() {
    let objects = render(VALUE_SETS[1]).await;
    let environment = pod_spec(&objects)["containers"][0]["env"].as_array().unwrap();
    for (name, value) in [
        ("TREMPLIN_CLUSTER", "prod-1"),
        ("HTTPS_PROXY", "http://proxy.internal:3128"),
        ("NO_PROXY", ".internal,10.0.0.0/8"),
    ] {
        let variable = json!({"name": name, "value": value});
        assert!(environment.contains(&variable), "{name}: {environment:?}");
    }
    let plain = render(&[]).await;
    let environment = pod_spec(&plain)["containers"][0]["env"].to_string();
    assert!(!environment.contains("PROXY") && !environment.contains("TREMPLIN_CLUSTER"));
}

#[tokio::test]
async fn two_replicas_are_spread_and_kept() {
    let one = render(&[]).await;
    assert!(
        of_kind(&one, "PodDisruptionBudget").is_empty(),
        "it would only stop a node from being drained"
    );
    assert!(pod_spec(&one)["topologySpreadConstraints"].is_null());
    let two = render(VALUE_SETS[1]).await;
    assert_eq!(of_kind(&two, "PodDisruptionBudget")[0]["spec"]["maxUnavailable"], 1);
    assert_eq!(
        pod_spec(&two)["topologySpreadConstraints"][0]["whenUnsatisfiable"],
        "ScheduleAnyway"
    );
}

#[tokio::test]
async fn an_option_switched_off_leaves_nothing_behind() {
    let objects = render(VALUE_SETS[3]).await;
    let kinds: Vec<_> = objects.iter().map(|object| object["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["ConfigMap", "Deployment"]);
    assert_eq!(pod_spec(&objects)["serviceAccountName"], "given");
}

/// The platform file that the controller would read.
fn platform_file(objects: &[Value]) -> &str {
    of_kind(objects, "ConfigMap")[0]["data"]["platform.yaml"]
        .as_str()
        .unwrap()
}

#[tokio::test]
async fn the_controller_can_read_the_platform_of_every_profile() {
    for profile in BUNDLED {
        let objects = render(&[&format!("platform.profile={:?}", profile.name)]).await;
        assert_eq!(
            Platform::parse(platform_file(&objects)).unwrap(),
            Platform::bundled(profile.name).unwrap()
        );
    }
}

#[tokio::test]
async fn an_override_replaces_a_section_and_leaves_the_others() {
    let security = "platform.overrides={\"security\":{\"type\":\"Restricted\",\"restricted\":{\"runAsUser\":1000650000,\"fsGroup\":7}}}";
    let objects = render(&["platform.profile=\"cpin-mi\"", security]).await;
    let platform = Platform::parse(platform_file(&objects)).unwrap();
    let profile = Platform::bundled("cpin-mi").unwrap();
    assert_eq!(
        platform.security(),
        &Security::Restricted {
            run_as_user: 1_000_650_000,
            run_as_group: None,
            fs_group: 7
        }
    );
    assert_eq!(platform.sizes(), profile.sizes());
    assert_eq!(platform.domains(), profile.domains());
}

#[tokio::test]
async fn a_platform_file_is_taken_as_it_is() {
    let objects = render(VALUE_SETS[3]).await;
    assert_eq!(platform_file(&objects).trim(), "timeZone: Europe/Paris");
}

#[tokio::test]
async fn the_kustomize_base_holds_the_operator_and_its_custom_resources() {
    let tools = tools::ensure(&[Tool::Kubectl]).await.unwrap();
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/base");
    let mut kubectl = Command::new(tools.path(Tool::Kubectl).unwrap());
    let output = kubectl.arg("kustomize").arg(base).output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let objects = objects(&String::from_utf8(output.stdout).unwrap());
    assert_eq!(
        objects.len(),
        render(&[]).await.len() + crd::all().len() + 1,
        "and a namespace"
    );
    let namespace = of_kind(&objects, "Namespace")[0]["metadata"]["name"].as_str();
    for object in &objects {
        let inside = object["metadata"]["namespace"].as_str();
        assert!(inside.is_none() || inside == namespace, "{object}");
    }
}

#[tokio::test]
async fn the_custom_resources_are_rendered_whole_and_kept() {
    let objects = template(&chart("tremplin-crds"), "operators", &[]).await.unwrap();
    let mut expected = serde_json::to_value(crd::all()).unwrap();
    for definition in expected.as_array_mut().unwrap() {
        definition["metadata"]["annotations"] = json!({"helm.sh/resource-policy": "keep"});
    }
    assert_eq!(json!(objects), expected);
}

#[tokio::test]
async fn a_digest_wins_over_a_tag() {
    let objects = render(VALUE_SETS[1]).await;
    let image = pod_spec(&objects)["containers"][0]["image"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(image, format!("quay.io/tools/tremplin@sha256:{}", "0".repeat(64)));
}

#[tokio::test]
async fn every_object_can_be_told_to_belong_to_the_release() {
    for object in render(VALUE_SETS[1]).await {
        assert_eq!(object["metadata"]["labels"]["app.kubernetes.io/instance"], "tremplin");
        assert_eq!(object["metadata"]["labels"]["team"], "platform");
        assert_eq!(object["metadata"]["annotations"]["contact"], "ops");
        let cluster_scoped = object["kind"].as_str().unwrap().starts_with("Cluster");
        assert_eq!(
            object["metadata"]["namespace"].as_str(),
            (!cluster_scoped).then_some("operators")
        );
    }
}

#[tokio::test]
async fn the_charts_work_as_dependencies_of_a_directory_of_charts_socle() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("charts-socle/tremplin");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let dependency = |name: &str| json!({"name": name, "version": "0.1.0", "repository": format!("file://{}", chart(name).display())});
    let umbrella = json!({
        "apiVersion": "v2", "name": "tremplin", "version": "1.0.0",
        "dependencies": [dependency("tremplin-crds"), dependency("tremplin")],
    });
    fs::write(folder.join("Chart.yaml"), umbrella.to_string()).unwrap();
    // A parent chart hands its `global` values down, and the schema must let them through.
    let values = json!({"global": {"zone": "x"}, "tremplin": {"platform": {"profile": "cpin-pax"}, "replicas": 2}});
    fs::write(folder.join("values.yaml"), values.to_string()).unwrap();
    let update = helm(&["dependency", "update", folder.to_str().unwrap()]).await;
    assert!(update.success, "{}", update.stderr);
    let objects = template(&folder, "operators", &[]).await.unwrap();
    assert_eq!(of_kind(&objects, "Deployment")[0]["spec"]["replicas"], 2);
    assert_eq!(of_kind(&objects, "Deployment")[0]["metadata"]["name"], "tremplin");
}
