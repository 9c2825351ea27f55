use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const MINIMAL: &str = "sizes: {S: {cpu: 100m, memory: 128Mi, default: true}}\nsecurity: {type: OpenShift}\n";

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

fn with(extra: &str) -> Platform {
    Platform::parse(&format!("{MINIMAL}{extra}")).unwrap()
}

fn console(environment: &str) -> BTreeMap<String, String> {
    labels(&[
        ("app.kubernetes.io/managed-by", "dso-console"),
        ("dso/environment", environment),
        ("dso/project.slug", "annuaire"),
    ])
}

#[test]
fn every_bundled_profile_parses_and_is_found_by_its_name() {
    for profile in BUNDLED {
        let parsed = Platform::parse(profile.text).unwrap_or_else(|error| panic!("{}: {error}", profile.name));
        assert_eq!(Platform::bundled(profile.name), Some(parsed));
    }
    assert_eq!(Platform::bundled("nowhere"), None);
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn a_bad_file_is_told_with_line_field_and_reason() {
    for (extra, line, field, reason) in [
        ("domain: []", 3, "domain", "unknown field"),
        (
            "domains: [{domain: Example.org}]",
            3,
            "domains[0].domain",
            "not a DNS name in lower case",
        ),
        (
            "domains:\n- domain: a.fr\n  hostTemplate: '{app}.a.fr'",
            5,
            "domains[0].hostTemplate",
            "must end with .{domain}",
        ),
        (
            "domains: [{domain: a.fr, hostTemplate: 'x.{domain}'}]",
            3,
            "domains[0].hostTemplate",
            "must hold {app}",
        ),
        (
            "domains: [{domain: a.fr, hostTemplate: '{app}{who}.{domain}'}]",
            3,
            "domains[0].hostTemplate",
            "{who} is unknown",
        ),
        (
            "domains: [{domain: a.fr, hostTemplate: '{app}_x.{domain}'}]",
            3,
            "domains[0].hostTemplate",
            "may hold only",
        ),
        (
            "domains: [{domain: a.fr, hostTemplate: '{app.{domain}'}]",
            3,
            "domains[0].hostTemplate",
            "without its }",
        ),
        (
            "domains: [{domain: '*', hostTemplate: '{app}.{domain}'}]",
            3,
            "domains[0].hostTemplate",
            "cannot give hosts",
        ),
        (
            "domains: [{domain: a.fr, allowedNamespaces: {matchLabels: {'a/b/c': x}}}]",
            3,
            "domains[0].allowedNamespaces.matchLabels.a/b/c",
            "not a label key",
        ),
        (
            "environments: [{labels: {}, environment: Staging}]",
            3,
            "environments[0].labels",
            "at least one label",
        ),
        (
            "environments: [{labels: {a: b}, environment: Test}]",
            3,
            "environments[0].environment",
            "unknown variant",
        ),
        ("projectLabel: '-'", 3, "projectLabel", "not a label key"),
        ("labels: {keys: {app: x, env: x}}", 3, "labels.keys.env", "used twice"),
        (
            "labels: {keys: {app: tremplin.dev/app}}",
            3,
            "labels.keys.app",
            "kept for",
        ),
        (
            "labels: {environmentValues: {Staging: 'a b'}}",
            3,
            "labels.environmentValues.Staging",
            "not a label value",
        ),
        (
            "exposures: [{name: None, scheme: http, type: Ingress}]",
            3,
            "exposures[0].name",
            "not a name",
        ),
        (
            "exposures: [{name: a, scheme: ftp, type: Ingress}]",
            3,
            "exposures[0].scheme",
            "unknown variant",
        ),
        (
            "exposures: [{name: a, scheme: http, type: HTTPRoute}]",
            3,
            "exposures[0].type",
            "unknown variant",
        ),
        (
            "exposures: [{name: a, scheme: http, port: 70000, type: Ingress}]",
            3,
            "exposures[0].port",
            "between 1 and 65535",
        ),
        (
            "exposures: [{name: a, scheme: http, type: Ingress, ingress: {tls: {type: ControllerDefault}}}]",
            3,
            "exposures[0].scheme",
            "must be https",
        ),
        (
            "exposures: [{name: a, scheme: https, type: Ingress, ingress: {tls: {type: Secret}}}]",
            3,
            "exposures[0].ingress.tls.secret.name",
            "must name a Secret",
        ),
        (
            "exposures: [{name: a, scheme: https, type: Ingress, ingress: {tls: {type: CertManager, secret: {name: x}}}}]",
            3,
            "exposures[0].ingress.tls.secret",
            "only for type: Secret",
        ),
        (
            "exposures:\n- {name: a, scheme: http, type: Ingress}\n- {name: a, scheme: http, type: Ingress}",
            5,
            "exposures[1].name",
            "there twice",
        ),
        (
            "exposures:\n- {name: a, scheme: http, type: Ingress, default: true}\n- {name: b, scheme: http, type: Ingress, default: true}",
            5,
            "exposures[1].default",
            "default already",
        ),
        (
            "registries: {allowed: [ghcr.io]}",
            3,
            "registries.allowed[0]",
            "a slash",
        ),
        (
            "registries: {pullSecrets: ['a b']}",
            3,
            "registries.pullSecrets[0]",
            "not the name of a Secret",
        ),
        ("timeZone: Europe/Pariss", 3, "timeZone", "no IANA time zone"),
        (
            "policies: {probe: Warn}",
            3,
            "policies.probe",
            "no such rule; there are image-registry",
        ),
        (
            "policies: {probes: Deny}",
            3,
            "policies.probes",
            "none of Off, Warn, Enforce",
        ),
        (
            "argoCD: {instanceLabelKey: x.org/instance}\nlabels: {keys: {app: x.org/instance}}",
            4,
            "labels.keys.app",
            "kept for other tools",
        ),
        (
            "argoCD: {instanceLabelKey: 'a b'}",
            3,
            "argoCD.instanceLabelKey",
            "not a label key",
        ),
        ("timeZone:", 3, "timeZone", "has no value"),
        ("sizes: {}", 3, "", "duplicate mapping key"),
    ] {
        let error = Platform::parse(&format!("{MINIMAL}{extra}")).unwrap_err();
        assert_eq!(
            (error.location.line, error.field.as_str()),
            (line, field),
            "{extra}: {error}"
        );
        assert!(error.reason.contains(reason), "{extra}: {error}");
        assert!(
            error.to_string().starts_with(&format!("line {line}, column ")),
            "{error}"
        );
    }
}

#[test]
fn a_bad_size_or_identity_is_told() {
    for (text, field, reason) in [
        ("sizes: {}\nsecurity: {type: OpenShift}", "sizes", "exactly one size"),
        (
            "sizes: {S: {cpu: 1, memory: 1Gi, default: true}}\nsecurity: {type: OpenShift}",
            "sizes.S.cpu",
            "invalid type",
        ),
        (
            "sizes: {S: {cpu: '1', memory: 1GB, default: true}}\nsecurity: {type: OpenShift}",
            "sizes.S.memory",
            "not a quantity",
        ),
        (
            "sizes: {S: {cpu: '0', memory: 1Gi, default: true}}\nsecurity: {type: OpenShift}",
            "sizes.S.cpu",
            "more than nothing",
        ),
        (
            "sizes: {S: {cpu: 1m, memory: 1Gi}}\nsecurity: {type: OpenShift}",
            "sizes",
            "exactly one size",
        ),
        (
            "sizes: {A: {cpu: 1m, memory: 1Gi, default: true}, B: {cpu: 1m, memory: 1Gi, default: true}}\nsecurity: {type: OpenShift}",
            "sizes.B.default",
            "default already",
        ),
        (
            "sizes: {a b: {cpu: 1m, memory: 1Gi, default: true}}\nsecurity: {type: OpenShift}",
            "sizes.a b",
            "at most 20",
        ),
        (
            "sizes: {S: {cpu: 1m, memory: 1Gi, default: true}}",
            "",
            "missing field `security`",
        ),
        (
            "sizes: {S: {cpu: 1m, memory: 1Gi, default: true}}\nsecurity: {type: Restricted}",
            "security.restricted",
            "is missing",
        ),
        (
            "sizes: {S: {cpu: 1m, memory: 1Gi, default: true}}\nsecurity: {type: Restricted, restricted: {runAsUser: 0, fsGroup: 1}}",
            "security.restricted.runAsUser",
            "0 is root",
        ),
        (
            "sizes: {S: {cpu: 1m, memory: 1Gi, default: true}}\nsecurity: {type: OpenShift, restricted: {runAsUser: 5, fsGroup: 1}}",
            "security.restricted",
            "only for type",
        ),
    ] {
        let error = Platform::parse(text).unwrap_err();
        assert_eq!(error.field, field, "{text}: {error}");
        assert!(error.reason.contains(reason), "{text}: {error}");
    }
}

#[test]
fn what_is_left_out_is_closed() {
    let platform = with("");
    let namespace = platform.namespace("apps", &labels(&[]));
    assert_eq!(
        (namespace.environment, namespace.environment_assumed),
        (Environment::Production, true)
    );
    assert_eq!(namespace.project, None);
    assert!(!platform.host_allowed("a.example.org", &namespace));
    assert_eq!(platform.host_for("a", Environment::Production, &namespace), None);
    assert_eq!(platform.default_exposure(), None);
    assert_eq!(platform.time_zone().as_str(), "Etc/UTC");
    assert_eq!(platform.label_keys(), &LabelKeys::default());
    assert_eq!(platform.env_label_value(Environment::Staging), "staging");
    assert_eq!(platform.policy(Rule::Probes), Mode::Enforce);
}

#[test]
fn off_is_off_though_yaml_takes_it_for_false() {
    for off in ["Off", "'Off'", "false"] {
        assert_eq!(
            with(&format!("policies: {{probes: {off}}}")).policy(Rule::Probes),
            Mode::Off
        );
    }
}

#[test]
fn a_namespace_is_known_by_its_labels() {
    let platform = Platform::bundled("cpin-pax").unwrap();
    for (name, environment, assumed) in [
        ("prod", Environment::Production, false),
        ("preprod2", Environment::Staging, false),
        ("dev", Environment::Development, false),
        ("pr1234", Environment::Development, false),
        ("demo", Environment::Production, true),
    ] {
        let namespace = platform.namespace("b4qjvd14--22dxmh", &console(name));
        assert_eq!(
            (namespace.environment, namespace.environment_assumed),
            (environment, assumed),
            "{name}"
        );
        assert_eq!(namespace.project.as_deref(), Some("annuaire"));
    }
}

#[test]
fn a_domain_is_for_the_namespaces_it_names() {
    let platform = Platform::bundled("cpin-pax").unwrap();
    let prod = platform.namespace("x", &console("prod"));
    let dev = platform.namespace("y", &console("dev"));
    let stranger = platform.namespace("z", &labels(&[("dso/environment", "prod")]));
    for (host, namespace, allowed) in [
        ("annuaire.beta.gouv.fr", &prod, true),
        ("beta.gouv.fr", &prod, true),
        ("annuaire.beta.gouv.fr", &dev, false),
        ("annuaire.incubateur.net", &dev, true),
        ("annuaire.incubateur.net", &prod, false),
        ("evilbeta.gouv.fr", &prod, false),
        ("beta.gouv.fr.example.org", &prod, false),
        ("annuaire.beta.gouv.fr", &stranger, false),
    ] {
        assert_eq!(
            platform.host_allowed(host, namespace),
            allowed,
            "{host} in {}",
            namespace.name
        );
    }
}

#[test]
fn the_template_gives_the_host() {
    let platform = Platform::bundled("cpin-mi").unwrap();
    let dev = platform.namespace("b4qjvd14--22dxmh", &console("dev"));
    let host = platform.host_for("portail", Environment::Development, &dev).unwrap();
    assert_eq!(host, "portail-dev-annuaire.app.mi.cpin.numerique-interieur.com");
    assert!(platform.host_allowed(&host, &dev));

    let platform = with(
        "domains: [{domain: a.fr, hostTemplate: '{app}.{environment}.{label:team}.{domain}'}]\n\
                         labels: {environmentValues: {Staging: preprod}}",
    );
    let namespace = platform.namespace("apps", &labels(&[("team", "Les_Gens.")]));
    assert_eq!(
        platform.host_for("portail", Environment::Staging, &namespace).unwrap(),
        "portail.preprod.les-gens.a.fr"
    );
}

#[test]
fn a_missing_label_becomes_a_hash_of_the_namespace() {
    let platform = with("domains: [{domain: a.fr, hostTemplate: '{app}-{project}.{domain}'}]");
    let host = |namespace: &str| {
        platform
            .host_for(
                "portail",
                Environment::Staging,
                &platform.namespace(namespace, &labels(&[])),
            )
            .unwrap()
    };
    assert_ne!(host("one"), host("two"));
    assert_eq!(
        host("one"),
        format!("portail-{}.a.fr", crate::names::hash_suffix(&["one"]))
    );
}

#[test]
fn an_exposure_knows_its_url() {
    let platform = with(
        "exposures:\n- {name: a, scheme: https, port: 443, type: Ingress}\n- {name: b, scheme: http, port: 8081, type: Ingress, default: true}",
    );
    assert_eq!(platform.exposure("a").unwrap().url("x.fr"), "https://x.fr");
    assert_eq!(platform.default_exposure().unwrap().url("x.fr"), "http://x.fr:8081");
    assert_eq!(platform.exposure("c"), None);
}

#[test]
fn images_are_allowed_by_registry() {
    let platform = Platform::bundled("cpin-mi").unwrap();
    assert!(platform.registries().allows("ghcr.io/betagouv/annuaire"));
    assert!(!platform.registries().allows("registry.example.org/annuaire"));
    assert!(with("").registries().allows("registry.example.org/annuaire"));
}

#[test]
fn sizes_are_canonical_and_ordered() {
    let text = "sizes: {small: {cpu: 1000m, memory: 1024Mi}, tiny: {cpu: '0.1', memory: 0.5Gi, default: true}}\nsecurity: {type: OpenShift}";
    let platform = Platform::parse(text).unwrap();
    let shown: Vec<_> = platform
        .sizes()
        .iter()
        .map(|size| format!("{} {} {}", size.name, size.cpu, size.memory))
        .collect();
    assert_eq!(shown, ["tiny 100m 512Mi", "small 1 1Gi"]);
    assert_eq!(platform.default_size().name, "tiny");
    assert_eq!(platform.size("medium"), None);
}

proptest! {
    #[test]
    fn a_template_gives_only_legal_and_allowed_hosts(
        app in "[a-z]([-a-z0-9]{0,38}[a-z0-9])?", project in "[A-Za-z0-9_.-]{0,63}", namespace in "[a-z]([-a-z0-9]{0,61}[a-z0-9])?",
    ) {
        let platform = with("domains: [{domain: app.example.org, hostTemplate: '{app}-{environment}-{label:p}-{namespace}.{project}.{domain}'}]\nprojectLabel: p");
        let context = platform.namespace(&namespace, &labels(&[("p", &project)]));
        let host = platform.host_for(&app, Environment::Staging, &context).unwrap();
        prop_assert!(label::is_dns_name(&host), "{host}");
        prop_assert!(platform.host_allowed(&host, &context));
    }

    #[test]
    fn a_host_that_was_cut_still_tells_apps_and_namespaces_apart(
        a in "[ab]{1,6}", b in "[ab]{1,6}", n in "[ab]{60}", m in "[ab]{60}",
    ) {
        prop_assume!((&a, &n) != (&b, &m));
        let platform = with("domains: [{domain: a.fr, hostTemplate: '{app}-{namespace}.{domain}'}]");
        let host = |app: &str, namespace: &str| {
            platform.host_for(app, Environment::Staging, &platform.namespace(namespace, &labels(&[]))).unwrap()
        };
        prop_assert_ne!(host(&a, &n), host(&b, &m));
    }
}
