use std::collections::BTreeMap;

use super::*;
use crate::app::hosts::{Carrier, HostFacts};
use crate::app::testing::{app, platform};
use crate::app::valid::Health;

fn with(spec: &str, hosts: &HostClaims) -> Result<ValidApp, Faults> {
    let platform = platform();
    let namespace = platform.namespace("brigade-ns", &BTreeMap::new());
    validate(
        &app(spec),
        Context {
            platform: &platform,
            namespace: &namespace,
            hosts,
        },
    )
}

fn valid(spec: &str) -> ValidApp {
    with(spec, &HostClaims::default()).unwrap()
}

/// The first fault as `field: reason: message`.
fn fault(spec: &str) -> String {
    let fault = with(spec, &HostClaims::default()).unwrap_err().remove(0);
    format!(
        "{}: {}: {} ({})",
        fault.field.unwrap_or_default(),
        fault.reason.as_str(),
        fault.message,
        fault.fix
    )
}

const I: &str = "image: 'ghcr.io/b/s:1'";

#[test]
fn six_lines_are_one_reachable_web_process() {
    let app = valid(&format!("{{{I}}}"));
    let web = app.main().unwrap();
    assert_eq!(
        (web.name.as_str(), web.port, web.replicas, web.start_seconds),
        ("web", Some(8080), 2, 60)
    );
    assert_eq!(web.health, Health::Tcp { port: 8080 });
}

#[test]
fn outside_production_one_instance_is_enough() {
    assert_eq!(
        valid(&format!("{{{I}, environment: Staging}}"))
            .main()
            .unwrap()
            .replicas,
        1
    );
    assert_eq!(
        valid(&format!(
            "{{{I}, environment: Staging, processes: [{{name: web, replicas: 3}}]}}"
        ))
        .main()
        .unwrap()
        .replicas,
        3
    );
}

#[test]
fn health_is_http_else_tcp_else_the_command_else_nothing() {
    let health = |process: &str| {
        valid(&format!("{{{I}, exposure: None, processes: [{process}]}}"))
            .processes
            .remove(0)
            .health
    };
    assert_eq!(
        health("{name: web, health: {path: /up}}"),
        Health::Http {
            path: "/up".into(),
            port: 8080
        }
    );
    assert_eq!(
        health("{name: web, health: {path: /up, port: 9000}}"),
        Health::Http {
            path: "/up".into(),
            port: 9000
        }
    );
    assert_eq!(
        health("{name: web, health: {command: [ok]}}"),
        Health::Command(vec!["ok".into()])
    );
    assert_eq!(health("{name: worker}"), Health::Running);
}

