use serde_json::json;

use super::super::registry::Code;
use super::super::resource::Choice;
use super::*;

const APP: &str = "app-1";
const OTHER: &str = "other-1";

fn start() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000)
}

fn generated(name: &str) -> GeneratedTokens {
    GeneratedTokens {
        access_token: format!("access-{name}"),
        refresh_token: format!("refresh-{name}"),
        refresh_token_id: format!("id-{name}"),
        trace_id: format!("trace-{name}"),
    }
}

fn choice(resource: TokenResource) -> Choice {
    match resource {
        TokenResource::Location(id) => Choice::location(id, "company"),
        TokenResource::Company(id) => Choice::company(id, vec!["l1".to_owned(), "l2".to_owned()]),
    }
}

/// Determines the response to a request without a version, with all quirks disabled.
fn decide(
    form: &Result<Form, String>,
    registry: &Registry,
    now: DateTime<Utc>,
    generated: &GeneratedTokens,
) -> GrantDecision {
    let request = TokenRequest { form, version: OAuthVersion::Dated, settings: &Settings::default() };
    super::decide(request, registry, now, generated)
}

fn subject(resource: TokenResource) -> Subject {
    Subject {
        client_id: APP.to_owned(),
        choice: choice(resource),
        scopes: vec!["a".to_owned(), "b/c.d".to_owned()],
    }
}

/// Two apps; a code and tokens for a location and for a company of the first.
fn registry() -> Registry {
    let mut registry = Registry::new(SandboxApp::new(APP, "secret"));
    registry.put_app(SandboxApp::new(OTHER, "secret")).unwrap();
    for (name, resource) in
        [("location", TokenResource::location("l")), ("company", TokenResource::company("company"))]
    {
        let code = Code {
            client_id: APP.to_owned(),
            redirect_uri: "http://127.0.0.1/back".to_owned(),
            scopes: vec!["a".to_owned(), "b/c.d".to_owned()],
            choice: choice(resource.clone()),
            expires_at: start() + TimeDelta::minutes(10),
            used: false,
        };
        registry.put_code(format!("code-{name}"), code, start());
        registry.apply(issue(subject(resource), UsedCredential::None, start(), &generated(name)), start());
    }
    registry
}

fn form(fields: &str) -> Result<Form, String> {
    Form::parse_body(Some("application/x-www-form-urlencoded"), fields.as_bytes())
}

/// Returns the outcome, and the status and description of an error.
fn outcome(decision: &GrantDecision) -> (Outcome, Option<(u16, &str)>) {
    let refused = decision.response.as_ref().err();
    (decision.outcome, refused.map(|error| (error.status.as_u16(), error.description.as_str())))
}

const CREDENTIALS: &str = "client_id=app-1&client_secret=secret";

