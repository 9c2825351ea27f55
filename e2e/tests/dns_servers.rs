//! The real name servers: what they serve, to whom they listen, and what is left of it after their death.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::net::{IpAddr, Ipv4Addr};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tremplin_e2e::dns::query::{RecordType, ResponseCode, ask, ask_by_tcp};
use tremplin_e2e::dns::{Bind, BindOptions, KEY_NAME, PowerDns, PowerDnsOptions, ZoneText, free_address};
use tremplin_e2e::packages::{self, Package};

const DEADLINE: Duration = Duration::from_mins(1);
const ZONE: &str = "beta.example";

async fn bind() -> Bind {
    let zones = vec![ZoneText::with(ZONE, "www IN A 192.0.2.1")];
    let options = BindOptions {
        zones,
        ..Default::default()
    };
    Bind::start(options).await.unwrap()
}

/// What BIND's own client says to these commands.
async fn update(bind: &Bind, secret: &str, commands: &str) -> Result<(), String> {
    packages::ensure(&[Package::new("bind9-dnsutils", "nsupdate")])
        .await
        .unwrap();
    let mut client = Command::new("nsupdate")
        .args(["-y", &format!("hmac-sha256:{KEY_NAME}:{secret}")])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let (ip, port) = (bind.address().ip(), bind.address().port());
    let script = format!("server {ip} {port}\nzone {ZONE}\n{commands}\nsend\n");
    let mut input = client.stdin.take().unwrap();
    input.write_all(script.as_bytes()).await.unwrap();
    drop(input);
    let output = client.wait_with_output().await.unwrap();
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(()) } else { Err(words) }
}

async fn serial(server: std::net::SocketAddr) -> u32 {
    let answer = ask(server, ZONE, RecordType::SOA).await.unwrap();
    answer.records[0].data.split(' ').nth(2).unwrap().parse().unwrap()
}

