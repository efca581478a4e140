//! `POST /oauth/locationToken`: a token for one location, for the token of its company, as a function of values.
//!
//! Only what is asked for and what is answered is documented. Which status each refusal has is a guess.

use chrono::{DateTime, Utc};
use http::StatusCode;

use super::answer::{self, Fresh};
use super::form::Form;
use super::grant::issue;
use super::registry::{IssuedTokens, Registry, Spent, Subject};
use super::resource::{Choice, TokenResource};

/// The scope that it takes.
pub(crate) const SCOPE: &str = "oauth.write";

/// Why there is no token: a status and what to say.
pub(crate) type Refused = (StatusCode, String);

/// Decides on a request with the token of `caller`. Changes nothing.
pub(crate) fn decide(
    form: &Result<Form, String>,
    caller: &Subject,
    registry: &Registry,
    now: DateTime<Utc>,
    fresh: &Fresh,
) -> Result<(serde_json::Value, IssuedTokens), Refused> {
    let TokenResource::Company(own_company) = &caller.choice.resource else {
        return Err(unauthorized(
            "The token is not authorized for this scope: it is a sub-account's, and a company's is needed",
        ));
    };
    if !caller.scopes.iter().any(|scope| scope == SCOPE) {
        return Err(unauthorized(&format!("The token is not authorized for this scope: {SCOPE} is needed")));
    }
    let form = form.as_ref().map_err(|words| (StatusCode::BAD_REQUEST, words.clone()))?;
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
    if !registry.is_on(&caller.client_id, company_id, location_id) {
        let words = format!("the app is not installed on the location {location_id} of this company");
        return Err((StatusCode::BAD_REQUEST, words));
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
    let answer = answer::tokens(&subject, fresh, registry.settings().camel_case);
    Ok((answer, issue(subject, Spent::Nothing, now, fresh)))
}

pub(crate) fn unauthorized(words: &str) -> Refused {
    (StatusCode::UNAUTHORIZED, words.to_owned())
}
