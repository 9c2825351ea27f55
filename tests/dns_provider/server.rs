//! A provider to try: where it is, the credential it takes, and the zone as its resolvers see it.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tremplin::dns_provider::{Provider, Shared, build};
use tremplin_core::api::dns as api;
use tremplin_core::dns::rrset::{canonical, unquoted};
use tremplin_core::dns::{Fqdn, RecordType, RrSet};
use tremplin_e2e::dns::fake::{AlwaysData, FakeOptions, Gandi, Ovh, PointDns, Route53, Scaleway};
use tremplin_e2e::dns::fault_proxy::FaultProxy;
use tremplin_e2e::dns::query::{self, Answer};
use tremplin_e2e::dns::{Bind, PowerDns, ZoneText};

use super::zone::name;

#[path = "start.rs"]
mod start;

pub const ZONE: &str = "beta.example";

/// Records of others, that are never to change. One text is in strings as nobody here would write it.
const FOREIGN: &str = "\
www IN A 192.0.2.1
www IN A 192.0.2.2
www IN TXT \"of\" \" others\"
mail IN MX 10 mx.other.example.
*.wild IN A 192.0.2.3
alias IN CNAME www
sub IN NS ns1.other.example.
sub IN NS ns2.other.example.
sub IN DS 12345 13 2 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
@ IN CAA 0 issue \"ca.example\"
";

/// A host outside of the zone, which leads to 192.0.2.50.
pub const LOAD_BALANCER: &str = "lb.other.example";

/// A credential that nobody takes: base64, as some are.
pub const WRONG: &str = "d3Jvbmc=";

pub const DEADLINE: Duration = Duration::from_mins(1);

/// What runs, which ends with this value.
enum Program {
    AlwaysData(AlwaysData),
    Bind(Bind),
    Gandi(Gandi),
    Ovh(Ovh),
    PointDns(PointDns),
    PowerDns(PowerDns),
    Route53(Route53),
    Scaleway(Scaleway),
}

