use super::*;
use crate::dns::mail::dkim::tests::RSA_2048;
use crate::dns::rrset::RecordType;
use crate::dns::testing::name;

/// Answers every question, and so on, as an operator would.
fn judged(mail: &str, zone: &[(&str, Kind, Answer)]) -> Verdict {
    let mail: Mail = serde_saphyr::from_str(mail).unwrap();
    let mut facts = Facts::new();
    for _ in 0..12 {
        let verdict = lint(&mail, &name("app.example.org"), &[], &facts);
        if verdict.open.is_empty() {
            return verdict;
        }
        for question in verdict.open {
            let row = zone
                .iter()
                .find(|(owner, kind, _)| name(owner) == question.name && *kind == question.kind);
            facts.insert(question, row.map_or(Answer::Nothing, |(_, _, answer)| answer.clone()));
        }
    }
    panic!("it asks for ever");
}

fn brevo() -> Vec<(&'static str, Kind, Answer)> {
    let key = Answer::Texts(vec![format!("k=rsa;p={RSA_2048}")]);
    vec![
        (
            "spf.brevo.com",
            Kind::Text,
            Answer::Texts(vec!["v=spf1 ip4:1.179.112.0/20 -all".into()]),
        ),
        ("b1.example.dkim.brevo.com", Kind::Text, key.clone()),
        ("b2.example.dkim.brevo.com", Kind::Text, key),
        ("mx.example.net", Kind::Address, Answer::Found),
    ]
}

const KEYS: &str = "dkim: [{selector: brevo1, target: b1.example.dkim.brevo.com}, {selector: brevo2, target: b2.example.dkim.brevo.com}]";

#[test]
fn a_preset_with_its_keys_is_complete() {
    let verdict = judged(
        &format!("{{preset: Brevo, mx: [{{priority: 10, host: mx.example.net}}], {KEYS}}}"),
        &brevo(),
    );
    let (state, reason, message) = verdict.condition();
    assert_eq!((state, reason), (State::True, Reason::MailComplete), "{message}");
    assert!(message.contains("p=none"), "{message}");
}

#[test]
fn a_name_without_mail_is_complete_without_a_question() {
    let mail: Mail = serde_saphyr::from_str("{preset: None}").unwrap();
    let verdict = lint(&mail, &name("app.example.org"), &[], &Facts::new());
    assert_eq!(verdict, Verdict::default());
}

#[test]
fn what_is_missing_is_named() {
    let cases = [
        ("{preset: Brevo}".to_owned(), "brevo1._domainkey"),
        ("{spf: 'v=spf1 -all'}".to_owned(), "DMARC: no record"),
        ("{dmarc: 'v=DMARC1; p=reject'}".to_owned(), "SPF: no record"),
        (
            "{mx: [{priority: 1, host: gone.example.net}]}".to_owned(),
            "gone.example.net has no address",
        ),
        (
            "{mx: [{priority: 1, host: alias.example.net}]}".to_owned(),
            "alias.example.net is an alias",
        ),
        (
            format!("{{preset: Brevo, spf: 'v=spf1 +all', {KEYS}}}"),
            "+all lets everybody send",
        ),
        (
            "{preset: Brevo, dkim: [{selector: s, target: none.example.net}]}".to_owned(),
            "none.example.net has no key",
        ),
        (
            "{preset: Brevo, dkim: [{selector: s, record: 'v=DKIM1; p='}]}".to_owned(),
            "revoked",
        ),
    ];
    let mut zone = brevo();
    zone.push(("alias.example.net", Kind::Address, Answer::Alias));
    for (mail, told) in cases {
        let (state, reason, message) = judged(&mail, &zone).condition();
        assert_eq!((state, reason), (State::False, Reason::MailIncomplete), "{mail}");
        assert!(message.contains(told), "{mail}: {message}");
    }
}

#[test]
fn questions_without_an_answer_are_counted() {
    let many: Vec<_> = (0..11).map(|n| format!("a:h{n}.example.net")).collect();
    let mail = |terms: &str| format!("{{preset: Brevo, spf: 'v=spf1 include:spf.brevo.com {terms} -all', {KEYS}}}");
    let (_, _, message) = judged(&mail(&many.join(" ")), &brevo()).condition();
    assert!(
        message.contains("12 questions") && message.contains("11 of its questions have no answer"),
        "{message}"
    );
    let (state, _, message) = judged(&mail("a:h0.example.net a:h1.example.net"), &brevo()).condition();
    assert_eq!(state, State::True, "{message}");
}

#[test]
fn a_server_that_does_not_answer_proves_nothing() {
    let mut zone = brevo();
    for (_, _, answer) in &mut zone {
        *answer = Answer::Unknown;
    }
    let (state, reason, message) = judged(&format!("{{preset: Brevo, {KEYS}}}"), &zone).condition();
    assert_eq!((state, reason), (State::Unknown, Reason::MailUnknown));
    assert!(
        message.contains("spf.brevo.com") && message.contains("b2.example"),
        "{message}"
    );
    // What is not asked yet is no verdict either.
    let mail: Mail = serde_saphyr::from_str(&format!("{{preset: Brevo, {KEYS}}}")).unwrap();
    let verdict = lint(&mail, &name("app.example.org"), &[], &Facts::new());
    assert_eq!(verdict.condition().0, State::Unknown);
}

#[test]
fn what_other_records_say_is_not_missing() {
    let texts = |owner: &str, text: &str| RrSet {
        name: name(owner),
        type_: RecordType::Txt,
        ttl: 300,
        values: [text.to_owned()].into(),
    };
    let beside = [
        texts("app.example.org", "v=spf1 -all"),
        texts("_dmarc.app.example.org", "v=DMARC1; p=reject"),
        texts("k1._domainkey.app.example.org", "v=DKIM1; p=x"),
    ];
    let mail: Mail = serde_saphyr::from_str("{mx: [{priority: 0, host: .}]}").unwrap();
    let owner = name("app.example.org");
    let alone = lint(&mail, &owner, &[], &Facts::new());
    assert_eq!(alone.missing.len(), 3, "{alone:?}");
    let joined = lint(&mail, &owner, &beside, &Facts::new());
    assert_eq!(joined, Verdict::default());
    // What another record says is looked at too.
    let open = [texts("app.example.org", "v=spf1 include=_spf.example.net +all")];
    let joined = lint(&mail, &owner, &open, &Facts::new());
    assert!(
        joined.missing.join(";").contains("+all lets everybody send"),
        "{joined:?}"
    );
    assert!(
        joined.advice.join(";").contains("the mechanism is written include:"),
        "{joined:?}"
    );
}