async fn eventually<F: AsyncFnMut() -> bool>(what: &str, mut condition: F) {
    let deadline = Instant::now() + DEADLINE;
    while !condition().await {
        assert!(Instant::now() < deadline, "not within {DEADLINE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_signed_update_is_served_by_bind_and_is_still_there_after_its_death() {
    let bind = bind().await;
    let before = serial(bind.address()).await;
    let commands = "update add app.beta.example. 60 A 192.0.2.7\nupdate add app.beta.example. 60 TXT \"a b\" \"c\"";
    update(&bind, bind.key_secret(), commands).await.unwrap();
    for _ in 0..2 {
        let answer = ask(bind.address(), "app.beta.example", RecordType::A).await.unwrap();
        assert!(answer.authoritative);
        assert_eq!(answer.data(RecordType::A), ["192.0.2.7"]);
        assert_eq!(
            (answer.records[0].name.as_str(), answer.records[0].ttl),
            ("app.beta.example", 60)
        );
        let answer = ask_by_tcp(bind.address(), "app.beta.example", RecordType::TXT)
            .await
            .unwrap();
        assert_eq!(answer.data(RecordType::TXT), ["\"a b\" \"c\""]);
        assert_eq!(serial(bind.address()).await, before + 1);
        bind.kill();
        assert!(
            ask(bind.address(), ZONE, RecordType::SOA).await.is_err(),
            "a dead server answers"
        );
        bind.restart().await.unwrap();
    }
}

#[tokio::test]
async fn bind_takes_no_update_of_a_wrong_key_nor_one_beyond_its_policy() {
    let options = BindOptions {
        zones: vec![ZoneText::empty(ZONE)],
        update_policy: Some(format!("grant {KEY_NAME} subdomain app.{ZONE}. A TXT;")),
    };
    let bind = Bind::start(options).await.unwrap();
    let add = "update add app.beta.example. 60 A 192.0.2.7";
    let wrong = update(&bind, "d3Jvbmcgd3Jvbmcgd3Jvbmcgd3Jvbmc=", add)
        .await
        .unwrap_err();
    assert!(wrong.contains("BADSIG") || wrong.contains("NOTAUTH"), "{wrong}");
    let beyond = update(
        &bind,
        bind.key_secret(),
        "update add other.beta.example. 60 A 192.0.2.7",
    )
    .await;
    assert!(beyond.unwrap_err().contains("REFUSED"));
    let type_beyond = update(
        &bind,
        bind.key_secret(),
        "update add app.beta.example. 60 CNAME x.example.",
    )
    .await;
    assert!(type_beyond.unwrap_err().contains("REFUSED"));
    update(&bind, bind.key_secret(), add).await.unwrap();
    let missing = ask(bind.address(), "other.beta.example", RecordType::A).await.unwrap();
    assert_eq!(missing.code, ResponseCode::NXDomain);
    assert_eq!(missing.authority[0].kind, RecordType::SOA);
}

#[tokio::test]
async fn bind_says_yes_to_an_alias_beside_an_address_and_does_not_serve_it() {
    let bind = bind().await;
    let alias = "update add www.beta.example. 60 CNAME elsewhere.example.";
    update(&bind, bind.key_secret(), alias).await.unwrap();
    let answer = ask(bind.address(), "www.beta.example", RecordType::CNAME)
        .await
        .unwrap();
    assert_eq!((answer.code, answer.records.len()), (ResponseCode::NoError, 0));
}

#[tokio::test]
async fn the_second_to_ask_for_a_free_name_is_told_that_it_is_taken() {
    let bind = bind().await;
    let claim = "prereq nxdomain app.beta.example.\nupdate add app.beta.example. 60 TXT \"mine\"";
    update(&bind, bind.key_secret(), claim).await.unwrap();
    let late = update(&bind, bind.key_secret(), claim).await.unwrap_err();
    assert!(late.contains("YXDOMAIN"), "{late}");
}

#[tokio::test]
async fn a_secondary_lags_until_it_is_told_and_keeps_its_zone_over_a_restart() {
    let primary = bind().await;
    let secondary = Bind::start_secondary(&primary).await.unwrap();
    let served = async || {
        let answer = ask(secondary.address(), "app.beta.example", RecordType::A)
            .await
            .unwrap();
        answer.authoritative && answer.data(RecordType::A) == ["192.0.2.7"]
    };
    let add = "update add app.beta.example. 60 A 192.0.2.7";
    update(&primary, primary.key_secret(), add).await.unwrap();
    assert!(!served().await, "nobody told it");
    secondary.catch_up(ZONE).await.unwrap();
    eventually("the secondary has the record", served).await;
    primary.kill();
    secondary.restart().await.unwrap();
    assert!(served().await, "it forgot");
}

#[tokio::test]
async fn a_server_of_a_zone_is_found_by_the_records_of_that_zone() {
    // Port 53 is root's, unless the machine says otherwise.
    let (Ok(first), Ok(second)) = (free_address(), free_address()) else {
        assert!(!rustix::process::geteuid().is_root(), "root has no port 53");
        return;
    };
    assert_ne!(first, second);
    let IpAddr::V4(ip) = first.ip() else { panic!() };
    let another = format!("@ IN NS ns2\nns2 IN A {}", second.ip());
    let options = PowerDnsOptions {
        zones: vec![ZoneText::served_at(ZONE, ip, &another)],
    };
    let _first = PowerDns::start_at(first, &options).await.unwrap();
    let _second = PowerDns::start_at(second, &options).await.unwrap();
    let servers = ask(first, ZONE, RecordType::NS).await.unwrap();
    let mut found = Vec::new();
    for server in servers.data(RecordType::NS) {
        let answer = ask(first, server.trim_end_matches('.'), RecordType::A).await.unwrap();
        let ip: Ipv4Addr = answer.data(RecordType::A)[0].parse().unwrap();
        let answer = ask((ip, 53).into(), ZONE, RecordType::SOA).await.unwrap();
        assert!(answer.authoritative, "{server}");
        found.push(IpAddr::V4(ip));
    }
    assert_eq!(found, [first.ip(), second.ip()]);
}

#[tokio::test]
async fn a_paused_server_answers_what_it_was_asked_once_it_goes_on() {
    let bind = bind().await;
    bind.pause();
    let asked = tokio::spawn(ask(bind.address(), ZONE, RecordType::SOA));
    let early = tokio::time::timeout(
        Duration::from_millis(300),
        ask_by_tcp(bind.address(), ZONE, RecordType::SOA),
    );
    assert!(early.await.is_err(), "a paused server answered");
    assert!(!asked.is_finished());
    bind.resume();
    assert!(asked.await.unwrap().unwrap().authoritative);
}

async fn power_dns() -> PowerDns {
    let options = PowerDnsOptions {
        zones: vec![ZoneText::with(ZONE, "www IN A 192.0.2.1")],
    };
    PowerDns::start(options).await.unwrap()
}

/// A PATCH of the zone, and its status and body.
async fn patch(server: &PowerDns, key: &str, sets: Value) -> (u16, String) {
    let url = format!("{}/api/v1/servers/localhost/zones/{ZONE}.", server.url());
    let request = http::Request::patch(url).header("X-API-Key", key);
    let request = request.body(json!({"rrsets": sets}).to_string()).unwrap();
    let answer = tremplin_e2e::http::send(request).await.unwrap();
    (answer.status().as_u16(), answer.into_body())
}

fn set(name: &str, kind: &str, content: &str) -> Value {
    let records = json!([{"content": content, "disabled": false}]);
    json!({"name": name, "type": kind, "ttl": 60, "changetype": "REPLACE", "records": records})
}

#[tokio::test]
async fn a_patch_is_served_by_powerdns_at_once_and_is_still_there_after_its_death() {
    let server = power_dns().await;
    let before = serial(server.dns()).await;
    let missing = ask(server.dns(), "app.beta.example", RecordType::A).await.unwrap();
    assert_eq!(missing.code, ResponseCode::NXDomain);
    let sets = json!([set("app.beta.example.", "A", "192.0.2.7")]);
    assert_eq!(patch(&server, server.api_key(), sets).await.0, 204);
    for _ in 0..2 {
        let answer = ask(server.dns(), "app.beta.example", RecordType::A).await.unwrap();
        assert_eq!(answer.data(RecordType::A), ["192.0.2.7"]);
        assert_eq!(serial(server.dns()).await, before + 1);
        server.kill();
        assert!(
            ask(server.dns(), ZONE, RecordType::SOA).await.is_err(),
            "a dead server answers"
        );
        server.restart().await.unwrap();
    }
}

#[tokio::test]
async fn powerdns_takes_all_of_a_patch_or_nothing_and_nothing_with_a_wrong_key() {
    let server = power_dns().await;
    let good = set("app.beta.example.", "A", "192.0.2.7");
    let (status, _) = patch(&server, "wrong", json!([good])).await;
    assert_eq!(status, 401);
    let beside = set("www.beta.example.", "CNAME", "elsewhere.example.");
    let (status, why) = patch(&server, server.api_key(), json!([good, beside])).await;
    assert_eq!(status, 422);
    assert!(why.contains("Conflicts with pre-existing RRset"), "{why}");
    let answer = ask(server.dns(), "app.beta.example", RecordType::A).await.unwrap();
    assert_eq!(answer.code, ResponseCode::NXDomain);
}

#[tokio::test]
async fn powerdns_swaps_an_address_for_an_alias_in_one_patch() {
    let server = power_dns().await;
    let gone = json!({"name": "www.beta.example.", "type": "A", "changetype": "DELETE"});
    let alias = set("www.beta.example.", "CNAME", "elsewhere.example.");
    assert_eq!(patch(&server, server.api_key(), json!([gone, alias])).await.0, 204);
    let answer = ask(server.dns(), "www.beta.example", RecordType::A).await.unwrap();
    assert_eq!(answer.data(RecordType::CNAME), ["elsewhere.example."]);
}

#[tokio::test]
async fn powerdns_forgets_what_it_answered_about_a_name_that_is_changed() {
    let server = power_dns().await;
    let ask_for = async |name| {
        let answer = ask(server.dns(), name, RecordType::A).await.unwrap();
        answer.data(RecordType::A)
    };
    assert_eq!(ask_for("www.beta.example").await, ["192.0.2.1"]);
    assert!(ask_for("app.beta.example").await.is_empty());
    let sets = ["www.beta.example.", "app.beta.example."].map(|name| set(name, "A", "192.0.2.7"));
    assert_eq!(patch(&server, server.api_key(), json!(sets)).await.0, 204);
    assert_eq!(ask_for("www.beta.example").await, ["192.0.2.7"]);
    assert_eq!(ask_for("app.beta.example").await, ["192.0.2.7"]);
}

#[tokio::test]
async fn an_answer_too_long_for_udp_is_had_by_tcp() {
    let records: Vec<_> = (1..=100).map(|host| format!("many IN A 192.0.2.{host}\n")).collect();
    let options = PowerDnsOptions {
        zones: vec![ZoneText::with(ZONE, &records.concat())],
    };
    let server = PowerDns::start(options).await.unwrap();
    let answer = ask(server.dns(), "many.beta.example", RecordType::A).await.unwrap();
    assert_eq!(answer.records.len(), 100);
}

#[tokio::test]
async fn a_zone_that_bind_refuses_is_told_with_its_words() {
    let options = BindOptions {
        zones: vec![ZoneText::with(ZONE, "www IN A not-an-address")],
        ..Default::default()
    };
    let error = Bind::start(options).await.err().map(|error| format!("{error:#}"));
    assert!(error.as_ref().unwrap().contains("bad dotted quad"), "{error:?}");
}
