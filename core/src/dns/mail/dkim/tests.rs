use proptest::prelude::*;

use super::*;

// Public keys made for these tests; nobody has the private ones.
const RSA_768: &str = "MHwwDQYJKoZIhvcNAQEBBQADawAwaAJhAMHGtkkKP2LKIY4Epx7GPEgcH/Sn0kd1fwr7mpKdGEV2nOM1qCQe4Ei8dkIGvJ3OrZx5DSamdgblU3AXqCWiiaMTTXBT1hkKJBYWmVyYbALt7kSkoby+R2Cdabqxj90hAQIDAQAB";
const RSA_1024: &str = "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQCy5XzDg2FvpQ8h90W23wPPWGcWmBQBZ6KBJW84DrM+UE1NSbBoaD0XfKDz/2FRV8Clua7SiGoa6P4KhMNUaBd/V4hPnk1uO1ScMt1/ZZrYg336SWZR/scDoyQukGMhsSpLTXocjdaYGMVa0Th5h5xmV40IZ9o7qQgqR2BiA44lfQIDAQAB";
const RSA_1024_BARE: &str = "MIGJAoGBANCMOv+/wVKiEbYouXNGHGVk3oUVYw5qDMei1ADIfzqYuIvLKHE/K6D3QWxioXVg0aBUwoWbccb3WXZ99Tt/WkB+/oRKK7kMvdYkoSKWJ7B8zcALWTPY3U13qa8Xfihsok1u5XrKa9rFlqPfBz1FZLdRZNroC/AnCWPpUyAeVdxzAgMBAAE=";
pub const RSA_2048: &str = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAvojd9ELeoQ/MmoQ52kqj57RfaXEuwCdtfd9JneEG1s2aLJJsB+Z9Kd3iEBWZPes4On/u+YclAUSoNSzIMtSYY+WX/M9jRS5GYPHBLc4UOSDOsy15MilkxoN3A4SlMrpkvMW5MI9gZVXzgNKOIvVZKexXvrJ/XU5ZeN0bKrBjXZVnhuVZvQwN0vkELGmnqAwS0vnTd7lpwxUqSUYuG+UeMkpu3cHrmviSimtQf3Kn6q6Sy7cRJuR5ySTI69YvWHFJY8/vKsSd1CYb0NN8to4y2MPoUE1K2CtxQYlJmAU0h3o7QXqVdsuqdDWQIpxvoq/9pBsGfOsWTfAmoJlTUWspawIDAQAB";
// The example of RFC 8463, A.2.
const ED25519_KEY: &str = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

#[test]
fn keys_that_receivers_take_are_known() {
    for (record, kind, advice) in [
        (format!("v=DKIM1; k=rsa; p={RSA_2048}"), "rsa, 2048 bits", 0),
        (format!("k=rsa;p={RSA_1024}"), "rsa, 1024 bits", 1),
        (format!("p={RSA_1024_BARE}"), "rsa, 1024 bits", 1),
        (format!("v=DKIM1; k=ed25519; p={ED25519_KEY};"), "ed25519", 0),
        (
            format!("v=DKIM1; k=ed25519; p={}", ED25519_KEY.trim_end_matches('=')),
            "ed25519",
            0,
        ),
        (
            format!("v=DKIM1; h=sha1:sha256; s=*; t=y:s; p={RSA_2048}"),
            "rsa, 2048 bits",
            1,
        ),
        // White space inside the key is passed over.
        (
            format!("v=DKIM1; p={} {}", &RSA_2048[..64], &RSA_2048[64..]),
            "rsa, 2048 bits",
            0,
        ),
    ] {
        let key = parse(&record).unwrap();
        assert_eq!((key.kind.as_str(), key.advice.len()), (kind, advice), "{record}");
    }
}

#[test]
fn keys_that_receivers_do_not_take_say_why() {
    for (record, told) in [
        (String::new(), "missing: p="),
        ("v=DKIM1".into(), "missing: p="),
        ("v=DKIM1; p=".into(), "revoked"),
        (format!("v=DKIM2; p={RSA_2048}"), "DKIM1"),
        (format!("k=rsa; v=DKIM1; p={RSA_2048}"), "first"),
        (format!("v=DKIM1; p={RSA_768}"), "768 bits"),
        (format!("v=DKIM1; p={}", &RSA_2048[..RSA_2048.len() - 8]), "no RSA key"),
        ("v=DKIM1; p=not+base64!".into(), "no base64"),
        (format!("v=DKIM1; k=ed25519; p={RSA_2048}"), "32 octets"),
        (format!("v=DKIM1; k=dsa; p={RSA_2048}"), "k=dsa"),
        (format!("v=DKIM1; h=sha1; p={RSA_2048}"), "sha256"),
        (format!("v=DKIM1; s=other; p={RSA_2048}"), "email"),
        (format!("p={RSA_2048}; p={RSA_2048}"), "twice"),
        ("hello".into(), "no tag"),
        ("v=DKIM1; =x".into(), "no name"),
    ] {
        let error = parse(&record).unwrap_err();
        assert!(error.contains(told), "{record}: {error}");
    }
}

proptest! {
    #[test]
    fn no_octets_are_too_odd_for_a_key(octets in prop::collection::vec(any::<u8>(), 0..64), text in "[ -~]{0,60}") {
        let _ = modulus_bits(&octets);
        let _ = parse(&text);
        let _ = parse(&format!("p={text}"));
    }
}
