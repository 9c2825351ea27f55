//! Route 53's traps.

use std::time::{Duration, SystemTime};

use hmac::{Hmac, KeyInit, Mac};
use k8s_openapi::jiff::Timestamp;
use sha2::{Digest, Sha256};
use tremplin_e2e::dns::fake::{Calls, FakeOptions, Limit, Route53};
use tremplin_e2e::dns::query::{RecordType, ResponseCode};

use crate::{Told, ZONE, call, eventually, served};

async fn start() -> Route53 {
    Route53::start(FakeOptions::new(ZONE)).await.unwrap()
}

fn hex(octets: &[u8]) -> String {
    let digits: Vec<_> = octets.iter().map(|octet| format!("{octet:02x}")).collect();
    digits.concat()
}

fn keyed(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// The headers of a call that is signed at this time. The query is sorted, and holds nothing to be encoded.
fn signed(route53: &Route53, method: &str, path: &str, body: &str, at: SystemTime) -> Vec<(&'static str, String)> {
    let at = Timestamp::try_from(at).unwrap().strftime("%Y%m%dT%H%M%SZ").to_string();
    let host = route53.url().trim_start_matches("http://");
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let hash = hex(&Sha256::digest(body));
    let canonical = format!("{method}\n{path}\n{query}\nhost:{host}\nx-amz-date:{at}\n\nhost;x-amz-date\n{hash}");
    let scope = format!("{}/us-east-1/route53/aws4_request", &at[..8]);
    let text = format!("AWS4-HMAC-SHA256\n{at}\n{scope}\n{}", hex(&Sha256::digest(canonical)));
    let first = format!("AWS4{}", route53.secret_access_key()).into_bytes();
    let key = scope.split('/').fold(first, |key, word| keyed(&key, word));
    let credential = format!("{}/{scope}", route53.access_key_id());
    let signature = hex(&keyed(&key, &text));
    let authorization =
        format!("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host;x-amz-date, Signature={signature}");
    vec![("x-amz-date", at), ("authorization", authorization)]
}

async fn send(route53: &Route53, method: &str, path: &str, body: &str) -> Told {
    let path = format!("/2013-04-01{path}");
    let headers = signed(route53, method, &path, body, SystemTime::now());
    call(method, &format!("{}{path}", route53.url()), &headers, body).await
}

fn change(action: &str, name: &str, kind: &str, ttl: u32, value: &str) -> String {
    format!(
        "<Change><Action>{action}</Action><ResourceRecordSet><Name>{name}</Name><Type>{kind}</Type><TTL>{ttl}</TTL>\
         <ResourceRecords><ResourceRecord><Value>{value}</Value></ResourceRecord></ResourceRecords>\
         </ResourceRecordSet></Change>"
    )
}

async fn batch(route53: &Route53, zone: &str, changes: &[String]) -> Told {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
         <ChangeResourceRecordSetsRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><ChangeBatch>\
         <Comment>a test</Comment><Changes>{}</Changes></ChangeBatch></ChangeResourceRecordSetsRequest>",
        changes.concat()
    );
    send(route53, "POST", &format!("/hostedzone/{zone}/rrset"), &body).await
}

/// What stands between these tags, everywhere.
fn texts<'a>(told: &'a Told, tag: &str) -> Vec<&'a str> {
    let tag = format!("<{tag}>");
    let parts = told.text.split(&tag).skip(1);
    parts.map(|part| part.split("</").next().unwrap()).collect()
}

/// Takes a batch that is accepted, and waits until it is in sync.
async fn done(route53: &Route53, changes: &[String]) {
    let told = batch(route53, route53.zone_id(), changes).await;
    assert_eq!(told.status, 200, "{}", told.text);
    let id = texts(&told, "Id")[0].to_owned();
    let in_sync = async || texts(&send(route53, "GET", &id, "").await, "Status") == ["INSYNC"];
    eventually("in sync", in_sync).await;
}

#[tokio::test]
async fn what_was_accepted_is_pending_and_served_once_it_is_in_sync() {
    let mut options = FakeOptions::new(ZONE);
    options.delay = Duration::from_secs(1);
    let route53 = Route53::start(options).await.unwrap();
    let create = change("CREATE", "app.beta.example.", "A", 60, "192.0.2.7");
    let told = batch(&route53, route53.zone_id(), &[create]).await;
    assert_eq!(texts(&told, "Status"), ["PENDING"]);
    let app = async || served(route53.dns(), "app.beta.example", RecordType::A).await;
    assert_eq!(app().await.0, ResponseCode::NXDomain);
    let id = texts(&told, "Id")[0].to_owned();
    eventually("in sync", async || {
        texts(&send(&route53, "GET", &id, "").await, "Status") == ["INSYNC"]
    })
    .await;
    assert_eq!(app().await.1, ["192.0.2.7"]);
}

