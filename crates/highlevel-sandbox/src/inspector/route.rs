//! Routes of the inspector, and the requests that their handlers receive.

use std::sync::Arc;

use http::{HeaderMap, Method};

use super::filter::Filter;
use super::response::PageResponse;
use crate::access::INSPECTOR_PATH as PATH;
use crate::engine::Engine;
use crate::path_template;

/// A route of the inspector.
pub(super) struct Route {
    pub(super) method: Method,
    /// The path relative to `/_sandbox/ui/`; a segment in braces is a parameter.
    pub(super) path: &'static str,
    pub(super) handler: fn(&Arc<Engine>, &PageRequest<'_>) -> PageResponse,
}

/// A request to the inspector.
pub(crate) struct PageRequest<'a> {
    /// The decoded path parameters, in order.
    pub(super) parameters: Vec<String>,
    /// The path and query as received.
    pub(super) target: &'a str,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a [u8],
}

impl<'a> PageRequest<'a> {
    pub(crate) fn new(target: &'a str, headers: &'a HeaderMap, body: &'a [u8]) -> Self {
        Self { parameters: Vec::new(), target, headers, body }
    }

    /// Returns a path parameter by its position.
    pub(super) fn parameter(&self, place: usize) -> &str {
        self.parameters.get(place).map_or("", String::as_str)
    }

    pub(super) fn filter(&self) -> Filter {
        Filter::of(self.target.split_once('?').map_or("", |(_, query)| query))
    }

    /// Returns a form field, unless it is missing or blank.
    pub(super) fn field(&self, name: &str) -> Option<String> {
        form_urlencoded::parse(self.body)
            .find(|(field, _)| field == name)
            .map(|(_, value)| value.into_owned())
            .filter(|value| !value.trim().is_empty())
    }
}

/// Returns the routes that match a path, with their parameters.
pub(super) fn matching(
    routes: impl IntoIterator<Item = &'static Route>,
    path: &str,
) -> Vec<(&'static Route, Vec<String>)> {
    let path = path.strip_prefix(PATH).unwrap_or_default().trim_matches('/');
    let segments: Vec<&str> = path.split('/').collect();
    routes
        .into_iter()
        .filter_map(|route| Some((route, path_template::parameters(route.path, &segments)?)))
        .collect()
}
