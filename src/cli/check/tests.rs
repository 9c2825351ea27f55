use serde_json::Value;

use crate::cli::Exit;
use crate::cli::tests::{APP, Folder, Ran, tremplin};

/// One error in an object written by hand, one in an app, one warning.
const BAD: &str = "\
apiVersion: v1
kind: Service
metadata: {name: annuaire}
spec: {type: NodePort}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: annuaire
data:
  color: red
  password: hunter2
";

fn check(form: &str, text: &str) -> (Ran, Folder) {
    let folder = Folder::new(&[("a b.yaml", text)]);
    (
        tremplin(&["check", "-f", &folder.path("a b.yaml"), "-o", form], ""),
        folder,
    )
}

#[test]
fn an_app_of_six_lines_has_no_findings_on_any_platform() {
    for platform in ["generic", "cpin-pax", "cpin-mi"] {
        let labels = "app.kubernetes.io/managed-by=dso-console,dso/environment=prod,dso/project.slug=portail";
        let ran = tremplin(
            &[
                "check",
                "-f",
                "-",
                "--platform",
                platform,
                "--namespace-labels",
                labels,
                "--fail-on",
                "warning",
            ],
            APP,
        );
        assert_eq!((ran.exit, ran.output.as_str()), (Exit::Fine, ""), "{platform}");
        assert_eq!(ran.errors, "0 errors, 0 warnings\n");
    }
}

#[test]
fn findings_end_with_1_and_point_at_the_field() {
    let (ran, _folder) = check("table", BAD);
    assert_eq!(ran.exit, Exit::Found);
    assert!(
        ran.output
            .contains("a b.yaml:4:8: error [service-type] Service/annuaire spec.type\n"),
        "{}",
        ran.output
    );
    assert!(
        ran.output
            .contains("a b.yaml:12:3: error [configmap-credentials] ConfigMap/annuaire data.password\n")
    );
    assert!(ran.output.contains("    fix: use ClusterIP"), "{}", ran.output);
    assert_eq!(ran.errors, "2 errors, 0 warnings\n");
}

#[test]
fn warnings_alone_end_with_0_unless_asked() {
    let job = "apiVersion: v1\nkind: Namespace\nmetadata: {name: x}\n";
    let folder = Folder::new(&[
        ("job.yaml", job),
        (
            "platform.yaml",
            "sizes: {S: {cpu: 1m, memory: 1Mi, default: true}}\nsecurity: {type: OpenShift}\npolicies: {cluster-scoped: Warn}\n",
        ),
    ]);
    let arguments = [
        "check",
        "-f",
        &folder.path("job.yaml"),
        "--platform",
        &folder.path("platform.yaml"),
    ];
    assert_eq!(tremplin(&arguments, "").exit, Exit::Fine);
    let ran = tremplin(&[&arguments[..], &["--fail-on", "warning"]].concat(), "");
    assert_eq!((ran.exit, ran.errors.as_str()), (Exit::Found, "0 errors, 1 warning\n"));
}

#[test]
fn what_cannot_be_read_or_would_be_refused_is_a_finding_too() {
    let (ran, _folder) = check("json", &format!("{APP}  colour: red\n"));
    let found: Value = serde_json::from_str(&ran.output).unwrap();
    assert_eq!(
        (found[0]["rule"].as_str(), found[0]["line"].as_u64()),
        (Some("invalid-manifest"), Some(6))
    );
    let (ran, _folder) = check("json", &format!("{APP}  exposure: mars\n"));
    let found: Value = serde_json::from_str(&ran.output).unwrap();
    assert_eq!(
        (found[0]["rule"].as_str(), found[0]["line"].as_u64()),
        (Some("UnknownExposure"), Some(6))
    );
    assert_eq!(ran.exit, Exit::Found);
    let (ran, _folder) = check("json", "a: [\n");
    assert_eq!(ran.exit, Exit::Found);
}