#[tokio::test]
async fn a_batch_is_all_or_nothing_and_tells_all_that_is_wrong() {
    let route53 = start().await;
    route53.seed("www 60 IN A 192.0.2.1").unwrap();
    let good = change("CREATE", "app.beta.example", "A", 60, "192.0.2.7");
    let taken = change("CREATE", "www.beta.example", "A", 60, "192.0.2.7");
    let missing = change("DELETE", "gone.beta.example", "A", 60, "192.0.2.7");
    let other_ttl = change("DELETE", "www.beta.example", "A", 61, "192.0.2.1");
    let told = batch(&route53, route53.zone_id(), &[good, taken, missing, other_ttl]).await;
    assert_eq!((told.status, texts(&told, "Code")), (400, vec!["InvalidChangeBatch"]));
    for why in ["it already exists", "it was not found", "do not match"] {
        assert!(told.text.contains(why), "{}", told.text);
    }
    assert!(route53.stored().iter().all(|record| record.name != "app.beta.example"));
}

#[tokio::test]
async fn an_address_becomes_an_alias_in_one_batch_and_not_beside_it() {
    let route53 = start().await;
    route53.seed("www 60 IN A 192.0.2.1").unwrap();
    let alias = change("CREATE", "www.beta.example", "CNAME", 60, "elsewhere.example.");
    let beside = batch(&route53, route53.zone_id(), std::slice::from_ref(&alias)).await;
    assert!(
        texts(&beside, "Message")[0].contains("not permitted"),
        "{}",
        beside.text
    );
    done(
        &route53,
        &[change("DELETE", "www.beta.example", "A", 60, "192.0.2.1"), alias],
    )
    .await;
    let www = served(route53.dns(), "www.beta.example", RecordType::CNAME).await;
    assert_eq!(www.1, ["elsewhere.example."]);
}

#[tokio::test]
async fn a_list_begins_at_a_name_and_goes_on_to_others_page_by_page() {
    let route53 = start().await;
    let records: Vec<_> = (100..420).map(|number| format!("n{number} IN A 192.0.2.1\n")).collect();
    route53.seed(&records.concat()).unwrap();
    let rrset = format!("/hostedzone/{}/rrset", route53.zone_id());
    let found = send(
        &route53,
        "GET",
        &format!("{rrset}?maxitems=2&name=n4000.beta.example&type=A"),
        "",
    )
    .await;
    assert_eq!(
        texts(&found, "Name"),
        ["n401.beta.example.", "n402.beta.example."],
        "it is not there"
    );
    let first = send(&route53, "GET", &rrset, "").await;
    assert_eq!(
        (texts(&first, "Name").len(), texts(&first, "IsTruncated")),
        (300, vec!["true"])
    );
    let next = texts(&first, "NextRecordName")[0];
    let rest = send(&route53, "GET", &format!("{rrset}?name={next}&type=A"), "").await;
    assert_eq!(
        (texts(&rest, "Name").len(), texts(&rest, "IsTruncated")),
        (23, vec!["false"])
    );
}

#[tokio::test]
async fn a_private_zone_of_the_same_name_stands_first_and_is_not_served() {
    let route53 = start().await;
    let zones = send(&route53, "GET", "/hostedzonesbyname?dnsname=beta.example", "").await;
    assert_eq!(texts(&zones, "PrivateZone"), ["true", "false", "false"]);
    assert_eq!(
        texts(&zones, "Name"),
        ["beta.example.", "beta.example.", "zz-beta.example."]
    );
    let first = texts(&zones, "Id")[0].trim_start_matches("/hostedzone/").to_owned();
    assert_ne!(first, route53.zone_id());
    let create = change("CREATE", "app.beta.example", "A", 60, "192.0.2.7");
    let told = batch(&route53, &first, &[create]).await;
    let id = texts(&told, "Id")[0].to_owned();
    eventually("in sync", async || {
        texts(&send(&route53, "GET", &id, "").await, "Status") == ["INSYNC"]
    })
    .await;
    let app = served(route53.dns(), "app.beta.example", RecordType::A).await;
    assert_eq!(app.0, ResponseCode::NXDomain);
}

#[tokio::test]
async fn a_star_comes_back_escaped() {
    let route53 = start().await;
    done(
        &route53,
        &[change("UPSERT", "*.Apps.beta.example", "A", 60, "192.0.2.7")],
    )
    .await;
    let rrset = format!(
        "/hostedzone/{}/rrset?maxitems=1&name=*.apps.beta.example&type=A",
        route53.zone_id()
    );
    // The query is signed encoded.
    let found = send(&route53, "GET", &rrset.replace('*', "%2A"), "").await;
    assert_eq!(texts(&found, "Name"), ["\\052.apps.beta.example."]);
    let any = served(route53.dns(), "x.apps.beta.example", RecordType::A).await;
    assert_eq!(any.1, ["192.0.2.7"]);
}

