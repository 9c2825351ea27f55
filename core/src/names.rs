//! Names of children: legal for their kind, and never shared by two apps.
//!
//! `<app>-<part>` alone would be ambiguous: app `a` with process `b-c` and app `a-b` with process `c` would meet. So:
//! * a part without a hyphen stands plain, `<app>-<part>`: the last hyphen tells where the part begins;
//! * any other name, and one too long for its kind, ends in a hash of `(app, part)`, which begins with a digit. Parts
//!   begin with a letter, so a hashed name never equals a plain one.

use sha2::{Digest as _, Sha256};

/// The longest name of most objects that are also DNS labels.
pub const LABEL: usize = 63;
/// The longest name of a `CronJob`: its Jobs' names add 11 characters.
pub const CRON_JOB: usize = 52;

/// The name of the child `part` of `app`, at most `max` characters.
pub fn child(app: &str, part: &str, max: usize) -> String {
    let plain = format!("{app}-{part}");
    if !part.contains('-') && plain.len() <= max {
        return plain;
    }
    let suffix = hash_suffix(&[app, part]);
    let room = max.saturating_sub(suffix.len() + 1);
    let head: String = plain.chars().take(room).collect();
    format!("{}-{suffix}", head.trim_end_matches('-'))
}

/// The name of the child that there is one of for each `key`, such as a Job that runs once for it: always hashed, so that
/// no clock-made name of a `CronJob`'s Job equals it.
pub fn one_shot(app: &str, part: &str, key: &str) -> String {
    let suffix = hash_suffix(&[app, part, key]);
    let room = LABEL - suffix.len() - 1;
    let head: String = format!("{app}-{part}").chars().take(room).collect();
    format!("{}-{suffix}", head.trim_end_matches('-'))
}

/// Eight characters: a digit, a letter, six of base 32. The letter keeps it apart from the minutes that a `CronJob`
/// appends to the names of its Jobs.
pub fn hash_suffix(parts: &[&str]) -> String {
    const DIGITS: &[u8] = b"0123456789";
    const LETTERS: &[u8] = b"abcdefghjkmnpqrstvwxyz";
    let characters = digest(parts).into_iter().take(8).enumerate();
    characters
        .map(|(index, byte)| match index {
            0 => pick(DIGITS, byte),
            1 => pick(LETTERS, byte),
            _ => pick(ALL, byte),
        })
        .collect()
}

/// 26 characters of base 32, 130 bits: nobody finds a second text for it, though he may choose all of it.
pub fn hash_of(text: &str) -> String {
    digest(&[text])
        .into_iter()
        .take(26)
        .map(|byte| pick(ALL, byte))
        .collect()
}

const ALL: &[u8] = b"0123456789abcdefghjkmnpqrstvwxyz";

fn pick(alphabet: &[u8], byte: u8) -> char {
    let picked = alphabet.get(usize::from(byte) % alphabet.len());
    char::from(picked.copied().unwrap_or(b'0'))
}

fn digest(parts: &[&str]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_simple_part_stands_plain() {
        assert_eq!(child("mon-service", "web", LABEL), "mon-service-web");
    }

    #[test]
    fn a_part_with_a_hyphen_is_hashed() {
        let name = child("a", "b-c", LABEL);
        assert!(name.starts_with("a-b-c-"), "{name}");
        assert_ne!(name, child("a-b", "c", LABEL));
    }

    #[test]
    fn a_long_name_is_cut_to_its_kind() {
        let name = child(&"a".repeat(40), &"b".repeat(20), CRON_JOB);
        assert_eq!(name.len(), CRON_JOB);
        assert_ne!(name, child(&"a".repeat(40), &"b".repeat(19), CRON_JOB));
    }

    #[test]
    fn a_suffix_and_a_hash_stay_as_they_were() {
        assert_eq!(hash_suffix(&["a", "b-c"]), "8kpm8zm5");
        assert_eq!(hash_of("_acme-challenge.blue.z.org"), "pw1gswhs9d7eyrqked7edfgvav");
    }

    proptest! {
        #[test]
        fn children_of_two_apps_never_meet(a in "[ab]([ab-]{0,3}[ab])?", p in "[ab]([ab-]{0,3}[ab])?",
                                           b in "[ab]([ab-]{0,3}[ab])?", q in "[ab]([ab-]{0,3}[ab])?") {
            prop_assume!((&a, &p) != (&b, &q));
            prop_assert_ne!(child(&a, &p, LABEL), child(&b, &q, LABEL));
        }

        #[test]
        fn every_name_is_a_dns_label(app in "[a-z]([-a-z0-9]{0,38}[a-z0-9])?", part in "[a-z]([-a-z0-9]{0,18}[a-z0-9])?") {
            for (name, max) in [(child(&app, &part, LABEL), LABEL), (child(&app, &part, CRON_JOB), CRON_JOB), (one_shot(&app, &part, "k"), LABEL)] {
                prop_assert!(name.len() <= max);
                prop_assert!(name.starts_with(|c: char| c.is_ascii_lowercase()) && name.ends_with(|c: char| c.is_ascii_alphanumeric()));
                prop_assert!(name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'));
            }
        }
    }
}
