//! A platform file that cannot work is told with its line, field and reason.

use super::tests::MINIMAL;
use super::*;

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
            "exposures: [{name: a, scheme: http, type: Ingress, targets: [Lb.example.org]}]",
            3,
            "exposures[0].targets",
            "neither an address nor a DNS name",
        ),
        (
            "exposures: [{name: a, scheme: http, type: Ingress, targets: [192.0.2.1, lb.example.org]}]",
            3,
            "exposures[0].targets",
            "addresses, or one host alone",
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
