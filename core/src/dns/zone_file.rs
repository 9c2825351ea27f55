//! Zone files, as BIND and most providers write them (RFC 1035 5.1, with `$TTL` of RFC 2308 and units in TTLs).
//!
//! Written here, for what the parsers at hand lack: units in TTLs, a provider's own types (ALIAS), data of types that
//! nobody knows kept as it is written, and a line in every error.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::name::Fqdn;
use super::rrset::{RecordType, RrSet, canonical, quoted, unquoted};

mod lex;

use lex::{Line, Token};

/// The TTL when a file gives none, in seconds.
const DEFAULT_TTL: u32 = 3600;

/// Why a file cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct ZoneFileError {
    /// The line where the entry begins, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

/// Reads a zone file. Data of one name and type become one set, with the least of their TTLs (RFC 2181 5.2).
///
/// # Errors
/// The first entry that cannot be read. `$INCLUDE` and `$GENERATE` are refused.
pub fn parse(text: &str, origin: &Fqdn) -> Result<Vec<RrSet>, ZoneFileError> {
    let (sets, errors) = read_all(text, origin);
    match errors.into_iter().next() {
        None => Ok(sets),
        Some(error) => Err(error),
    }
}

/// Reads what can be read of a zone file, and tells the rest: an odd record does not hide the others.
pub fn read_all(text: &str, origin: &Fqdn) -> (Vec<RrSet>, Vec<ZoneFileError>) {
    let mut reader = Reader {
        origin: origin.as_str().to_owned(),
        owner: None,
        default_ttl: None,
        last_ttl: None,
        sets: BTreeMap::new(),
    };
    let mut errors = Vec::new();
    for line in lex::lines(text) {
        if let Err(message) = reader.entry(&line) {
            let line = line.number;
            errors.push(ZoneFileError { line, message });
        }
    }
    (reader.sets.into_values().collect(), errors)
}

struct Reader {
    /// Without the dot at its end; empty: the root.
    origin: String,
    owner: Option<Fqdn>,
    default_ttl: Option<u32>,
    last_ttl: Option<u32>,
    sets: BTreeMap<(Fqdn, RecordType), RrSet>,
}

impl Reader {
    fn entry(&mut self, line: &Line<'_>) -> Result<(), String> {
        if let Some(broken) = line.broken {
            // What follows is of the owner that this one names.
            self.owner = self.owner.take().filter(|_| line.indented);
            return Err(broken.to_owned());
        }
        let mut tokens = line.tokens.as_slice();
        if let [Token::Plain(word), rest @ ..] = tokens
            && word.starts_with('$')
        {
            return self.directive(word, rest);
        }
        if !line.indented {
            let [Token::Plain(owner), rest @ ..] = tokens else {
                return Err("an owner name is no quoted string".into());
            };
            // A name that cannot be read must not leave its data to the one before.
            self.owner = None;
            self.owner = Some(self.name(owner)?);
            tokens = rest;
        }
        let owner = self.owner.clone().ok_or("no owner name was read before it")?;
        let (ttl, type_, data) = self.head(tokens)?;
        let value = self.data(&type_, data)?;
        let set = self
            .sets
            .entry((owner.clone(), type_.clone()))
            .or_insert_with(|| RrSet {
                name: owner,
                type_,
                ttl,
                values: std::collections::BTreeSet::new(),
            });
        set.ttl = set.ttl.min(ttl);
        set.values.insert(value);
        Ok(())
    }

