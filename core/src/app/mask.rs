//! Hides what looks like a secret in a program's last words, before they reach a status that more people may read.

/// What stands in place of a secret.
const MASK: &str = "***";
/// Words whose value is hidden, wherever they stand in a name.
const TELLING: &[&str] = &[
    "password",
    "passwd",
    "pwd",
    "secret",
    "token",
    "apikey",
    "api_key",
    "api-key",
    "credential",
    "private_key",
    "authorization",
    "bearer",
];

/// The text without the password in a URL, without values of names such as `password=`, and without long random words.
pub fn mask(text: &str) -> String {
    text.split_inclusive(char::is_whitespace)
        .fold((String::new(), false), |(mut out, hide), piece| {
            let word = piece.trim_end();
            let (masked, next) = mask_word(word, hide);
            out.push_str(&masked);
            out.push_str(piece.get(word.len()..).unwrap_or_default());
            (out, next || (hide && word.is_empty()))
        })
        .0
}

/// One word, and whether the next one is a value to hide (`password: x`, `Bearer x`).
fn mask_word(word: &str, hide: bool) -> (String, bool) {
    if word.is_empty() {
        return (String::new(), false);
    }
    let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
    let lower = bare.to_ascii_lowercase();
    if hide {
        return if lower == "bearer" || lower == "basic" {
            (word.to_owned(), true)
        } else {
            (MASK.to_owned(), false)
        };
    }
    if let Some(url) = mask_url(word) {
        return (url, false);
    }
    if let Some((name, value)) = word.split_once(['=', ':'])
        && is_telling(name)
    {
        let cut = name.len() + 1;
        let head = word.get(..cut).unwrap_or(name);
        return if value.is_empty() {
            (head.to_owned(), true)
        } else {
            (format!("{head}{MASK}"), false)
        };
    }
    if lower == "bearer" {
        return (word.to_owned(), true);
    }
    (
        if looks_random(bare) {
            word.replace(bare, MASK)
        } else {
            word.to_owned()
        },
        false,
    )
}

fn is_telling(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    TELLING.iter().any(|telling| lower.contains(telling))
}

/// `scheme://user:password@host` anywhere in the word.
fn mask_url(word: &str) -> Option<String> {
    let start = word.find("://")? + 3;
    let (scheme, rest) = word.split_at_checked(start)?;
    let authority = rest.get(..rest.find(['/', '?', '#']).unwrap_or(rest.len()))?;
    let at = authority.rfind('@')?;
    let user = rest.get(..at)?.split(':').next()?;
    Some(format!("{scheme}{user}:{MASK}{}", rest.get(at..)?))
}

/// Long, without spaces, of letters and digits in both kinds: a key, not a word.
fn looks_random(word: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || "+/=_-".contains(c);
    let digits = word.chars().filter(char::is_ascii_digit).count();
    let letters = word.chars().filter(char::is_ascii_alphabetic).count();
    word.len() >= 32 && word.chars().all(legal) && digits >= 4 && letters >= 4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_and_the_rest_stays() {
        for (text, masked) in [
            ("migration 42 failed: no table", "migration 42 failed: no table"),
            (
                "could not connect to postgres://app:hunter2@db:5432/app",
                "could not connect to postgres://app:***@db:5432/app",
            ),
            (
                "at postgres://app:p@ss:w@db/app?x=1,",
                "at postgres://app:***@db/app?x=1,",
            ),
            (
                "PASSWORD=hunter2 and DB_PASSWORD: hunter3 end",
                "PASSWORD=*** and DB_PASSWORD: *** end",
            ),
            ("Authorization: Bearer abc.def", "Authorization: Bearer ***"),
            ("got \"token\":\"x\"", "got \"token\":***"),
            ("key eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9x4 x", "key *** x"),
            ("https://example.org/a:b@c", "https://example.org/a:b@c"),
        ] {
            assert_eq!(mask(text), masked);
        }
    }
}
