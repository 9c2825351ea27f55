use super::*;

#[test]
fn records_that_receivers_understand_are_read() {
    for (record, policy, reported) in [
        ("v=DMARC1; p=none", Policy::None, false),
        ("v=DMARC1;p=REJECT;", Policy::Reject, false),
        (
            "v=DMARC1; p=quarantine; sp=reject; adkim=s; aspf=r; pct=50; fo=1:d; ri=86400; rf=afrf; \
             rua=mailto:a@example.org!10M,mailto:b@example.net; ruf=mailto:c@example.org; x=later",
            Policy::Quarantine,
            true,
        ),
    ] {
        assert_eq!(parse(record), Ok(Dmarc { policy, reported }), "{record}");
    }
}

#[test]
fn records_that_receivers_pass_over_say_why() {
    for (record, told) in [
        ("", "v=DMARC1"),
        ("p=none; v=DMARC1", "v=DMARC1"),
        ("v=dmarc1; p=none", "v=DMARC1"),
        ("v=DMARC1", "policy is missing"),
        ("v=DMARC1; p=monitor", "p=monitor"),
        ("v=DMARC1; p=none; sp=all", "sp=all"),
        ("v=DMARC1; p=none; adkim=x", "adkim=x"),
        ("v=DMARC1; p=none; pct=101", "pct=101"),
        ("v=DMARC1; p=none; pct=+50", "pct=+50"),
        ("v=DMARC1; p=none; rua=mailto:a@example.org!10mm", "!10mm"),
        ("v=DMARC1; p=none; fo=2", "fo=2"),
        ("v=DMARC1; p=none; ri=day", "ri=day"),
        ("v=DMARC1; p=none; p=reject", "twice"),
        ("v=DMARC1; p=none; rua=dmarc@example.org", "rua=dmarc@example.org"),
        ("v=DMARC1; p=none; rua=mailto:dmarc", "rua=mailto:dmarc"),
        ("v=DMARC1; p=none; rua=mailto:a@example.org!10x", "!10x"),
        ("v=DMARC1; p=none; ruf=https://example.org", "ruf=https"),
        ("v=DMARC1; p=none; rua=", "rua="),
        ("v=DMARC1 p=none", "v=DMARC1"),
    ] {
        let error = parse(record).unwrap_err();
        assert!(error.contains(told), "{record}: {error}");
    }
}
