//! Amazon Route 53 (API 2013-04-01): XML, signed with Signature Version 4.
//!
//! What bites, and is here: a batch is all or nothing; `CREATE` fails on a set that is there, `DELETE` on one that is not
//! exactly as told, values and TTL; **what was accepted is PENDING, and served once the change is INSYNC**. Lists *begin
//! at* the name that was asked for, and go on to others; they come in pages. A private zone may have the same name as
//! the public one, and stand before it in the list. `*` comes back as `\052`. Strings of a TXT are quoted, of at most 255
//! octets each, and escapes are octal. Too many calls are a 400 (`Throttling`), without `Retry-After`; a zone that is busy
//! is another (`PriorRequestNotComplete`, [`Route53::be_busy`]), and so is a batch that is refused: only the code tells
//! what may be tried again.

use std::time::Duration;

use anyhow::Result;

use super::{Calls, Fake, FakeOptions, Incoming, Limit, Outcome, Published, Reply, Service, answer_id, zone};
use crate::dns::query::Record;

mod batch;
mod list;
mod sets;
mod signature;

use sets::{Set, Sets};
use signature::Keys;

/// The namespace of every element.
const NAMESPACE: &str = "https://route53.amazonaws.com/doc/2013-04-01/";
/// The zone that is served, and the private one of the same name, which is not.
const PUBLIC: &str = "Z0PUBLIC";
const PRIVATE: &str = "Z0PRIVATE";

/// A running fake of Route 53.
pub type Route53 = Fake<Route53Service>;

/// The service behind [`Route53`].
pub struct Route53Service {
    keys: Keys,
    published: Published,
    delay: Duration,
    public: Sets,
    private: Sets,
    /// How many changes were submitted, which gives their ids, and those that are served.
    submitted: usize,
    in_sync: Vec<String>,
    /// How many batches are still refused because the zone is busy.
    busy: usize,
}

impl Route53 {
    /// What the service takes: 10 calls a second after the first 50, of an account.
    pub const LIMITS: [Limit; 1] = [Limit {
        calls: Calls::All,
        burst: 50,
        every: Duration::from_millis(100),
    }];

    /// Starts it. `delay` is how long a change is pending.
    ///
    /// # Errors
    /// If the zone does not parse, or no port is free.
    pub async fn start(options: FakeOptions) -> Result<Self> {
        let delay = options.delay;
        Self::start_with(&options, "", |published| {
            Ok(Route53Service {
                keys: Keys::new()?,
                published: published.with_still_serial(),
                delay,
                public: Sets::default(),
                private: Sets::default(),
                submitted: 0,
                in_sync: Vec::new(),
                busy: 0,
            })
        })
        .await
    }

    /// The access key's id.
    pub fn access_key_id(&self) -> String {
        self.service().keys.id.clone()
    }

    /// The access key's secret.
    pub fn secret_access_key(&self) -> String {
        self.service().keys.secret.clone()
    }

    /// The id of the zone that is served.
    pub fn zone_id(&self) -> &'static str {
        PUBLIC
    }

    /// Refuses the next batches, as a zone does that is still at work on another.
    pub fn be_busy(&self, batches: usize) {
        self.service().busy = batches;
    }
}

impl Service for Route53Service {
    fn answer(&mut self, request: &Incoming) -> Outcome<Self> {
        let route = request.route();
        let route: Vec<&str> = route.iter().map(String::as_str).collect();
        let [method, "2013-04-01", path @ ..] = route.as_slice() else {
            return refused(404, "UnknownOperationException", "no such operation").into();
        };
        if let Err((code, message)) = self.keys.check(request) {
            return refused(403, code, message).into();
        }
        match (*method, path) {
            ("GET", ["hostedzonesbyname"]) => self.zones(request).into(),
            ("GET", ["change", id]) => self.change(id).into(),
            ("GET", ["hostedzone", id]) if self.sets(id).is_some() => self.zone(id).into(),
            ("GET", ["hostedzone", id, "rrset"]) if self.sets(id).is_some() => self.list(id, request).into(),
            ("POST", ["hostedzone", id, "rrset"]) if self.sets(id).is_some() => self.submit(id, &request.body),
            ("DELETE", ["hostedzone", id]) if self.sets(id).is_some() => {
                let message = "The specified hosted zone contains non-required resource record sets";
                refused(400, "HostedZoneNotEmpty", message).into()
            }
            (_, ["hostedzone", id, ..]) => {
                refused(404, "NoSuchHostedZone", &format!("No hosted zone found with ID: {id}")).into()
            }
            _ => refused(404, "UnknownOperationException", "no such operation").into(),
        }
    }