/// The form of a request, the status and description of the error, and the resource that the error is counted for.
type Row = (String, u16, &'static str, Option<TokenResource>);

fn assert_rejected(registry: &Registry, counted_as: Outcome, rows: impl IntoIterator<Item = Row>) {
    for (fields, status, message, resource) in rows {
        let decision = decide(&form(&fields), registry, start(), &generated("new"));
        assert_eq!(outcome(&decision), (counted_as, Some((status, message))), "{fields}");
        assert_eq!((decision.change, decision.resource), (None, resource), "{fields}");
    }
}

const WRONG_CLIENT: &str = "Invalid client credentials!";

fn location() -> TokenResource {
    TokenResource::location("l")
}

#[test]
fn invalid_code_exchanges_are_rejected() {
    let exchange = |rest: &str| format!("{CREDENTIALS}&grant_type=authorization_code&{rest}");
    let of = |client: &str| format!("{client}&grant_type=authorization_code&code=code-location");
    let not_found = "Authorization code not found";
    let no_grant_type = "grant_type must be a valid enum value\ngrant_type should not be empty";
    let unsupported =
        "Unsupported grant type: `grant_type` is `password`, but must be authorization_code or refresh_token";
    let other_type = "Invalid request: `user_type` is `Location`, but the code or token is for a Company";
    assert_rejected(
        &registry(),
        Outcome::CodeRefused,
        [
            (String::new(), 422, no_grant_type, None),
            (format!("{CREDENTIALS}&grant_type="), 422, no_grant_type, None),
            (format!("{CREDENTIALS}&grant_type=password"), 400, unsupported, None),
            (of("client_id=unknown&client_secret=secret"), 401, not_found, Some(location())),
            (of("client_id=app-1&client_secret=x"), 401, WRONG_CLIENT, Some(location())),
            (of("client_id=other-1&client_secret=secret"), 401, not_found, Some(location())),
            (exchange(""), 400, "Missing parameter: `code`", None),
            (exchange("code=nothing"), 401, not_found, None),
            // The code is verified before the secret.
            (
                "client_id=app-1&client_secret=x&grant_type=authorization_code&code=nothing".to_owned(),
                401,
                not_found,
                None,
            ),
            (
                exchange("code=code-location&redirect_uri=http://127.0.0.1/"),
                400,
                "Invalid request: `redirect_uri` is invalid",
                Some(location()),
            ),
            (
                exchange("code=code-company&user_type=Location"),
                400,
                other_type,
                Some(TokenResource::company("company")),
            ),
        ],
    );
    let message = form("a=1&a=2").unwrap_err();
    let decision = decide(&Err(message), &registry(), start(), &generated("new"));
    let twice = "Invalid request: `a` appears more than once";
    assert_eq!(outcome(&decision), (Outcome::CodeRefused, Some((400, twice))));
}

#[test]
fn invalid_refreshes_are_rejected() {
    let mut registry = registry();
    registry.set_active("inactive", false);
    for name in ["inactive", "revoked"] {
        registry.apply(
            issue(subject(TokenResource::location(name)), UsedCredential::None, start(), &generated(name)),
            start(),
        );
    }
    registry.revoke("refresh-revoked");
    let refresh = |rest: &str| format!("{CREDENTIALS}&grant_type=refresh_token&{rest}");
    let of = |client: &str| format!("{client}&grant_type=refresh_token&refresh_token=refresh-location");
    let invalid = "Invalid grant: refresh token is invalid";
    let other_type = "Invalid request: `user_type` is `Company`, but the code or token is for a Location";
    let no_type = "Invalid request: `user_type` is `location`, but must be Company or Location";
    let of_location = |name| Some(TokenResource::location(name));
    assert_rejected(
        &registry,
        Outcome::Refused,
        [
            ("grant_type=refresh_token".to_owned(), 400, "Missing parameter: `client_id`", None),
            (of("client_id=app-1"), 400, "Missing parameter: `client_secret`", Some(location())),
            (of("client_id=app-1&client_secret=x"), 401, WRONG_CLIENT, Some(location())),
            (of("client_id=other-1&client_secret=secret"), 401, WRONG_CLIENT, Some(location())),
            (refresh(""), 400, "Missing parameter: `refresh_token`", None),
            (refresh("refresh_token=nothing"), 400, invalid, None),
            (refresh("refresh_token=refresh-revoked"), 400, invalid, of_location("revoked")),
            (refresh("refresh_token=refresh-location&user_type=Company"), 400, other_type, Some(location())),
            (refresh("refresh_token=refresh-location&user_type=location"), 400, no_type, Some(location())),
            (
                refresh("refresh_token=refresh-inactive"),
                400,
                "Location is not active",
                of_location("inactive"),
            ),
        ],
    );
}

#[test]
fn token_responses_have_the_documented_fields() {
    let mut registry = registry();
    let location = json!({
        "access_token": "access-new", "token_type": "Bearer", "expires_in": 86_399, "refresh_token": "refresh-new",
        "refreshTokenId": "id-new", "scope": "a b/c.d", "userType": "Location", "companyId": "company",
        "locationId": "l", "isBulkInstallation": false, "userId": "xsmF1xxhmC92ZpL1lj7aLa",
        "planId": "66a0419a0dffa47fb5f8b22f", "traceId": "trace-new",
    });
    let company = json!({
        "accessToken": "access-new", "tokenType": "Bearer", "expiresIn": 86_399, "refreshToken": "refresh-new",
        "refreshTokenId": "id-new", "scope": "a b/c.d", "userType": "Company", "companyId": "company",
        "isBulkInstallation": true, "approvedLocations": ["l1", "l2"], "installToFutureLocations": false, "userId": "xsmF1xxhmC92ZpL1lj7aLa",
        "planId": "66a0419a0dffa47fb5f8b22f", "traceId": "trace-new",
    });
    for (camel_case, name, expected) in
        [(false, "location&user_type=Location", location), (true, "company", company)]
    {
        registry.settings_mut().camel_case = camel_case;
        for fields in [
            format!("grant_type=authorization_code&redirect_uri=http://127.0.0.1/back&code=code-{name}"),
            format!("grant_type=refresh_token&refresh_token=refresh-{name}"),
        ] {
            let decision =
                decide(&form(&format!("{CREDENTIALS}&{fields}")), &registry, start(), &generated("new"));
            assert_eq!(decision.response, Ok(expected.clone()), "{fields}");
        }
    }
}

#[test]
fn a_code_is_valid_once_and_for_ten_minutes() {
    let exchange = form(&format!("{CREDENTIALS}&grant_type=authorization_code&code=code-location"));
    let rejected = (Outcome::CodeRefused, Some((401, "Authorization code not found")));
    for (seconds, expected) in
        [(0, (Outcome::CodeExchanged, None)), (599, (Outcome::CodeExchanged, None)), (600, rejected)]
    {
        let mut registry = registry();
        let now = start() + TimeDelta::seconds(seconds);
        let decision = decide(&exchange, &registry, now, &generated("new"));
        assert_eq!(outcome(&decision), expected, "{seconds}");
        if let Some(change) = decision.change {
            registry.apply(change, now);
            assert_eq!(
                outcome(&decide(&exchange, &registry, now, &generated("newer"))),
                rejected,
                "{seconds}"
            );
        }
    }
}

#[test]
fn a_repeated_refresh_gets_the_same_response_for_thirty_seconds() {
    let mut registry = registry();
    let refresh = form(&format!("{CREDENTIALS}&grant_type=refresh_token&refresh_token=refresh-location"));
    let at = |milliseconds| start() + TimeDelta::milliseconds(milliseconds);
    let first = decide(&refresh, &registry, at(0), &generated("new"));
    assert_eq!(outcome(&first), (Outcome::Rotated, None));
    registry.apply(first.change.unwrap(), start());
    let refused = (Outcome::Refused, Some((400, "Invalid grant: refresh token is invalid")));
    for (milliseconds, expected) in [
        (0, (Outcome::Repeated, None)),
        (29_999, (Outcome::Repeated, None)),
        (30_000, refused),
        (30_001, refused),
    ] {
        let decision = decide(&refresh, &registry, at(milliseconds), &generated("newer"));
        assert_eq!(outcome(&decision), expected, "{milliseconds}");
        assert_eq!(decision.change, None);
        if let Ok(response) = decision.response {
            assert_eq!(Ok(response), first.response, "{milliseconds}");
        }
    }
    // The token that replaced it stays valid.
    let next = form(&format!("{CREDENTIALS}&grant_type=refresh_token&refresh_token=refresh-new"));
    assert_eq!(decide(&next, &registry, at(30_001), &generated("newer")).outcome, Outcome::Rotated);
}

#[test]
fn access_tokens_last_a_day_and_refresh_tokens_a_year() {
    let registry = registry();
    let day = TimeDelta::hours(24);
    assert_eq!(registry.access_token("access-location").unwrap().expires_at, start() + day);
    let refresh = form(&format!("{CREDENTIALS}&grant_type=refresh_token&refresh_token=refresh-location"));
    for (days, expected) in [(364, Outcome::Rotated), (365, Outcome::Refused)] {
        assert_eq!(
            decide(&refresh, &registry, start() + day * days, &generated("new")).outcome,
            expected,
            "{days}"
        );
    }
}

#[test]
fn a_refresh_token_is_valid_again_once_its_location_is_active() {
    let mut registry = registry();
    let refresh = form(&format!("{CREDENTIALS}&grant_type=refresh_token&refresh_token=refresh-location"));
    registry.set_active("l", false);
    let refused = decide(&refresh, &registry, start(), &generated("new"));
    assert_eq!(outcome(&refused), (Outcome::Refused, Some((400, "Location is not active"))));
    registry.set_active("l", true);
    let later = start() + TimeDelta::days(100);
    assert_eq!(decide(&refresh, &registry, later, &generated("new")).outcome, Outcome::Rotated);
}

/// Simulates a client that refreshes ten times a second. The memory stays bounded, and error messages do not change when
/// credentials are evicted.
#[test]
fn stored_credentials_are_bounded() {
    let mut registry = registry();
    let mut token = "refresh-location".to_owned();
    let refresh =
        |token: &str| form(&format!("{CREDENTIALS}&grant_type=refresh_token&refresh_token={token}"));
    let length = |registry: &Registry| {
        let document = serde_json::to_value(registry.document()).unwrap();
        ["codes", "accessTokens", "refreshTokens"].map(|name| document[name].as_object().unwrap().len())
    };
    let code = registry.code("code-location").unwrap().clone();
    for number in 0..5_500_i32 {
        let now = start() + TimeDelta::milliseconds(i64::from(number) * 100);
        let new = format!("{number:05}");
        registry.put_code(new.clone(), Code { expires_at: now, ..code.clone() }, now);
        let decision = decide(&refresh(&token), &registry, now, &generated(&new));
        assert_eq!(decision.outcome, Outcome::Rotated, "{number}");
        registry.apply(decision.change.unwrap(), now);
        token = format!("refresh-{new}");
    }
    let now = start() + TimeDelta::seconds(550);
    let refused = (Outcome::Refused, Some((400, "Invalid grant: refresh token is invalid")));
    for (used, is_known) in [("refresh-00000", false), ("refresh-05100", true)] {
        let decision = decide(&refresh(used), &registry, now, &generated("new"));
        assert_eq!(outcome(&decision), refused, "{used}");
        assert_eq!(decision.resource.is_some(), is_known, "{used}");
    }
    assert_eq!(
        outcome(&decide(&refresh(&token), &registry, now, &generated("new"))),
        (Outcome::Rotated, None)
    );
    assert_eq!(
        outcome(&decide(&refresh("refresh-05498"), &registry, now, &generated("new"))),
        (Outcome::Repeated, None)
    );
    // Access tokens are valid for a day, but most refresh tokens and codes are used or expired. The two initial codes and the
    // refresh token of the company are still valid.
    assert_eq!(length(&registry), [5_002, 5_502, 5_002]);
    let uses = registry.refresh_tokens().filter_map(|token| token.used.as_ref());
    assert_eq!(uses.filter(|used| !used.response.is_null()).count(), 300);

    // A day later, only the refresh tokens are valid.
    let now = start() + TimeDelta::days(2);
    let decision = decide(&refresh(&token), &registry, now, &generated("later"));
    registry.apply(decision.change.unwrap(), now);
    assert_eq!(length(&registry), [5_000, 5_001, 5_002]);
    assert!(registry.access_token("access-05499").is_some(), "expired, but still stored");
    assert!(registry.access_token("access-00300").is_none());

    for number in 0..10_010 {
        registry.count(Some(TokenResource::location(format!("made-up-{number}"))), Outcome::Refused);
    }
    registry.count(Some(TokenResource::location("x".repeat(201))), Outcome::Refused);
    assert_eq!(registry.requests().len(), 10_001);
    let unknown = registry.requests().iter().find(|counts| counts.resource.is_none()).unwrap();
    assert_eq!(unknown.refused, 11);
}
