//! What the cluster shows of a name, a zone or a claim: what their statuses say beside the conditions.

use jiff::Timestamp;
use serde_json::Value;
use tremplin_core::dns::Fqdn;
use tremplin_core::dns::desk::{DONE_AT, TAKEN_BY};
use tremplin_core::json::{items, number, text};

use super::evidence::{Evidence, Exhibit, Times};
use crate::cli::cluster::Cluster;

/// The kind that a word stands for, as kubectl knows it.
pub fn kind(word: &str) -> Option<&'static str> {
    let word = word.to_lowercase();
    let word = word.strip_suffix(".tremplin.dev").unwrap_or(&word);
    match word {
        "dnsrecord" | "dnsrecords" | "tdns" => Some("DnsRecord"),
        "dnszone" | "dnszones" => Some("DnsZone"),
        "dnsclaim" | "dnsclaims" => Some("DnsClaim"),
        _ => None,
    }
}

/// What is worth telling of an object of these kinds.
pub async fn exhibits(
    cluster: &Cluster,
    namespace: &str,
    object: &Value,
    times: Times,
) -> anyhow::Result<Vec<Exhibit>> {
    let mut found = match text(object, "/kind") {
        "DnsRecord" => of_record(object, times),
        "DnsZone" => of_zone(object, times),
        _ => of_claim(object, times),
    };
    if namespace.is_empty() {
        return Ok(found);
    }
    // Not everywhere may teams read zones (the chart's `rbac.readDns`): then the record's own words must do.
    if let Ok(zones) = cluster.list("DnsZone", "", "").await {
        found.extend(zones.iter().filter_map(|zone| zone_of(zone, object, times)));
    }
    let events = Evidence {
        app: object.clone(),
        deployments: Vec::new(),
        jobs: Vec::new(),
        pods: Vec::new(),
        events: cluster.list("Event", namespace, "").await?,
    };
    found.extend(events.exhibits(times));
    Ok(found)
}

fn exhibit(about: impl Into<String>, message: impl Into<String>) -> Exhibit {
    Exhibit {
        about: about.into(),
        message: message.into(),
        details: Vec::new(),
    }
}

fn condition<'a>(object: &'a Value, type_: &str) -> Option<&'a Value> {
    items(object, "/status/conditions").find(|found| text(found, "/type") == type_)
}

/// How a time is told when it is given.
fn time(object: &Value, pointer: &str, times: Times) -> Option<String> {
    let at = text(object, pointer);
    (!at.is_empty()).then(|| times.since(at))
}

pub fn of_record(record: &Value, times: Times) -> Vec<Exhibit> {
    let mut found = Vec::new();
    let name = text(record, "/status/fqdn");
    if !text(record, "/status/effectiveType").is_empty() {
        let (type_, targets) = (text(record, "/status/effectiveType"), text(record, "/status/targets"));
        let ttl = number(record, "/status/effectiveTTLSeconds");
        let zone = text(record, "/status/zone");
        found.push(exhibit(
            name,
            format!("{type_} {targets}, TTL {ttl} s, in the zone {zone}"),
        ));
    }
    if let Some(since) = time(record, "/status/claim/since", times) {
        let claim = text(record, "/status/claim/name");
        found.push(exhibit(
            format!("DnsClaim {claim}"),
            format!("held by this namespace since {since}"),
        ));
    }
    if !text(record, "/status/conflict/reason").is_empty() {
        let mut conflict = exhibit("Conflict", text(record, "/status/conflict/reason"));
        let since = time(record, "/status/conflict/since", times);
        conflict.details.extend(since.map(|since| format!("since {since}")));
        let contact = Some(text(record, "/status/conflict/contact")).filter(|contact| !contact.is_empty());
        conflict.details.extend(contact.map(|contact| format!("ask {contact}")));
        found.push(conflict);
    }
    found.extend(servers(record, times));
    if let Some(after) = later(record, "/status/visibleAfter", times) {
        let mut caches = exhibit("Caches", format!("may keep an older answer until {after}"));
        let held = condition(record, "Propagated").filter(|held| text(held, "/status") == "False");
        caches
            .details
            .extend(held.map(|held| text(held, "/message").to_owned()));
        found.push(caches);
    }
    if let Some(at) = time(record, "/status/drift/detectedAt", times) {
        let (kind, often) = (
            text(record, "/status/drift/kind"),
            number(record, "/status/drift/corrections"),
        );
        found.push(exhibit(
            "Drift",
            format!("{kind}, seen at {at}; put right {often} time(s)"),
        ));
    }
    found
}

/// What each authoritative server said, those first that do not answer as asked, with how long they are waited for.
fn servers(record: &Value, times: Times) -> Vec<Exhibit> {
    let published = condition(record, "Published").filter(|published| text(published, "/status") != "True");
    let waited = published.and_then(|published| waited(text(published, "/lastTransitionTime"), times));
    let waited = waited.map(|waited| format!(": {waited}")).unwrap_or_default();
    let is_written = condition(record, "Programmed").is_some_and(|found| text(found, "/status") == "True");
    let answers: Vec<&Value> = items(record, "/status/authoritative").collect();
    let (well, behind): (Vec<&Value>, Vec<&Value>) = answers
        .into_iter()
        .partition(|answer| answer.pointer("/matches") == Some(&Value::Bool(true)));
    let behind = behind.into_iter().map(|answer| {
        let server = text(answer, "/server");
        let written = if is_written { "written, " } else { "" };
        let mut told = exhibit(
            format!("Server {server}"),
            format!("{written}not yet answered by {server}{waited}"),
        );
        let message = Some(text(answer, "/message")).filter(|message| !message.is_empty());
        told.details.extend(message.map(str::to_owned));
        told
    });
    let well = well
        .into_iter()
        .map(|answer| exhibit(format!("Server {}", text(answer, "/server")), "answers as asked"));
    behind.chain(well).collect()
}

