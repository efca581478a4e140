//! Routes of the inspector, and the requests that their handlers receive.

use std::sync::Arc;

use axum::Form;
use axum::extract::{FromRequest, Query};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Method, Request};

use super::filter::Filter;
use super::response::PageResponse;
use crate::access::INSPECTOR_PATH as PATH;
use crate::api_error::ApiError;
use crate::engine::Engine;
use crate::routing;
use crate::traffic::{Body, Received};

/// The maximum number of fields in a form.
const MAX_FIELDS: usize = 1_000;

/// The handler of a route.
pub(crate) type PageHandler = fn(&Arc<Engine>, &PageRequest) -> PageResponse;
/// A route of the inspector. Its path is relative to `/_sandbox/ui/`.
pub(crate) type Route = routing::Route<PageHandler>;

/// Returns the URL paths of a route: with and without a slash at the end.
pub(crate) fn addresses(path: &str) -> Vec<String> {
    let address = if path.is_empty() { PATH.to_owned() } else { format!("{PATH}/{path}") };
    vec![format!("{address}/"), address]
}

/// A request to the inspector.
#[derive(Debug, Default)]
pub(crate) struct PageRequest {
    pub(super) method: Method,
    /// The decoded path parameters, in order.
    pub(super) parameters: Vec<String>,
    /// The path and query as received.
    pub(super) target: String,
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: HeaderMap,
    /// The fields of the form. Empty for requests without side effects.
    pub(super) form: Vec<(String, String)>,
}

impl PageRequest {
    /// Parses the query and the form of a request. A body that was not received completely has no fields.
    ///
    /// # Errors
    ///
    /// Returns an error if the body is not a form, or has too many fields.
    pub(crate) async fn new(head: &Parts, parameters: Vec<String>, body: Received) -> Result<Self, ApiError> {
        let form = match body {
            Received::Whole(body) if !head.method.is_safe() && !body.is_empty() => form(head, body).await?,
            _ => Vec::new(),
        };
        Ok(Self { parameters, form, ..Self::without_form(head) })
    }

    /// Parses the query of a request.
    pub(crate) fn without_form(head: &Parts) -> Self {
        let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
        Self {
            method: head.method.clone(),
            target: target.to_owned(),
            // Any query is a list of names and values.
            query: Query::try_from_uri(&head.uri).map(|Query(query)| query).unwrap_or_default(),
            headers: head.headers.clone(),
            ..Self::default()
        }
    }

    /// Returns the path without the query.
    pub(super) fn path(&self) -> &str {
        self.target.split_once('?').map_or(&self.target, |(path, _)| path)
    }

    /// Returns a path parameter by its position.
    pub(super) fn parameter(&self, place: usize) -> &str {
        self.parameters.get(place).map_or("", String::as_str)
    }

    pub(super) fn filter(&self) -> Filter {
        Filter::of(&self.query)
    }

    /// Returns a query parameter.
    pub(super) fn query(&self, name: &str) -> Option<&str> {
        first(&self.query, name)
    }

    /// Returns a form field, unless it is missing or blank.
    pub(super) fn field(&self, name: &str) -> Option<String> {
        first(&self.form, name).filter(|value| !value.trim().is_empty()).map(str::to_owned)
    }

    /// Returns `true` if the form has a field with this value.
    pub(super) fn has(&self, name: &str, value: &str) -> bool {
        self.form.iter().any(|(field, each)| field == name && each == value)
    }

    /// Returns a form field, which may be blank. Browsers normalise the line breaks of a text area to CRLF.
    pub(super) fn text_area(&self, name: &str) -> Option<String> {
        first(&self.form, name).map(|value| value.replace("\r\n", "\n"))
    }
}

fn first<'a>(fields: &'a [(String, String)], name: &str) -> Option<&'a str> {
    fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
}

async fn form(head: &Parts, body: Bytes) -> Result<Vec<(String, String)>, ApiError> {
    // Counted before parsing, because a parsed field takes more memory than its text.
    if memchr::memchr_iter(b'&', &body).count() >= MAX_FIELDS {
        return Err(ApiError::bad_request(format!("the form has more than {MAX_FIELDS} fields")));
    }
    let request = Request::from_parts(head.clone(), Body::from(body));
    match Form::from_request(request, &()).await {
        Ok(Form(fields)) => Ok(fields),
        Err(error) => Err(ApiError { status: error.status(), message: error.body_text() }),
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use http::header::CONTENT_TYPE;

    use super::*;

    async fn parsed(content_type: &str, body: String) -> Result<PageRequest, ApiError> {
        let request = Request::builder().method(Method::POST).uri("/_sandbox/ui/sign-in?a=+%26&a=2");
        let (head, ()) = request.header(CONTENT_TYPE, content_type).body(()).unwrap().into_parts();
        PageRequest::new(&head, Vec::new(), Received::Whole(body.into())).await
    }

    #[tokio::test]
    async fn forms_are_parsed_and_bounded() {
        struct Case {
            content_type: &'static str,
            body: String,
            expected: Result<Option<&'static str>, StatusCode>,
        }
        let form = "application/x-www-form-urlencoded";
        let case =
            |content_type, body: &str, expected| Case { content_type, body: body.to_owned(), expected };
        let cases = [
            case(form, "", Ok(None)),
            case(form, "attempt=1", Ok(None)),
            case(form, "body=", Ok(Some(""))),
            case(form, "body=+a%0D%0Ab%0D%0A", Ok(Some(" a\nb\n"))),
            case(form, "attempt=&body=%7B%22a%22%3A%22%5Cr%5Cn%22%7D", Ok(Some(r#"{"a":"\r\n"}"#))),
            case(form, &"a=&".repeat(MAX_FIELDS - 1), Ok(None)),
            case(form, &"a=&".repeat(MAX_FIELDS), Err(StatusCode::BAD_REQUEST)),
            case("application/json", "{}", Err(StatusCode::UNSUPPORTED_MEDIA_TYPE)),
        ];
        for Case { content_type, body, expected } in cases {
            let found = parsed(content_type, body.clone()).await;
            let found = found.map(|request| request.text_area("body")).map_err(|error| error.status);
            assert_eq!(found, expected.map(|text| text.map(str::to_owned)), "{content_type} {body:.100}");
        }
        assert_eq!(parsed(form, String::new()).await.unwrap().query("a"), Some(" &"));
    }
}
