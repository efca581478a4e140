//! Requests to the API, with what was wrong with them and what was answered.

use std::sync::Arc;

use askama::Template;
use http::{Method, StatusCode};

use super::format::Time;
use super::page::Frame;
use super::{Answer, Asked, PATH, Route, format};
use crate::ledger::{Filter as LedgerFilter, RecordedRequest};
use crate::server::State;

pub(super) const ROUTES: &[Route] = &[
    Route { method: Method::GET, path: "requests", handler: |state, asked| show(state, asked) },
    Route { method: Method::GET, path: "requests/{id}", handler: |state, asked| show(state, asked) },
];

#[derive(Template)]
#[template(path = "requests.html")]
struct RequestsPage {
    frame: Frame,
    rows: Vec<Row>,
    longer: Option<String>,
    open: Option<RecordedRequest>,
}

/// A request in the list.
struct Row {
    id: String,
    link: String,
    method: String,
    path: String,
    status: u16,
    operation: &'static str,
    took: String,
    at: Time,
    is_open: bool,
}

fn show(state: &Arc<State>, asked: &Asked<'_>) -> Answer {
    let filter = asked.filter();
    let frame = Frame::new(state, "requests", "Requests", filter.clone());
    let open = asked.parameter(0);
    let request = state.ledger.request(open);
    if !open.is_empty() && request.is_none() {
        return Answer::problem(
            StatusCode::NOT_FOUND,
            format!("there is no request {open}, or not any more"),
        );
    }
    let (found, more) = state.ledger.find(&LedgerFilter::default(), filter.rows);
    let rows = found
        .into_iter()
        .map(|request| Row {
            link: frame.link(&format!("requests/{}", request.id)),
            is_open: request.id == open,
            operation: request.operation.map_or("", |operation| operation.id()),
            took: format::took(request.duration),
            id: request.id,
            method: request.method,
            path: request.path,
            status: request.status,
            at: request.received_at.into(),
        })
        .collect();
    let longer = more.and(filter.longer()).map(|longer| format!("{PATH}/requests{}", longer.query()));
    Answer::page(&RequestsPage { frame, rows, longer, open: request })
}
