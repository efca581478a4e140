//! Keys, limits, apps and locations.

use highlevel::webhook::{InvalidKey, PublicKey, Receiver, WebhookErrorKind};

use super::{APP, any_app, check, public_key, receive, signing_key, time};

const PUBLISHED: &str = "MCowBQYDK2VwAyEAi2HR1srL4o18O8BRa7gVJY7G7bupbN3H9AwJrHCDiOg=";

#[test]
fn keys_are_read_in_their_published_form() {
    let published = PublicKey::published();
    assert_eq!(published.id(), "published");
    assert_eq!(format!("{published:?}"), "PublicKey(\"published\")");

    // HighLevel's published key is the default. With other keys, it is accepted only if it is added to them.
    let key = public_key("test", &signing_key(1));
    let builder = || Receiver::builder().any_app();
    let rows = [
        (builder().build(), "keys: [PublicKey(\"published\")],"),
        (builder().key(key.clone()).build(), "keys: [PublicKey(\"test\")],"),
        (
            builder().key(key).key(published.clone()).build(),
            "keys: [PublicKey(\"test\"), PublicKey(\"published\")],",
        ),
    ];
    for (receiver, keys) in rows {
        let shown = format!("{receiver:?}");
        assert!(shown.contains(keys), "{shown}");
    }

    let same = [
        PUBLISHED.to_owned(),
        format!(" {PUBLISHED}\n"),
        format!("-----BEGIN PUBLIC KEY-----\n{PUBLISHED}\n-----END PUBLIC KEY-----\n"),
        format!(
            "-----BEGIN PUBLIC KEY-----\r\n{}\r\n{}\r\n-----END PUBLIC KEY-----",
            &PUBLISHED[..20],
            &PUBLISHED[20..]
        ),
    ];
    for text in same {
        assert_eq!(PublicKey::from_base64("published", &text), Ok(published.clone()), "{text}");
    }

    let short = "the public key does not have 32 bytes; copy it from HighLevel's webhook documentation";
    let not_base64 = "the public key is not base64; copy it from HighLevel's webhook documentation";
    let not_a_key = "the public key is not the SubjectPublicKeyInfo of an Ed25519 key; copy it from HighLevel's webhook \
                     documentation";
    let not_a_point =
        "the public key is not a point of the curve; copy it from HighLevel's webhook documentation";
    // The same algorithm, with the identifier of X25519.
    let x25519 = PUBLISHED.replacen("K2Vw", "K2Vu", 1);
    let rows = [
        ("", not_a_key),
        ("N/A", not_base64),
        (&PUBLISHED[..59], not_base64),
        (&PUBLISHED[..56], short),
        ("i2HR1srL4o18O8BRa7gVJY7G7bupbN3H9AwJrHCDiOg=", not_a_key),
        (x25519.as_str(), not_a_key),
        ("MCowBQYDK2VwAyEAAgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", not_a_point),
        (
            "MCowBQYDK2VwAyEAAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            "the public key is of low order, so signatures by it prove nothing; copy it from HighLevel's webhook documentation",
        ),
    ];
    for (text, expected) in rows {
        let error = PublicKey::from_base64("malformed", text).expect_err(text);
        assert_eq!(error.to_string(), expected, "{text}");
    }
    for length in [0, 31, 33, 64] {
        let error: InvalidKey = PublicKey::from_bytes("malformed", &vec![1; length]).expect_err("length");
        assert_eq!(error.to_string(), short);
    }
}