#[test]
fn a_host_is_found_where_it_is_written() {
    let (ran, _folder) = check("table", &format!("{APP}  hosts: [annuaire.fr, annuaire.example.org]\n"));
    assert!(
        ran.output.contains("a b.yaml:6:24: error [hosts] Ingress/annuaire"),
        "{}",
        ran.output
    );
    assert_eq!(ran.errors, "1 error, 0 warnings\n");
}

#[test]
fn json_gives_every_part_of_a_finding() {
    let (ran, _folder) = check("json", BAD);
    let found: Value = serde_json::from_str(&ran.output).unwrap();
    for finding in found.as_array().unwrap() {
        for part in ["rule", "severity", "file", "object", "field", "message", "fix"] {
            assert!(!finding[part].as_str().unwrap().is_empty(), "{part} of {finding}");
        }
        assert!(finding["line"].as_u64().unwrap() > 0 && finding["column"].as_u64().unwrap() > 0);
    }
}

/// The required properties of the SARIF 2.1.0 schema, and those that code scanning asks for.
#[test]
fn sarif_has_what_its_readers_require() {
    let (ran, _folder) = check("sarif", BAD);
    let log: Value = serde_json::from_str(&ran.output).unwrap();
    assert_eq!(log["version"], "2.1.0");
    assert!(log["$schema"].as_str().unwrap().ends_with("sarif-schema-2.1.0.json"));
    let run = &log["runs"][0];
    assert_eq!(run["tool"]["driver"]["name"], "tremplin");
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    let results = run["results"].as_array().unwrap();
    assert_eq!((rules.len(), results.len()), (2, 2));
    for result in results {
        let rule = &rules[usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap()];
        assert_eq!(rule["id"], result["ruleId"]);
        assert!(!rule["shortDescription"]["text"].as_str().unwrap().is_empty());
        assert!(["error", "warning", "note", "none"].contains(&result["level"].as_str().unwrap()));
        assert!(!result["message"]["text"].as_str().unwrap().is_empty());
        let place = &result["locations"][0]["physicalLocation"];
        assert!(
            place["artifactLocation"]["uri"]
                .as_str()
                .unwrap()
                .ends_with("a%20b.yaml")
        );
        assert!(place["region"]["startLine"].as_u64().unwrap() >= 1);
        assert!(place["region"]["startColumn"].as_u64().unwrap() >= 1);
        assert!(
            result["partialFingerprints"]
                .as_object()
                .is_some_and(|prints| prints.values().all(Value::is_string))
        );
    }
}

/// The fields that GitLab's documentation lists as required for a code quality report.
#[test]
fn gitlab_s_report_has_what_it_requires() {
    let (ran, _folder) = check("gitlab", BAD);
    let report: Value = serde_json::from_str(&ran.output).unwrap();
    let issues = report.as_array().unwrap();
    let mut fingerprints = std::collections::BTreeSet::new();
    for issue in issues {
        assert!(!issue["description"].as_str().unwrap().is_empty());
        assert!(!issue["check_name"].as_str().unwrap().is_empty());
        assert!(fingerprints.insert(issue["fingerprint"].as_str().unwrap().to_owned()));
        assert!(["info", "minor", "major", "critical", "blocker"].contains(&issue["severity"].as_str().unwrap()));
        assert!(issue["location"]["path"].as_str().unwrap().ends_with("a b.yaml"));
        assert!(issue["location"]["lines"]["begin"].as_u64().unwrap() >= 1);
    }
    assert_eq!(issues.len(), 2);
}

#[test]
fn a_fingerprint_stays_when_lines_are_added_above() {
    let fingerprint = |text: &str| {
        let ran = tremplin(&["check", "-f", "-", "-o", "gitlab"], text);
        serde_json::from_str::<Value>(&ran.output).unwrap()[0]["fingerprint"].clone()
    };
    assert_eq!(fingerprint(BAD), fingerprint(&format!("# a comment\n{BAD}")));
}

