//! SPF records: their syntax, and how many questions they make a receiver ask (RFC 7208).

use std::collections::BTreeSet;

use crate::dns::facts::{Answer, Facts, Kind, Question};
use crate::dns::name::Fqdn;
use crate::dns::rrset::number;

/// The version that begins every SPF record.
const VERSION: &str = "v=spf1";
const MECHANISMS: [&str; 8] = ["all", "include", "a", "mx", "ptr", "ip4", "ip6", "exists"];
/// More questions than this make a receiver give up (4.6.4).
pub const MOST_LOOKUPS: usize = 10;
/// More questions without an answer than this make a receiver give up (4.6.4).
pub const MOST_VOID: usize = 2;

/// A record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spf {
    /// What a receiver may have to look up, in order.
    lookups: Vec<Lookup>,
    /// What `all` says, with which everything ends.
    all: Option<Qualifier>,
    /// The record that counts when nothing matches; meaningless beside `all`.
    redirect: Option<Domain>,
    /// Modifiers that nobody knows, with the names of mechanisms.
    slips: Vec<String>,
}

/// What becomes of mail that a term matches (4.6.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Qualifier {
    /// `+`, or nothing: it is taken.
    Pass,
    /// `-`: it is refused.
    Fail,
    /// `~`: it is suspect.
    SoftFail,
    /// `?`: nothing is said.
    Neutral,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Lookup {
    mechanism: Mechanism,
    /// `None`: the name of the record itself.
    domain: Option<Domain>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mechanism {
    Include,
    A,
    Mx,
    Ptr,
    Exists,
}

/// A name, or a text with macros, which only a receiver can tell.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Domain {
    Name(Fqdn),
    Macro,
}

/// Whether a text is meant as an SPF record (4.5).
pub fn is_spf(text: &str) -> bool {
    text.split_at_checked(VERSION.len())
        .is_some_and(|(head, rest)| head.eq_ignore_ascii_case(VERSION) && (rest.is_empty() || rest.starts_with(' ')))
}

/// Reads a record.
///
/// # Errors
/// What a receiver would call a permanent error, in words.
pub fn parse(text: &str) -> Result<Spf, String> {
    if !is_spf(text) {
        return Err(format!("it does not begin with {VERSION} and a space"));
    }
    if !text.is_ascii() {
        return Err("it has characters beyond ASCII".into());
    }
    let mut spf = Spf::default();
    let mut modifiers = BTreeSet::new();
    for term in text.split(' ').skip(1).filter(|term| !term.is_empty()) {
        let end = term.find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_' | '.'));
        if let Some(("=", name)) = end.and_then(|end| Some((term.get(end..=end)?, term.get(..end)?))) {
            let value = term.get(name.len() + 1..).unwrap_or_default();
            modifier(name, value, &mut modifiers, &mut spf)?;
        } else {
            mechanism(term, &mut spf)?;
        }
    }
    Ok(spf)
}

fn modifier(name: &str, value: &str, seen: &mut BTreeSet<String>, spf: &mut Spf) -> Result<(), String> {
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return Err(format!("{name}= is no modifier"));
    }
    let name = name.to_ascii_lowercase();
    match name.as_str() {
        "redirect" => spf.redirect = Some(domain(value, "redirect")?),
        "exp" => drop(domain(value, "exp")?),
        // Others are for later versions and are passed over (6).
        _ => {
            if MECHANISMS.contains(&name.as_str()) {
                spf.slips.push(name);
            }
            return macros(value).map(drop);
        }
    }
    if seen.insert(name.clone()) {
        Ok(())
    } else {
        Err(format!("{name}= is there twice"))
    }
}