#[tokio::test]
async fn texts_are_quoted_short_and_escaped_in_octal() {
    let route53 = start().await;
    for bare in [
        "bare".to_owned(),
        format!("\"{}\"", "x".repeat(256)),
        "\"é\"".to_owned(),
    ] {
        let told = batch(
            &route53,
            route53.zone_id(),
            &[change("UPSERT", "app.beta.example", "TXT", 60, &bare)],
        )
        .await;
        assert_eq!(told.status, 400, "{bare}");
    }
    done(
        &route53,
        &[change("UPSERT", "app.beta.example", "TXT", 60, "\"\\303\\251\" \"b\"")],
    )
    .await;
    let text = served(route53.dns(), "app.beta.example", RecordType::TXT).await;
    assert_eq!(text.1, ["\"\\195\\169\" \"b\""]);
}

#[tokio::test]
async fn too_much_or_too_early_is_a_400_like_all_that_is_wrong() {
    let route53 = start().await;
    route53.be_busy(1);
    let create = change("CREATE", "app.beta.example", "A", 60, "192.0.2.7");
    let told = batch(&route53, route53.zone_id(), std::slice::from_ref(&create)).await;
    assert_eq!(
        (told.status, texts(&told, "Code")),
        (400, vec!["PriorRequestNotComplete"])
    );
    assert_eq!(batch(&route53, route53.zone_id(), &[create]).await.status, 200);
    route53.set_limits(&[Limit {
        calls: Calls::All,
        burst: 1,
        every: Duration::from_mins(1),
    }]);
    send(&route53, "GET", "/hostedzonesbyname", "").await;
    let told = send(&route53, "GET", "/hostedzonesbyname", "").await;
    assert_eq!((told.status, texts(&told, "Code")), (400, vec!["Throttling"]));
    assert!(!told.headers.contains_key("retry-after"));
}

#[tokio::test]
async fn a_batch_of_more_than_a_thousand_records_is_refused_and_an_upsert_counts_twice() {
    let route53 = start().await;
    let changes: Vec<_> = (0..501)
        .map(|number| change("UPSERT", &format!("n{number}.beta.example"), "A", 60, "192.0.2.7"))
        .collect();
    assert_eq!(batch(&route53, route53.zone_id(), &changes).await.status, 400);
    done(&route53, &changes[..500]).await;
}

#[tokio::test]
async fn a_batch_of_more_than_32_000_characters_is_refused() {
    let route53 = start().await;
    // With its quotes each text has 250 characters.
    let text = format!("\"{}\"", "x".repeat(248));
    let changes: Vec<_> = (0..129)
        .map(|number| change("CREATE", &format!("n{number}.beta.example"), "TXT", 60, &text))
        .collect();
    assert_eq!(batch(&route53, route53.zone_id(), &changes).await.status, 400);
    done(&route53, &changes[..128]).await;
}

#[tokio::test]
async fn a_signature_is_of_this_request_by_this_key_and_now() {
    let route53 = start().await;
    let path = "/2013-04-01/hostedzonesbyname";
    let url = format!("{}{path}", route53.url());
    let now = SystemTime::now();
    let code = async |headers: &[(&str, String)]| {
        let told = call("GET", &url, headers, "").await;
        (told.status, texts(&told, "Code").first().map(|&code| code.to_owned()))
    };
    let refused = |code: &str| (403, Some(code.to_owned()));
    assert_eq!(code(&[]).await, refused("MissingAuthenticationToken"));
    let elsewhere = signed(&route53, "GET", "/2013-04-01/hostedzone/Z1", "", now);
    assert_eq!(code(&elsewhere).await, refused("SignatureDoesNotMatch"));
    let late = signed(&route53, "GET", path, "", now - Duration::from_mins(10));
    assert_eq!(code(&late).await, refused("RequestExpired"));
    let good = signed(&route53, "GET", path, "", now);
    assert_eq!(code(&good).await, (200, None));
    route53.expire_credentials();
    assert_eq!(code(&good).await, refused("InvalidClientTokenId"));
}

#[tokio::test]
async fn taking_the_zone_away_is_remembered() {
    let route53 = start().await;
    let told = send(&route53, "DELETE", &format!("/hostedzone/{}", route53.zone_id()), "").await;
    assert_eq!(told.status, 400);
    assert_eq!(route53.take_forbidden().len(), 1);
}
