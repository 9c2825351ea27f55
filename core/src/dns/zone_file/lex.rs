//! The words of a zone file: comments dropped, parentheses joined over lines.

/// An entry: what parentheses hold together is one line.
#[derive(Debug)]
pub struct Line<'a> {
    /// Where it begins, from 1.
    pub number: usize,
    /// Whether it begins with white space: the owner is that of the entry before.
    pub indented: bool,
    pub tokens: Vec<Token<'a>>,
    /// Why its words cannot be told.
    pub broken: Option<&'static str>,
}

/// A word, with its escapes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token<'a> {
    Plain(&'a str),
    /// Without its quotes.
    Quoted(&'a str),
}

impl<'a> Token<'a> {
    /// The word without quotes.
    pub fn inside(self) -> &'a str {
        let (Self::Plain(text) | Self::Quoted(text)) = self;
        text
    }
}

/// Every entry of a file. One with a quote or a parenthesis that has no other side ends with the line where it begins.
pub fn lines(text: &str) -> Vec<Line<'_>> {
    let written: Vec<&str> = text.split('\n').collect();
    let mut lines = Vec::new();
    let mut next = 0;
    while let Some([first, ..]) = written.get(next..) {
        let mut line = Line {
            number: next + 1,
            indented: first.starts_with([' ', '\t']),
            tokens: Vec::new(),
            broken: None,
        };
        let from_here = written.get(next..).unwrap_or_default();
        match entry(from_here, &mut line.tokens) {
            Ok(length) => next += length,
            Err(message) => {
                line.broken = Some(message);
                next += 1;
            }
        }
        if line.broken.is_some() || !line.tokens.is_empty() {
            lines.push(line);
        }
    }
    lines
}

/// The words of the entry that begins the text, and how many lines it has.
fn entry<'a>(text: &[&'a str], tokens: &mut Vec<Token<'a>>) -> Result<usize, &'static str> {
    let mut is_open = false;
    for (index, written) in text.iter().enumerate() {
        words(written.trim_end_matches('\r'), tokens, &mut is_open)?;
        if !is_open {
            return Ok(index + 1);
        }
    }
    Err("a parenthesis is not closed")
}

/// The words of one line. `is_open`: whether it is within parentheses.
fn words<'a>(mut rest: &'a str, tokens: &mut Vec<Token<'a>>, is_open: &mut bool) -> Result<(), &'static str> {
    loop {
        rest = rest.trim_start_matches([' ', '\t']);
        match rest.chars().next() {
            None | Some(';') => return Ok(()),
            Some(side @ ('(' | ')')) => {
                let opens = side == '(';
                if opens == *is_open {
                    return Err("parentheses do not match");
                }
                *is_open = opens;
                rest = rest.get(1..).unwrap_or_default();
            }
            Some('"') => {
                let inside = rest.get(1..).unwrap_or_default();
                let end = end_of(inside, |octet| octet == b'"');
                let after = inside.get(end..).and_then(|after| after.strip_prefix('"'));
                rest = after.ok_or("a quoted string has no end")?;
                tokens.push(Token::Quoted(inside.get(..end).unwrap_or_default()));
            }
            Some(_) => {
                let end = end_of(rest, |octet| matches!(octet, b' ' | b'\t' | b';' | b'(' | b')' | b'"'));
                let (word, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
                tokens.push(Token::Plain(word));
                rest = after;
            }
        }
    }
}

/// Where a word ends: at the first such octet that no backslash precedes.
fn end_of(text: &str, ends: impl Fn(u8) -> bool) -> usize {
    let mut escaped = false;
    for (index, octet) in text.bytes().enumerate() {
        match octet {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            octet if ends(octet) => return index,
            _ => {}
        }
    }
    text.len()
}
