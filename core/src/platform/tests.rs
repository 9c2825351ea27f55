use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

pub(super) const MINIMAL: &str = "sizes: {S: {cpu: 100m, memory: 128Mi, default: true}}\nsecurity: {type: OpenShift}\n";

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
fn the_longest_domain_decides_whether_a_host_gets_a_record() {
    let platform = with(
        "domains:
- {domain: '*', dnsRecords: true}
- {domain: a.fr}
- {domain: www.a.fr, dnsRecords: true}
- {domain: www.a.fr}
- {domain: mine.a.fr, dnsRecords: true, allowedNamespaces: {matchLabels: {team: core}}}",
    );
    let (core, other) = (labels(&[("team", "core")]), labels(&[]));
    for (host, labels, given) in [
        ("b.org", &other, true),
        ("a.fr", &other, false),
        ("x.a.fr", &other, false),
        ("www.a.fr", &other, true),
        ("x.www.a.fr", &other, true),
        ("xwww.a.fr", &other, false),
        ("mine.a.fr", &core, true),
        ("mine.a.fr", &other, false),
    ] {
        let namespace = platform.namespace("apps", labels);
        assert_eq!(platform.gives_record(host, &namespace), given, "{host} {labels:?}");
    }
    assert!(!with("").gives_record("a.fr", &with("").namespace("apps", &other)));
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
