//! A server that issues, refreshes and revokes tokens by HighLevel's documented rules, on a clock that a test sets.
//!
//! It records all requests, so that tests can count them.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use highlevel::auth::store::{Key, MemoryStore, Resource, TokenStore};
use highlevel::auth::{App, AppBuilder, TokenSet};
use highlevel::{Client, LocalRateLimiter, Receipt, Sms};
use highlevel_test_support::until;
use serde_json::{Value, json};
use tokio::sync::Barrier;

use crate::server::{Action, Request, Server, json as json_response, response};

/// A part of every secret in these tests, which is searched for in logs and errors.
pub(crate) const PART: &str = "5ec2e75ec2e7";
pub(crate) const CLIENT_ID: &str = "665c6bb13d4e5364bdec0e2f-lx1a2b3c";
pub(crate) const APP_ID: &str = "665c6bb13d4e5364bdec0e2f";
pub(crate) const CLIENT_SECRET: &str = "client-secret-5ec2e75ec2e7";
pub(crate) const REDIRECT_URI: &str = "https://app.example.com/installed?from=highlevel";
pub(crate) const COMPANY: &str = "GNb7aIv4rQFVb9iwNl5K";
/// The lifetime of an access token, in seconds.
pub(crate) const DAY: u64 = 86_399;
/// The time during which the response to a refresh is repeated.
const REPEATED: Duration = Duration::from_secs(30);

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// A clock that a test sets.
#[derive(Clone)]
pub(crate) struct Clock(Arc<Mutex<SystemTime>>);

impl Clock {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000))))
    }

    pub(crate) fn now(&self) -> SystemTime {
        *self.0.lock().expect("no panic")
    }

    pub(crate) fn advance(&self, by: Duration) {
        *self.0.lock().expect("no panic") += by;
    }

    pub(crate) fn put_back(&self, by: Duration) {
        *self.0.lock().expect("no panic") -= by;
    }
}

/// The reply to a request for tokens.
#[derive(Clone)]
pub(crate) enum TokenReply {
    /// Issues tokens.
    Issue,
    /// Does this instead of issuing tokens.
    Instead(Action),
    /// Issues tokens, advances the clock, and does this instead of responding with them.
    IssueThen(Duration, Action),
    /// Issues tokens, and responds when the barrier is passed.
    IssueAfter(Arc<Barrier>),
}

/// A HighLevel with companies and any number of locations, which belong to the company [`COMPANY`] by default.
pub(crate) struct MockHighLevel {
    pub(crate) server: Server,
    pub(crate) clock: Clock,
    pub(crate) store: MemoryStore,
    state: Arc<Mutex<State>>,
}

struct State {
    clock: Clock,
    issued: usize,
    access: HashMap<String, Access>,
    refresh: HashMap<String, Refresh>,
    /// The ids of locations that are not active.
    inactive: HashSet<String>,
    /// The companies of the locations of other companies.
    companies: HashMap<String, String>,
    /// Fields that responses with tokens of locations do not have.
    omitted: Vec<&'static str>,
    token_replies: VecDeque<TokenReply>,
    send_replies: VecDeque<Action>,
    life: Value,
}

struct Access {
    resource: Resource,
    until: SystemTime,
}

struct Refresh {
    resource: Resource,
    used: Option<(SystemTime, Value)>,
}

impl MockHighLevel {
    pub(crate) async fn new() -> Self {
        let clock = Clock::new();
        let state = Arc::new(Mutex::new(State {
            clock: clock.clone(),
            issued: 0,
            access: HashMap::new(),
            refresh: HashMap::new(),
            inactive: HashSet::new(),
            companies: HashMap::new(),
            omitted: Vec::new(),
            token_replies: VecDeque::new(),
            send_replies: VecDeque::new(),
            life: json!(DAY),
        }));
        let server = Server::start({
            let state = Arc::clone(&state);
            move |request| state.lock().expect("no panic").action(request)
        })
        .await;
        let store = MemoryStore::new().with_clock({
            let clock = clock.clone();
            move || clock.now()
        });
        Self { server, clock, store, state }
    }

