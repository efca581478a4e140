//! The requests for tokens, one attempt each.

use std::time::{Duration, SystemTime};

use highlevel_wire::{End, Gate, RawResponse};
use http::HeaderValue;
use secrecy::{ExposeSecret, SecretString};

use super::store::Resource;
use super::token_error::{Asking, TokenFailure, evaluate};
use super::token_response::Granted;
use crate::call::{self, retry_after};
use crate::classify::{self, Fault, Replay, Seen, classify};
use crate::connection::Connection;
use crate::redact::redact;
use crate::token::Bearer;
use crate::unauthorized::{Cause, Unauthorized};
use crate::{CompanyId, Delivery, Error, ErrorKind, LocationId, transport};

/// The version of the API that the documents of these endpoints are written for.
const VERSION: HeaderValue = HeaderValue::from_static("2021-07-28");

/// A request for tokens.
pub(super) enum Request<'a> {
    /// For the code that the browser brought.
    Code(&'a SecretString),
    /// For a refresh token, and what it is for.
    Refresh(&'a SecretString, &'a Resource),
    /// For a location, by the token of its company.
    Location {
        company: &'a CompanyId,
        location: &'a LocationId,
        bearer: &'a Bearer,
        /// Whether HighLevel has rejected one before, and this is another.
        is_other: bool,
    },
}

/// Asks HighLevel for tokens.
pub(super) struct OAuth {
    connection: Connection,
    client_id: String,
    client_secret: SecretString,
    redirect_uri: Option<String>,
}

/// A request that did not end with tokens.
pub(super) struct Refusal {
    pub(super) failure: TokenFailure,
    pub(super) error: Error,
}

impl OAuth {
    pub(super) fn new(
        connection: Connection,
        client_id: String,
        client_secret: SecretString,
        redirect_uri: Option<String>,
    ) -> Self {
        let connection = Connection { version: VERSION, ..connection };
        Self { connection, client_id, client_secret, redirect_uri }
    }

    /// Makes a request once. `gate` decides right before its first byte whether it is still sent.
    pub(super) async fn ask(
        &self,
        request: &Request<'_>,
        timeout: Duration,
        gate: Option<Gate>,
    ) -> Result<Granted, Refusal> {
        let authorization = match request {
            Request::Location { bearer, .. } => Some(bearer.authorization.clone().map_err(|what| {
                Refusal { failure: TokenFailure::Final, error: Error::odd_token(request.name(), what) }
            })?),
            Request::Code(_) | Request::Refresh(..) => None,
        };
        let slot = match tokio::time::timeout(timeout, self.connection.slot()).await {
            Ok(slot) => slot.map_err(|error| Refusal { failure: TokenFailure::NotSent, error })?,
            Err(_) => return Err(out_of_time(request)),
        };
        // Connections may have been closed while this waited for one of them.
        self.connection.settled.settle().await;
        let exchange = self.connection.context(authorization, timeout, gate).moving_headers();
        let wire = self.connection.below(slot.http.clone(), &exchange);
        let result = wire.form(request.path(), &self.fields(request)).await;
        let observation = exchange.take();
        match observation.response {
            Some(answer) => self.read(request, answer),
            None => Err(no_answer(request, observation.written, result.err())),
        }
    }

    fn fields<'a>(&'a self, request: &Request<'a>) -> Vec<(&'static str, &'a str)> {
        let (grant, user_type) = match request {
            Request::Location { company, location, .. } => {
                return vec![("companyId", company.as_str()), ("locationId", location.as_str())];
            }
            Request::Code(code) => {
                ([("grant_type", "authorization_code"), ("code", code.expose_secret())], None)
            }
            Request::Refresh(token, resource) => {
                let user_type = match resource {
                    Resource::Location(_) => "Location",
                    Resource::Company(_) => "Company",
                };
                ([("grant_type", "refresh_token"), ("refresh_token", token.expose_secret())], Some(user_type))
            }
        };
        let mut fields = vec![
            ("client_id", self.client_id.as_str()),
            ("client_secret", self.client_secret.expose_secret()),
        ];
        fields.extend(grant);
        fields.extend(user_type.map(|user_type| ("user_type", user_type)));
        fields.extend(self.redirect_uri.as_deref().map(|uri| ("redirect_uri", uri)));
        fields
    }

    fn read(&self, request: &Request<'_>, mut answer: RawResponse) -> Result<Granted, Refusal> {
        let status = answer.status.as_u16();
        let seen = Seen::Answer(classify::Answer {
            status,
            redirected: answer.redirected,
            retry_after: retry_after(&answer.headers),
            ..classify::Answer::default()
        });
        let verdict = classify(seen, Replay::Unsafe);
        if answer.status.is_success() {
            let end = std::mem::replace(&mut answer.end, End::Complete);
            if matches!(end, End::Complete)
                && !answer.redirected
                && let Some(granted) = Granted::read(&answer.body)
            {
                return Ok(granted);
            }
            // There may be tokens in it, in a form that is not foreseen.
            answer.body = bytes::Bytes::new();
            redact(&mut answer, &self.secrets(request));
            let (failure, text, source) = match end {
                _ if answer.redirected => {
                    (TokenFailure::Final, "HighLevel answered with a redirect, which was followed", None)
                }
                End::Cut(source) => {
                    (TokenFailure::Lost(None), "the answer with the tokens broke off", Some(source))
                }
                // It was done, and HighLevel repeats the answer of a refresh: it may come whole the next time.
                _ => {
                    let is_repeated = matches!(request, Request::Refresh(..));
                    let failure = if is_repeated { TokenFailure::Lost(None) } else { TokenFailure::Final };
                    (failure, "HighLevel's answer has no access token that can be read", None)
                }
            };
            let error = Error::answered(request.name(), verdict.delivery, verdict.kind, text, answer);
            let error = match source {
                Some(source) => error.with_source(source),
                None => error,
            };
            return Err(Refusal { failure, error });
        }
        let failure = evaluate(request.asking(), seen, &answer.body);
        redact(&mut answer, &self.secrets(request));
        let (kind, text) = request.words(failure, &answer);
        let error = Error::answered(request.name(), verdict.delivery, kind, text, answer);
        Err(Refusal { failure, error })
    }

    /// What HighLevel was told that nobody else may read, should it repeat it in an answer.
    fn secrets<'a>(&'a self, request: &Request<'a>) -> [&'a str; 2] {
        let own = match request {
            Request::Code(secret) | Request::Refresh(secret, _) => secret,
            Request::Location { bearer, .. } => &bearer.token,
        };
        [self.client_secret.expose_secret(), own.expose_secret()]
    }
}

