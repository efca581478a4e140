//! Attacks on the receiver: forged headers, changed bodies, and genuine events in the wrong place or at the wrong time.

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};
use ed25519_dalek::Signer;
use highlevel::webhook::WebhookErrorKind::{
    Duplicate, Future, Malformed, OtherApp, OtherLocation, SignatureInvalid, SignatureMissing, Stale,
    TooLarge,
};
use highlevel::webhook::{Receiver, WebhookErrorKind};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::bodies::ready;
use super::{APP, public_key, sign, signing_key, time};

const LOCATION: &str = "l1C08ntBrFjLS0elLIYU";
const GENUINE: &str = r#"{"type":"InboundMessage","body":"yes","appId":"665c6bb13d4e5364bdec0e2f","locationId":"l1C08ntBrFjLS0elLIYU","timestamp":"2024-07-29T15:51:28.071Z","webhookId":"w"}"#;

struct Attack {
    name: &'static str,
    headers: HeaderMap,
    body: Vec<u8>,
    now: SystemTime,
    expected: WebhookErrorKind,
}

/// Returns an attack with these headers.
fn forged<'s>(
    name: &'static str,
    headers: impl IntoIterator<Item = (&'static str, &'s str)>,
    body: impl Into<Vec<u8>>,
    expected: WebhookErrorKind,
) -> Attack {
    let mut map = HeaderMap::new();
    for (header, value) in headers {
        let value = HeaderValue::from_bytes(value.as_bytes()).expect("a header");
        map.append(HeaderName::from_bytes(header.as_bytes()).expect("a name"), value);
    }
    Attack { name, headers: map, body: body.into(), now: time(), expected }
}

/// Returns an attack with a body that HighLevel signed.
fn genuine(name: &'static str, body: impl Into<Vec<u8>>, expected: WebhookErrorKind) -> Attack {
    let body = body.into();
    forged(name, [(GHL, sign(&body).as_str())], body, expected)
}

const GHL: &str = "X-GHL-Signature";
const WH: &str = "X-WH-Signature";

/// A genuine signature is missing, repeated, or in the wrong header.
fn with_wrong_headers() -> Vec<Attack> {
    let signature = sign(GENUINE.as_bytes());
    let zero = STANDARD.encode([0; 64]);
    let by_other = STANDARD.encode(signing_key(2).sign(GENUINE.as_bytes()).to_bytes());
    vec![
        forged("no header", [], GENUINE, SignatureMissing),
        forged("downgrade: the older header alone", [(WH, signature.as_str())], GENUINE, SignatureMissing),
        forged(
            "downgrade: N/A beside the older one",
            [(GHL, "N/A"), (WH, &signature)],
            GENUINE,
            SignatureInvalid,
        ),
        forged(
            "downgrade: empty beside the older one",
            [(GHL, ""), (WH, &signature)],
            GENUINE,
            SignatureInvalid,
        ),
        forged(
            "downgrade: wrong beside the older one",
            [(GHL, by_other.as_str()), (WH, &signature)],
            GENUINE,
            SignatureInvalid,
        ),
        forged("another name", [("X-HighLevel-Signature", signature.as_str())], GENUINE, SignatureMissing),
        forged(
            "name with an underscore",
            [("X_GHL_Signature", signature.as_str())],
            GENUINE,
            SignatureMissing,
        ),
        forged("name of a standard", [("webhook-signature", signature.as_str())], GENUINE, SignatureMissing),
        forged(
            "two headers, both genuine",
            [(GHL, signature.as_str()), (GHL, &signature)],
            GENUINE,
            SignatureInvalid,
        ),
        forged(
            "two headers, first genuine",
            [(GHL, signature.as_str()), (GHL, &zero)],
            GENUINE,
            SignatureInvalid,
        ),
        forged("two headers, last genuine", [(GHL, "N/A"), (GHL, &signature)], GENUINE, SignatureInvalid),
        forged(
            "two headers, in two cases",
            [(GHL, signature.as_str()), ("x-ghl-signature", &signature)],
            GENUINE,
            SignatureInvalid,
        ),
    ]
}

