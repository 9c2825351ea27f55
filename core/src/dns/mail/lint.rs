//! Whether mail at a name would work: what is missing, what could be better, and what must be asked to know.

use std::collections::BTreeSet;

use super::preset::{self, Preset};
use super::{dkim, dmarc, spf, written};
use crate::api::dns::Mail;
use crate::conditions::State;
use crate::dns::facts::{Answer, Facts, Kind, Question};
use crate::dns::name::Fqdn;
use crate::dns::reasons::Reason;
use crate::dns::rrset::RrSet;

/// What is to be said about mail at a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// What is missing or would not work.
    pub missing: Vec<String>,
    /// What would work, and could be better.
    pub advice: Vec<String>,
    /// Names that were asked for in vain.
    pub unsure: Vec<String>,
    /// What must be asked before this is the last word: ask, add the answers to the facts, and judge again. It takes a
    /// few rounds at most, as SPF records include others.
    pub open: BTreeSet<Question>,
}

impl Verdict {
    /// The condition `MailReady`: its state, reason and message.
    pub fn condition(&self) -> (State, Reason, String) {
        if !self.missing.is_empty() {
            return (State::False, Reason::MailIncomplete, self.missing.join("; "));
        }
        let open = self.open.iter().map(|question| question.name.to_string());
        let unsure: BTreeSet<_> = self.unsure.iter().cloned().chain(open).collect();
        if !unsure.is_empty() {
            let names = unsure.into_iter().collect::<Vec<_>>().join(", ");
            return (State::Unknown, Reason::MailUnknown, format!("no answer about {names}"));
        }
        (State::True, Reason::MailComplete, self.advice.join("; "))
    }
}

/// Judges mail at a name by what others answered. `beside`: what other records of the namespace say there and below.
pub fn lint(mail: &Mail, name: &Fqdn, beside: &[RrSet], facts: &Facts) -> Verdict {
    let mut lint = Lint {
        name,
        beside,
        facts,
        preset: mail.preset.map(preset::of),
        verdict: Verdict::default(),
    };
    lint.exchangers(mail);
    lint.senders(mail);
    lint.keys(mail);
    lint.policy(mail);
    lint.verdict
}

struct Lint<'a> {
    name: &'a Fqdn,
    beside: &'a [RrSet],
    facts: &'a Facts,
    preset: Option<Preset>,
    verdict: Verdict,
}