impl Request<'_> {
    /// The name of the operation.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Code(_) => "exchange_code",
            Self::Refresh(..) => "refresh_token",
            Self::Location { .. } => "location_token",
        }
    }

    /// Returns `true` if its code or refresh token works once.
    pub(super) fn works_once(&self) -> bool {
        !matches!(self, Self::Location { .. })
    }

    /// Returns `true` if it is made with this refresh token.
    pub(super) fn is_with(&self, refresh_token: &SecretString) -> bool {
        matches!(self, Self::Refresh(token, _) if call::same(token, refresh_token))
    }

    fn asking(&self) -> Asking {
        match self {
            Self::Code(_) => Asking::Code,
            Self::Refresh(..) => Asking::Refresh,
            Self::Location { .. } => Asking::Location,
        }
    }

    fn path(&self) -> &'static str {
        match self {
            Self::Code(_) | Self::Refresh(..) => "/oauth/token",
            Self::Location { .. } => "/oauth/locationToken",
        }
    }

    /// What an answer means, in words that say what to do about it.
    fn words(&self, failure: TokenFailure, answer: &RawResponse) -> (ErrorKind, String) {
        let status = answer.status.as_u16();
        let plain = || {
            let name = answer.status.canonical_reason().map(|name| format!(" {name}")).unwrap_or_default();
            (ErrorKind::Status, format!("HighLevel answered {status}{name}"))
        };
        match (failure, self) {
            (TokenFailure::InvalidGrant, Self::Code(_)) => (
                ErrorKind::NeedsAuthorization,
                "HighLevel does not take the authorization code: codes work once and not for long, so begin anew at \
                 `authorize_url`"
                    .to_owned(),
            ),
            (TokenFailure::InvalidGrant, Self::Refresh(_, resource)) => {
                (ErrorKind::NeedsAuthorization, install_again(resource, "HighLevel no longer takes its refresh token"))
            }
            (TokenFailure::LocationInactive, _) => (
                ErrorKind::LocationInactive,
                "the location is not active in HighLevel: have it made active there; its tokens are kept".to_owned(),
            ),
            (TokenFailure::Unauthorized, Self::Location { company, is_other, .. }) => {
                let company = Resource::Company((*company).clone());
                let why = if Unauthorized::read(&answer.body).cause == Cause::Scope {
                    "its token lacks the scope `oauth.write`"
                } else if *is_other {
                    "HighLevel does not take its token, also a renewed one"
                } else {
                    let (kind, text) = plain();
                    let company = describe(&company);
                    let why = "which was renewed a short time ago, and is renewed once in 30 seconds at most";
                    return (kind, format!("{text} to the token of the {company}, {why}: try again after that"));
                };
                (ErrorKind::NeedsAuthorization, install_again(&company, why))
            }
            (TokenFailure::WrongClient, _) => {
                let (kind, text) = plain();
                (kind, format!("{text}: are the client id and the client secret those of the app?"))
            }
            _ => plain(),
        }
    }
}

/// What to do when there are no tokens that work, and why there are none.
pub(super) fn install_again(resource: &Resource, why: &str) -> String {
    format!(
        "the app has to be installed again on the {}: {why}; send its owner to the address that `authorize_url` gives",
        describe(resource)
    )
}

/// A resource in words.
pub(super) fn describe(resource: &Resource) -> String {
    format!("{} {}", resource.kind(), resource.id().escape_debug())
}

fn no_answer(request: &Request<'_>, written: bool, source: Option<highlevel_wire::Error<()>>) -> Refusal {
    let source = match source {
        Some(highlevel_wire::Error::CommunicationError(source)) => Some(source),
        _ => None,
    };
    let fault = source.as_ref().map_or(Fault::Broken, transport::fault);
    let seen = Seen::NoAnswer { written, fault };
    let verdict = classify(seen, Replay::Unsafe);
    let error = Error::no_answer(request.name(), verdict.delivery, verdict.kind);
    let error = match source {
        Some(source) => error.with_source(source),
        None => error,
    };
    Refusal { failure: evaluate(request.asking(), seen, &[]), error }
}

/// There was no time to ask.
pub(super) fn out_of_time(request: &Request<'_>) -> Refusal {
    let error = Error::no_answer(request.name(), Delivery::NotSent, ErrorKind::Timeout);
    Refusal { failure: TokenFailure::NotSent, error }
}

/// When something happened, by the two clocks there are. Where they disagree, the later one counts: a clock that was
/// put back must not make what is old young.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    pub(super) wall: SystemTime,
    pub(super) steady: std::time::Instant,
}

impl Moment {
    pub(super) fn since(self, earlier: Self) -> Duration {
        let steady = self.steady.saturating_duration_since(earlier.steady);
        self.wall.duration_since(earlier.wall).unwrap_or_default().max(steady)
    }
}