    /// Starts building an app of this server. All apps share one store, as processes of one program do.
    pub(crate) fn builder(&self) -> AppBuilder {
        let clock = self.clock.clone();
        App::builder()
            .client_id(CLIENT_ID)
            .client_secret(CLIENT_SECRET)
            .redirect_uri(REDIRECT_URI)
            .base_url(self.server.url())
            .rate_limiter(Arc::new(LocalRateLimiter::with_limits(
                10_000,
                Duration::from_millis(1),
                1_000_000,
            )))
            .clock(move || clock.now())
            .store(self.store.clone())
    }

    pub(crate) fn app(&self) -> App {
        self.builder().build().expect("an app")
    }

    /// Returns an app, and the client of a location on which it is installed.
    pub(crate) async fn installed(&self, location: &str) -> (App, Client) {
        let app = self.app();
        app.exchange(Self::code(location)).await.expect("tokens");
        let client = app.location(location);
        (app, client)
    }

    /// Returns the authorization code of a location.
    pub(crate) fn code(location: &str) -> String {
        format!("code-{PART}-{location}")
    }

    /// Returns the authorization code of the company.
    pub(crate) fn company_code() -> String {
        Self::code_of(COMPANY)
    }

    /// Returns the authorization code of a company.
    pub(crate) fn code_of(company: &str) -> String {
        format!("code-{PART}-company-{company}")
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic")
    }

    /// Sets the replies to the next requests for tokens.
    pub(crate) fn token_replies(&self, replies: impl IntoIterator<Item = TokenReply>) {
        self.state().token_replies.extend(replies);
    }

    /// Sets the replies to the next messages.
    pub(crate) fn send_replies(&self, actions: impl IntoIterator<Item = Action>) {
        self.state().send_replies.extend(actions);
    }

    /// Drops the replies that were set for messages.
    pub(crate) fn clear_send_replies(&self) {
        self.state().send_replies.clear();
    }

    /// Sets `expires_in` of tokens.
    pub(crate) fn tokens_live(&self, life: Value) {
        self.state().life = life;
    }

    /// Revokes all access tokens.
    pub(crate) fn revoke_access(&self) {
        self.state().access.clear();
    }

    /// Revokes all refresh tokens.
    pub(crate) fn revoke_refresh(&self) {
        self.state().refresh.clear();
    }

    /// Revokes the tokens of one resource.
    pub(crate) fn revoke(&self, resource: &Resource) {
        let mut state = self.state();
        state.access.retain(|_, access| access.resource != *resource);
        state.refresh.retain(|_, refresh| refresh.resource != *resource);
    }

    pub(crate) fn set_active(&self, location: &str, active: bool) {
        let mut state = self.state();
        state.inactive.retain(|other| other != location);
        state.inactive.extend((!active).then(|| location.to_owned()));
    }

    /// Moves a location to another company.
    pub(crate) fn set_company(&self, location: &str, company: &str) {
        self.state().companies.insert(location.to_owned(), company.to_owned());
    }

    /// Omits fields from responses with tokens of locations.
    pub(crate) fn omit(&self, fields: impl IntoIterator<Item = &'static str>) {
        self.state().omitted.extend(fields);
    }

    /// Advances the clock to a minute after the access tokens have expired.
    pub(crate) fn expire(&self) {
        self.clock.advance(Duration::from_secs(DAY + 60));
    }

    /// Returns the number of requests to an endpoint with this field in their form. An empty name counts all of them.
    pub(crate) fn count_requests(&self, path: &str, field: &str, value: &str) -> usize {
        let line = format!("POST {path} HTTP/1.1");
        let requests = self.server.requests();
        let of_path = requests.iter().filter(|request| request.line == line);
        of_path
            .filter(|request| field.is_empty() || form(request).get(field).is_some_and(|v| v == value))
            .count()
    }

