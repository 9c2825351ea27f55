//! The words of a zone file: comments dropped, parentheses joined over lines.

use super::ZoneFileError;

/// An entry: what parentheses hold together is one line.
#[derive(Debug)]
pub struct Line<'a> {
    /// Where it begins, from 1.
    pub number: usize,
    /// Whether it begins with white space: the owner is that of the entry before.
    pub indented: bool,
    pub tokens: Vec<Token<'a>>,
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

/// Every entry of a file.
///
/// # Errors
/// A quote or a parenthesis that has no other side.
pub fn lines(text: &str) -> Result<Vec<Line<'_>>, ZoneFileError> {
    let mut lines = Vec::new();
    let mut open: Option<Line<'_>> = None;
    for (index, written) in text.split('\n').enumerate() {
        let number = index + 1;
        let error = |message: &str| ZoneFileError {
            line: number,
            message: message.to_owned(),
        };
        let (mut line, mut depth) = match open.take() {
            Some(line) => (line, 1),
            None => (
                Line {
                    number,
                    indented: written.starts_with([' ', '\t']),
                    tokens: Vec::new(),
                },
                0,
            ),
        };
        let mut rest = written.trim_end_matches('\r');
        loop {
            rest = rest.trim_start_matches([' ', '\t']);
            let Some(first) = rest.chars().next() else { break };
            match first {
                ';' => break,
                '(' | ')' => {
                    depth += if first == '(' { 1 } else { -1 };
                    rest = rest.get(1..).unwrap_or_default();
                }
                '"' => {
                    let inside = rest.get(1..).unwrap_or_default();
                    let end = end_of(inside, |octet| octet == b'"');
                    let after = inside.get(end..).and_then(|after| after.strip_prefix('"'));
                    rest = after.ok_or_else(|| error("a quoted string has no end"))?;
                    line.tokens.push(Token::Quoted(inside.get(..end).unwrap_or_default()));
                }
                _ => {
                    let end = end_of(rest, |octet| matches!(octet, b' ' | b'\t' | b';' | b'(' | b')' | b'"'));
                    let (word, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
                    line.tokens.push(Token::Plain(word));
                    rest = after;
                }
            }
            if !(0..=1).contains(&depth) {
                return Err(error("parentheses do not match"));
            }
        }
        if depth == 1 {
            open = Some(line);
        } else if !line.tokens.is_empty() {
            lines.push(line);
        }
    }
    match open {
        None => Ok(lines),
        Some(line) => Err(ZoneFileError {
            line: line.number,
            message: "a parenthesis is not closed".to_owned(),
        }),
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
