//! Each provider, real or fake, as it is started, and what is to be known of it.

use tremplin_e2e::dns::fake::{AlwaysData, FakeOptions, Gandi, Ovh, PointDns, Route53, Scaleway};
use tremplin_e2e::dns::{Bind, BindOptions, KEY_NAME, PowerDns, PowerDnsOptions, ZoneText};

use super::{FOREIGN, Facts, Program, Server, ZONE, fake};

impl Server {
    pub async fn always_data() -> Self {
        Self::always_data_with(FakeOptions::new(ZONE)).await
    }

    pub async fn always_data_with(options: FakeOptions) -> Self {
        let fake = AlwaysData::start(options).await.unwrap();
        // What a zone begins with is not the user's.
        fake.seed(&format!("$TTL 300\n{FOREIGN}")).unwrap();
        let facts = Facts {
            type_: "AlwaysData",
            settings: ["alwaysData", "url"],
            url: fake.url().to_owned(),
            secret: vec![("api-key", fake.api_key())],
            dns: fake.dns(),
            creates_by: "POST",
            costs: [1, 2, 2],
            many: 30,
        };
        Self::of(Program::AlwaysData(fake), facts)
    }

    pub async fn bind() -> Self {
        Self::bind_with_policy("grant tremplin zonesub ANY;").await
    }

    pub async fn bind_with_policy(policy: &str) -> Self {
        let options = BindOptions {
            zones: vec![ZoneText::with(ZONE, FOREIGN)],
            update_policy: Some(policy.to_owned()),
        };
        let bind = Bind::start(options).await.unwrap();
        let facts = Facts {
            type_: "RFC2136",
            settings: ["rfc2136", "server"],
            url: bind.address().to_string(),
            secret: vec![
                ("tsig-key-name", KEY_NAME.to_owned()),
                ("tsig-secret", bind.key_secret().to_owned()),
            ],
            dns: bind.address(),
            creates_by: "UPDATE",
            costs: [1, 1, 1],
            many: 1_000,
        };
        Self::of(Program::Bind(bind), facts)
    }

    pub async fn gandi() -> Self {
        let fake = Gandi::start(fake()).await.unwrap();
        let facts = Facts {
            type_: "Gandi",
            settings: ["gandi", "url"],
            url: fake.url().to_owned(),
            secret: vec![("token", fake.token())],
            dns: fake.dns(),
            creates_by: "POST",
            costs: [1, 1, 1],
            many: 250,
        };
        Self::of(Program::Gandi(fake), facts)
    }

    pub async fn ovh() -> Self {
        Self::ovh_with(fake()).await
    }

    pub async fn ovh_with(options: FakeOptions) -> Self {
        let fake = Ovh::start(options).await.unwrap();
        let facts = Facts {
            type_: "OVH",
            settings: ["ovh", "url"],
            url: fake.url().to_owned(),
            secret: vec![
                ("application-key", fake.application_key()),
                ("application-secret", fake.application_secret()),
                ("consumer-key", fake.consumer_key()),
            ],
            dns: fake.dns(),
            creates_by: "POST",
            costs: [1, 3, 3],
            many: 60,
        };
        Self::of(Program::Ovh(fake), facts)
    }

    pub async fn point_dns() -> Self {
        let fake = PointDns::start(fake()).await.unwrap();
        let facts = Facts {
            type_: "PointDNS",
            settings: ["pointDNS", "url"],
            url: fake.url().to_owned(),
            secret: vec![("email", fake.user().to_owned()), ("api-token", fake.token())],
            dns: fake.dns(),
            creates_by: "POST",
            costs: [1, 2, 2],
            many: 30,
        };
        Self::of(Program::PointDns(fake), facts)
    }

    pub async fn powerdns() -> Self {
        let options = PowerDnsOptions {
            zones: vec![ZoneText::with(ZONE, FOREIGN)],
        };
        let server = PowerDns::start(options).await.unwrap();
        let facts = Facts {
            type_: "PowerDNS",
            settings: ["powerDNS", "url"],
            url: server.url(),
            secret: vec![("api-key", server.api_key().to_owned())],
            dns: server.dns(),
            creates_by: "PATCH",
            costs: [1, 1, 1],
            many: 1_000,
        };
        // A real server forbids nothing: what it is asked is read on the way.
        Self::of(Program::PowerDns(server), facts).behind_proxy().await
    }

    pub async fn route53() -> Self {
        let fake = Route53::start(fake()).await.unwrap();
        let facts = Facts {
            type_: "Route53",
            settings: ["route53", "url"],
            url: fake.url().to_owned(),
            secret: vec![
                ("access-key-id", fake.access_key_id()),
                ("secret-access-key", fake.secret_access_key()),
            ],
            dns: fake.dns(),
            creates_by: "POST",
            costs: [1, 1, 1],
            many: 700,
        };
        Self::of(Program::Route53(fake), facts)
    }

    pub async fn scaleway() -> Self {
        let fake = Scaleway::start(fake()).await.unwrap();
        let facts = Facts {
            type_: "Scaleway",
            settings: ["scaleway", "url"],
            url: fake.url().to_owned(),
            secret: vec![("secret-key", fake.token())],
            dns: fake.dns(),
            creates_by: "PATCH",
            costs: [1, 1, 1],
            many: 250,
        };
        Self::of(Program::Scaleway(fake), facts)
    }
}