    /// Returns the number of requests with a refresh token.
    pub(crate) fn refreshes(&self) -> usize {
        self.count_requests("/oauth/token", "grant_type", "refresh_token")
    }

    /// Returns the number of requests for the token of a location with that of its company.
    pub(crate) fn location_token_requests(&self) -> usize {
        self.count_requests("/oauth/locationToken", "", "")
    }

    /// Returns the `Authorization` headers of the messages.
    pub(crate) fn bearers(&self) -> Vec<String> {
        let requests = self.server.requests();
        let sends =
            requests.iter().filter(|request| request.line.starts_with("POST /conversations/messages "));
        sends.map(|request| request.header("authorization").concat()).collect()
    }

    /// Returns the number of messages.
    pub(crate) fn sends(&self) -> usize {
        self.count_requests("/conversations/messages", "", "")
    }

    /// Returns the stored tokens of a location.
    pub(crate) async fn stored(&self, location: &str) -> Option<TokenSet> {
        self.stored_for(Resource::Location(location.to_owned().into())).await
    }

    pub(crate) async fn stored_for(&self, resource: Resource) -> Option<TokenSet> {
        let stored = self.store.get(&Key::new(CLIENT_ID, resource)).await.expect("a store");
        stored.map(|stored| stored.tokens)
    }
}

/// Advances the monotonic clock.
pub(crate) async fn advance_monotonic_clock(by: Duration) {
    tokio::time::pause();
    tokio::time::advance(by).await;
    tokio::time::resume();
}

/// Waits until a condition holds that background work fulfils.
pub(crate) async fn wait_until(holds: impl AsyncFnMut() -> bool) {
    until("the condition of the test", 30 * SECOND, Duration::from_millis(1), holds).await;
}

/// Sends an SMS.
pub(crate) async fn send(
    client: &Client,
) -> highlevel::Result<Receipt<highlevel::wire::types::SendMessageResponse>> {
    client.messages().send(Sms::to("c").text("t")).await
}

/// Returns the fields of a form.
pub(crate) fn form(request: &Request) -> HashMap<String, String> {
    let body = std::str::from_utf8(&request.body).expect("a form");
    let url = reqwest::Url::parse(&format!("http://form/?{body}")).expect("a form");
    url.query_pairs().into_owned().collect()
}

impl State {
    fn action(&mut self, request: &Request) -> Action {
        if !request.line.starts_with("POST /oauth/") {
            return self.send_replies.pop_front().unwrap_or_else(|| Action::Respond(self.send(request)));
        }
        match self.token_replies.pop_front() {
            Some(TokenReply::Instead(action)) => action,
            Some(TokenReply::IssueThen(time, action)) => {
                self.grant(request);
                self.clock.advance(time);
                action
            }
            Some(TokenReply::IssueAfter(barrier)) => Action::Together(barrier, self.grant(request)),
            Some(TokenReply::Issue) | None => Action::Respond(self.grant(request)),
        }
    }

    fn grant(&mut self, request: &Request) -> Vec<u8> {
        match self.tokens(request) {
            Ok(tokens) => json_response("200 OK", &tokens),
            Err(message) => {
                let status =
                    if message.starts_with("Invalid JWT") { "401 Unauthorized" } else { "400 Bad Request" };
                json_response(status, &json!({ "message": message, "traceId": "trace-1" }))
            }
        }
    }