fn mechanism(term: &str, spf: &mut Spf) -> Result<(), String> {
    let (qualifier, rest) = match term.split_at_checked(1) {
        Some(("+", rest)) => (Qualifier::Pass, rest),
        Some(("-", rest)) => (Qualifier::Fail, rest),
        Some(("~", rest)) => (Qualifier::SoftFail, rest),
        Some(("?", rest)) => (Qualifier::Neutral, rest),
        _ => (Qualifier::Pass, term),
    };
    let end = rest.find([':', '/']).unwrap_or(rest.len());
    let (name, argument) = rest.split_at_checked(end).unwrap_or((rest, ""));
    let name = name.to_ascii_lowercase();
    let value = argument.strip_prefix(':');
    let lookup = |mechanism, domain| Lookup { mechanism, domain };
    let found = match name.as_str() {
        "all" if argument.is_empty() => {
            spf.all.get_or_insert(qualifier);
            return Ok(());
        }
        "ip4" => return network(value, 32).ok_or(format!("{term} needs an IPv4 address or range")),
        "ip6" => return network(value, 128).ok_or(format!("{term} needs an IPv6 address or range")),
        "include" => lookup(Mechanism::Include, Some(domain(value.unwrap_or_default(), &name)?)),
        "exists" => lookup(Mechanism::Exists, Some(domain(value.unwrap_or_default(), &name)?)),
        "ptr" if argument.is_empty() => lookup(Mechanism::Ptr, None),
        "ptr" => lookup(Mechanism::Ptr, Some(domain(value.unwrap_or_default(), &name)?)),
        "a" | "mx" => {
            let kind = if name == "a" { Mechanism::A } else { Mechanism::Mx };
            lookup(kind, hosts(argument, &name)?)
        }
        _ => {
            return Err(format!("{term} is no mechanism ({})", MECHANISMS.join(", ")));
        }
    };
    // What comes after `all` is never looked at (5.1).
    if spf.all.is_none() {
        spf.lookups.push(found);
    }
    Ok(())
}

/// `[":" domain] ["/" bits] ["//" bits]` of `a` and `mx`.
fn hosts(argument: &str, mechanism: &str) -> Result<Option<Domain>, String> {
    let slash = argument.find('/').unwrap_or(argument.len());
    let (head, mut ranges) = argument.split_at_checked(slash).unwrap_or((argument, ""));
    let bits = |text: &str, most: u8| number::<u8>(text).is_some_and(|bits| bits <= most);
    if let Some((v4, v6)) = ranges.split_once("//") {
        if !bits(v6, 128) {
            return Err(format!("{mechanism}{argument} has no length of an IPv6 range after //"));
        }
        ranges = v4;
    }
    if let Some(v4) = ranges.strip_prefix('/')
        && !bits(v4, 32)
    {
        return Err(format!("{mechanism}{argument} has no length of an IPv4 range after /"));
    }
    match head.strip_prefix(':') {
        None => Ok(None),
        Some(name) => domain(name, mechanism).map(Some),
    }
}

fn network(value: Option<&str>, most: u8) -> Option<()> {
    let value = value?;
    let (address, bits) = value.split_once('/').unwrap_or((value, "0"));
    let fits = match most {
        32 => address.parse::<std::net::Ipv4Addr>().is_ok(),
        _ => address.parse::<std::net::Ipv6Addr>().is_ok(),
    };
    (fits && number::<u8>(bits).is_some_and(|bits| bits <= most)).then_some(())
}

fn domain(text: &str, term: &str) -> Result<Domain, String> {
    if text.is_empty() {
        return Err(format!("{term} needs a domain"));
    }
    if macros(text)? {
        return Ok(Domain::Macro);
    }
    Fqdn::parse(text)
        .map(Domain::Name)
        .map_err(|error| format!("the domain of {term} {error}"))
}

/// Checks the macros of a text; whether it has any (7.1).
fn macros(text: &str) -> Result<bool, String> {
    let mut rest = text;
    let mut found = false;
    while let Some((_, after)) = rest.split_once('%') {
        found = true;
        rest = if let Some(after) = after.strip_prefix(['%', '_', '-']) {
            after
        } else if let Some((inside, after)) = after.strip_prefix('{').and_then(|inside| inside.split_once('}'))
            && is_macro(inside)
        {
            after
        } else {
            return Err(format!("{text} has a % that begins no macro"));
        };
    }
    Ok(found)
}

/// A letter, digits, `r`, delimiters.
fn is_macro(inside: &str) -> bool {
    let mut rest = inside.chars();
    let letter = rest.next().is_some_and(|c| "slodiphcrtvSLODIPHCRTV".contains(c));
    let rest = rest.as_str().trim_start_matches(|c: char| c.is_ascii_digit());
    let rest = rest.strip_prefix(['r', 'R']).unwrap_or(rest);
    letter && rest.chars().all(|c| ".-+,/_=".contains(c))
}

