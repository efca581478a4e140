//! The window of accepted timestamps.

use std::time::{Duration, SystemTime};

use highlevel::webhook::{InMemoryDeduplicator, ReceivedEvent, Receiver, WebhookErrorKind};

use super::bodies::ready;
use super::{any_app, check, headers, public_key, sign, signing_key, time};

const TWO_HOURS: Duration = Duration::from_secs(2 * 60 * 60);
const FIVE_MINUTES: Duration = Duration::from_secs(5 * 60);
const MOMENT: Duration = Duration::from_millis(1);

const STALE: &str = "event timestamp 2024-07-29T15:51:28.071Z is older than the 7200 s window; check the system clock, or \
                     widen it with `.window(..)` for events that are resent by hand";
const FUTURE: &str = "event timestamp 2024-07-29T15:51:28.071Z is more than 300 s ahead; check the system clock, and \
                      respond with 429 so that HighLevel redelivers it";

fn run(receiver: &Receiver, timestamp: &str, now: SystemTime, expected: Option<(WebhookErrorKind, &str)>) {
    let body = format!(r#"{{"type":"X"{timestamp}}}"#);
    let result = receiver.verify(&headers(&[&sign(body.as_bytes())]), body.clone(), now);
    match (result, expected) {
        (Ok(verified), None) => assert_eq!(verified.body(), body.as_bytes()),
        (Err(error), Some((kind, text))) => check(&body, &error, kind, text),
        (result, _) => panic!("{body} at {now:?}: {result:?}"),
    }
}

#[test]
fn timestamps_at_the_edges_of_the_window() {
    let timestamp = r#","timestamp":"2024-07-29T15:51:28.071Z""#;
    let rows = [
        (time(), None),
        (time() + TWO_HOURS, None),
        (time() + TWO_HOURS + MOMENT, Some((WebhookErrorKind::Stale, STALE))),
        (time() + 100 * TWO_HOURS, Some((WebhookErrorKind::Stale, STALE))),
        (time() - FIVE_MINUTES, None),
        (time() - FIVE_MINUTES - MOMENT, Some((WebhookErrorKind::Future, FUTURE))),
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
    let stale = STALE.replace("7200", "60");
    let future = FUTURE.replace("300", "0");
    let minute = Duration::from_secs(60);
    run(&narrow, timestamp, time(), None);
    run(&narrow, timestamp, time() + minute, None);
    run(&narrow, timestamp, time() + minute + MOMENT, Some((WebhookErrorKind::Stale, &stale)));
    run(&narrow, timestamp, time() - MOMENT, Some((WebhookErrorKind::Future, &future)));

    let wide = Receiver::builder()
        .any_app()
        .key(public_key("test", &signing_key(1)))
        .window(Duration::MAX, Duration::MAX);
    let wide = wide.build();
    run(&wide, timestamp, SystemTime::UNIX_EPOCH, None);
    run(&wide, timestamp, time() + 1_000_000 * TWO_HOURS, None);
}

#[test]
fn malformed_timestamps_are_rejected() {
    let malformed = |text: &str| format!("/timestamp is `{text}`, which is not a point in time");
    // Events without a timestamp are accepted.
    for timestamp in ["", r#","timestamp":null"#] {
        run(&any_app(), timestamp, time() + 100 * TWO_HOURS, None);
    }
    // A malformed timestamp must not be a way around the window.
    let not_a_string = "/timestamp is not a string";
    for value in [
        "1722268288071",
        "1722268288.071",
        "true",
        "[]",
        r#"["2024-07-29T15:51:28.071Z"]"#,
        r#"{"$date":"x"}"#,
    ] {
        for now in [time(), time() + 100 * TWO_HOURS] {
            let timestamp = format!(r#","timestamp":{value}"#);
            run(&any_app(), &timestamp, now, Some((WebhookErrorKind::Malformed, not_a_string)));
        }
    }
    // The same time in other formats.
    for text in ["2024-07-29T17:51:28.071+02:00", "2024-07-29T15:51:28.071000Z", "2024-07-29t15:51:28.071z"] {
        let timestamp = format!(r#","timestamp":"{text}""#);
        run(&any_app(), &timestamp, time() + TWO_HOURS, None);
        let stale = STALE.replace("2024-07-29T15:51:28.071Z", text);
        run(&any_app(), &timestamp, time() + TWO_HOURS + MOMENT, Some((WebhookErrorKind::Stale, &stale)));
    }
    let malformed_texts =
        ["", "yesterday", "1722268288071", "2024-07-29", "2024-07-29T15:51:28", "2024-13-29T15:51:28Z"];
    for text in malformed_texts {
        let timestamp = format!(r#","timestamp":"{text}""#);
        run(&any_app(), &timestamp, time(), Some((WebhookErrorKind::Malformed, &malformed(text))));
    }
    let error = malformed("\\u{7}");
    run(&any_app(), r#","timestamp":"\u0007""#, time(), Some((WebhookErrorKind::Malformed, &error)));
}

/// Events are retained for as long as the receiver accepts their redeliveries.
#[test]
fn events_are_retained_for_the_whole_window() {
    #[derive(Clone, Copy)]
    struct Case {
        oldest: Duration,
        ahead: Duration,
        handled_at: SystemTime,
        redelivered_at: SystemTime,
        expected: WebhookErrorKind,
    }
    let week = Duration::from_secs(7 * 24 * 3600);
    let default = Case {
        oldest: TWO_HOURS,
        ahead: FIVE_MINUTES,
        handled_at: time(),
        redelivered_at: time() + TWO_HOURS,
        expected: WebhookErrorKind::Duplicate,
    };
    let a_week =
        Case { oldest: week, handled_at: time() - FIVE_MINUTES, redelivered_at: time() + week, ..default };
    let body = r#"{"type":"X","webhookId":"w","timestamp":"2024-07-29T15:51:28.071Z"}"#;
    let cases = [
        Case { redelivered_at: time() + week + MOMENT, expected: WebhookErrorKind::Stale, ..a_week },
        Case { ahead: week, handled_at: time() - week, ..a_week },
        a_week,
        Case { oldest: Duration::MAX, ahead: Duration::MAX, redelivered_at: time() + 1000 * week, ..default },
        default,
    ];
    for Case { oldest, ahead, handled_at, redelivered_at, expected } in cases {
        // The receiver widens the retention, and other events do not evict one inside the window.
        let deduplicator = InMemoryDeduplicator::new().capacity(3).retention(Duration::ZERO);
        let receiver = Receiver::builder()
            .any_app()
            .key(public_key("test", &signing_key(1)))
            .deduplicator(deduplicator)
            .window(oldest, ahead)
            .build();
        let receive = |body: &str, now| {
            ready(receiver.receive(&headers(&[&sign(body.as_bytes())]), body.to_owned(), now))
        };
        let commit = |event: ReceivedEvent| ready(event.commit()).expect("committed");
        commit(receive(body, handled_at).expect("first"));
        for id in 0..5 {
            let other = format!(r#"{{"type":"X","webhookId":"{id}"}}"#);
            if let Ok(event) = receive(&other, redelivered_at) {
                commit(event);
            }
        }
        let error = receive(body, redelivered_at).expect_err("redelivered");
        assert_eq!(error.kind(), expected, "{oldest:?} {ahead:?}");
    }
}
