//! The requests for tokens, one attempt each.

use std::time::Duration;

use highlevel_wire::{End, Gate, RawResponse};
use http::HeaderValue;
use secrecy::{ExposeSecret, SecretString};

use super::messages::{describe, reinstall};
use super::store::Resource;
use super::token_error::{RequestKind, TokenFailure, evaluate};
use super::token_response::TokenResponse;
use crate::classify::{
    AttemptResult, Classification, RepeatSafety, ResponseSummary, TransportError, classify,
};
use crate::connection::ApiConnection;
use crate::headers::retry_after;
use crate::middleware::RequestInfo;
use crate::redact::redact;
use crate::token::{Bearer, is_same};
use crate::unauthorized::{Cause, Unauthorized};
use crate::{CompanyId, Delivery, Error, ErrorKind, LocationId, transport};

/// The version of the API for which these endpoints are documented.
const VERSION: HeaderValue = HeaderValue::from_static("2021-07-28");

/// A request for tokens.
pub(super) enum Request<'a> {
    /// With the authorization code of a redirect.
    Code(&'a SecretString),
    /// With a refresh token. Names the resource of the tokens.
    Refresh(&'a SecretString, &'a Resource),
    /// For a location, with the token of its company.
    Location {
        company: &'a CompanyId,
        location: &'a LocationId,
        bearer: &'a Bearer,
        /// `true` if HighLevel rejected another token of the company before.
        is_replacement: bool,
    },
}

/// Requests tokens from HighLevel.
pub(super) struct OAuth {
    connection: ApiConnection,
    client_id: String,
    client_secret: SecretString,
    redirect_uri: Option<String>,
}

/// A request that returned no tokens.
pub(super) struct RequestFailure {
    pub(super) failure: TokenFailure,
    pub(super) error: Error,
}

impl OAuth {
    pub(super) fn new(
        connection: ApiConnection,
        client_id: String,
        client_secret: SecretString,
        redirect_uri: Option<String>,
    ) -> Self {
        let connection = ApiConnection { version: VERSION, ..connection };
        Self { connection, client_id, client_secret, redirect_uri }
    }

    /// Sends a request once. `gate` decides right before its first byte whether it is still sent. `is_repeat` is `true` if an
    /// earlier attempt may have been processed.
    pub(super) async fn send(
        &self,
        request: &Request<'_>,
        timeout: Duration,
        gate: Option<Gate>,
        is_repeat: bool,
    ) -> Result<TokenResponse, RequestFailure> {
        let authorization = match request {
            Request::Location { bearer, .. } => {
                let header = bearer.authorization.clone();
                Some(header.map_err(|text| RequestFailure {
                    failure: TokenFailure::Final,
                    error: Error::invalid_token(request.name(), text),
                })?)
            }
            Request::Code(_) | Request::Refresh(..) => None,
        };
        let slot = async {
            if is_repeat { self.connection.repeat_slot().await } else { self.connection.slot().await }
        };
        let slot = match tokio::time::timeout(timeout, slot).await {
            Ok(slot) => slot.map_err(|error| RequestFailure { failure: TokenFailure::NotSent, error })?,
            Err(_) => return Err(out_of_time(request)),
        };
        // After the wait for a slot: idle connections may have been closed during it.
        self.connection.settled.settle().await;
        let context = self.connection.context(authorization, timeout, gate).moving_headers();
        let info = RequestInfo::new(request.name(), 1, self.connection.number_call());
        let wire = self.connection.wire(&slot.http, &context, info);
        let result = wire.form(request.path(), &self.fields(request)).await;
        let trace = context.take();
        match trace.response {
            Some(response) => self.read(request, response),
            None => Err(no_response(request, trace.written, result.err())),
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

    fn read(
        &self,
        request: &Request<'_>,
        mut response: RawResponse,
    ) -> Result<TokenResponse, RequestFailure> {
        let result = AttemptResult::Response(ResponseSummary {
            status: response.status.as_u16(),
            redirected: response.redirected,
            retry_after: retry_after(&response.headers),
            ..ResponseSummary::default()
        });
        let verdict = classify(result, RepeatSafety::Unsafe);
        if response.status.is_success() {
            let end = std::mem::replace(&mut response.end, End::Complete);
            return match TokenResponse::read(&response.body) {
                Some(tokens) if matches!(end, End::Complete) && !response.redirected => Ok(tokens),
                _ => Err(self.unreadable(request, response, end, verdict)),
            };
        }
        let failure = evaluate(request.kind(), result, &response.body);
        redact(&mut response, &self.secrets(request));
        let (kind, text) = request.explain(failure, &response);
        let error = Error::from_response(request.name(), verdict.delivery, kind, text, response);
        Err(RequestFailure { failure, error })
    }

    /// Returns the failure of a request that succeeded, but whose tokens cannot be read.
    fn unreadable(
        &self,
        request: &Request<'_>,
        mut response: RawResponse,
        end: End,
        verdict: Classification,
    ) -> RequestFailure {
        // The body may contain tokens, in an unexpected form.
        response.body = bytes::Bytes::new();
        redact(&mut response, &self.secrets(request));
        let (failure, text, source) = match end {
            _ if response.redirected => {
                (TokenFailure::Final, "HighLevel responded with a redirect, which was followed", None)
            }
            End::Cut(source) => (
                TokenFailure::Lost(None),
                "the connection broke during the response with the tokens",
                Some(source),
            ),
            // The request was processed, and HighLevel repeats the response to a refresh: the next one may be complete.
            _ => {
                let is_repeated = matches!(request, Request::Refresh(..));
                let failure = if is_repeated { TokenFailure::Lost(None) } else { TokenFailure::Final };
                (failure, "HighLevel's response contains no readable access token", None)
            }
        };
        let error = Error::from_response(request.name(), verdict.delivery, verdict.kind, text, response);
        let error = match source {
            Some(source) => error.with_source(source),
            None => error,
        };
        RequestFailure { failure, error }
    }

    /// Returns the secrets of a request, to be removed from a response that quotes them.
    fn secrets<'a>(&'a self, request: &Request<'a>) -> [&'a str; 2] {
        let secret = match request {
            Request::Code(secret) | Request::Refresh(secret, _) => secret,
            Request::Location { bearer, .. } => &bearer.token,
        };
        [self.client_secret.expose_secret(), secret.expose_secret()]
    }
}

impl Request<'_> {
    /// Returns the name of the operation.
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