    fn directive(&mut self, word: &str, rest: &[Token<'_>]) -> Result<(), String> {
        match (word.to_ascii_uppercase().as_str(), rest) {
            ("$ORIGIN", [Token::Plain(".")]) => self.origin.clear(),
            ("$ORIGIN", [Token::Plain(text)]) => {
                let absolute = self.absolute(text);
                // A name below it, as it may be a single label.
                let below = Fqdn::parse(&format!("x.{absolute}")).map_err(|error| format!("{absolute} {error}"))?;
                below
                    .as_str()
                    .strip_prefix("x.")
                    .unwrap_or_default()
                    .clone_into(&mut self.origin);
            }
            ("$TTL", [Token::Plain(text)]) => {
                self.default_ttl = Some(ttl(text).ok_or_else(|| format!("{text} is no TTL"))?);
            }
            ("$ORIGIN" | "$TTL", _) => return Err(format!("{word} needs one value")),
            ("$INCLUDE" | "$GENERATE", _) => {
                return Err(format!("{word} is not read: write out what it stands for"));
            }
            _ => return Err(format!("{word} is no directive")),
        }
        Ok(())
    }

    /// A name, absolute or relative to the origin.
    fn name(&self, text: &str) -> Result<Fqdn, String> {
        Fqdn::parse(&self.absolute(text)).map_err(|error| format!("the name {text} {error}"))
    }

    /// The text of a name with its origin, with a dot at its end.
    fn absolute(&self, text: &str) -> String {
        // Some write the asterisk of a wildcard as an escape.
        let text = text.replace("\\052", "*").replace("\\*", "*");
        match text.as_str() {
            "@" => format!("{}.", self.origin),
            _ if self.origin.is_empty() => format!("{}.", text.trim_end_matches('.')),
            _ if text.ends_with('.') => text,
            _ => format!("{text}.{}.", self.origin),
        }
    }

    /// TTL and class, in any order and both optional; the type; the data.
    fn head<'t, 'a>(&mut self, tokens: &'t [Token<'a>]) -> Result<(u32, RecordType, &'t [Token<'a>]), String> {
        let mut rest = tokens;
        let (mut given, mut class) = (None, false);
        loop {
            let [Token::Plain(word), after @ ..] = rest else {
                return Err("the type is missing".into());
            };
            match word.to_ascii_uppercase().as_str() {
                "IN" if !class => class = true,
                "CH" | "HS" | "CS" => return Err(format!("the class {word} is not of the Internet (IN)")),
                upper if given.is_none() && upper.starts_with(|c: char| c.is_ascii_digit()) => {
                    given = Some(ttl(word).ok_or_else(|| format!("{word} is no TTL"))?);
                }
                upper if upper != "IN" && is_type(upper) => {
                    let ttl = given.or(self.default_ttl).or(self.last_ttl).unwrap_or(DEFAULT_TTL);
                    self.last_ttl = Some(ttl);
                    return Ok((ttl, RecordType::of(upper), after));
                }
                _ => return Err(format!("{word} is no type, class or TTL where it stands")),
            }
            rest = after;
        }
    }

    /// Data in canonical form.
    fn data(&self, type_: &RecordType, tokens: &[Token<'_>]) -> Result<String, String> {
        if tokens.is_empty() {
            return Err(format!("the data of {type_} are missing"));
        }
        if *type_ == RecordType::Txt {
            let joined: Vec<String> = tokens.iter().map(|token| format!("\"{}\"", token.inside())).collect();
            let text = canonical(type_, &unquoted(&joined.join(" ")));
            return text.map_err(|error| error.to_string());
        }
        let last = tokens.len() - 1;
        let is_host = |index: usize| match type_ {
            RecordType::Cname | RecordType::Alias | RecordType::Ns => true,
            RecordType::Mx | RecordType::Srv => index == last,
            RecordType::Soa => index < 2,
            RecordType::Other(name) => name == "PTR" || name == "DNAME",
            _ => false,
        };
        let part = |(index, token): (usize, &Token<'_>)| match token {
            Token::Plain(".") => ".".to_owned(),
            Token::Plain(word) if is_host(index) => self.absolute(word),
            Token::Plain(word) => (*word).to_owned(),
            Token::Quoted(inside) => format!("\"{inside}\""),
        };
        let parts: Vec<String> = tokens.iter().enumerate().map(part).collect();
        canonical(type_, &parts.join(" ")).map_err(|error| error.to_string())
    }
}

fn is_type(upper: &str) -> bool {
    upper.starts_with(|c: char| c.is_ascii_uppercase()) && upper.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

/// Seconds, or numbers with units: `1h30m`, `2w`.
fn ttl(text: &str) -> Option<u32> {
    if text.bytes().all(|octet| octet.is_ascii_digit()) {
        return text.parse().ok();
    }
    let mut total: u32 = 0;
    let mut digits = String::new();
    for c in text.chars() {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        let unit: u32 = match c.to_ascii_lowercase() {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            'w' => 604_800,
            _ => return None,
        };
        let number: u32 = digits.parse().ok()?;
        total = total.checked_add(number.checked_mul(unit)?)?;
        digits.clear();
    }
    digits.is_empty().then_some(total)
}

/// Writes a zone file that [`parse`] reads back: every name absolute, one record a line.
pub fn print(sets: &[RrSet]) -> String {
    let mut text = String::new();
    for set in sets {
        for value in &set.values {
            let data = presentation(&set.type_, value);
            // Writing to a string does not fail.
            let _ = writeln!(text, "{} {} IN {} {data}", set.name.absolute(), set.ttl, set.type_);
        }
    }
    text
}

/// Canonical data as zone files have it: names absolute, texts quoted.
pub fn presentation(type_: &RecordType, value: &str) -> String {
    match type_ {
        RecordType::Txt => quoted(value),
        RecordType::Cname | RecordType::Alias | RecordType::Ns | RecordType::Mx | RecordType::Srv
            if !value.ends_with('.') =>
        {
            format!("{value}.")
        }
        _ => value.to_owned(),
    }
}

#[cfg(test)]
mod tests;