    fn forbids(&self, request: &Incoming) -> bool {
        let route = request.route();
        let route: Vec<&str> = route.iter().map(String::as_str).collect();
        matches!(
            route.as_slice(),
            ["DELETE" | "POST", _, "hostedzone"] | ["DELETE" | "POST", _, "hostedzone", _]
        )
    }

    fn throttle(&self, _wait: Duration) -> Reply {
        refused(400, "Throttling", "Rate exceeded")
    }

    fn seed(&mut self, records: &[Record]) -> Result<()> {
        for record in records {
            self.public.seed(record);
        }
        self.published.publish(&self.public.rows())
    }

    fn stored(&self) -> Vec<Record> {
        zone::readable(self.published.origin(), &self.public.rows())
    }

    fn expire(&mut self, expired: bool) {
        self.keys.expired = expired;
    }
}

impl Route53Service {
    fn sets(&self, id: &str) -> Option<&Sets> {
        match id {
            PUBLIC => Some(&self.public),
            PRIVATE => Some(&self.private),
            _ => None,
        }
    }

    /// Takes a batch, whose change is served later.
    fn submit(&mut self, id: &str, body: &str) -> Outcome<Self> {
        let changes = match batch::read(body) {
            Ok(changes) => changes,
            Err(why) => return refused(400, "InvalidInput", &why).into(),
        };
        if self.busy > 0 {
            self.busy -= 1;
            let message = "The request was rejected because Route 53 was still processing a prior request.";
            return refused(400, "PriorRequestNotComplete", message).into();
        }
        let origin = self.published.origin().to_owned();
        let after = self.sets(id).cloned().unwrap_or_default().after(&changes, &origin);
        let checked = after.and_then(|after| {
            let rows = after.rows();
            let conflict = |error: anyhow::Error| vec![format!("RRSet is not permitted: {error:#}")];
            self.published.check(&rows).map_err(conflict).map(|()| (after, rows))
        });
        let (after, rows) = match checked {
            Ok(both) => both,
            Err(messages) => return invalid_batch(&messages).into(),
        };
        self.submitted += 1;
        let change = format!("C{:08}", self.submitted);
        let reply = xml(
            200,
            "ChangeResourceRecordSetsResponse",
            &change_info(&change, "PENDING"),
        );
        let (is_public, turn) = (id == PUBLIC, self.published.turn());
        *(if is_public { &mut self.public } else { &mut self.private }) = after;
        Outcome::from(reply).then(self.delay, move |service: &mut Self| {
            if is_public {
                // It was checked.
                let _ = service.published.publish_in_turn(turn, &rows);
            }
            service.in_sync.push(change);
        })
    }

    fn change(&self, id: &str) -> Reply {
        let number: Option<usize> = id.strip_prefix('C').and_then(|number| number.parse().ok());
        if !number.is_some_and(|number| (1..=self.submitted).contains(&number)) {
            return refused(404, "NoSuchChange", &format!("Could not find resource with ID: {id}"));
        }
        let in_sync = self.in_sync.iter().any(|change| change == id);
        let status = if in_sync { "INSYNC" } else { "PENDING" };
        xml(200, "GetChangeResponse", &change_info(id, status))
    }
}

fn change_info(id: &str, status: &str) -> String {
    format!(
        "<ChangeInfo><Id>/change/{id}</Id><Status>{status}</Status>\
         <SubmittedAt>2026-11-23T06:00:00.000Z</SubmittedAt></ChangeInfo>"
    )
}

/// A document with this root.
fn xml(status: u16, root: &str, content: &str) -> Reply {
    let body = format!("<?xml version=\"1.0\"?>\n<{root} xmlns=\"{NAMESPACE}\">{content}</{root}>");
    Reply::text(status, "text/xml", body)
}

fn refused(status: u16, code: &str, message: &str) -> Reply {
    let message = quick_xml::escape::escape(message);
    let error = format!("<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>");
    xml(
        status,
        "ErrorResponse",
        &format!("{error}<RequestId>{}</RequestId>", answer_id()),
    )
}

/// The refusal of a batch, whose message names all that is wrong.
fn invalid_batch(messages: &[String]) -> Reply {
    let messages: Vec<_> = messages.iter().map(|message| format!("[{message}]")).collect();
    refused(400, "InvalidChangeBatch", &format!("[{}]", messages.join(", ")))
}
