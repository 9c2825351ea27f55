//! Hides what looks like a secret in a program's last words, before they reach a status that more people may read.
//!
//! It hides too much rather than too little: what follows a telling name, up to the next space, is gone.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{Captures, Regex};

/// What stands in place of a secret.
const MASK: &str = "***";

/// Names whose value is hidden, wherever such a word stands in them. Without Unicode's case tables.
const TELLING: &str = r"[\w.-]*(?i-u:password|passwd|passphrase|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credential|authorization|cookie)[\w.-]*";

/// A value: quoted, also where the quotes are escaped or the end was cut off, or up to the next space.
const VALUE: &str = r#"(?:\\".*?(?:\\"|$)|"(?:[^"\\]|\\.)*(?:"|$)|'[^']*(?:'|$)|[^\s]+)"#;

/// The word before the secret in an `Authorization` header (RFC 9110, section 11).
const SCHEME: &str = r"(?:(?i-u:bearer|basic|token|digest|apikey)[ \t]+)?";

/// What is looked for, and what stays of it.
static RULES: LazyLock<Result<Vec<(Regex, &'static str)>, regex::Error>> = LazyLock::new(|| {
    let rules = [
        // `scheme://user:password@host`: everything before the last `@`. The user may be a token. An unescaped `/` in
        // the password looks like a port that is no number.
        (
            r#"(://)(?:[^\s"'/?#@]*@|[^\s"'/?#@:]*:[^\s"'/?#@]*[^\s"'/?#@0-9][^\s"'/?#@]*[/?#@])[^\s"']*@"#.to_owned(),
            "${1}***@",
        ),
        (r#"(://)[^\s"'/?#@]*@"#.to_owned(), "${1}***@"),
        (
            format!(r#"({TELLING}(?:\\?["'])?[ \t]*(?:=>|[:=])[ \t]*{SCHEME}){VALUE}"#),
            "${1}***",
        ),
        (format!(r"(--{TELLING}[ \t]+){VALUE}"), "${1}***"),
        (r"\b((?i-u:bearer)[ \t]+)[^\s]+".to_owned(), "${1}***"),
        // What GitHub, GitLab, Slack and AWS begin their tokens with.
        (
            r"\b(?:gh[opsur]_|github_pat_|glpat-|xox[abpr]-|AKIA)[\w-]+".to_owned(),
            MASK,
        ),
    ];
    let compile = |(pattern, stays): (String, _)| Ok((Regex::new(&pattern)?, stays));
    rules.into_iter().map(compile).collect()
});

/// Long words of letters and digits: keys, if they have enough of both.
static LONG_WORD: LazyLock<Result<Regex, regex::Error>> = LazyLock::new(|| Regex::new(r"[A-Za-z0-9+/=_-]{32,}"));

/// The text without the credentials in a URL, without values of names such as `password=`, and without long random words.
pub fn mask(text: &str) -> String {
    let (Ok(rules), Ok(long_word)) = (&*RULES, &*LONG_WORD) else {
        return MASK.to_owned();
    };
    let masked = rules.iter().fold(Cow::Borrowed(text), |text, (pattern, stays)| {
        Cow::Owned(pattern.replace_all(&text, *stays).into_owned())
    });
    let hide = |word: &Captures<'_>| {
        let word = word.get(0).map_or("", |word| word.as_str());
        if is_random(word) { MASK } else { word }.to_owned()
    };
    long_word.replace_all(&masked, hide).into_owned()
}

/// Of letters and digits in both kinds: a key, not a word.
fn is_random(word: &str) -> bool {
    let digits = word.chars().filter(char::is_ascii_digit).count();
    let letters = word.chars().filter(char::is_ascii_alphabetic).count();
    digits >= 4 && letters >= 4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_secret_stays() {
        for text in [
            "migration 42 failed: no table",
            "https://example.org/a:b@c",
            "npm: https://registry.example.org:4873/@scope/left-pad is gone",
            "connect to db:5432 refused, tried 10.0.0.1:5432",
            "relation \"users\" does not exist (SQLSTATE 42P01)",
        ] {
            assert_eq!(mask(text), text);
        }
    }

    #[test]
    fn secrets_are_hidden_and_the_rest_stays() {
        for (text, masked) in [
            (
                "could not connect to postgres://app:hunter2@db:5432/app",
                "could not connect to postgres://***@db:5432/app",
            ),
            ("at postgres://app:p@ss:w@db/app?x=1,", "at postgres://***@db/app?x=1,"),
            ("postgres://u:pa/ss@h/db", "postgres://***@h/db"),
            ("https://ghp_abc@github.com/a", "https://***@github.com/a"),
            ("A=postgres://u:a@h/1,postgres://u:hunter2@h/2", "A=postgres://***@h/2"),
            (
                "postgres://u:x@h/db?sslpassword=hunter2",
                "postgres://***@h/db?sslpassword=***",
            ),
            ("GET /hook?token=hunter2", "GET /hook?token=***"),
            (
                "PASSWORD=hunter2 and DB_PASSWORD: hunter3 end",
                "PASSWORD=*** and DB_PASSWORD: *** end",
            ),
            ("password = hunter2", "password = ***"),
            (r#"{"user":"a","password":"hunter2"}"#, r#"{"user":"a","password":***}"#),
            (r#"{"password": "hun ter\"2", "a": 1}"#, r#"{"password": ***, "a": 1}"#),
            (r#""{\"password\":\"hun ter2\"}""#, r#""{\"password\":***}""#),
            (r#"{"password": "cut off in the mid"#, r#"{"password": ***"#),
            ("{'api_key': 'hun ter2'}", "{'api_key': ***}"),
            ("Server=db;User=a;Password=hunter2;", "Server=db;User=a;Password=***"),
            ("run --db-password hunter2 now", "run --db-password *** now"),
            ("Authorization: Bearer abc.def", "Authorization: Bearer ***"),
            ("Authorization: Token hunter2", "Authorization: Token ***"),
            ("sent bearer abc.def", "sent bearer ***"),
            ("got \"token\":\"x\"", "got \"token\":***"),
            ("key eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9x4 x", "key *** x"),
            ("with glpat-abcdef", "with ***"),
        ] {
            assert_eq!(mask(text), masked);
        }
    }
}
