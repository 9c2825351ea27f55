use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::*;

fn ingress(name: &str, created: &str, host: Option<&str>, paths: &[(&str, &str, &str)]) -> Ingress {
    let paths: Vec<Value> = paths
        .iter()
        .map(|(path, kind, service)| {
            json!({"path": path, "pathType": kind, "backend": {"service": {"name": service, "port": {"name": "http"}}}})
        })
        .collect();
    serde_json::from_value(json!({
        "metadata": {"name": name, "namespace": "team", "creationTimestamp": created},
        "spec": {"rules": [{"host": host, "http": {"paths": paths}}]},
    }))
    .unwrap()
}

fn service(name: &str, ip: &str, port: i32) -> Service {
    serde_json::from_value(json!({
        "metadata": {"name": name, "namespace": "team"},
        "spec": {"clusterIP": ip, "ports": [{"name": "http", "port": port}]},
    }))
    .unwrap()
}

fn text(ingresses: &[Ingress], services: &[Service]) -> String {
    let listen = "127.0.0.1:8081".parse().unwrap();
    render(&Inputs {
        listen,
        socket: Path::new("/tmp/haproxy.sock"),
        ingresses,
        services,
    })
}

/// The backends in the order in which their rules are tried.
fn order(text: &str) -> Vec<&str> {
    text.lines()
        .filter_map(|line| line.trim().strip_prefix("use_backend ")?.split(' ').next())
        .collect()
}

const EARLY: &str = "2026-01-01T00:00:00Z";
const LATE: &str = "2026-01-02T00:00:00Z";

#[test]
fn the_longest_path_is_tried_first_and_exact_before_prefix() {
    let paths = [
        ("/", "Prefix", "root"),
        ("/back", "Prefix", "back"),
        ("/back", "Exact", "exact"),
    ];
    let text = text(&[ingress("a", EARLY, Some("app.localhost"), &paths)], &[]);
    assert_eq!(order(&text), ["team.exact.http", "team.back.http", "team.root.http"]);
}

#[test]
fn an_exact_host_is_tried_before_a_wildcard_and_a_wildcard_before_none() {
    let ingresses = [
        ingress("any", EARLY, None, &[("/long/path", "Prefix", "any")]),
        ingress("wild", EARLY, Some("*.localhost"), &[("/long", "Prefix", "wild")]),
        ingress("exact", EARLY, Some("app.localhost"), &[("/", "Prefix", "exact")]),
    ];
    assert_eq!(
        order(&text(&ingresses, &[])),
        ["team.exact.http", "team.wild.http", "team.any.http"]
    );
}

#[test]
fn the_older_of_two_ingresses_with_the_same_host_and_path_wins() {
    let ingresses = [
        ingress("a", LATE, Some("app.localhost"), &[("/", "Prefix", "late")]),
        ingress("b", EARLY, Some("app.localhost"), &[("/", "Prefix", "early")]),
    ];
    assert_eq!(order(&text(&ingresses, &[])).first(), Some(&"team.early.http"));
}

#[test]
fn a_prefix_is_one_of_whole_path_elements() {
    let text = text(
        &[ingress(
            "a",
            EARLY,
            Some("app.localhost"),
            &[("/back/", "Prefix", "back")],
        )],
        &[],
    );
    assert!(text.contains("{ path -m str -- '/back' }"), "{text}");
    assert!(text.contains("{ path -m beg -- '/back/' }"), "{text}");
    assert_eq!(
        text.matches("var(txn.host) -m str -- 'app.localhost'").count(),
        2,
        "both ask for the host\n{text}"
    );
}

#[test]
fn a_backend_is_the_cluster_address_of_its_service_or_says_what_is_missing() {
    let paths = [
        ("/a", "Prefix", "good"),
        ("/b", "Prefix", "headless"),
        ("/c", "Prefix", "absent"),
    ];
    let services = [service("good", "10.96.7.7", 5000), service("headless", "None", 5000)];
    let text = text(&[ingress("a", EARLY, Some("app.localhost"), &paths)], &services);
    assert!(
        text.contains("backend team.good.http\n  server service 10.96.7.7:5000\n"),
        "{text}"
    );
    assert!(
        text.contains("team/headless: the Service has no cluster address"),
        "{text}"
    );
    assert!(text.contains("team/absent: there is no such Service"), "{text}");
}

#[test]
fn a_path_cannot_add_a_line_or_leave_its_quotes() {
    let paths = [
        ("/a\nbackend evil", "Prefix", "one"),
        ("/it's { fine } # here", "Prefix", "two"),
    ];
    let text = text(&[ingress("a", EARLY, Some("app.localhost"), &paths)], &[]);
    assert!(!text.contains("evil"), "{text}");
    assert!(text.contains(r"'/it'\''s { fine } # here'"), "{text}");
}

#[test]
fn no_request_is_tried_twice() {
    let text = text(&[], &[]);
    assert!(
        text.contains("retries 0\n") && text.contains("http-reuse never\n"),
        "{text}"
    );
}

#[test]
fn the_proxy_itself_accepts_the_text() {
    if Command::new("haproxy").arg("-v").output().is_err() {
        assert_ne!(
            std::env::var("CI").as_deref(),
            Ok("true"),
            "HAProxy is missing where it must be"
        );
        return;
    }
    let ingresses = [
        ingress(
            "a",
            EARLY,
            Some("app.localhost"),
            &[("/", "Prefix", "good"), ("/it's { odd } # \"path\"", "Exact", "good")],
        ),
        ingress("b", EARLY, Some("*.localhost"), &[("/back/", "Prefix", "absent")]),
        ingress("c", EARLY, None, &[("/", "ImplementationSpecific", "headless")]),
    ];
    let services = [service("good", "10.96.7.7", 5000), service("headless", "None", 5000)];
    let mut check = Command::new("haproxy")
        .args(["-c", "-f", "/dev/stdin"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    check
        .stdin
        .take()
        .unwrap()
        .write_all(text(&ingresses, &services).as_bytes())
        .unwrap();
    assert!(check.wait().unwrap().success(), "{}", text(&ingresses, &services));
}