    fn tokens(&mut self, request: &Request) -> Result<Value, String> {
        let form = form(request);
        let field = |name: &str| form.get(name).map_or("", String::as_str);
        if request.line.contains("/oauth/locationToken") {
            let bearer = request.header("authorization").concat();
            match self.bearer(&bearer) {
                Some(Resource::Company(company)) if company.as_str() == field("companyId") => {}
                _ => return Err("Invalid JWT".to_owned()),
            }
            let company = self.companies.get(field("locationId")).map_or(COMPANY, String::as_str);
            if company != field("companyId") {
                return Err("Location does not belong to the company".to_owned());
            }
            return self.issue(&Resource::Location(field("locationId").to_owned().into()));
        }
        if (field("client_id"), field("client_secret")) != (CLIENT_ID, CLIENT_SECRET) {
            return Err("Invalid JWT: invalid client".to_owned());
        }
        match field("grant_type") {
            "authorization_code" => {
                let of = field("code").strip_prefix(&format!("code-{PART}-"));
                let of = of.ok_or("Invalid grant: authorization code is invalid")?;
                match of.strip_prefix("company-") {
                    Some(company) => self.issue(&Resource::Company(company.to_owned().into())),
                    None => self.issue(&Resource::Location(of.to_owned().into())),
                }
            }
            "refresh_token" => self.refresh(field("refresh_token")),
            other => Err(format!("unknown grant type {other}")),
        }
    }

    fn refresh(&mut self, token: &str) -> Result<Value, String> {
        let invalid = || "Invalid grant: refresh token is invalid".to_owned();
        let now = self.clock.now();
        let refresh = self.refresh.get(token).ok_or_else(invalid)?;
        let resource = refresh.resource.clone();
        match &refresh.used {
            Some((when, tokens)) if now < *when + REPEATED => return Ok(tokens.clone()),
            Some(_) => return Err(invalid()),
            None => {}
        }
        let tokens = self.issue(&resource)?;
        if let Some(refresh) = self.refresh.get_mut(token) {
            refresh.used = Some((now, tokens.clone()));
        }
        Ok(tokens)
    }

    fn issue(&mut self, resource: &Resource) -> Result<Value, String> {
        if self.inactive.contains(resource.id()) {
            return Err("Location is not active".to_owned());
        }
        self.issued += 1;
        let (access, refresh) =
            (format!("access-{PART}-{}", self.issued), format!("refresh-{PART}-{}", self.issued));
        let seconds = self.life.as_u64().or_else(|| self.life.as_str()?.parse().ok()).unwrap_or(DAY);
        let until = self.clock.now() + Duration::from_secs(seconds);
        self.access.insert(access.clone(), Access { resource: resource.clone(), until });
        self.refresh.insert(refresh.clone(), Refresh { resource: resource.clone(), used: None });
        let mut tokens = json!({
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": self.life,
            "refresh_token": refresh,
            "scope": "conversations/message.write oauth.write",
            "userType": if resource.kind() == "company" { "Company" } else { "Location" },
            "companyId": COMPANY,
            "userId": "u1",
        });
        if resource.kind() == "location" {
            tokens["locationId"] = json!(resource.id());
            tokens["companyId"] = json!(self.companies.get(resource.id()).map_or(COMPANY, String::as_str));
            for field in &self.omitted {
                tokens.as_object_mut().expect("an object").remove(*field);
            }
        } else {
            tokens["companyId"] = json!(resource.id());
            tokens["locationId"] = Value::Null;
            tokens["isBulkInstallation"] = json!(true);
        }
        Ok(tokens)
    }

    fn bearer(&self, authorization: &str) -> Option<Resource> {
        let access = self.access.get(authorization.strip_prefix("Bearer ")?)?;
        (self.clock.now() < access.until).then(|| access.resource.clone())
    }

    /// Responds to a message. The conversation has the id of the location of the token.
    fn send(&self, request: &Request) -> Vec<u8> {
        let authorization = request.header("authorization").concat();
        match self.bearer(&authorization) {
            Some(resource) => {
                let sent = json!({ "conversationId": resource.id(), "messageId": "t22c6DQcTDf3MjRhwf77" });
                json_response("201 Created", &sent)
            }
            None => json_response("401 Unauthorized", &json!({ "message": "Invalid JWT" })),
        }
    }
}

/// Returns a response without a body.
pub(crate) fn status(status: &str) -> Action {
    Action::Respond(response(status, "", ""))
}

/// Returns an error response in JSON.
pub(crate) fn rejection(status: &str, message: &str) -> Action {
    Action::Respond(json_response(status, &json!({ "message": message, "traceId": "trace-1" })))
}
