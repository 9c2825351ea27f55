//! Dynamic updates (RFC 2136), signed with TSIG (RFC 8945): BIND, Knot, PowerDNS and others.
//!
//! Every update says what it expects to find (RFC 2136, 2.4), so that a change of somebody else since the zone was read is
//! [`Failure::Changed`] and nothing is written. Seen on BIND 9.18: a CNAME that an update would put beside other data
//! is left out without a word, so that an update also says that nothing of the kind is there.

pub(super) mod exchange;
pub(super) mod wire;

use std::collections::{BTreeMap, BTreeSet};

use futures::future::BoxFuture;
use hickory_proto::op::update_message::UpdateMessage;
use hickory_proto::op::{Message, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, Record, RecordType as Code};
use jiff::Timestamp;
use tremplin_core::api::dns as api;
use tremplin_core::dns::profile::{Alias, Atomicity, Profile, Publication};
use tremplin_core::dns::{Change, Fqdn, RecordType, RrSet};

use self::exchange::{Connection, Server};
use super::account::Fence;
use super::data::batches;
use super::{Credential, Failure, Parts, Provider};

/// How many sets go into one update.
const BATCH: usize = 200;
/// How long an update may be, in octets: what is left of 64 KiB holds the signature.
const LONGEST: usize = 64_000;
/// The types that a CNAME must not stand beside, as far as records here have them.
const BESIDE: [RecordType; 8] = [
    RecordType::A,
    RecordType::Aaaa,
    RecordType::Txt,
    RecordType::Mx,
    RecordType::Caa,
    RecordType::Srv,
    RecordType::Ns,
    RecordType::Ds,
];

pub(super) const PROFILE: Profile = Profile {
    name: "RFC 2136",
    min_ttl: 1,
    max_ttl: 0x7fff_ffff,
    atomicity: Atomicity::Batch(BATCH),
    alias: Alias::Never,
    without: &[],
    publication: Publication::Immediate,
    reads_by_name: 200,
    snapshots: false,
    serial_moves: true,
    rate: None,
};

/// A zone.
pub(super) struct Rfc2136 {
    server: Server,
    fence: Fence,
    domain: Fqdn,
    apex: Name,
    expires_at: Option<Timestamp>,
}

impl Rfc2136 {
    pub(super) fn new(settings: &api::Rfc2136, parts: Parts<'_>) -> Result<Self, Failure> {
        Ok(Self {
            server: Server::new(&settings.server, parts.secret)?,
            fence: parts.shared.fence(),
            domain: parts.domain.clone(),
            apex: wire::name(parts.domain)?,
            expires_at: parts.secret.expires_at()?,
        })
    }

    /// What an answer that is no success means. Codes: RFC 1035, 4.1.1, and RFC 2136, 2.2.
    fn failure(&self, code: ResponseCode) -> Failure {
        let (server, zone) = (self.server.name(), &self.domain);
        match code {
            ResponseCode::NXDomain | ResponseCode::YXDomain | ResponseCode::YXRRSet | ResponseCode::NXRRSet => {
                Failure::Changed(format!("{server}: the zone is no longer as it was read ({code})"))
            }
            ResponseCode::Refused => Failure::Unauthorized(format!(
                "{server} refuses it (REFUSED): the key needs the right to it in the server's policy for {zone}"
            )),
            ResponseCode::NotAuth => Failure::NoZone(format!("{server} is not the primary of {zone} (NOTAUTH)")),
            ResponseCode::ServFail => Failure::Unavailable(format!("{server} has a fault of its own (SERVFAIL)")),
            code => Failure::Refused(format!("{server} answered {code}")),
        }
    }

    fn update(&self) -> Message {
        let mut message = Message::query();
        message.metadata.op_code = OpCode::Update;
        message.metadata.recursion_desired = false;
        message.add_zone(Query::query(self.apex.clone(), Code::SOA));
        message
    }

    /// Sends an update of which somebody may have written the texts in other strings than we would: what is there
    /// is then asked for, and the same update sent with it, if it is the same text.
    async fn swap(&self, connection: &mut Connection<'_>, changes: &[&Change]) -> Result<(), Failure> {
        let code = self.send_update(connection, changes, &BTreeMap::new()).await?;
        let texts = changes.iter().filter_map(|change| change.before.as_ref());
        let texts: BTreeSet<_> = texts
            .filter(|set| set.type_ == RecordType::Txt)
            .map(|set| set.name.clone())
            .collect();
        let code = if code == ResponseCode::NXRRSet && !texts.is_empty() {
            let as_written = self.texts(connection, &texts).await?;
            self.send_update(connection, changes, &as_written).await?
        } else {
            code
        };
        if code == ResponseCode::NoError {
            Ok(())
        } else {
            Err(self.failure(code))
        }
    }

