//! `doctor`: examines the configuration, the connection and the credentials.

use std::time::{Duration, SystemTime};

use clap::Args;
use highlevel::auth::store::{Key, Resource, TokenStore};
use highlevel::{Client, ContactKey, Error, ErrorKind, Method, RateLimitHeaders, Receipt, RetryPolicy};
use serde_json::{Value, json};

use crate::access::ApiAccessArgs;
use crate::exit::ExitReason;
use crate::failure::CommandError;
use crate::output::Printer;

/// The time for each request.
const TIMEOUT: Duration = Duration::from_secs(15);

/// The difference of the clocks from which on it is reported. The `Date` header has whole seconds.
const CLOCK_WARNING: Duration = Duration::from_secs(30);

/// The difference of the clocks from which on webhooks are rejected.
const CLOCK_FAILURE: Duration = Duration::from_secs(300);

/// A scope without which no message is sent.
const WRITE: &str = "conversations/message.write";

/// Wrapped by clap to the width of the terminal.
const AFTER_HELP: &str = "\
Exit codes: 0 no check has failed, 1 a check has failed. The requests only read. Scopes to write cannot be checked without a \
change; those of stored tokens are known.";

#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct DoctorArgs {}

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Health {
    Ok,
    Warning,
    Failed,
    NotChecked,
}

impl Health {
    fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
            Self::NotChecked => "not checked",
        }
    }
}

/// A check with its result, and the fix if it has failed.
#[derive(Debug)]
struct Diagnosis {
    check: String,
    health: Health,
    text: String,
    fix: Option<String>,
}

/// The results so far.
#[derive(Debug, Default)]
struct Examination(Vec<Diagnosis>);

impl Examination {
    fn add(&mut self, check: &str, health: Health, text: impl Into<String>, fix: Option<&str>) {
        let fix = fix.map(str::to_owned);
        self.0.push(Diagnosis { check: check.to_owned(), health, text: text.into(), fix });
    }

    fn ok(&mut self, check: &str, text: impl Into<String>) {
        self.add(check, Health::Ok, text, None);
    }

    fn warn(&mut self, check: &str, text: impl Into<String>, fix: &str) {
        self.add(check, Health::Warning, text, Some(fix));
    }

    fn fail(&mut self, check: &str, text: impl Into<String>, fix: &str) {
        self.add(check, Health::Failed, text, Some(fix));
    }

    fn skip(&mut self, check: &str, why: &str) {
        self.add(check, Health::NotChecked, why, None);
    }

    fn failures(&self) -> usize {
        self.0.iter().filter(|diagnosis| diagnosis.health == Health::Failed).count()
    }

    fn to_json(&self) -> Value {
        let checks = self.0.iter().map(|Diagnosis { check, health, text, fix }| {
            json!({ "check": check, "result": health.name(), "text": text, "fix": fix })
        });
        checks.collect()
    }

