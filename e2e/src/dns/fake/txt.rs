//! The data of a TXT as people and services write it: strings in quotes, of at most 255 octets each.

use crate::dns::query::quoted;

/// The most octets of one string (RFC 1035, 3.3).
pub(super) const MOST: usize = 255;

/// The strings of `"one" "two"`. `None` when it is not all quoted.
pub(super) fn strings(text: &str) -> Option<Vec<Vec<u8>>> {
    let mut strings = Vec::new();
    let mut rest = text.trim().as_bytes();
    while let Some((b'"', after)) = rest.split_first() {
        let (string, after) = string(after)?;
        strings.push(string);
        rest = after.trim_ascii_start();
    }
    (rest.is_empty() && !strings.is_empty()).then_some(strings)
}

/// What stands before the closing quote, and what is after it.
fn string(mut rest: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut string = Vec::new();
    loop {
        match rest {
            [b'"', after @ ..] => return Some((string, after)),
            [b'\\', a @ b'0'..=b'2', b @ b'0'..=b'9', c @ b'0'..=b'9', after @ ..] => {
                let number = [a, b, c]
                    .iter()
                    .fold(0_u16, |sum, digit| sum * 10 + u16::from(**digit - b'0'));
                string.push(u8::try_from(number).ok()?);
                rest = after;
            }
            [b'\\', octet, after @ ..] | [octet, after @ ..] => {
                string.push(*octet);
                rest = after;
            }
            [] => return None,
        }
    }
}

/// The same, however it was written, in as few strings as can hold it: quoted or not, split or not.
pub(super) fn split(text: &str) -> String {
    let octets = strings(text).map_or_else(|| text.as_bytes().to_vec(), |strings| strings.concat());
    if octets.is_empty() {
        return quoted(b"");
    }
    let strings: Vec<_> = octets.chunks(MOST).map(quoted).collect();
    strings.join(" ")
}

/// All of it as one text, without quotes.
pub(super) fn joined(text: &str) -> String {
    let octets = strings(text).map_or_else(|| text.as_bytes().to_vec(), |strings| strings.concat());
    String::from_utf8_lossy(&octets).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_read_as_master_files_write_them() {
        let read = strings(r#""a \"b\" \\ \195" "c""#).unwrap();
        assert_eq!(read, [b"a \"b\" \\ \xc3".to_vec(), b"c".to_vec()]);
        for broken in ["", "a", "\"a", "\"a\" b", "\"\\299\""] {
            assert_eq!(strings(broken), None, "{broken}");
        }
    }

    #[test]
    fn what_is_too_long_is_split_and_joined_again() {
        let long = "x".repeat(300);
        let parts = split(&long);
        assert_eq!(parts, format!("\"{}\" \"{}\"", "x".repeat(255), "x".repeat(45)));
        assert_eq!(joined(&parts), long);
        assert_eq!(split("\"a\" \"b\""), "\"ab\"");
    }
}