    async fn send_update(
        &self,
        connection: &mut Connection<'_>,
        changes: &[&Change],
        texts: &BTreeMap<Fqdn, Vec<Record>>,
    ) -> Result<ResponseCode, Failure> {
        let mut message = self.update();
        for change in changes {
            message.add_pre_requisites(expected(change, changes, texts)?);
        }
        // What goes comes first: a type that takes another's place needs the name free.
        for set in changes.iter().filter_map(|change| change.before.as_ref()) {
            message.add_update(wire::whole(
                wire::name(&set.name)?,
                wire::code(&set.type_)?,
                DNSClass::ANY,
            ));
        }
        for set in changes.iter().filter_map(|change| change.after.as_ref()) {
            message.add_updates(wire::records(set)?);
        }
        self.fence.pass()?;
        Ok(connection.ask(message).await?.metadata.response_code)
    }

    async fn texts(
        &self,
        connection: &mut Connection<'_>,
        names: &BTreeSet<Fqdn>,
    ) -> Result<BTreeMap<Fqdn, Vec<Record>>, Failure> {
        let mut texts = BTreeMap::new();
        for name in names {
            let answer = self.ask(connection, name, Code::TXT).await?;
            texts.insert(name.clone(), answer.answers);
        }
        Ok(texts)
    }

    async fn ask(&self, connection: &mut Connection<'_>, name: &Fqdn, code: Code) -> Result<Message, Failure> {
        let mut question = Message::query();
        question.metadata.recursion_desired = false;
        question.add_query(Query::query(wire::name(name)?, code));
        let answer = connection.ask(question).await?;
        match answer.metadata.response_code {
            ResponseCode::NoError | ResponseCode::NXDomain => Ok(answer),
            ResponseCode::Refused | ResponseCode::NotAuth => Err(Failure::NoZone(format!(
                "{} does not answer for {} ({})",
                self.server.name(),
                self.domain,
                answer.metadata.response_code
            ))),
            code => Err(self.failure(code)),
        }
    }

    /// What is at a name by the answer to a question for everything. Below a delegation, nothing of ours.
    async fn at(&self, connection: &mut Connection<'_>, name: &Fqdn) -> Result<Vec<Record>, Failure> {
        let answer = self.ask(connection, name, Code::ANY).await?;
        let owner = wire::name(name)?;
        if answer.metadata.authoritative || !answer.answers.is_empty() {
            return Ok(answer
                .answers
                .into_iter()
                .filter(|record| record.name == owner)
                .collect());
        }
        // A delegation at this very name: its NS come as a referral; its DS are the parent's to answer.
        let mut records: Vec<_> = answer.authorities;
        records.retain(|record| record.name == owner && record.record_type() == Code::NS);
        if !records.is_empty() {
            records.extend(self.ask(connection, name, Code::DS).await?.answers);
        }
        Ok(records)
    }

    /// What is answered at each of these names, where it is anything.
    async fn seen<'a>(
        &self,
        connection: &mut Connection<'_>,
        names: &'a BTreeSet<Fqdn>,
    ) -> Result<Vec<(&'a Fqdn, Vec<Record>)>, Failure> {
        let mut seen = Vec::new();
        for name in names {
            let records = self.at(connection, name).await?;
            if !records.is_empty() {
                seen.push((name, records));
            }
        }
        Ok(seen)
    }

    /// Whether all these names are really there, and not made up from a wildcard: an update that changes nothing tells.
    async fn are_there(&self, connection: &mut Connection<'_>, names: &[&Fqdn]) -> Result<bool, Failure> {
        let mut message = self.update();
        for name in names {
            message.add_pre_requisite(wire::whole(wire::name(name)?, Code::ANY, DNSClass::ANY));
        }
        match connection.ask(message).await?.metadata.response_code {
            ResponseCode::NoError => Ok(true),
            ResponseCode::NXDomain => Ok(false),
            code => Err(self.failure(code)),
        }
    }
}

