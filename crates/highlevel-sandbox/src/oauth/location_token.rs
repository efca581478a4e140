//! `POST /oauth/locationToken`, which issues a token for a location in exchange for the token of its company.
//!
//! Only the request and the successful response are documented. The statuses of errors are guesses.

use chrono::{DateTime, Utc};
use http::StatusCode;

use super::form::Form;
use super::grant::issue;
use super::registry::{IssuedTokens, Registry, Subject, UsedCredential};
use super::resource::{Choice, TokenResource};
use super::token_response::{self, GeneratedTokens};

/// The scope that the company's token must have.
pub(crate) const SCOPE: &str = "oauth.write";

/// The status and message of an error.
pub(crate) type Rejection = (StatusCode, String);

/// Determines the response to a request that is authorized with a token of `caller`.
pub(crate) fn decide(
    form: &Result<Form, String>,
    caller: &Subject,
    registry: &Registry,
    now: DateTime<Utc>,
    generated: &GeneratedTokens,
) -> Result<(serde_json::Value, IssuedTokens), Rejection> {
    let TokenResource::Company(own_company) = &caller.choice.resource else {
        return Err(unauthorized(
            "The token is not authorized for this scope: it is a sub-account token, but a company token is required",
        ));
    };
    if !caller.scopes.iter().any(|scope| scope == SCOPE) {
        return Err(unauthorized(&format!(
            "The token is not authorized for this scope: {SCOPE} is required"
        )));
    }
    let form = form.as_ref().map_err(|message| (StatusCode::BAD_REQUEST, message.clone()))?;
    let field = |name: &str| {
        let missing = || (StatusCode::UNPROCESSABLE_ENTITY, format!("{name} should not be empty"));
        form.get(name).ok_or_else(missing)
    };
    let (company_id, location_id) = (field("companyId")?, field("locationId")?);
    if company_id != own_company {
        return Err((
            StatusCode::FORBIDDEN,
            format!("The token does not have access to the company {company_id}"),
        ));
    }
    if !registry.is_installed_on(&caller.client_id, company_id, location_id) {
        return Err((StatusCode::BAD_REQUEST, "Location does not belong to the company".to_owned()));
    }
    let resource = TokenResource::location(location_id);
    if !registry.is_active(&resource) {
        return Err((StatusCode::BAD_REQUEST, "Location is not active".to_owned()));
    }
    let subject = Subject {
        client_id: caller.client_id.clone(),
        choice: Choice { resource, company_id: company_id.to_owned(), locations: Vec::new() },
        scopes: caller.scopes.clone(),
    };
    let body = token_response::body(&subject, generated, registry.settings().camel_case);
    Ok((body, issue(subject, UsedCredential::None, now, generated)))
}

pub(crate) fn unauthorized(message: &str) -> Rejection {
    (StatusCode::UNAUTHORIZED, message.to_owned())
}