/// For how long something is waited for, for people alone: it changes by itself.
fn waited(since: &str, times: Times) -> Option<String> {
    let seconds = times.0?.duration_since(since.parse().ok()?).as_secs().max(0);
    Some(match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3_600),
    })
}

/// A time that is still to come. For programs, whatever it is.
fn later(object: &Value, pointer: &str, times: Times) -> Option<String> {
    let at: Timestamp = text(object, pointer).parse().ok()?;
    match times.0 {
        Some(now) if at <= now => None,
        Some(now) => Some(format!("{at}, in {}", waited(&now.to_string(), Times(Some(at)))?)),
        None => Some(at.to_string()),
    }
}

/// The zone of a record, where it is not well.
fn zone_of(zone: &Value, record: &Value, times: Times) -> Option<Exhibit> {
    let domain = text(record, "/status/zone");
    // As people write it.
    let of_zone = Fqdn::parse(text(zone, "/spec/domain")).ok();
    if of_zone.is_none_or(|of_zone| of_zone.as_str() != domain) {
        return None;
    }
    let ready = condition(zone, "Ready").filter(|ready| text(ready, "/status") != "True")?;
    let since = times.since(text(ready, "/lastTransitionTime"));
    let (reason, message) = (text(ready, "/reason"), text(ready, "/message"));
    Some(exhibit(
        format!("DnsZone {}", text(zone, "/metadata/name")),
        format!("not ready ({reason}) since {since}: {message}"),
    ))
}

pub fn of_zone(zone: &Value, times: Times) -> Vec<Exhibit> {
    let mut found = Vec::new();
    for server in items(zone, "/status/authorities") {
        let why = text(server, "/message");
        let told = if why.is_empty() { "answers for the zone" } else { why };
        found.push(exhibit(format!("Server {}", text(server, "/server")), told));
    }
    if let Some(at) = time(zone, "/status/lastAuditAt", times) {
        let count = |of: &str| number(zone, &format!("/status/records/{of}"));
        let (owned, foreign, orphaned) = (count("owned"), count("foreign"), count("orphaned"));
        let counts = format!("{owned} record sets owned, {foreign} foreign, {orphaned} orphaned");
        found.push(exhibit("Audit", format!("{counts} at {at}")));
    }
    if let Some(at) = time(zone, "/status/breaker/trippedAt", times) {
        let why = text(zone, "/status/breaker/message");
        found.push(exhibit("Breaker", format!("open since {at}: {why}")));
    }
    if let Some(at) = later(zone, "/status/credentialsExpireAt", times) {
        found.push(exhibit("Credential", format!("ends at {at}")));
    }
    let planned: Vec<String> = items(zone, "/status/plan")
        .map(|change| {
            ["/action", "/name", "/type", "/detail"]
                .map(|part| text(change, part))
                .join(" ")
        })
        .collect();
    if !planned.is_empty() {
        let mut plan = exhibit("Plan", format!("{} change(s), not written", planned.len()));
        plan.details = planned.iter().map(|line| line.trim_end().to_owned()).collect();
        found.push(plan);
    }
    found
}

pub fn of_claim(claim: &Value, times: Times) -> Vec<Exhibit> {
    let holder = text(claim, "/spec/holder/namespace");
    let since = times.since(text(claim, "/spec/claimedAt"));
    let records = number(claim, "/status/records");
    let held = format!("held by the namespace {holder} since {since}; used by {records} record(s)");
    let mut found = vec![exhibit(text(claim, "/spec/key"), held)];
    if let Some(at) = later(claim, "/spec/releaseAt", times) {
        found.push(exhibit("Quarantine", format!("nobody else gets it before {at}")));
    }
    found.extend(items(claim, "/spec/withdrawals").map(|withdrawal| {
        let (name, type_) = (text(withdrawal, "/name"), text(withdrawal, "/type"));
        exhibit("Withdrawal", format!("{name} {type_} is to be taken out of the zone"))
    }));
    found.extend(items(claim, "/status/approvals").map(|asked| {
        let (name, type_) = (text(asked, "/name"), text(asked, "/type"));
        let mut told = exhibit("Approval", format!("{name} {type_} waits for the platform team"));
        told.details.push(format!("to approve: {}", text(asked, "/approve")));
        told
    }));
    found.extend(items(claim, "/status/requests").map(|asked| request(asked, times)));
    found.extend(desk_said(claim));
    found
}

/// What a human at the zone's desk is asked to do.
fn request(asked: &Value, times: Times) -> Exhibit {
    let [action, name, type_] = ["/action", "/name", "/type"].map(|part| text(asked, part));
    let since = times.since(text(asked, "/since"));
    let mut told = exhibit(
        "Request",
        format!("the desk is asked since {since}: {action} {name} {type_}"),
    );
    told.details = text(asked, "/text").lines().map(ToOwned::to_owned).collect();
    told
}

fn desk_said(claim: &Value) -> Option<Exhibit> {
    let annotations = claim.pointer("/metadata/annotations")?;
    let said = |key: &str| annotations.get(key).and_then(Value::as_str);
    let told: Vec<String> = [("taken by", said(TAKEN_BY)), ("done at", said(DONE_AT))]
        .into_iter()
        .filter_map(|(what, said)| Some(format!("{what} {}", said?)))
        .collect();
    (!told.is_empty()).then(|| exhibit("Desk", told.join(", ")))
}
