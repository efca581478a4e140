//! Spans and metrics of operations and attempts, with the names of OpenTelemetry's semantic conventions.
//!
//! No field or label contains a token, an id, a phone number or the content of a message: the values are names of operations,
//! methods, path templates, the address of the server, statuses and names of outcomes.

use std::time::Duration;

use tracing::{Span, field};

use crate::transport::Origin;
use crate::{Delivery, Error};

/// The HTTP method and the path template of an operation. The template of a raw request is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HttpRoute {
    pub(crate) method: &'static str,
    pub(crate) template: Option<&'static str>,
}

impl HttpRoute {
    /// Returns the route of an operation of the spec.
    pub(crate) fn of(operation: &str) -> Self {
        let route = highlevel_wire::route(operation);
        Self { method: route.map_or("_OTHER", |(method, _)| method), template: route.map(|(_, path)| path) }
    }

    /// Returns the route of a raw request. Methods outside of RFC 9110 and PATCH are `_OTHER`.
    pub(crate) fn raw(method: &http::Method) -> Self {
        const METHODS: [&str; 8] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE"];
        let known = METHODS.into_iter().find(|known| *known == method.as_str());
        Self { method: known.unwrap_or("_OTHER"), template: None }
    }
}

/// The outcome of an operation or an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OutcomeName {
    Receipt,
    Failed(Delivery),
    Dropped,
}

impl OutcomeName {
    pub(crate) fn of<T>(result: &Result<T, Error>) -> Self {
        match result {
            Ok(_) => Self::Receipt,
            Err(error) => Self::Failed(error.delivery()),
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Receipt => "receipt",
            Self::Failed(Delivery::NotSent) => "not_sent",
            Self::Failed(Delivery::Rejected) => "rejected",
            Self::Failed(Delivery::Unknown) => "unknown",
            Self::Failed(Delivery::Accepted) => "accepted",
            Self::Dropped => "dropped",
        }
    }
}

/// Returns the `error.type` of an error: the status of the response, or the kind of the error.
fn error_type(error: &Error) -> String {
    match error.status().filter(|status| *status >= 400) {
        Some(status) => status.to_string(),
        None => error.kind().as_str().to_owned(),
    }
}

/// Creates the span of an operation. Its attempts are its children.
pub(crate) fn operation_span(operation: &'static str) -> Span {
    tracing::debug_span!(
        "highlevel.operation",
        otel.name = operation,
        otel.kind = "internal",
        highlevel.operation = operation,
        highlevel.attempts = field::Empty,
        highlevel.outcome = field::Empty,
        error.type = field::Empty,
    )
}

/// Records the end of an operation in its span and in the metrics.
pub(crate) fn end_operation<T>(
    span: &Span,
    operation: &'static str,
    attempts: u32,
    result: &Result<T, Error>,
    elapsed: Duration,
) {
    span.record("highlevel.attempts", attempts);
    span.record("highlevel.outcome", OutcomeName::of(result).as_str());
    if let Err(error) = result
        && !span.is_disabled()
    {
        span.record("error.type", error_type(error));
    }
    metric::operation(operation, OutcomeName::of(result), Some(elapsed));
}

/// Records an operation whose future was dropped.
pub(crate) fn drop_operation(operation: &'static str) {
    metric::operation(operation, OutcomeName::Dropped, None);
}

/// Records that an operation is retried.
pub(crate) fn retry_operation(operation: &'static str) {
    metric::retry(operation);
}

/// Creates the span of an attempt. `resends` is the number of earlier attempts.
pub(crate) fn attempt_span(
    operation: &'static str,
    route: impl FnOnce() -> HttpRoute,
    server: &Origin,
    resends: u32,
) -> Span {
    let span = tracing::debug_span!(
        "highlevel.attempt",
        otel.name = field::Empty,
        otel.kind = "client",
        highlevel.operation = operation,
        highlevel.outcome = field::Empty,
        http.request.method = field::Empty,
        http.request.resend_count = field::Empty,
        http.response.status_code = field::Empty,
        url.template = field::Empty,
        server.address = &*server.host,
        server.port = server.port,
        error.type = field::Empty,
    );
    if !span.is_disabled() {
        let HttpRoute { method, template } = route();
        span.record("http.request.method", method);
        match template {
            Some(template) => {
                span.record("url.template", template);
                span.record("otel.name", field::display(format_args!("{method} {template}")));
            }
            None => {
                span.record("otel.name", method);
            }
        }
        if resends > 0 {
            span.record("http.request.resend_count", resends);
        }
    }
    span
}

