//! Specs that the API server takes, and those that it refuses.

/// A claim that is taken.
pub const CLAIM: &str =
    "{key: a.example.org, zone: example.org, holder: {namespace: blue}, claimedAt: '2026-01-01T00:00:00Z'}";

/// Kind and spec.
pub const TAKEN: [(&str, &str); 18] = [
    (
        "DnsRecord",
        "{name: a.example.org, targets: [192.0.2.1, '2001:db8::1']}",
    ),
    ("DnsRecord", "{name: Été.example.org., targets: [host.example.net]}"),
    (
        "DnsRecord",
        "{name: a.example.org, type: ALIAS, targets: [host.example.net], ttlSeconds: 1}",
    ),
    (
        "DnsRecord",
        "{name: a.example.org, type: TXT, values: ['v=spf1 -all'], deletionPolicy: Retain}",
    ),
    ("DnsRecord", "{name: a.example.org, type: Auto, appRef: {name: app}}"),
    ("DnsRecord", "{name: a.example.org, mail: {preset: None}}"),
    (
        "DnsRecord",
        "{name: a.example.org, mail: {mx: [{priority: 0, host: .}]}}",
    ),
    (
        "DnsRecord",
        "{name: a.example.org, mail: {preset: Brevo, dkim: [{selector: s, target: k.example.net}]}}",
    ),
    (
        "DnsRecord",
        "{name: a.example.org, delegation: {nameservers: [ns1.example.net, ns2.example.net], ds: ['1 13 2 ab']}}",
    ),
    ("DnsZone", "{domain: example.org, provider: {type: Request}}"),
    (
        "DnsZone",
        "{domain: example.org, provider: {type: OVH, secretRef: {name: s}}, mode: Enforce, admission: {namespaces: {}}}",
    ),
    (
        "DnsZone",
        "{domain: example.org, provider: {type: PowerDNS, secretRef: {name: s}, powerDNS: {url: 'https://p.example.org:8081'}}}",
    ),
    (
        "DnsZone",
        "{domain: example.org, provider: {type: RFC2136, secretRef: {name: s}, rfc2136: {server: '[2001:db8::1]:53'}}}",
    ),
    (
        "DnsZone",
        "{domain: example.org, provider: {type: ExternalDNS, externalDNS: {labels: {a: b}}}}",
    ),
    (
        "DnsZone",
        "{domain: example.org, provider: {type: Request}, adoptions: [{name: www.example.org, namespaceSelector: {matchExpressions: [{key: a, operator: Exists}, {key: b, operator: In, values: [c]}]}}]}",
    ),
    (
        "DnsZone",
        "{domain: example.org, provider: {type: Request}, ttl: {min: 60, max: 60}, claims: {depth: 5, releaseAfterSeconds: 0}}",
    ),
    (
        "DnsZone",
        "{domain: example.org, provider: {type: Gandi, secretRef: {name: s}, caSecretRef: {name: c}}, authorities: [{address: 192.0.2.1, port: 5353}], drift: {policy: Warn, intervalSeconds: 10}}",
    ),
    ("DnsClaim", CLAIM),
];

/// Kind, spec, and what the API server says: bounds and fields of the schema.
pub const REFUSED: [(&str, &str, &str); 26] = [
    ("DnsRecord", "{targets: [192.0.2.1]}", "spec.name"),
    ("DnsRecord", "{name: '', targets: [192.0.2.1]}", "spec.name"),
    ("DnsRecord", "{name: a.example.org, targets: []}", "spec.targets"),
    ("DnsRecord", "{name: a.example.org, targets: ['']}", "spec.targets[0]"),
    (
        "DnsRecord",
        "{name: a.example.org, targets: [192.0.2.1], ttlSeconds: 0}",
        "spec.ttlSeconds",
    ),
    (
        "DnsRecord",
        "{name: a.example.org, targets: [192.0.2.1], ttlSeconds: 2147483648}",
        "spec.ttlSeconds",
    ),
    (
        "DnsRecord",
        "{name: a.example.org, type: PTR, values: [x]}",
        "spec.type",
    ),
    ("DnsRecord", "{name: a.example.org, type: DS, values: [x]}", "spec.type"),
    (
        "DnsRecord",
        "{name: a.example.org, type: TXT, values: []}",
        "spec.values",
    ),
    (
        "DnsRecord",
        "{name: a.example.org, type: TXT, values: ['']}",
        "spec.values[0]",
    ),
    (
        "DnsRecord",
        "{name: a.example.org, mail: {preset: Other}}",
        "spec.mail.preset",
    ),
    (
        "DnsRecord",
        "{name: a.example.org, mail: {mx: [{priority: 65536, host: a.org}]}}",
        "spec.mail.mx[0].priority",
    ),
    (
        "DnsRecord",
        "{name: a.example.org, mail: {dkim: [{selector: s, record: x}, {selector: s, record: y}]}}",
        "Duplicate value",
    ),
    (
        "DnsRecord",
        "{name: a.example.org, delegation: {nameservers: [ns1.example.net]}}",
        "spec.delegation.nameservers",
    ),
    (
        "DnsRecord",
        "{name: a.example.org, targets: [192.0.2.1], deletionPolicy: Keep}",
        "spec.deletionPolicy",
    ),
    ("DnsZone", "{domain: example.org}", "spec.provider"),
    ("DnsZone", "{provider: {type: Request}}", "spec.domain"),
    (
        "DnsZone",
        "{domain: example.org, provider: {type: Cloud}}",
        "spec.provider.type",
    ),
    (
        "DnsZone",
        "{domain: example.org, provider: {type: Request}, mode: On}",
        "spec.mode",
    ),
    (
        "DnsZone",
        "{domain: example.org, provider: {type: Request}, claims: {depth: 0}}",
        "spec.claims.depth",
    ),
    (
        "DnsZone",
        "{domain: example.org, provider: {type: Request}, claims: {depth: 6}}",
        "spec.claims.depth",
    ),
    (
        "DnsZone",
        "{domain: example.org, provider: {type: Request}, safety: {maxChangedPercent: 0}}",
        "spec.safety.maxChangedPercent",
    ),
    (
        "DnsZone",
        "{domain: example.org, provider: {type: Request}, drift: {intervalSeconds: 9}}",
        "spec.drift.intervalSeconds",
    ),
    (
        "DnsZone",
        "{domain: example.org, provider: {type: Request}, adoptions: [{name: a.example.org}]}",
        "namespaceSelector",
    ),
    (
        "DnsZone",
        "{domain: example.org, provider: {type: Request}, authorities: [{address: a.org, port: 65536}]}",
        "spec.authorities[0].port",
    ),
    (
        "DnsClaim",
        "{key: a.example.org, zone: example.org, holder: {namespace: blue}}",
        "spec.claimedAt",
    ),
];