/// The body is genuine, the signature is not.
fn with_invalid_signatures() -> Vec<Attack> {
    let signature = sign(GENUINE.as_bytes());
    let bytes = STANDARD.decode(&signature).expect("base64");
    let (zero, ones) = (STANDARD.encode([0; 64]), STANDARD.encode([0xff; 64]));
    let identity = STANDARD.encode([&[1][..], &[0; 63]].concat());
    let by_other = STANDARD.encode(signing_key(2).sign(GENUINE.as_bytes()).to_bytes());
    let swapped = STANDARD.encode([&bytes[32..], &bytes[..32]].concat());
    let mut flipped = bytes.clone();
    flipped[40] ^= 1;
    let reversed: Vec<u8> = bytes.iter().rev().copied().collect();
    let (flipped, reversed) = (STANDARD.encode(flipped), STANDARD.encode(reversed));
    let (half, more) = (STANDARD.encode(&bytes[..32]), STANDARD.encode([&bytes[..], &bytes[..]].concat()));
    let hex = "0a".repeat(64);
    let (unpadded, twice) = (STANDARD_NO_PAD.encode(&bytes), STANDARD.encode(&signature));
    let url_safe = format!("-{}", &URL_SAFE.encode(&bytes)[1..]);
    let text = |form: &str| form.replace("{}", &signature);
    let (quoted, list, scheme) = (text("\"{}\""), text("{}, {}"), text("sha256={}"));
    let (standard, stamped, bearer) = (text("v1,{}"), text("t=1722268288,v1={}"), text("Bearer {}"));
    let (padded, percent) = (text("{}=="), signature.replace('=', "%3D"));
    let (tabbed, json) = (text("{}\t"), text("[\"{}\"]"));
    let cut = &signature[..signature.len() - 4];
    let long = "A".repeat(100_000);
    let row = |name, value: &str, expected| forged(name, [(GHL, value)], GENUINE, expected);
    vec![
        row("N/A", "N/A", SignatureInvalid),
        row("n/a", "n/a", SignatureInvalid),
        row("empty", "", SignatureInvalid),
        row("null", "null", SignatureInvalid),
        row("undefined", "undefined", SignatureInvalid),
        row("true", "true", SignatureInvalid),
        row("zeros", &zero, SignatureInvalid),
        row("ones", &ones, SignatureInvalid),
        row("the universal forgery", &identity, SignatureInvalid),
        row("by another key", &by_other, SignatureInvalid),
        row("its halves swapped", &swapped, SignatureInvalid),
        row("a bit flipped", &flipped, SignatureInvalid),
        row("backwards", &reversed, SignatureInvalid),
        row("half of it", &half, SignatureInvalid),
        row("twice in one", &more, SignatureInvalid),
        row("cut", cut, SignatureInvalid),
        row("hexadecimal", &hex, SignatureInvalid),
        row("without padding", &unpadded, SignatureInvalid),
        row("with more padding", &padded, SignatureInvalid),
        row("of another alphabet", &url_safe, SignatureInvalid),
        row("encoded twice", &twice, SignatureInvalid),
        row("percent-encoded", &percent, SignatureInvalid),
        row("quoted", &quoted, SignatureInvalid),
        row("a list", &list, SignatureInvalid),
        row("with a scheme", &scheme, SignatureInvalid),
        row("in the form of standard webhooks", &standard, SignatureInvalid),
        row("in the form of Stripe", &stamped, SignatureInvalid),
        row("as a bearer token", &bearer, SignatureInvalid),
        row("with a tab", &tabbed, SignatureInvalid),
        row("as JSON", &json, SignatureInvalid),
        row("very long", &long, SignatureInvalid),
        row("not ASCII", "ÄÖÜ", SignatureInvalid),
    ]
}