/// Records the end of an attempt in its span and in the metrics. `error` is `None` if there is a receipt.
pub(crate) fn end_attempt(
    span: &Span,
    route: impl FnOnce() -> HttpRoute,
    server: &Origin,
    status: Option<u16>,
    error: Option<&Error>,
    elapsed: Duration,
) {
    if !span.is_disabled() {
        let outcome = error.map_or(OutcomeName::Receipt, |error| OutcomeName::Failed(error.delivery()));
        span.record("highlevel.outcome", outcome.as_str());
        if let Some(status) = status {
            span.record("http.response.status_code", status);
        }
        if let Some(error) = error {
            span.record("error.type", error_type(error));
        }
    }
    metric::attempt(route, server, status, error, elapsed);
}

#[cfg(feature = "metrics")]
mod metric {
    use std::sync::Arc;
    use std::time::Duration;

    use metrics::{Label, SharedString, counter, histogram};

    use super::{HttpRoute, OutcomeName, error_type};
    use crate::Error;
    use crate::transport::Origin;

    const REQUEST_DURATION: &str = "http.client.request.duration";
    const OPERATION_DURATION: &str = "highlevel.operation.duration";
    const OPERATIONS: &str = "highlevel.operations";
    const RETRIES: &str = "highlevel.retries";

    pub(super) fn operation(operation: &'static str, outcome: OutcomeName, elapsed: Option<Duration>) {
        let labels = [("highlevel.operation", operation), ("highlevel.outcome", outcome.as_str())];
        counter!(OPERATIONS, &labels).increment(1);
        if let Some(elapsed) = elapsed {
            histogram!(OPERATION_DURATION, &labels).record(elapsed.as_secs_f64());
        }
    }

    pub(super) fn retry(operation: &'static str) {
        counter!(RETRIES, "highlevel.operation" => operation).increment(1);
    }

    pub(super) fn attempt(
        route: impl FnOnce() -> HttpRoute,
        server: &Origin,
        status: Option<u16>,
        error: Option<&Error>,
        elapsed: Duration,
    ) {
        let HttpRoute { method, template } = route();
        let mut labels = Vec::with_capacity(6);
        labels.extend([
            Label::from_static_parts("http.request.method", method),
            Label::new("server.address", Arc::clone(&server.host)),
            Label::new("server.port", text_of(server.port)),
        ]);
        labels.extend(template.map(|template| Label::from_static_parts("url.template", template)));
        labels.extend(status.map(|status| Label::new("http.response.status_code", text_of(status))));
        labels.extend(error.map(|error| Label::new("error.type", error_type(error))));
        histogram!(REQUEST_DURATION, labels).record(elapsed.as_secs_f64());
    }

    /// Returns a number as text. The most frequent ones need no allocation.
    fn text_of(number: u16) -> SharedString {
        match number {
            443 => SharedString::const_str("443"),
            200 => SharedString::const_str("200"),
            201 => SharedString::const_str("201"),
            _ => number.to_string().into(),
        }
    }
}

#[cfg(not(feature = "metrics"))]
mod metric {
    use std::time::Duration;

    use super::{HttpRoute, OutcomeName};
    use crate::Error;
    use crate::transport::Origin;

    pub(super) fn operation(_: &'static str, _: OutcomeName, _: Option<Duration>) {}

    pub(super) fn retry(_: &'static str) {}

    pub(super) fn attempt(
        _: impl FnOnce() -> HttpRoute,
        _: &Origin,
        _: Option<u16>,
        _: Option<&Error>,
        _: Duration,
    ) {
    }
}
