//! How old an event may be.

use std::time::{Duration, SystemTime};

use highlevel::webhook::{Receiver, WebhookErrorKind};

use super::{any_app, check, headers, public_key, sign, signing_key, time};

const HOURS: Duration = Duration::from_secs(2 * 60 * 60);
const MINUTES: Duration = Duration::from_secs(5 * 60);
const MOMENT: Duration = Duration::from_millis(1);

const STALE: &str = "the event's timestamp 2024-07-29T15:51:28.071Z is older than 7200 seconds: is the clock of this \
                     machine right, or was the event resent by hand? `.window(…)` takes older ones";
const FUTURE: &str = "the event's timestamp 2024-07-29T15:51:28.071Z is further ahead than 300 seconds: is the clock of \
                      this machine right? Answer 429, and it comes again";

fn run(receiver: &Receiver, timestamp: &str, now: SystemTime, expected: Option<(WebhookErrorKind, &str)>) {
    let body = format!(r#"{{"type":"X"{timestamp}}}"#);
    let result = receiver.receive(&headers(&[&sign(body.as_bytes())]), body.clone(), now);
    match (result, expected) {
        (Ok(verified), None) => assert_eq!(verified.body(), body.as_bytes()),
        (Err(error), Some((kind, text))) => check(&body, &error, kind, text),
        (result, _) => panic!("{body} at {now:?}: {result:?}"),
    }
}

#[test]
fn the_edges_of_the_window() {
    let timestamp = r#","timestamp":"2024-07-29T15:51:28.071Z""#;
    let rows = [
        (time(), None),
        (time() + HOURS, None),
        (time() + HOURS + MOMENT, Some((WebhookErrorKind::Stale, STALE))),
        (time() + 100 * HOURS, Some((WebhookErrorKind::Stale, STALE))),
        (time() - MINUTES, None),
        (time() - MINUTES - MOMENT, Some((WebhookErrorKind::Future, FUTURE))),
        (SystemTime::UNIX_EPOCH, Some((WebhookErrorKind::Future, FUTURE))),
    ];
    for (now, expected) in rows {
        run(&any_app(), timestamp, now, expected);
    }

    let narrow = Receiver::builder()
        .any_app()
        .key(public_key("test", &signing_key(1)))
        .window(Duration::from_secs(60), Duration::ZERO)
        .build();
    let stale = "the event's timestamp 2024-07-29T15:51:28.071Z is older than 60 seconds: is the clock of this machine \
                 right, or was the event resent by hand? `.window(…)` takes older ones";
    let future = "the event's timestamp 2024-07-29T15:51:28.071Z is further ahead than 0 seconds: is the clock of this \
                  machine right? Answer 429, and it comes again";
    let minute = Duration::from_secs(60);
    run(&narrow, timestamp, time(), None);
    run(&narrow, timestamp, time() + minute, None);
    run(&narrow, timestamp, time() + minute + MOMENT, Some((WebhookErrorKind::Stale, stale)));
    run(&narrow, timestamp, time() - MOMENT, Some((WebhookErrorKind::Future, future)));

    let wide = Receiver::builder()
        .any_app()
        .key(public_key("test", &signing_key(1)))
        .window(Duration::MAX, Duration::MAX);
    let wide = wide.build();
    run(&wide, timestamp, SystemTime::UNIX_EPOCH, None);
    run(&wide, timestamp, time() + 1_000_000 * HOURS, None);
}

#[test]
fn timestamps() {
    let malformed = |text: &str| format!("/timestamp is `{text}`, which is not a point in time");
    // Events without a timestamp are genuine all the same.
    for timestamp in ["", r#","timestamp":null"#] {
        run(&any_app(), timestamp, time() + 100 * HOURS, None);
    }
    // One that is there and cannot be read is no way around the window, at any time.
    let no_text = "/timestamp is not a string, so nobody can say how old the event is";
    for value in [
        "1722268288071",
        "1722268288.071",
        "true",
        "[]",
        r#"["2024-07-29T15:51:28.071Z"]"#,
        r#"{"$date":"x"}"#,
    ] {
        for now in [time(), time() + 100 * HOURS] {
            let timestamp = format!(r#","timestamp":{value}"#);
            run(&any_app(), &timestamp, now, Some((WebhookErrorKind::Malformed, no_text)));
        }
    }
    // The same moment in other words.
    for text in ["2024-07-29T17:51:28.071+02:00", "2024-07-29T15:51:28.071000Z", "2024-07-29t15:51:28.071z"] {
        let timestamp = format!(r#","timestamp":"{text}""#);
        run(&any_app(), &timestamp, time() + HOURS, None);
        let stale = STALE.replace("2024-07-29T15:51:28.071Z", text);
        run(&any_app(), &timestamp, time() + HOURS + MOMENT, Some((WebhookErrorKind::Stale, &stale)));
    }
    let odd = ["", "yesterday", "1722268288071", "2024-07-29", "2024-07-29T15:51:28", "2024-13-29T15:51:28Z"];
    for text in odd {
        let timestamp = format!(r#","timestamp":"{text}""#);
        run(&any_app(), &timestamp, time(), Some((WebhookErrorKind::Malformed, &malformed(text))));
    }
    let error = malformed("\\u{7}");
    run(&any_app(), r#","timestamp":"\u0007""#, time(), Some((WebhookErrorKind::Malformed, &error)));
}

/// The memory of a receiver lasts as long as an event can come again.
#[test]
fn as_wide_as_the_window_is_the_memory() {
    let hour = Duration::from_secs(3600);
    let days = 7 * 24 * hour;
    let body = r#"{"type":"X","webhookId":"w","timestamp":"2024-07-29T15:51:28.071Z"}"#;
    // How wide the window is, when the event is handled, when it comes again, and what it is then.
    let rows = [
        (days, MINUTES, time() - MINUTES, time() + days, WebhookErrorKind::Duplicate),
        (days, MINUTES, time() - MINUTES, time() + days + MOMENT, WebhookErrorKind::Stale),
        (days, days, time() - days, time() + days, WebhookErrorKind::Duplicate),
        (HOURS, MINUTES, time(), time() + HOURS, WebhookErrorKind::Duplicate),
        (Duration::MAX, Duration::MAX, time(), time() + 1000 * days, WebhookErrorKind::Duplicate),
    ];
    for (oldest, ahead, first, again, expected) in rows {
        let builder = Receiver::builder().any_app().key(public_key("test", &signing_key(1)));
        let receiver = builder.window(oldest, ahead).build();
        let receive = |now| receiver.receive(&headers(&[&sign(body.as_bytes())]), body, now);
        receive(first).expect("first").commit();
        assert_eq!(receive(again).expect_err("again").kind(), expected, "{oldest:?} {ahead:?}");
    }
    // A narrow window does not shorten it: an event without a timestamp is in every window.
    let receiver =
        Receiver::builder().any_app().key(public_key("test", &signing_key(1))).window(MOMENT, MOMENT).build();
    let body = r#"{"type":"X","webhookId":"w"}"#;
    let receive = |now| receiver.receive(&headers(&[&sign(body.as_bytes())]), body, now);
    receive(time()).expect("first").commit();
    assert_eq!(receive(time() + 24 * hour).expect_err("again").kind(), WebhookErrorKind::Duplicate);
    drop(receive(time() + 24 * hour + MOMENT).expect("forgotten"));
}