// One row per fault.
#[allow(clippy::too_many_lines)]
#[test]
fn bad_input_names_the_field_the_reason_and_the_fix() {
    for (spec, said) in [
        ("{}".to_owned(), "spec.image: InvalidSpec: is missing"),
        (
            "{image: nginx}".into(),
            "spec.image: InvalidImage: the image nginx does not name its registry",
        ),
        (
            format!("{{{I}, processes: [{{name: web, image: 'ghcr.io/b/s:latest'}}]}}"),
            "spec.processes[0].image: InvalidImage",
        ),
        (
            format!("{{{I}, processes: [{{name: web}}, {{name: web}}]}}"),
            "spec.processes: InvalidSpec: two processes have the name web",
        ),
        (
            format!("{{{I}, processes: [{{name: Web}}]}}"),
            "spec.processes[0].name: InvalidSpec",
        ),
        (
            format!("{{{I}, processes: [{{name: web, size: huge}}]}}"),
            "spec.processes[0].size: UnknownSize",
        ),
        (
            format!("{{{I}, processes: [{{name: web, resources: {{cpu: lots, memory: 1Gi}}}}]}}"),
            "spec.processes[0].resources.cpu: InvalidSpec",
        ),
        (
            format!("{{{I}, processes: [{{name: web, resources: {{cpu: '0', memory: 1Gi}}}}]}}"),
            "spec.processes[0].resources.cpu: InvalidSpec: \"0\" is less than 1m",
        ),
        (
            format!("{{{I}, processes: [{{name: web, resources: {{cpu: '1', memory: '1'}}}}]}}"),
            "spec.processes[0].resources.memory: InvalidSpec: \"1\" is less than 6Mi",
        ),
        (
            format!("{{{I}, volumes: [{{name: v, mountPath: /d, temporary: {{size: '0'}}}}]}}"),
            "spec.volumes[0].temporary.size: InvalidSpec: \"0\" is less than 4Ki",
        ),
        (
            format!("{{{I}, processes: [{{name: worker, health: {{path: /up}}}}], exposure: None}}"),
            "spec.processes[0].health.path",
        ),
        (
            format!("{{{I}, processes: [{{name: web, health: {{command: [ok], port: 9999}}}}]}}"),
            "spec.processes[0].health: InvalidSpec: has both command and port",
        ),
        (
            format!("{{{I}, processes: [{{name: worker, health: {{startSeconds: 90}}}}], exposure: None}}"),
            "spec.processes[0].health.startSeconds: InvalidSpec: nothing tells",
        ),
        (
            format!("{{{I}, exposure: moon}}"),
            "spec.exposure: UnknownExposure: the platform has no exposure moon (use one of",
        ),
        (
            format!("{{{I}, hosts: [a.example.org, a.example.org]}}"),
            "spec.hosts: InvalidSpec: the host a.example.org stands twice",
        ),
        (
            format!("{{{I}, exposure: None, hosts: [a.example.org]}}"),
            "spec.hosts: InvalidSpec: exposure is None",
        ),
        (
            format!("{{{I}, processes: [{{name: worker}}], exposure: public}}"),
            "no process has a port",
        ),
        (
            format!("{{{I}, routes: [{{path: /api, process: api}}]}}"),
            "spec.routes[0].process: InvalidSpec: there is no process api",
        ),
        (
            format!("{{{I}, processes: [{{name: web}}, {{name: worker}}], routes: [{{path: /, process: worker}}]}}"),
            "spec.routes[0].process: InvalidSpec: the process worker has no port",
        ),
        (
            format!("{{{I}, routes: [{{path: /, process: web}}, {{path: /, process: web}}]}}"),
            "spec.routes[1].path",
        ),
        (
            format!("{{{I}, routes: [{{host: x.org, path: /, process: web}}]}}"),
            "spec.routes[0].host",
        ),
        (
            format!("{{{I}, env: {{A: $(B), B: $(A)}}}}"),
            "spec.env.A: EnvCycle: the variables refer to each other in a circle: A -> B -> A",
        ),
        (format!("{{{I}, env: {{PORT: '1'}}}}"), "spec.env.PORT: InvalidSpec"),
        (format!("{{{I}, env: {{1A: x}}}}"), "spec.env.1A: InvalidSpec"),
        (
            format!("{{{I}, crons: [{{name: a, schedule: '* * *'}}]}}"),
            "spec.crons[0].schedule: InvalidSchedule",
        ),
        (
            format!("{{{I}, crons: [{{name: a, schedule: '0 0 30 2 *'}}]}}"),
            "never fires",
        ),
        (
            format!("{{{I}, crons: [{{name: a, schedule: '@daily', timeZone: Paris}}]}}"),
            "spec.crons[0].timeZone: InvalidSchedule",
        ),
        (
            format!("{{{I}, crons: [{{name: a, schedule: '@daily', process: x}}]}}"),
            "spec.crons[0].process",
        ),
        (
            format!("{{{I}, crons: [{{name: a, schedule: '@daily'}}, {{name: a, schedule: '@daily'}}]}}"),
            "two crons",
        ),
        (
            format!("{{{I}, release: {{command: []}}}}"),
            "spec.release.command: InvalidSpec: is empty",
        ),
        (
            format!("{{{I}, links: {{\"Site d'équipe\": 'https://example.org'}}}}"),
            "spec.links.Site d'équipe: InvalidSpec",
        ),
        (
            format!("{{{I}, links: {{'': 'https://example.org'}}}}"),
            "spec.links.: InvalidSpec",
        ),
        (
            format!("{{{I}, volumes: [{{name: v, mountPath: /tmp, temporary: {{}}}}]}}"),
            "spec.volumes[0].mountPath",
        ),
        (
            format!("{{{I}, volumes: [{{name: v, mountPath: /data}}]}}"),
            "spec.volumes[0]: InvalidSpec: needs exactly one",
        ),
        (
            format!("{{{I}, volumes: [{{name: v, process: x, mountPath: /data, temporary: {{}}}}]}}"),
            "spec.volumes[0].process",
        ),
        (
            format!(
                "{{{I}, volumes: [{{name: v, mountPath: /d, temporary: {{}}}}, {{name: w, mountPath: /d, temporary: {{}}}}]}}"
            ),
            "spec.volumes[1].mountPath",
        ),
    ] {
        let told = fault(&spec);
        assert!(told.contains(said), "{spec}\n{told}\nshould contain {said}");
        assert!(!told.ends_with("()"), "{spec} has no fix");
    }
}

#[test]
fn a_host_that_is_held_is_refused_without_naming_what_may_not_be_seen() {
    let carrier = Carrier {
        namespace: "secret-ns".into(),
        name: "secret-name".into(),
        app_uid: Some("other".into()),
    };
    let facts = BTreeMap::from([(
        "a.example.org".to_owned(),
        HostFacts {
            carriers: vec![carrier],
            ..HostFacts::default()
        },
    )]);
    let claims = HostClaims::judge("brigade-ns", "app-uid", &facts);
    let faults = with(&format!("{{{I}, hosts: [a.example.org]}}"), &claims).unwrap_err();
    let taken = faults.iter().find(|fault| fault.reason == Reason::HostTaken).unwrap();
    assert!(!taken.to_string().contains("secret"), "{taken}");
}