/// What must be there, and what must not, for a change to be made.
fn expected(change: &Change, all: &[&Change], texts: &BTreeMap<Fqdn, Vec<Record>>) -> Result<Vec<Record>, Failure> {
    if let Some(before) = &change.before {
        let written = texts.get(&before.name).filter(|_| before.type_ == RecordType::Txt);
        let same = written.filter(|records| {
            let sets = wire::sets(records.iter());
            sets.iter().map(|set| &set.values).eq([&before.values])
        });
        let mut records = match same {
            Some(records) => records.clone(),
            None => wire::records(before)?,
        };
        for record in &mut records {
            record.ttl = 0;
        }
        return Ok(records);
    }
    let Some(after) = &change.after else {
        return Ok(Vec::new());
    };
    let name = wire::name(&after.name)?;
    let here = |other: &&&Change| other.name() == Some(&after.name);
    let leaving: Vec<_> = all
        .iter()
        .filter(here)
        .filter(|other| other.after.is_none())
        .filter_map(|other| other.type_())
        .collect();
    let absent = |type_: &RecordType| Ok(wire::whole(name.clone(), wire::code(type_)?, DNSClass::NONE));
    let mut records = vec![absent(&after.type_)?];
    if after.type_ != RecordType::Cname {
        if !leaving.contains(&&RecordType::Cname) {
            records.push(absent(&RecordType::Cname)?);
        }
    } else if leaving.is_empty() {
        // Nothing at all may be there.
        records.push(wire::whole(name.clone(), Code::ANY, DNSClass::NONE));
    } else {
        for type_ in BESIDE.iter().filter(|type_| !leaving.contains(type_)) {
            records.push(absent(type_)?);
        }
    }
    Ok(records)
}

/// About how many octets a change takes in a message.
fn size(change: &Change) -> usize {
    let sets = [&change.before, &change.after];
    let values = sets.into_iter().flatten().flat_map(|set| &set.values);
    values.map(|value| value.len() + value.len() / 255 + 300).sum::<usize>() + 900
}

impl Provider for Rfc2136 {
    fn profile(&self) -> &Profile {
        &PROFILE
    }

    fn verify(&self) -> BoxFuture<'_, Result<Credential, Failure>> {
        Box::pin(async {
            let mut connection = self.server.connect().await?;
            let answer = self.ask(&mut connection, &self.domain, Code::SOA).await?;
            let sets = wire::sets(&answer.answers);
            let served = sets
                .iter()
                .any(|set| set.name == self.domain && set.type_ == RecordType::Soa);
            if !served || !answer.metadata.authoritative {
                return Err(Failure::NoZone(format!(
                    "{} is not an authority for {}",
                    self.server.name(),
                    self.domain
                )));
            }
            // An update of nothing: whether this is the primary, and takes updates by this key at all.
            self.are_there(&mut connection, &[&self.domain]).await?;
            Ok(Credential {
                expires_at: self.expires_at,
            })
        })
    }

    fn read<'a>(&'a self, names: &'a BTreeSet<Fqdn>) -> BoxFuture<'a, Result<Vec<RrSet>, Failure>> {
        Box::pin(async move {
            if names.len() > PROFILE.reads_by_name {
                return self.read_all().await;
            }
            let mut connection = self.server.connect().await?;
            let mut found = self.seen(&mut connection, names).await?;
            let there: Vec<_> = found.iter().map(|(name, _)| *name).collect();
            if !there.is_empty() && !self.are_there(&mut connection, &there).await? {
                // Some are made up from a wildcard: which?
                let mut real = Vec::new();
                for (name, records) in found {
                    if self.are_there(&mut connection, &[name]).await? {
                        real.push((name, records));
                    }
                }
                found = real;
            }
            Ok(wire::sets(found.iter().flat_map(|(_, records)| records)))
        })
    }

    /// Whether it is really there, the prerequisites of a change ask anyway.
    fn look_again<'a>(&'a self, names: &'a BTreeSet<Fqdn>) -> BoxFuture<'a, Result<Vec<RrSet>, Failure>> {
        Box::pin(async move {
            let mut connection = self.server.connect().await?;
            let seen = self.seen(&mut connection, names).await?;
            Ok(wire::sets(seen.iter().flat_map(|(_, records)| records)))
        })
    }

    fn read_all(&self) -> BoxFuture<'_, Result<Vec<RrSet>, Failure>> {
        Box::pin(async {
            let mut connection = self.server.connect().await?;
            let mut question = Message::query();
            question.metadata.recursion_desired = false;
            question.add_query(Query::query(self.apex.clone(), Code::AXFR));
            match connection.transfer(question).await? {
                Ok(records) => Ok(wire::sets(&records)),
                Err(ResponseCode::Refused | ResponseCode::NotAuth) => Err(Failure::Unauthorized(format!(
                    "{} does not transfer {} with this key",
                    self.server.name(),
                    self.domain
                ))),
                Err(code) => Err(self.failure(code)),
            }
        })
    }

    fn write<'a>(&'a self, changes: &'a [Change]) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            if changes.is_empty() {
                return Ok(());
            }
            let mut connection = self.server.connect().await?;
            for batch in batches(changes, BATCH, LONGEST, size) {
                self.swap(&mut connection, &batch).await?;
            }
            Ok(())
        })
    }
}