impl<'a> Lint<'a> {
    /// What is known, and noted as open when nothing is.
    fn ask(&mut self, name: &Fqdn, kind: Kind) -> Option<&'a Answer> {
        let question = Question::new(name, kind);
        let answer = self.facts.get(&question);
        match answer {
            None => drop(self.verdict.open.insert(question)),
            Some(Answer::Unknown) => self.verdict.unsure.push(name.to_string()),
            Some(_) => {}
        }
        answer
    }

    fn missing(&mut self, what: impl Into<String>) {
        self.verdict.missing.push(what.into());
    }

    fn advice(&mut self, what: impl Into<String>) {
        self.verdict.advice.push(what.into());
    }

    /// The policy of mail that another record has at a name.
    fn elsewhere(&self, policy: &str, name: &str) -> Option<&'a str> {
        let sets = self.beside.iter().filter(|set| set.name.as_str() == name);
        let mut texts = sets.flat_map(|set| &set.values).map(String::as_str);
        texts.find(|text| super::policy(text) == Some(policy))
    }

    fn no_mail(&self) -> bool {
        self.preset.is_some_and(|preset| preset.null_mx)
    }

    fn exchangers(&mut self, mail: &Mail) {
        if mail.mx.is_empty() && !self.no_mail() {
            self.advice("MX: none, so that answers to this name's mail reach nobody, unless another record says where");
        }
        // `.` is the null MX, and leads nowhere.
        for exchanger in mail.mx.iter().filter(|exchanger| exchanger.host != ".") {
            let Ok(host) = Fqdn::parse(&exchanger.host) else {
                self.missing(format!("MX: {} is no host", exchanger.host));
                continue;
            };
            match self.ask(&host, Kind::Address) {
                Some(Answer::Nothing) => self.missing(format!("MX: {host} has no address")),
                Some(Answer::Alias) => {
                    self.missing(format!(
                        "MX: {host} is an alias (CNAME), to which MX may not lead (RFC 2181)"
                    ));
                }
                _ => {}
            }
        }
    }

    fn senders(&mut self, mail: &Mail) {
        let preset = self.preset;
        let own = written(mail.spf.as_deref(), preset.map(|preset| preset.spf));
        let Some(text) = own.or_else(|| self.elsewhere("SPF", self.name.as_str())) else {
            return self.missing("SPF: no record says who may send: write spec.mail.spf");
        };
        let spf = match spf::parse(text) {
            Ok(spf) => spf,
            Err(error) => return self.missing(format!("SPF: {error}")),
        };
        let count = spf.count(self.name, self.facts);
        if count.lookups > spf::MOST_LOOKUPS {
            let (lookups, most) = (count.lookups, spf::MOST_LOOKUPS);
            self.missing(format!(
                "SPF: it makes receivers ask {lookups} questions or more: they give up after {most}"
            ));
        }
        if count.void > spf::MOST_VOID {
            let (void, most) = (count.void, spf::MOST_VOID);
            self.missing(format!(
                "SPF: {void} of its questions have no answer: receivers give up after {most}"
            ));
        }
        for broken in count.broken {
            self.missing(format!("SPF: {broken}"));
        }
        self.verdict.open.extend(count.open);
        self.verdict.unsure.extend(count.unsure);
        match spf.all() {
            Some(spf::Qualifier::Pass) => self.missing("SPF: +all lets everybody send: end it with ~all or -all"),
            Some(spf::Qualifier::Neutral) => {
                self.advice("SPF: ?all says nothing about others: end it with ~all or -all");
            }
            None if !spf.ends() => self.advice("SPF: it says nothing about others: end it with ~all or -all"),
            _ => {}
        }
        if let Some(preset) = preset.filter(|preset| !preset.include.is_empty() && !spf.includes(preset.include)) {
            self.advice(format!(
                "SPF: it does not include {}, as {} asks",
                preset.include, preset.name
            ));
        }
        for slip in spf.slips() {
            self.advice(format!(
                "SPF: {slip}= is passed over as an unknown modifier: the mechanism is written {slip}:"
            ));
        }
    }

    fn keys(&mut self, mail: &Mail) {
        let keys = format!("_domainkey.{}", self.name);
        let is_key = |set: &RrSet| set.name.as_str().ends_with(&format!(".{keys}"));
        if mail.dkim.is_empty() && !self.no_mail() && !self.beside.iter().any(is_key) {
            let where_ = self.preset.and_then(|preset| preset.keys);
            self.missing(format!(
                "DKIM: no key: {}",
                where_.unwrap_or("write those of the mail service in spec.mail.dkim")
            ));
        }
        for key in &mail.dkim {
            let selector = &key.selector;
            let record = match (&key.record, &key.target) {
                (Some(record), _) => record.as_str(),
                (None, Some(target)) => match Fqdn::parse(target) {
                    Ok(target) => match self.published(&target, selector) {
                        Some(record) => record,
                        None => continue,
                    },
                    Err(error) => {
                        self.missing(format!("DKIM: the target of {selector} {error}"));
                        continue;
                    }
                },
                (None, None) => "",
            };
            match dkim::parse(record) {
                Ok(key) => key
                    .advice
                    .iter()
                    .for_each(|advice| self.advice(format!("DKIM: {selector}: {advice}"))),
                Err(error) => self.missing(format!("DKIM: {selector}: {error}")),
            }
        }
    }

    /// The key record that a host of the mail service has.
    fn published(&mut self, target: &Fqdn, selector: &str) -> Option<&'a str> {
        match self.ask(target, Kind::Text)? {
            Answer::Unknown => None,
            Answer::Texts(texts) if !texts.is_empty() => {
                let key = texts.iter().find(|text| dkim::parse(text).is_ok());
                key.or(texts.first()).map(String::as_str)
            }
            _ => {
                self.missing(format!(
                    "DKIM: {selector}: {target} has no key: has the mail service made it yet?"
                ));
                None
            }
        }
    }

    fn policy(&mut self, mail: &Mail) {
        let own = written(mail.dmarc.as_deref(), self.preset.map(|preset| preset.dmarc));
        let Some(text) = own.or_else(|| self.elsewhere("DMARC", &format!("_dmarc.{}", self.name))) else {
            return self.missing("DMARC: no record says what becomes of forged mail: write spec.mail.dmarc");
        };
        match dmarc::parse(text) {
            Err(error) => self.missing(format!("DMARC: {error}")),
            Ok(dmarc) if dmarc.policy == dmarc::Policy::None => {
                let reports = if dmarc.reported {
                    ""
                } else {
                    ", and reports go nowhere (rua=)"
                };
                self.advice(format!(
                    "DMARC: p=none lets forged mail pass{reports}: make it quarantine or reject when reports are clean"
                ));
            }
            Ok(_) => {}
        }
    }
}

#[cfg(test)]
mod tests;