/// What a receiver would meet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Questions, at the least: what is not known yet counts as one.
    pub lookups: usize,
    /// Those of them that have no answer.
    pub void: usize,
    /// What would make a receiver give up, beside the numbers.
    pub broken: Vec<String>,
    /// What must be asked to know more.
    pub open: BTreeSet<Question>,
    /// What was asked in vain: a time-out or a fault of the server.
    pub unsure: Vec<String>,
}

impl Spf {
    /// What `all` says; `None`: nothing, which is neutral (4.7).
    pub fn all(&self) -> Option<Qualifier> {
        self.all
    }

    /// Whether it says what becomes of everybody else, by itself or by another record.
    pub fn ends(&self) -> bool {
        self.all.is_some() || self.redirect.is_some()
    }

    /// Whether it includes a record.
    pub fn includes(&self, name: &str) -> bool {
        self.lookups.iter().any(|lookup| {
            lookup.mechanism == Mechanism::Include
                && matches!(&lookup.domain, Some(Domain::Name(domain)) if domain.as_str() == name)
        })
    }

    /// Terms that look like a mechanism and are none, such as `include` for `include=_spf.example.org`.
    pub fn slips(&self) -> &[String] {
        &self.slips
    }

    /// Counts, in the worst case, when nothing matches before the end.
    pub fn count(&self, name: &Fqdn, facts: &Facts) -> Count {
        let mut count = Count::default();
        self.walk(name, facts, &mut count, &mut vec![name.clone()]);
        count
    }

    fn walk(&self, name: &Fqdn, facts: &Facts, count: &mut Count, above: &mut Vec<Fqdn>) {
        for lookup in &self.lookups {
            count.lookups += 1;
            let asked = match &lookup.domain {
                None => name,
                Some(Domain::Name(domain)) => domain,
                Some(Domain::Macro) => continue,
            };
            match lookup.mechanism {
                Mechanism::Include => follow(asked, facts, count, above),
                Mechanism::A | Mechanism::Exists => void(asked, Kind::Address, facts, count),
                Mechanism::Mx => void(asked, Kind::Mx, facts, count),
                Mechanism::Ptr => {}
            }
        }
        if let (None, Some(redirect)) = (self.all, &self.redirect) {
            count.lookups += 1;
            if let Domain::Name(domain) = redirect {
                follow(domain, facts, count, above);
            }
        }
    }
}

fn void(name: &Fqdn, kind: Kind, facts: &Facts, count: &mut Count) {
    let question = Question::new(name, kind);
    match facts.get(&question) {
        None => drop(count.open.insert(question)),
        Some(Answer::Nothing) => count.void += 1,
        Some(Answer::Unknown) => count.unsure.push(name.to_string()),
        Some(Answer::Texts(_) | Answer::Found | Answer::Alias) => {}
    }
}

fn follow(name: &Fqdn, facts: &Facts, count: &mut Count, above: &mut Vec<Fqdn>) {
    if above.contains(name) {
        count.broken.push(format!("the SPF record of {name} includes itself"));
        return;
    }
    // Far enough to know that it is too much.
    if count.lookups > MOST_LOOKUPS {
        return;
    }
    let question = Question::new(name, Kind::Text);
    let texts = match facts.get(&question) {
        None => {
            count.open.insert(question);
            return;
        }
        Some(Answer::Unknown) => {
            count.unsure.push(name.to_string());
            return;
        }
        Some(Answer::Texts(texts)) => texts.as_slice(),
        Some(Answer::Nothing | Answer::Found | Answer::Alias) => &[],
    };
    let mut records = texts.iter().filter(|text| is_spf(text));
    match (records.next(), records.next()) {
        (Some(text), None) => match parse(text) {
            Ok(spf) => {
                above.push(name.clone());
                spf.walk(name, facts, count, above);
                above.pop();
            }
            Err(error) => count
                .broken
                .push(format!("the SPF record of {name} cannot be read: {error}")),
        },
        (None, _) => {
            count.void += 1;
            count.broken.push(format!("{name} has no SPF record to include"));
        }
        (Some(_), Some(_)) => count.broken.push(format!("{name} has more than one SPF record")),
    }
}

#[cfg(test)]
mod tests;