#[test]
fn routes_are_longest_first_and_the_rest_goes_to_web() {
    let app = valid(&format!(
        "{{{I}, processes: [{{name: api, port: 9000}}, {{name: web}}], routes: [{{path: /api, process: api}}, {{path: /api/v2/files, process: web}}]}}"
    ));
    let paths = &app.exposure.unwrap().hosts[0].paths;
    assert_eq!(
        paths
            .iter()
            .map(|(path, process)| format!("{path} {process}"))
            .collect::<Vec<_>>(),
        ["/api/v2/files web", "/api api", "/ web"]
    );
}

#[test]
fn a_path_that_no_ingress_takes_or_matches_is_refused() {
    for path in [
        "api", "//", "/a//b", "/a/./b", "/a/../b", "/a%2fb", "/a%2Fb", "/a/.", "/a/..", "/..", "/a?x=1", "/a#b",
        "/a b", "/é", "/a%", "/a%zz", "/a%2", "/\\n", "/a\\\"b",
    ] {
        let told = fault(&format!("{{{I}, routes: [{{path: \"{path}\", process: web}}]}}"));
        assert!(
            told.starts_with("spec.routes[0].path: InvalidSpec: the path "),
            "{told}"
        );
    }
    for path in [
        "/",
        "/api",
        "/api/",
        "/.well-known",
        "/a..b",
        "/a.",
        "/%C3%A9",
        "/a:b@c;d=e,f",
    ] {
        valid(&format!("{{{I}, routes: [{{path: '{path}', process: web}}]}}"));
    }
    let told = fault(&format!(
        "{{{I}, routes: [{{path: /a, process: web}}, {{path: /a/, process: web}}]}}"
    ));
    assert!(
        told.starts_with("spec.routes[1].path: InvalidSpec: the path /a/ stands twice"),
        "{told}"
    );
}

#[test]
fn a_mount_path_is_written_in_one_way() {
    let volume = |path: &str| format!("{{{I}, volumes: [{{name: v, mountPath: \"{path}\", temporary: {{}}}}]}}");
    for path in [
        "/",
        "//",
        "//tmp",
        "/tmp",
        "/tmp/",
        "/tmp//",
        "/./tmp",
        "/d/../tmp",
        "/d/..",
        "/d//e",
        "d",
    ] {
        let told = fault(&volume(path));
        assert!(
            told.starts_with("spec.volumes[0].mountPath: InvalidSpec"),
            "{path}: {told}"
        );
    }
    for path in ["/d", "/d/", "/tmp/d", "/..d", "/d.e/.f"] {
        valid(&volume(path));
    }
    let told = fault(&format!(
        "{{{I}, volumes: [{{name: v, mountPath: /d, temporary: {{}}}}, {{name: w, mountPath: /d/, temporary: {{}}}}]}}"
    ));
    assert!(told.contains("has another volume at /d"), "{told}");
}

#[test]
fn a_volume_is_seen_by_its_process_or_by_all() {
    let app = valid(&format!(
        "{{{I}, processes: [{{name: web}}, {{name: worker}}], volumes: [{{name: a, process: worker, mountPath: /a, temporary: {{}}}}, {{name: b, mountPath: /b/, secretRef: {{name: s}}}}]}}"
    ));
    let seen = |name: &str| {
        app.process(name)
            .unwrap()
            .program
            .volumes
            .iter()
            .map(|v| v.mount_path.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(seen("web"), ["/b"]);
    assert_eq!(seen("worker"), ["/a", "/b"]);
}

#[test]
fn a_refused_app_keeps_nobody_from_a_host() {
    let platform = Platform::parse(
        "{domains: [{domain: prod.example.org, allowedNamespaces: {matchLabels: {stage: prod}}}, {domain: example.net}],
          exposures: [{name: public, default: true, scheme: http, type: Ingress}],
          sizes: {M: {cpu: '1', memory: 2Gi, default: true}}, security: {type: OpenShift}}",
    )
    .unwrap();
    for (spec, stage, wanted) in [
        ("{image: 'ghcr.io/b/s:1', hosts: [www.prod.example.org]}", "prod", 1),
        ("{image: 'ghcr.io/b/s:1', hosts: [www.prod.example.org]}", "dev", 0),
        ("{image: nginx, hosts: [www.example.net]}", "dev", 0),
        ("{image: 'ghcr.io/b/s:1', hosts: [www.example.net]}", "dev", 1),
    ] {
        let labels = BTreeMap::from([("stage".to_owned(), stage.to_owned())]);
        let namespace = platform.namespace("brigade-ns", &labels);
        let app = crate::app::testing::app(spec);
        assert_eq!(
            wanted_hosts(&app, &platform, &namespace).len(),
            wanted,
            "{spec} in {stage}"
        );
    }
}