#[test]
fn events_of_other_apps_are_rejected() {
    let mine = || Receiver::builder().app_id(APP).key(public_key("test", &signing_key(1))).build();
    let other = "the event is for app 111, not 665c6bb13d4e5364bdec0e2f; check that it is the app id of the \
                 marketplace, without a suffix";
    let if_present =
        || Receiver::builder().app_id_if_present(APP).key(public_key("test", &signing_key(1))).build();
    let missing = "the event has no `appId`; for the delivery URL of a conversation provider, build the receiver with \
                   `.app_id_if_present(..)`";
    let not_a_string = "`appId` is not a string";
    let malformed = other.replace("111", "a\\nb");
    let empty = other.replace("111", "");
    let rows = [
        (r#"{"type":"X","appId":"665c6bb13d4e5364bdec0e2f"}"#, None),
        (r#"{"type":"X","appId":"111"}"#, Some(other)),
        (r#"{"type":"X","appId":"a\nb"}"#, Some(malformed.as_str())),
        (r#"{"type":"X"}"#, Some(missing)),
        (r#"{"type":"X","appId":null}"#, Some(missing)),
        (r#"{"type":"X","appId":""}"#, Some(empty.as_str())),
        (r#"{"type":"X","appId":["665c6bb13d4e5364bdec0e2f"]}"#, Some(not_a_string)),
        (r#"{"type":"X","appId":7}"#, Some(not_a_string)),
        (r#"{"type":"X","data":{"appId":"665c6bb13d4e5364bdec0e2f"}}"#, Some(missing)),
        (r#"{"type":"X","appid":"665c6bb13d4e5364bdec0e2f"}"#, Some(missing)),
    ];
    for (body, expected) in rows {
        match (receive(&mine(), body), expected) {
            (Ok(verified), None) => assert_eq!(verified.event().name(), "X"),
            (Err(error), Some(text)) => check(body, &error, WebhookErrorKind::OtherApp, text),
            (result, _) => panic!("{body}: {result:?}"),
        }
        // For a delivery URL: the same, except for events without an app.
        match (receive(&if_present(), body), expected.filter(|text| *text != missing)) {
            (Ok(verified), None) => assert_eq!(verified.event().name(), "X"),
            (Err(error), Some(text)) => check(body, &error, WebhookErrorKind::OtherApp, text),
            (result, _) => panic!("{body}: {result:?}"),
        }
        assert_eq!(receive(&any_app(), body).expect(body).event().name(), "X");
    }
}

#[test]
fn bodies_beyond_the_limit_are_rejected() {
    let receiver = |limit| {
        Receiver::builder().any_app().key(public_key("test", &signing_key(1))).body_limit(limit).build()
    };
    let body = r#"{"type":"X"}"#;
    drop(receive(&receiver(body.len()), body).expect("as long as it may be"));
    let error = receive(&receiver(body.len() - 1), body).expect_err("too long");
    let text = "body of 12 bytes exceeds the limit of 11";
    check("too long", &error, WebhookErrorKind::TooLarge, text);

    let mut body = body.as_bytes().to_vec();
    body.resize(1024 * 1024, b' ');
    drop(receive(&any_app(), &body).expect("1 MiB"));
    body.push(b' ');
    let error = receive(&any_app(), &body).expect_err("more");
    let text = "body of 1048577 bytes exceeds the limit of 1048576";
    check("more", &error, WebhookErrorKind::TooLarge, text);
}

#[test]
fn keys_verify_until_their_end() {
    let moment = std::time::Duration::from_millis(1);
    let body = r#"{"type":"X"}"#;
    let rows =
        [(None, true), (Some(time() + moment), true), (Some(time()), false), (Some(time() - moment), false)];
    for (end, expected) in rows {
        let key = public_key("test", &signing_key(1));
        let key = match end {
            Some(end) => key.until(end),
            None => key,
        };
        // The other key does not end, and did not sign the event.
        let other = public_key("other", &signing_key(2));
        let receiver = Receiver::builder().any_app().key(key).key(other).build();
        assert_eq!(receive(&receiver, body).is_ok(), expected, "{end:?}");
    }
}

#[test]
fn events_of_other_locations_are_rejected() {
    let builder = || Receiver::builder().any_app().key(public_key("test", &signing_key(1)));
    let unnamed = "the event has no `locationId`; to accept such events, build the receiver with \
                   `.locations_where(..)`";
    let other = "location c is not one of those that the receiver accepts";
    let rows = [
        (r#"{"type":"X","locationId":"a"}"#, None, None),
        (r#"{"type":"X","locationId":"b"}"#, None, Some(())),
        (r#"{"type":"X","locationId":"c"}"#, Some(other), Some(())),
        (r#"{"type":"X"}"#, Some(unnamed), None),
        (r#"{"type":"X","locationId":null}"#, Some(unnamed), None),
        (r#"{"type":"X","locationId":["a"]}"#, Some(unnamed), None),
    ];
    for (body, by_set, by_function) in rows {
        let result = receive(&builder().locations(["a", "b"]).build(), body);
        match (result, by_set) {
            (Ok(verified), None) => assert_eq!(verified.name(), "X"),
            (Err(error), Some(text)) => check(body, &error, WebhookErrorKind::OtherLocation, text),
            (result, _) => panic!("{body}: {result:?}"),
        }
        let receiver = builder().locations_where(|id| id.is_none_or(|id| id.as_str() == "a")).build();
        let found = receive(&receiver, body).err().map(|error| error.kind());
        assert_eq!(found, by_function.map(|()| WebhookErrorKind::OtherLocation), "{body}");
        assert_eq!(receive(&any_app(), body).expect(body).name(), "X");
    }
    let none: [&str; 0] = [];
    receive(&builder().locations(none).build(), r#"{"type":"X","locationId":"a"}"#).expect_err("of none");
}