    /// Returns `true` if it is sent with this refresh token.
    pub(super) fn uses(&self, refresh_token: &SecretString) -> bool {
        matches!(self, Self::Refresh(token, _) if is_same(token, refresh_token))
    }

    fn kind(&self) -> RequestKind {
        match self {
            Self::Code(_) => RequestKind::Code,
            Self::Refresh(..) => RequestKind::Refresh,
            Self::Location { .. } => RequestKind::Location,
        }
    }

    fn path(&self) -> &'static str {
        match self {
            Self::Code(_) | Self::Refresh(..) => "/oauth/token",
            Self::Location { .. } => "/oauth/locationToken",
        }
    }

    /// Returns the kind and the text of the error of a rejected request.
    fn explain(&self, failure: TokenFailure, response: &RawResponse) -> (ErrorKind, String) {
        let by_status = || {
            let reason = response.status.canonical_reason();
            let reason = reason.map(|reason| format!(" {reason}")).unwrap_or_default();
            (ErrorKind::Status, format!("HighLevel responded with {}{reason}", response.status.as_u16()))
        };
        match (failure, self) {
            (TokenFailure::InvalidGrant, Self::Code(_)) => (
                ErrorKind::NeedsAuthorization,
                "HighLevel rejected the authorization code; codes work once and expire soon, so start at the URL of \
                 `authorize_url` again"
                    .to_owned(),
            ),
            (TokenFailure::InvalidGrant, Self::Refresh(_, resource)) => {
                (ErrorKind::NeedsAuthorization, reinstall(resource, "HighLevel rejected its refresh token"))
            }
            (TokenFailure::LocationInactive, _) => (
                ErrorKind::LocationInactive,
                "the location is not active in HighLevel; have it activated there, its tokens remain stored".to_owned(),
            ),
            (TokenFailure::Unauthorized, Self::Location { company, is_replacement, .. }) => {
                let company = Resource::Company((*company).clone());
                let why = if Unauthorized::read(&response.body).cause == Cause::Scope {
                    "its token lacks the scope `oauth.write`"
                } else if *is_replacement {
                    "HighLevel rejected its token, and also a refreshed one"
                } else {
                    let (kind, text) = by_status();
                    let text = format!(
                        "{text} to the token of the {}, which was refreshed less than 30 seconds ago; retry after that",
                        describe(&company)
                    );
                    return (kind, text);
                };
                (ErrorKind::NeedsAuthorization, reinstall(&company, why))
            }
            (TokenFailure::WrongClient, _) => {
                let (kind, text) = by_status();
                (kind, format!("{text}; check the client id and the client secret"))
            }
            _ => by_status(),
        }
    }
}

fn no_response(
    request: &Request<'_>,
    written: bool,
    source: Option<highlevel_wire::Error<()>>,
) -> RequestFailure {
    let source = match source {
        Some(highlevel_wire::Error::CommunicationError(source)) => Some(source),
        _ => None,
    };
    let error = source.as_ref().map_or(TransportError::Broken, transport::classify_error);
    let result = AttemptResult::NoResponse { written, error };
    let verdict = classify(result, RepeatSafety::Unsafe);
    let failed = Error::no_response(request.name(), verdict.delivery, verdict.kind);
    let failed = if error == TransportError::Certificate { failed.permanent() } else { failed };
    let error = match source {
        Some(source) => failed.with_source(source),
        None => failed,
    };
    RequestFailure { failure: evaluate(request.kind(), result, &[]), error }
}

/// Returns the failure of a request that was not sent, because there was no time left.
pub(super) fn out_of_time(request: &Request<'_>) -> RequestFailure {
    let error = Error::no_response(request.name(), Delivery::NotSent, ErrorKind::Timeout);
    RequestFailure { failure: TokenFailure::NotSent, error }
}
