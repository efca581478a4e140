//! The responses of the token endpoints.

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::registry::Subject;
use super::resource::TokenResource;
use super::version::OAuthVersion;

/// The lifetime of an access token. `expires_in` is one second shorter, as documented.
pub(crate) const ACCESS_SECONDS: i64 = 86_400;
/// The ID of the user that installs apps.
pub(crate) const USER_ID: &str = "xsmF1xxhmC92ZpL1lj7aLa";
/// The ID of the plan that apps are installed with.
pub(crate) const PLAN_ID: &str = "66a0419a0dffa47fb5f8b22f";

/// The values that are generated for each token request.
#[derive(Clone, Debug)]
pub(crate) struct GeneratedTokens {
    pub(crate) access_token: String,
    pub(crate) refresh_token: String,
    pub(crate) refresh_token_id: String,
    pub(crate) trace_id: String,
}

/// Returns the body of a token response.
///
/// The vendor's documents disagree on the field names: either the standard OAuth names alongside camelCase names, or
/// camelCase throughout.
pub(crate) fn body(subject: &Subject, generated: &GeneratedTokens, camel_case: bool) -> Value {
    let mut body = Map::new();
    let mut set = |name: &str, value: Value| {
        body.insert(if camel_case { to_camel_case(name) } else { name.to_owned() }, value);
    };
    set("access_token", json!(generated.access_token));
    set("token_type", json!("Bearer"));
    set("expires_in", json!(ACCESS_SECONDS - 1));
    set("refresh_token", json!(generated.refresh_token));
    set("refreshTokenId", json!(generated.refresh_token_id));
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
            if subject.choice.locations.is_empty() {
                set("locationId", Value::Null);
            } else {
                set("approvedLocations", json!(subject.choice.locations));
            }
            set("installToFutureLocations", json!(subject.choice.install_to_future_locations));
        }
    }
    set("userId", json!(USER_ID));
    set("planId", json!(PLAN_ID));
    set("traceId", json!(generated.trace_id));
    Value::Object(body)
}

/// Removes the refresh token from the body of a token response.
pub(crate) fn without_refresh_token(mut body: Value) -> Value {
    if let Value::Object(fields) = &mut body {
        fields
            .retain(|name, _| !["refresh_token", "refreshToken", "refreshTokenId"].contains(&name.as_str()));
    }
    body
}

fn to_camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| {
        let (initial, rest) = word.split_at(1);
        name + &initial.to_ascii_uppercase() + rest
    })
}

/// An error response of `/oauth/token`.
///
/// Users of the live API have observed both fields, and the texts for a wrong client and a wrong refresh token. The other
/// texts come from the OAuth library that the live API appears to use, or describe the error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TokenError {
    pub(crate) status: StatusCode,
    pub(crate) error: &'static str,
    pub(crate) description: String,
}

impl TokenError {
    pub(crate) fn invalid_request(description: impl Into<String>) -> Self {
        Self::bad_request("invalid_request", description)
    }

    /// An empty or missing `grant_type` is rejected in the format of the API.
    pub(crate) fn missing_grant_type() -> Self {
        Self {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            error: "Unprocessable Entity",
            description: "grant_type must be a valid enum value\ngrant_type should not be empty".to_owned(),
        }
    }

    /// The code is unknown, used, expired, or was issued to another app. Verified before the secret.
    pub(crate) fn code_not_found() -> Self {
        Self {
            status: StatusCode::UNAUTHORIZED,
            error: "UnAuthorized!",
            description: "Authorization code not found".to_owned(),
        }
    }

    pub(crate) fn missing(field: &str) -> Self {
        Self::invalid_request(format!("Missing parameter: `{field}`"))
    }

    pub(crate) fn invalid_grant(reason: &str) -> Self {
        Self::bad_request("invalid_grant", format!("Invalid grant: {reason}"))
    }

    pub(crate) fn unsupported_grant_type(found: &str) -> Self {
        let description = format!(
            "Unsupported grant type: `grant_type` is `{found}`, but must be authorization_code or refresh_token"
        );
        Self::bad_request("unsupported_grant_type", description)
    }

    /// The alternative response to an invalid refresh token, which users of the live API have also observed.
    pub(crate) fn unauthorized_refresh_token() -> Self {
        Self {
            status: StatusCode::UNAUTHORIZED,
            error: "UnAuthorized!",
            description: "Invalid refresh token".to_owned(),
        }
    }

    pub(crate) fn invalid_client() -> Self {
        Self {
            status: StatusCode::UNAUTHORIZED,
            error: "UnAuthorized!",
            description: "Invalid client credentials!".to_owned(),
        }
    }

    /// The refresh token stays valid, and can be used once the location is active.
    pub(crate) fn location_not_active() -> Self {
        Self::bad_request("invalid_request", "Location is not active")
    }

    /// The requested token type is not the type of the code or refresh token. The response of the live API to such a
    /// request is unknown.
    pub(crate) fn user_type_mismatch(requested: &str, resource: &TokenResource) -> Self {
        Self::invalid_request(format!(
            "Invalid request: `user_type` is `{requested}`, but the code or token is for a {}",
            resource.user_type()
        ))
    }

    /// Returns the body of the response. In version `v3`, all errors have the format of the API, as documented.
    pub(crate) fn body(&self, trace_id: &str, version: OAuthVersion) -> Value {
        if self.status == StatusCode::UNPROCESSABLE_ENTITY {
            let name = version.name_fields("`grant_type`").replace('`', "");
            let messages: Vec<String> =
                self.description.lines().map(|message| message.replace("grant_type", &name)).collect();
            return json!({
                "message": messages,
                "error": self.error,
                "statusCode": self.status.as_u16(),
                "traceId": trace_id,
            });
        }
        if version == OAuthVersion::V3 {
            let message = match self.error {
                "unsupported_grant_type" => "Invalid parameter: grantType".to_owned(),
                _ => version.name_fields(&self.description),
            };
            let mut body =
                json!({ "statusCode": self.status.as_u16(), "message": message, "traceId": trace_id });
            if self.status != StatusCode::BAD_REQUEST {
                body["error"] = json!(self.status.canonical_reason());
            }
            return body;
        }
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
    fn field_names_convert_to_camel_case() {
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
