//! Routers built from tables of routes. axum matches the paths and decodes their parameters.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRequestParts, RawPathParams};
use axum::handler::Handler;
use axum::routing::any;
use http::Method;
use http::request::Parts;

/// A row of a table of routes.
pub(crate) struct Route<H> {
    pub(crate) method: Method,
    /// A path template; a segment in braces is a parameter: `contacts/{id}`.
    pub(crate) path: &'static str,
    pub(crate) handler: H,
}

/// The routes of one path. Empty for paths without a route.
pub(crate) type Routes<H> = Arc<[&'static Route<H>]>;

/// The result of matching a request with a table.
pub(crate) enum Matched<H: 'static> {
    Route(&'static Route<H>),
    /// The path exists, and has these methods only: `GET, HEAD`.
    OtherMethod(String),
    Unknown,
}

impl<H> Matched<H> {
    /// Selects the route of a method. A route of `GET` also receives `HEAD` requests; their responses are sent without the
    /// body.
    pub(crate) fn of(routes: &[&'static Route<H>], method: &Method) -> Self {
        let of = |method: &Method| routes.iter().find(|route| route.method == *method);
        let found = of(method).or_else(|| if *method == Method::HEAD { of(&Method::GET) } else { None });
        match found {
            Some(route) => Self::Route(route),
            None if routes.is_empty() => Self::Unknown,
            None => Self::OtherMethod(allowed(routes)),
        }
    }
}

/// Builds the router of a table. `addresses` returns the URL paths of a path template, and `handler` the handler of its
/// routes. A path has one handler for all methods, because axum stores a service for each of them otherwise.
pub(crate) fn router<H, F, T>(
    routes: impl IntoIterator<Item = &'static Route<H>>,
    addresses: impl Fn(&str) -> Vec<String>,
    handler: impl Fn(Routes<H>) -> F,
) -> Router
where
    H: 'static,
    F: Handler<T, ()>,
    T: 'static,
{
    let mut paths: BTreeMap<&str, Vec<&'static Route<H>>> = BTreeMap::new();
    for route in routes {
        paths.entry(route.path).or_default().push(route);
    }
    let mut router = Router::new();
    for (path, routes) in paths {
        let methods = any(handler(routes.into()));
        for address in addresses(path) {
            router = router.route(&address, methods.clone());
        }
    }
    router
}

/// Returns the methods of a path as in an `Allow` header.
fn allowed<H>(routes: &[&'static Route<H>]) -> String {
    let mut methods: Vec<_> = routes.iter().map(|route| route.method.as_str()).collect();
    if methods.contains(&"GET") {
        methods.push("HEAD");
    }
    methods.sort_unstable();
    methods.join(", ")
}

/// The decoded parameters of a path, in order. `None` if one of them is empty or not percent-encoded UTF-8.
pub(crate) struct PathParameters(pub(crate) Option<Vec<String>>);

impl<S: Send + Sync> FromRequestParts<S> for PathParameters {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        // axum leaves escapes that are not two hexadecimal digits as they are.
        if has_malformed_escape(parts.uri.path()) {
            return Ok(Self(None));
        }
        let parameters = RawPathParams::from_request_parts(parts, state).await.ok();
        let parameters = parameters.and_then(|parameters| {
            let values = parameters.iter().map(|(_, value)| (!value.is_empty()).then(|| value.to_owned()));
            values.collect()
        });
        Ok(Self(parameters))
    }
}

fn has_malformed_escape(path: &str) -> bool {
    path.split('%').skip(1).any(|rest| {
        let digits = rest.as_bytes().get(..2);
        !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    })
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use http::{Request, StatusCode};
    use tower_service::Service;

    use super::*;

    static TABLE: [Route<&str>; 5] = [
        Route { method: Method::GET, path: "health", handler: "health" },
        Route { method: Method::GET, path: "contacts/{id}", handler: "contact" },
        Route { method: Method::DELETE, path: "contacts/{id}", handler: "delete" },
        Route { method: Method::GET, path: "contacts/all", handler: "all" },
        Route { method: Method::GET, path: "contacts/{id}/messages/{message}", handler: "message" },
    ];

    /// Returns the matched handler with the parameters.
    async fn matched(method: &str, path: &str) -> (StatusCode, String) {
        let mut router = router(
            &TABLE,
            |path| vec![format!("/{path}")],
            |routes| {
                move |PathParameters(parameters), method: Method| async move {
                    match (Matched::of(&routes, &method), parameters) {
                        (Matched::Route(route), Some(parameters)) => {
                            format!("{} {parameters:?}", route.handler)
                        }
                        (Matched::OtherMethod(allowed), _) => format!("allowed: {allowed}"),
                        _ => "malformed".to_owned(),
                    }
                }
            },
        );
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let response = router.call(request).await.unwrap();
        let status = response.status();
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn paths_match_their_templates() {
        struct Case {
            method: &'static str,
            path: &'static str,
            /// `None` for a path without a route.
            expected: Option<&'static str>,
        }
        let case = |method, path, expected| Case { method, path, expected };
        let cases = [
            case("GET", "/health", Some("health []")),
            case("HEAD", "/health", Some("")),
            case("POST", "/health", Some("allowed: GET, HEAD")),
            case("BREW", "/contacts/a", Some("allowed: DELETE, GET, HEAD")),
            case("GET", "/health/", None),
            case("GET", "/healt%68", None),
            case("GET", "//health", None),
            case("GET", "/contacts/a", Some("contact [\"a\"]")),
            case("DELETE", "/contacts/a", Some("delete [\"a\"]")),
            case("GET", "/contacts/all", Some("all []")),
            case("GET", "/contacts/a%20b%2Fc%3F%25", Some("contact [\"a b/c?%\"]")),
            case("GET", "/contacts/%C3%A9", Some("contact [\"é\"]")),
            case("GET", "/contacts/a+b", Some("contact [\"a+b\"]")),
            case("GET", "/contacts/..", Some("contact [\"..\"]")),
            case("GET", "/contacts/", None),
            case("GET", "/contacts/a/b", None),
            case("GET", "/contacts/a%2Fb/messages/%7Bid%7D", Some("message [\"a/b\", \"{id}\"]")),
            case("GET", "/contacts//messages/b", Some("malformed")),
            case("GET", "/contacts/%ff", Some("malformed")),
            case("GET", "/contacts/%c3/messages/a", Some("malformed")),
            case("GET", "/contacts/%4", Some("malformed")),
            case("GET", "/contacts/%4g", Some("malformed")),
            case("GET", "/contacts/a%", Some("malformed")),
        ];
        for Case { method, path, expected } in cases {
            let (status, body) = matched(method, path).await;
            let found = (status != StatusCode::NOT_FOUND).then_some(body.as_str());
            assert_eq!(found, expected, "{method} {path}");
        }
    }
}
