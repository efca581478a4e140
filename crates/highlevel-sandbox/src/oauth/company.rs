//! Checks of requests that require the token of a company.

use http::StatusCode;

use super::registry::Subject;
use super::rejection::Rejection;
use super::resource::TokenResource;

/// Returns the company of a token.
///
/// # Errors
///
/// Returns a rejection if the token is for a location, or lacks the scope.
pub(super) fn company_of<'a>(caller: &'a Subject, scope: &str) -> Result<&'a str, Rejection> {
    let TokenResource::Company(company) = &caller.choice.resource else {
        return Err(Rejection::unauthorized(
            "The token is not authorized for this scope: it is a sub-account token, but a company token is required",
        ));
    };
    if !caller.scopes.iter().any(|each| each == scope) {
        return Err(Rejection::unauthorized(&format!(
            "The token is not authorized for this scope: {scope} is required"
        )));
    }
    Ok(company)
}

/// Rejects a request for another company than that of the token.
pub(super) fn check_company(own: &str, requested: &str) -> Result<(), Rejection> {
    if requested == own {
        return Ok(());
    }
    let message = format!("The token does not have access to the company {requested}");
    Err(Rejection::new(StatusCode::FORBIDDEN, message))
}