#[test]
fn a_live_quota_beside_the_app_is_compared() {
    let quota = "---\napiVersion: v1\nkind: ResourceQuota\nmetadata: {name: dso-quota, uid: u}\nspec: {hard: {limits.cpu: 200m}}\n";
    let ran = tremplin(&["check", "-f", "-", "--fail-on", "warning"], &format!("{APP}{quota}"));
    assert_eq!(ran.exit, Exit::Found);
    assert!(
        ran.output
            .contains("500m of limits.cpu are needed at most, 200m are allowed"),
        "{}",
        ran.output
    );
}

/// A record, with the lines of its spec.
fn record(spec: &str) -> String {
    format!("apiVersion: tremplin.dev/v1alpha1\nkind: DnsRecord\nmetadata: {{name: a}}\nspec:\n{spec}")
}

#[test]
fn a_name_is_checked_as_far_as_no_cluster_is_needed() {
    let fine = record("  name: a.example.org\n  targets: [192.0.2.1]\n");
    let follows = record("  name: a.example.org\n  appRef: {name: app}\n");
    let list = format!(
        "apiVersion: tremplin.dev/v1alpha1\nkind: DnsRecordList\nitems:\n- {}",
        fine.replace('\n', "\n  ")
    );
    for text in [&fine, &follows, &list] {
        let (ran, _folder) = check("table", text);
        assert_eq!((ran.exit, ran.output.as_str()), (Exit::Fine, ""), "{text}");
    }
    for (text, told) in [
        (
            record("  name: a.example.org\n  targets: [192.0.2.1]\n  colour: red\n"),
            "a b.yaml:7:3: error [invalid-manifest] spec.colour",
        ),
        (
            record("  name: a.example.org\n  targets:\n  - 192.0.2.1\n  - host.example.net\n"),
            "a b.yaml:8:5: error [InvalidSpec] DnsRecord/a spec.targets[1]",
        ),
        (
            record("  name: a.example.org\n  targets: [192.0.2.1]\n  values: [x]\n"),
            "error [InvalidSpec] DnsRecord/a spec\n    exactly one of",
        ),
        (
            record("  name: a..example.org\n  targets: [192.0.2.1]\n"),
            "a b.yaml:5:3: error [InvalidSpec] DnsRecord/a spec.name",
        ),
        (
            record("  name: a.example.org\n  mail:\n    spf: v=spf1 ipv4:192.0.2.1\n"),
            "a b.yaml:7:5: error [InvalidMail] DnsRecord/a spec.mail.spf",
        ),
        (
            "apiVersion: tremplin.dev/v1alpha1\nkind: DnsZone\nmetadata: {name: z}\nspec: {domain: a.org, provider: {type: OVH}}\n".to_owned(),
            "error [InvalidZone] DnsZone/z spec.provider.secretRef",
        ),
        (
            fine.replace("DnsRecord", "DNSRecord"),
            "a b.yaml:2:1: error [invalid-manifest] kind\n    is DNSRecord, which tremplin.dev/v1alpha1 does not have\n    fix: write kind: DnsRecord",
        ),
    ] {
        let (ran, _folder) = check("table", &text);
        assert!(ran.output.contains(told), "{text}\n{}", ran.output);
        assert_eq!(ran.exit, Exit::Found);
    }
}

#[test]
fn a_reason_of_two_kinds_is_one_rule_of_a_report() {
    let wrong = format!(
        "{}---\n{APP}  hosts: ['a..b']\n",
        record("  name: a..b\n  targets: [192.0.2.1]\n")
    );
    let (ran, _folder) = check("sarif", &wrong);
    let report: Value = serde_json::from_str(&ran.output).unwrap();
    let rules = report["runs"][0]["tool"]["driver"]["rules"].as_array().unwrap();
    for result in report["runs"][0]["results"].as_array().unwrap() {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[index]["id"], result["ruleId"]);
    }
}