    fn to_text(&self) -> String {
        let lines = self.0.iter().map(|Diagnosis { check, health, text, fix }| {
            let fix = fix.as_ref().map(|fix| format!("\n{:29}fix: {fix}", "")).unwrap_or_default();
            format!("{:11}  {check:16}{text}{fix}", health.name())
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// A response to a request that only reads: its status, messages and headers.
struct ProbeResult {
    status: u16,
    messages: String,
    date: Option<String>,
    limits: RateLimitHeaders,
}

impl ProbeResult {
    /// Returns `None` if no response arrived.
    fn of<T>(result: &Result<Receipt<T>, Error>) -> Option<Self> {
        match result {
            Ok(receipt) => Some(Self {
                status: receipt.http_status(),
                messages: String::new(),
                date: receipt.header("date").map(str::to_owned),
                limits: receipt.rate_limit(),
            }),
            Err(error) => Some(Self {
                status: error.status()?,
                messages: error.messages().join("; "),
                date: error.header("date").map(str::to_owned),
                limits: error.rate_limit().unwrap_or_default(),
            }),
        }
    }

    fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    fn mentions(&self, word: &str) -> bool {
        self.messages.to_lowercase().contains(word)
    }

    /// Returns `true` if the token is valid, but lacks a scope.
    fn lacks_scope(&self) -> bool {
        matches!(self.status, 401 | 403) && self.mentions("scope")
    }

    fn reason(&self) -> String {
        if self.messages.is_empty() {
            format!("HighLevel responded with {}", self.status)
        } else {
            format!("HighLevel responded with {}: {}", self.status, self.messages)
        }
    }
}

impl DoctorArgs {
    pub(crate) async fn run(&self, access: &ApiAccessArgs, printer: Printer) -> Result<(), CommandError> {
        let mut found = Examination::default();
        let base_url = access.base_url()?;
        let opened = access.open(None).await;
        // A token that HighLevel rejects is enough to examine the connection.
        let api = match opened {
            Ok(api) => Some(api),
            Err(error) => {
                found.fail("credentials", error.message(), error.help().unwrap_or("see `highlevel --help`"));
                None
            }
        };
        let client = match &api {
            Some(api) => api.client.clone(),
            None => Client::builder().token("no-token").base_url(&base_url).build()?,
        };
        let client = client
            .with_retry_policy(RetryPolicy::none())
            .with_call_timeout(TIMEOUT)
            .with_attempt_timeout(TIMEOUT);
        if let Some(api) = &api {
            found.ok("credentials", if api.app.is_some() { "stored tokens of an app" } else { "a token" });
        }
        let location =
            client.location_id().map(ToString::to_string).or_else(|| access.location().map(str::to_owned));

        let before = SystemTime::now();
        let request = client.request(Method::GET, "/conversations/search").query("limit", 1);
        let request = match &location {
            Some(location) => request.query("locationId", location),
            None => request,
        };
        let result = request.send().await;
        let after = SystemTime::now();
        let Some(response) = connection(&mut found, &base_url, &result) else {
            for check in ["version header", "token", "location", "scopes", "clock", "rate limits"] {
                found.skip(check, "there was no response");
            }
            return finish(&found, printer);
        };
        version(&mut found, &response);
        let is_token_valid = api.is_some() && token(&mut found, &response);
        if api.is_none() {
            found.skip("token", "there are no credentials");
        }
        place(&mut found, &response, location.as_deref(), is_token_valid);
        if is_token_valid {
            scopes(&mut found, &client, &response, location.is_some()).await;
            granted(
                &mut found,
                access,
                location.as_deref(),
                api.as_ref().is_some_and(|api| api.app.is_some()),
            )
            .await;
        } else {
            found.skip("scopes", "the token is not accepted");
        }
        clock(&mut found, response.date.as_deref(), before, after);
        rate_limits(&mut found, response.limits);
        finish(&found, printer)
    }
}

fn finish(found: &Examination, printer: Printer) -> Result<(), CommandError> {
    let failures = found.failures();
    if failures == 0 {
        let json = || json!({ "outcome": "ok", "exitCode": 0, "checks": found.to_json() });
        return Ok(printer.result(json, || found.to_text())?);
    }
    if !printer.is_json() {
        printer.result(|| Value::Null, || found.to_text())?;
    }
    let message = if failures == 1 {
        "1 check has failed".to_owned()
    } else {
        format!("{failures} checks have failed")
    };
    Err(CommandError::new(ExitReason::Failure, message).with_field("checks", found.to_json()))
}

/// Examines the base URL and TLS. Returns the response, if there is one.
fn connection(
    found: &mut Examination,
    base_url: &str,
    result: &Result<Receipt<()>, Error>,
) -> Option<ProbeResult> {
    let is_encrypted = base_url.starts_with("https://");
    if let Some(response) = ProbeResult::of(result) {
        if response.status == 404 {
            found.fail(
                "base URL",
                format!("{base_url} responds, but not as the API: {}", response.reason()),
                "use https://services.leadconnectorhq.com, or the base URL that a sandbox prints",
            );
        } else {
            found.ok("base URL", format!("{base_url} responds"));
        }
        found.ok("TLS", if is_encrypted { "the certificate is valid" } else { "not used, on this machine" });
        return Some(response);
    }
    let Err(error) = result else { return None };
    let failure = CommandError::of(error);
    let reason = failure.message().to_lowercase();
    let is_tls =
        ["certificate", "tls", "handshake", "corrupt message"].iter().any(|word| reason.contains(word));
    match error.kind() {
        ErrorKind::Connect if is_encrypted && is_tls => {
            found.ok("base URL", format!("{base_url} accepts connections"));
            found.fail(
                "TLS",
                failure.message(),
                "check the clock and the root certificates of this machine, and proxies that replace certificates",
            );
        }
        ErrorKind::Connect | ErrorKind::Timeout | ErrorKind::Connection => {
            found.fail(
                "base URL",
                failure.message(),
                "check the network, the name and the port of the base URL, and firewalls",
            );
            found.skip("TLS", "there is no connection");
        }
        _ => {
            found.fail("token", failure.message(), failure.help().unwrap_or("run `highlevel oauth login`"));
            found.skip("base URL", "no request could be sent");
        }
    }
    None
}

fn version(found: &mut Examination, response: &ProbeResult) {
    const VERSION: &str = "2021-04-15";
    if matches!(response.status, 400 | 401 | 422) && response.mentions("version") {
        let fix = "a proxy may remove the header `Version`; otherwise update this program";
        found.fail("version header", format!("{VERSION} is rejected: {}", response.messages), fix);
    } else {
        found.ok("version header", format!("{VERSION} is accepted"));
    }
}

/// Examines the token. Returns `true` if it is valid.
fn token(found: &mut Examination, response: &ProbeResult) -> bool {
    match response.status {
        401 if !response.lacks_scope() => {
            found.fail(
                "token",
                response.reason(),
                "copy the private integration token again, or run `highlevel oauth login`; a token of an app expires after a day",
            );
            false
        }
        500.. => {
            found.warn("token", response.reason(), "run the command again in a minute");
            false
        }
        _ => {
            found.ok("token", "it is accepted");
            true
        }
    }
}

/// Examines the location.
fn place(found: &mut Examination, response: &ProbeResult, location: Option<&str>, is_token_valid: bool) {
    match location {
        None => found.warn(
            "location",
            "it is not known; sending to a contact works without it, searches and lookups do not",
            "set HIGHLEVEL_LOCATION_ID, or pass --location ID",
        ),
        Some(_) if !is_token_valid => found.skip("location", "the token is not accepted"),
        Some(location) if response.is_success() => {
            found.ok("location", format!("the token belongs to {location}"));
        }
        Some(location) if response.lacks_scope() => {
            found.add("location", Health::NotChecked, format!("{location}: the token may not read it"), None);
        }
        Some(location) => found.fail(
            "location",
            format!("{location}: {}", response.reason()),
            "pass the id of the location that the token was created for",
        ),
    }
}

/// Examines the scopes to read, with a request for each.
async fn scopes(found: &mut Examination, client: &Client, conversations: &ProbeResult, has_location: bool) {
    if !has_location {
        found.skip("scopes", "the location is not known");
        return;
    }
    scope(found, "conversations.readonly", Some(conversations), "`find` and `conversation`");
    let messages = client.request(Method::GET, "/conversations/messages/export").query("limit", 10);
    let location = client.location_id().map(ToString::to_string).unwrap_or_default();
    let messages = ProbeResult::of(&messages.query("locationId", location).send().await);
    scope(
        found,
        "conversations/message.readonly",
        messages.as_ref(),
        "`find`, `conversation show` and `message`",
    );
    // Numbers with this area code are for fiction.
    let contacts = client.contacts().find_duplicate(ContactKey::phone("+15555550100")).await;
    scope(
        found,
        "contacts.readonly",
        ProbeResult::of(&contacts).as_ref(),
        "`contact` and recipients by phone number",
    );
}

fn scope(found: &mut Examination, name: &str, response: Option<&ProbeResult>, users: &str) {
    let check = format!("scope {name}");
    match response {
        Some(response) if response.is_success() => found.ok(&check, ": granted"),
        Some(response) if response.lacks_scope() => {
            let fix =
                format!("{users} need it; add it in the settings of the private integration or of the app");
            found.warn(&check, ": missing", &fix);
        }
        Some(response) => found.add(&check, Health::NotChecked, format!(": {}", response.reason()), None),
        None => found.skip(&check, ": there was no response"),
    }
}

/// Examines the scope to send messages. It is known for stored tokens only.
async fn granted(found: &mut Examination, access: &ApiAccessArgs, location: Option<&str>, is_app: bool) {
    let check = format!("scope {WRITE}");
    let stored = if is_app { stored_scopes(access, location).await } else { None };
    match stored {
        Some(scopes) if scopes.iter().any(|scope| scope == WRITE) => found.ok(&check, ": granted"),
        Some(_) => {
            found.fail(&check, ": missing", "run `highlevel oauth login` to install the app with this scope");
        }
        None => found.skip(&check, ": it cannot be checked without sending a message"),
    }
}

async fn stored_scopes(access: &ApiAccessArgs, location: Option<&str>) -> Option<Vec<String>> {
    let store = access.store().ok()?;
    let key = Key::new(access.required_client_id().ok()?, Resource::Location(location?.into()));
    Some(store.get(&key).await.ok()??.tokens.scopes)
}

/// Compares the clock of this machine with the `Date` header.
fn clock(found: &mut Examination, date: Option<&str>, before: SystemTime, after: SystemTime) {
    let Some(date) = date.and_then(|date| httpdate::parse_http_date(date).ok()) else {
        found.skip("clock", "the response has no `Date` header");
        return;
    };
    // The header has whole seconds, and was written at some time between.
    let (ahead, behind) = (
        before.duration_since(date + Duration::from_secs(1)).unwrap_or_default(),
        date.duration_since(after).unwrap_or_default(),
    );
    let (difference, direction) = if ahead > behind { (ahead, "ahead of") } else { (behind, "behind") };
    let text = format!("this machine is {} s {direction} HighLevel", difference.as_secs());
    let fix = "synchronize the clock, for example with NTP: events are rejected and messages are not found by their time otherwise";
    if difference > CLOCK_FAILURE {
        found.fail("clock", text, fix);
    } else if difference > CLOCK_WARNING {
        found.warn("clock", text, fix);
    } else {
        found.ok("clock", "this machine agrees with HighLevel");
    }
}

fn rate_limits(found: &mut Examination, limits: RateLimitHeaders) {
    let count = |value: Option<u64>| value.map_or("?".to_owned(), |value| value.to_string());
    let text = format!(
        "{} of {} requests are left in this burst window, {} of {} today",
        count(limits.burst_remaining),
        count(limits.burst_limit),
        count(limits.daily_remaining),
        count(limits.daily_limit)
    );
    match (limits.daily_remaining, limits.burst_remaining) {
        (Some(0), _) => {
            found.fail("rate limits", text, "wait until the daily limit is reset, and send fewer requests");
        }
        (None, None) => found.skip("rate limits", "the response has no rate limit headers"),
        (_, Some(0)) => found.warn("rate limits", text, "wait 10 s; other programs use the same location"),
        _ => found.ok("rate limits", text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_are_compared_with_the_time_of_the_request() {
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        let parsed = httpdate::parse_http_date(date).unwrap();
        let at = |seconds: i64| {
            let offset = Duration::from_secs(seconds.unsigned_abs());
            if seconds < 0 { parsed - offset } else { parsed + offset }
        };
        for (before, after, expected) in [
            (0, 1, Health::Ok),
            // A request that takes long is no difference of clocks.
            (-200, 200, Health::Ok),
            (31, 31, Health::Ok),
            (32, 32, Health::Warning),
            (-31, -31, Health::Warning),
            (302, 302, Health::Failed),
            (-301, -301, Health::Failed),
        ] {
            let mut found = Examination::default();
            clock(&mut found, Some(date), at(before), at(after));
            assert_eq!(found.0[0].health, expected, "{before} to {after}");
        }
        let mut found = Examination::default();
        clock(&mut found, Some("yesterday"), at(0), at(0));
        assert_eq!(found.0[0].health, Health::NotChecked);
    }

    #[test]
    fn spent_limits_are_reported() {
        for (daily, burst, expected) in [
            (Some(1), Some(1), Health::Ok),
            (Some(0), Some(1), Health::Failed),
            (Some(1), Some(0), Health::Warning),
            (None, None, Health::NotChecked),
        ] {
            let mut limits = RateLimitHeaders::default();
            (limits.daily_remaining, limits.burst_remaining) = (daily, burst);
            let mut found = Examination::default();
            rate_limits(&mut found, limits);
            assert_eq!(found.0[0].health, expected, "{daily:?} {burst:?}");
        }
    }
}