/// The signature is genuine, for another body.
fn with_changed_bodies() -> Vec<Attack> {
    let signature = sign(GENUINE.as_bytes());
    let row = |name, body: Vec<u8>| forged(name, [(GHL, signature.as_str())], body, SignatureInvalid);
    let changed = |from: &str, to: &str| GENUINE.replacen(from, to, 1).into_bytes();
    let utf16: Vec<u8> = GENUINE.encode_utf16().flat_map(u16::to_le_bytes).collect();
    vec![
        row("another body", br#"{"type":"InboundMessage","body":"no"}"#.to_vec()),
        row("an empty body", Vec::new()),
        row("another text", changed("yes", "no")),
        row("another case", changed("yes", "Yes")),
        row("an escape for a letter", changed("yes", "\\u0079es")),
        row("an escape in a name", changed("body", "\\u0062ody")),
        row("a field more", changed("}", ",\"userId\":\"u\"}")),
        row("a field twice", changed("}", ",\"body\":\"no\"}")),
        row("a field first", changed("{", "{\"body\":\"no\",")),
        row("a field renamed", changed("body", "Body")),
        row("a replay under another webhookId", changed("\"w\"", "\"v\"")),
        row("a replay with another time", changed("15:51", "15:52")),
        row("for another location", changed(LOCATION, "other")),
        row("a byte order mark before it", [b"\xef\xbb\xbf", GENUINE.as_bytes()].concat()),
        row("a newline after it", [GENUINE.as_bytes(), b"\n"].concat()),
        row("a NUL after it", [GENUINE.as_bytes(), b"\0"].concat()),
        row("a space before it", [b" ", GENUINE.as_bytes()].concat()),
        row("an event after it", [GENUINE.as_bytes(), GENUINE.as_bytes()].concat()),
        row("in a list", [b"[", GENUINE.as_bytes(), b"]"].concat()),
        row("cut", GENUINE.as_bytes()[..100].to_vec()),
        row("in UTF-16", utf16),
        row("with a space", changed("\":\"", "\": \"")),
    ]
}

/// The body and its signature are genuine.
fn with_genuine_signatures() -> Vec<Attack> {
    let with = |from: &str, to: &str| GENUINE.replacen(from, to, 1);
    let deep = |open: &str, inner: &str, close: &str| {
        with("\"yes\"", &[&open.repeat(5000), inner, &close.repeat(5000)].concat())
    };
    let mut large = GENUINE.as_bytes().to_vec();
    large.resize(1024 * 1024 + 1, b' ');
    let mut gzip = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03".to_vec();
    gzip.extend_from_slice(GENUINE.as_bytes());
    let late = |name, body: &str, now, expected| Attack { now, ..genuine(name, body, expected) };
    let (hour, moment) = (Duration::from_secs(3600), Duration::from_millis(1));
    vec![
        genuine("for another app", with(APP, "111"), OtherApp),
        genuine("for an app that begins alike", with(APP, &format!("{APP}-x")), OtherApp),
        genuine("for an app in another case", with(APP, &APP.to_uppercase()), OtherApp),
        genuine("for two apps, the other one last", with("}", ",\"appId\":\"111\"}"), OtherApp),
        genuine("for another app, escaped", with(APP, "\\u0031\\u0031"), OtherApp),
        genuine("for a list of apps", with(&format!("\"{APP}\""), &format!("[\"{APP}\"]")), OtherApp),
        genuine("for no app", with("appId", "app"), OtherApp),
        genuine("of another location", with(LOCATION, "other"), OtherLocation),
        genuine("of no location", with("locationId", "location"), OtherLocation),
        genuine(
            "of two locations, the other one last",
            with("}", ",\"locationId\":\"other\"}"),
            OtherLocation,
        ),
        genuine("of a location and a NUL", with(LOCATION, &format!("{LOCATION}\\u0000")), OtherLocation),
        late("replay after the window", GENUINE, time() + 2 * hour + moment, Stale),
        late("replay after a year", GENUINE, time() + 8760 * hour, Stale),
        late("before its time", GENUINE, time() - Duration::from_secs(300) - moment, Future),
        genuine("a time that cannot be parsed", with("2024-07-29T15:51:28.071Z", "soon"), Malformed),
        genuine("a time in milliseconds", with("\"2024-07-29T15:51:28.071Z\"", "1722268288071"), Malformed),
        genuine(
            "a list of times",
            with("\"2024-07-29T15:51:28.071Z\"", "[\"2024-07-29T15:51:28.071Z\"]"),
            Malformed,
        ),
        genuine("a second time that is not a string", with("}", ",\"timestamp\":0}"), Malformed),
        genuine("no type", with("\"type\"", "\"kind\""), Malformed),
        genuine("a type that is not a string", with("\"InboundMessage\"", "7"), Malformed),
        genuine("a list", "[]", Malformed),
        genuine("nested lists", deep("[", "", "]"), Malformed),
        genuine("nested objects", deep("{\"a\":", "1", "}"), Malformed),
        genuine("a number without end", with("\"yes\"", "1e999999"), Malformed),
        genuine("not a number", with("\"yes\"", "NaN"), Malformed),
        genuine("half a surrogate", with("yes", "\\ud800"), Malformed),
        genuine("a control character", with("yes", "\u{1}"), Malformed),
        genuine("a comma too many", with("}", ",}"), Malformed),
        genuine("a comment", with("{", "{/**/"), Malformed),
        genuine("two objects", format!("{GENUINE}{GENUINE}"), Malformed),
        genuine("bytes after it", format!("{GENUINE}\0"), Malformed),
        genuine("a byte order mark", format!("\u{feff}{GENUINE}"), Malformed),
        genuine("a form", "type=InboundMessage&body=yes", Malformed),
        genuine("not UTF-8", b"{\"type\":\"\xff\"}".to_vec(), Malformed),
        genuine("compressed", gzip, Malformed),
        genuine("nothing at all", "", Malformed),
        genuine("a byte too long", large, TooLarge),
    ]
}

fn receiver() -> Receiver {
    Receiver::builder().app_id(APP).locations([LOCATION]).key(public_key("test", &signing_key(1))).build()
}

#[test]
fn attacks_are_rejected_and_claim_nothing() {
    let attacks =
        [with_wrong_headers(), with_invalid_signatures(), with_changed_bodies(), with_genuine_signatures()];
    assert!(attacks.iter().flatten().count() >= 60);
    let receiver = receiver();
    for attack in attacks.into_iter().flatten() {
        let Attack { name, headers, body, now, expected } = attack;
        let error = ready(receiver.receive(&headers, body, now)).expect_err(name);
        assert_eq!(error.kind(), expected, "{name}: {error}");
        assert!((400..500).contains(&error.status()), "{name}: {}", error.status());
        assert!(!error.to_string().chars().any(char::is_control), "{name}: {error}");
    }

    // No attack has claimed the genuine event, which is accepted once.
    let headers = super::headers(&[&sign(GENUINE.as_bytes())]);
    let genuine = ready(receiver.receive(&headers, GENUINE, time())).expect("genuine");
    ready(genuine.commit()).expect("committed");
    let error = ready(receiver.receive(&headers, GENUINE, time())).expect_err("a replay");
    assert_eq!((error.kind(), error.status()), (Duplicate, 200));
}

/// Numbers outside of all types, duplicate names and needless escapes are valid JSON.
#[test]
fn unusual_json_is_accepted() {
    let rows = [
        (r#"{"type":"X","n":123456789012345678901234567890}"#, "X"),
        (r#"{"type":"Y","type":"X"}"#, "X"),
        (r#"{"ty\u0070e":"\u0058"}"#, "X"),
        (r#"{"type":"X","a":[[[[[[[[[[1]]]]]]]]]]}"#, "X"),
    ];
    for (body, name) in rows {
        assert_eq!(super::receive(&super::any_app(), body).expect(body).name(), name);
    }
}
