//! What a request for tokens is answered.

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::registry::Subject;
use super::resource::TokenResource;

/// How long an access token lives. The answer says a second less, as documented.
pub(crate) const ACCESS_SECONDS: i64 = 86_400;
/// The user who installs apps here.
pub(crate) const USER_ID: &str = "xsmF1xxhmC92ZpL1lj7aLa";
/// The plan that apps are installed with.
pub(crate) const PLAN_ID: &str = "66a0419a0dffa47fb5f8b22f";

/// What is new with each request for tokens.
#[derive(Clone, Debug)]
pub(crate) struct Fresh {
    pub(crate) access_token: String,
    pub(crate) refresh_token: String,
    pub(crate) refresh_token_id: String,
    pub(crate) trace_id: String,
}

/// Tokens, in the form in which they are given. The documents disagree on the names: the standard ones of OAuth beside
/// camelCase, or camelCase throughout.
pub(crate) fn tokens(subject: &Subject, fresh: &Fresh, camel_case: bool) -> Value {
    let mut answer = Map::new();
    let mut set = |name: &str, value: Value| {
        answer.insert(if camel_case { to_camel_case(name) } else { name.to_owned() }, value);
    };
    set("access_token", json!(fresh.access_token));
    set("token_type", json!("Bearer"));
    set("expires_in", json!(ACCESS_SECONDS - 1));
    set("refresh_token", json!(fresh.refresh_token));
    set("refreshTokenId", json!(fresh.refresh_token_id));
    set("scope", json!(subject.scopes.join(" ")));
    set("userType", json!(subject.choice.resource.user_type()));
    set("companyId", json!(subject.choice.company_id));
    match &subject.choice.resource {
        TokenResource::Location(id) => {
            set("locationId", json!(id));
            set("isBulkInstallation", json!(false));
        }
        TokenResource::Company(_) => {
            set("isBulkInstallation", json!(true));
            set("approvedLocations", json!(subject.choice.locations));
        }
    }
    set("userId", json!(USER_ID));
    set("planId", json!(PLAN_ID));
    set("traceId", json!(fresh.trace_id));
    Value::Object(answer)
}

fn to_camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| {
        let (initial, rest) = word.split_at(1);
        name + &initial.to_ascii_uppercase() + rest
    })
}

/// Why `/oauth/token` gives no tokens.
///
/// The two fields and the words of the wrong client and the wrong refresh token are what users of the live API have
/// seen; the other words are those of the library whose words these are, or say what is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) error: &'static str,
    pub(crate) description: String,
}

impl Refusal {
    pub(crate) fn invalid_request(description: impl Into<String>) -> Self {
        Self::bad_request("invalid_request", description)
    }

    pub(crate) fn missing(field: &str) -> Self {
        Self::invalid_request(format!("Missing parameter: `{field}`"))
    }

    pub(crate) fn invalid_grant(what: &str) -> Self {
        Self::bad_request("invalid_grant", format!("Invalid grant: {what}"))
    }

    pub(crate) fn unsupported_grant_type(found: &str) -> Self {
        let description = format!(
            "Unsupported grant type: `grant_type` is `{found}`, and has to be authorization_code or refresh_token"
        );
        Self::bad_request("unsupported_grant_type", description)
    }

    pub(crate) fn invalid_client() -> Self {
        Self {
            status: StatusCode::UNAUTHORIZED,
            error: "UnAuthorized!",
            description: "Invalid client credentials!".to_owned(),
        }
    }

    /// The refresh token is good, and works again later.
    pub(crate) fn location_not_active() -> Self {
        Self::bad_request("invalid_request", "Location is not active")
    }

    /// A request that fits the browser's choice, the code or the refresh token, but asks for the other kind of token.
    /// What the live API answers is not known.
    pub(crate) fn other_user_type(asked: &str, resource: &TokenResource) -> Self {
        Self::invalid_request(format!(
            "Invalid request: `user_type` is `{asked}`, and what it is for is a {}",
            resource.user_type()
        ))
    }

    pub(crate) fn body(&self, trace_id: &str) -> Value {
        json!({ "error": self.error, "error_description": self.description, "traceId": trace_id })
    }

    fn bad_request(error: &'static str, description: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error, description: description.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_camel_case() {
        for (name, expected) in [
            ("access_token", "accessToken"),
            ("expires_in", "expiresIn"),
            ("refreshTokenId", "refreshTokenId"),
            ("scope", "scope"),
        ] {
            assert_eq!(to_camel_case(name), expected);
        }
    }
}