/// What is to be known of a provider.
struct Facts {
    /// Its type, and the fields of its settings and of its address there.
    type_: &'static str,
    settings: [&'static str; 2],
    url: String,
    /// Its Secret. The last key is the one that has to be right.
    secret: Vec<(&'static str, String)>,
    dns: SocketAddr,
    /// The method of the request that makes a record.
    creates_by: &'static str,
    /// How many requests it takes to make, replace and remove a set of one value.
    costs: [usize; 3],
    /// How many sets make the zone a large one: several messages or pages, and not minutes at the provider's pace.
    many: usize,
}

pub fn fake() -> FakeOptions {
    FakeOptions {
        zone: ZoneText::with(ZONE, FOREIGN),
        world: vec![(LOAD_BALANCER.to_owned(), Ipv4Addr::new(192, 0, 2, 50).into())],
        ..FakeOptions::new(ZONE)
    }
}

/// A provider with one zone, [`ZONE`], that has records of others.
pub struct Server {
    program: Program,
    facts: Facts,
    proxy: Option<FaultProxy>,
    shared: Shared,
    may_write: Arc<AtomicBool>,
}

impl Server {
    fn of(program: Program, facts: Facts) -> Self {
        let may_write = Arc::new(AtomicBool::new(true));
        let holds = may_write.clone();
        Self {
            program,
            facts,
            proxy: None,
            shared: Shared::fenced(move || holds.load(Ordering::SeqCst)),
            may_write,
        }
    }

    pub fn as_ovh(&self) -> &Ovh {
        match &self.program {
            Program::Ovh(fake) => fake,
            _ => panic!("not OVH"),
        }
    }

    pub fn as_always_data(&self) -> &AlwaysData {
        match &self.program {
            Program::AlwaysData(fake) => fake,
            _ => panic!("not AlwaysData"),
        }
    }

    pub fn as_gandi(&self) -> &Gandi {
        match &self.program {
            Program::Gandi(fake) => fake,
            _ => panic!("not Gandi"),
        }
    }

    pub fn as_route53(&self) -> &Route53 {
        match &self.program {
            Program::Route53(fake) => fake,
            _ => panic!("not Route 53"),
        }
    }

    pub fn as_scaleway(&self) -> &Scaleway {
        match &self.program {
            Program::Scaleway(fake) => fake,
            _ => panic!("not Scaleway"),
        }
    }

    /// As it was started.
    pub fn alone(self) -> std::future::Ready<Self> {
        std::future::ready(self)
    }

    /// The same, behind a proxy that can do harm.
    pub async fn behind_proxy(mut self) -> Self {
        assert_eq!(self.forbidden(), [], "forbidden calls were made");
        self.proxy = Some(FaultProxy::start(&self.facts.url).await.unwrap());
        self
    }

    /// The same, as if it were there.
    pub fn at(mut self, address: &str) -> Self {
        address.clone_into(&mut self.facts.url);
        self
    }

    /// The requests of which no client may make one, that were made: those that replace or remove a whole zone.
    pub fn forbidden(&self) -> Vec<(String, String)> {
        // The fakes tell by themselves, and BIND has none.
        let (Program::PowerDns(_), Some(proxy)) = (&self.program, &self.proxy) else {
            return Vec::new();
        };
        let is_whole = |target: &str| {
            let path = target.split('?').next().unwrap_or_default().trim_end_matches('/');
            path.rsplit_once('/')
                .is_some_and(|(above, _)| above.ends_with("/zones"))
        };
        let is_forbidden = |(method, target): &(String, String)| match method.as_str() {
            "PUT" | "DELETE" => is_whole(target),
            "POST" => target.trim_end_matches('/').ends_with("/zones"),
            _ => false,
        };
        proxy.requests().into_iter().filter(is_forbidden).collect()
    }

    pub fn proxy(&self) -> &FaultProxy {
        self.proxy.as_ref().unwrap()
    }

    /// The method of the request that makes a record.
    pub fn creates_by(&self) -> &'static str {
        self.facts.creates_by
    }

    /// How many requests it takes to make, replace and remove a set of one value.
    pub fn costs(&self) -> [usize; 3] {
        self.facts.costs
    }

    /// How many sets make its zone a large one.
    pub fn many(&self) -> usize {
        self.facts.many
    }

    fn build(&self, zone: &str, change: impl FnOnce(&mut Vec<(&'static str, String)>)) -> Box<dyn Provider> {
        let Facts {
            type_,
            settings: [field, url_field],
            url,
            ..
        } = &self.facts;
        let url = self.proxy.as_ref().map_or(url.as_str(), FaultProxy::url);
        let settings = json!({"type": type_, "secretRef": {"name": "zone"}, *field: {*url_field: url}});
        let mut settings = settings;
        if let Program::AlwaysData(fake) = &self.program {
            settings[*field]["account"] = fake.account().into();
        }
        let settings: api::Provider = serde_json::from_value(settings).unwrap();
        let mut secret = self.facts.secret.clone();
        change(&mut secret);
        // As editors and `echo` leave it.
        let secret = secret
            .into_iter()
            .map(|(key, value)| (key.to_owned(), format!("{value}\n").into_bytes()))
            .collect();
        build(&settings, &name(zone), &secret, None, &self.shared).unwrap()
    }

    /// The zone, by its provider.
    pub fn provider(&self) -> Box<dyn Provider> {
        self.of_zone(ZONE)
    }

    pub fn of_zone(&self, zone: &str) -> Box<dyn Provider> {
        self.build(zone, |_| ())
    }

    /// From now on this program may write no more.
    pub fn lose_lease(&self) {
        self.may_write.store(false, Ordering::SeqCst);
    }

    /// With a credential whose end is in the Secret.
    pub fn until(&self, expires_at: &str) -> Box<dyn Provider> {
        self.build(ZONE, |secret| secret.insert(0, ("expires-at", expires_at.to_owned())))
    }

    pub fn with_wrong_credential(&self) -> Box<dyn Provider> {
        self.build(ZONE, |secret| WRONG.clone_into(&mut secret.last_mut().unwrap().1))
    }

    pub fn of_another_zone(&self) -> Box<dyn Provider> {
        if let Program::Ovh(fake) = &self.program {
            for method in ["GET", "POST", "PUT", "DELETE"] {
                fake.grant(method, "/domain/zone/other.example*");
            }
        }
        self.of_zone("other.example")
    }

    /// How many requests it had, where it counts them.
    pub fn calls(&self) -> Option<usize> {
        match &self.program {
            Program::Bind(_) | Program::PowerDns(_) => None,
            Program::AlwaysData(fake) => Some(fake.count()),
            Program::Gandi(fake) => Some(fake.count()),
            Program::PointDns(fake) => Some(fake.count()),
            Program::Ovh(fake) => Some(fake.count()),
            Program::Route53(fake) => Some(fake.count()),
            Program::Scaleway(fake) => Some(fake.count()),
        }
    }

    pub fn kill(&self) {
        match &self.program {
            Program::Bind(bind) => bind.kill(),
            Program::PowerDns(server) => server.kill(),
            _ => panic!("it is part of this program"),
        }
    }

    pub async fn restart(&self) {
        match &self.program {
            Program::Bind(bind) => bind.restart().await.unwrap(),
            Program::PowerDns(server) => server.restart().await.unwrap(),
            _ => panic!("it is part of this program"),
        }
    }

    /// What a resolver is told.
    pub async fn ask(&self, name: &Fqdn, type_: &RecordType) -> Answer {
        let type_ = type_.as_str().parse().unwrap();
        query::ask(self.facts.dns, name.as_str(), type_).await.unwrap()
    }

    /// The set that is served; none is a set without values.
    pub async fn served(&self, name: &Fqdn, type_: &RecordType) -> RrSet {
        let answer = self.ask(name, type_).await;
        let data = answer
            .records
            .iter()
            .filter(|record| record.kind.to_string() == type_.as_str());
        let value = |text: &str| match type_ {
            RecordType::Txt => unquoted(text),
            type_ => canonical(type_, text).unwrap(),
        };
        RrSet {
            name: name.clone(),
            type_: type_.clone(),
            ttl: data.clone().map(|record| record.ttl).min().unwrap_or_default(),
            values: data.map(|record| value(&record.data)).collect(),
        }
    }

    /// Waits until this is what is served.
    pub async fn wait_for(&self, set: &RrSet) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let served = self.served(&set.name, &set.type_).await;
            if served == *set {
                return;
            }
            assert!(Instant::now() < deadline, "served: {served:?}, wanted: {set:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until nothing of the type is served at the name.
    pub async fn wait_for_none(&self, name: &Fqdn, type_: &RecordType) {
        let none = RrSet {
            name: name.clone(),
            type_: type_.clone(),
            ttl: 0,
            values: BTreeSet::new(),
        };
        self.wait_for(&none).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A test that already fails must not abort.
        if !std::thread::panicking() {
            assert_eq!(self.forbidden(), [], "forbidden calls were made");
        }
    }
}

/// A client that does not know better fails the test.
#[tokio::test]
async fn calls_for_a_whole_zone_are_seen_at_powerdns() {
    let mut server = Server::powerdns().await;
    let url = format!("{}/api/v1/servers/localhost/zones/{ZONE}.", server.proxy().url());
    for (method, url) in [("GET", url.as_str()), ("PATCH", &url), ("PUT", &url), ("DELETE", &url)] {
        let request = http::Request::builder()
            .method(method)
            .uri(url)
            .header("x-api-key", &server.facts.secret[0].1);
        tremplin_e2e::http::send(request.body("{}".to_owned()).unwrap())
            .await
            .unwrap();
    }
    let forbidden = server.forbidden();
    let methods: Vec<_> = forbidden.iter().map(|(method, _)| method.as_str()).collect();
    assert_eq!(methods, ["PUT", "DELETE"]);
    // Seen.
    server.proxy = None;
}
