//! The Requests tab: API requests with validation errors and responses.

mod annotations;
mod budget;
mod curl;
mod detail;
mod duplicates;
mod search;

use std::collections::HashSet;
use std::sync::Arc;

use askama::Template;
use http::{Method, StatusCode};

use super::connect::{self, Panel};
use super::filter::{CHANNELS, with_chosen, words_of};
use super::format;
use super::format::Time;
use super::page::Frame;
use super::response::PageResponse;
use super::route::{PageRequest, Route};
use crate::access::INSPECTOR_PATH as PATH;
use crate::engine::Engine;
use crate::ledger::{RecordedRequest, RequestFingerprint};
use crate::spec::Spec;
use annotations::Badge;
use detail::Detail;
use search::Search;

pub(super) const ROUTES: &[Route] = &[
    Route { method: Method::GET, path: "requests", handler: |state, page_request| show(state, page_request) },
    Route {
        method: Method::GET,
        path: "requests/{id}",
        handler: |state, page_request| show(state, page_request),
    },
    Route {
        method: Method::GET,
        path: "requests/{id}/body",
        handler: |state, page_request| file(state, page_request, "body"),
    },
    Route {
        method: Method::GET,
        path: "requests/{id}/response",
        handler: |state, page_request| file(state, page_request, "response"),
    },
];

#[derive(Template)]
#[template(path = "requests.html")]
struct RequestsPage<'r> {
    frame: Frame,
    channels: Vec<&'r str>,
    statuses: Vec<String>,
    rows: Vec<Row>,
    longer: Option<String>,
    open: Option<Detail<'r>>,
    /// The Connect panel, while no program is connected.
    connect: Option<Panel>,
}

/// A request in the list.
struct Row {
    id: String,
    link: String,
    method: String,
    path: String,
    status: u16,
    /// `true` if the client did not receive the full response.
    is_cut: bool,
    operation: &'static str,
    location: String,
    took: String,
    at: Time,
    badges: Vec<Badge>,
    is_open: bool,
}

fn show(state: &Arc<Engine>, page_request: &PageRequest) -> PageResponse {
    let filter = page_request.filter();
    let mut frame = Frame::new(state, "requests", "Requests", filter.clone());
    let open = page_request.parameter(0);
    let request = if open.is_empty() { None } else { state.ledger.request(open) };
    if !open.is_empty() && request.is_none() {
        return gone(open);
    }
    if let Some(request) = &request {
        frame.show(&title(request));
    }
    let search = Search::new(state, &filter);
    let contact_of = |id: &str| state.model().message(id).map(|message| message.contact_id.to_string());
    let (found, more) = state.ledger.collect(filter.rows, |request| {
        search.fits(request, contact_of).then(|| MatchingRequest::new(state, &frame, request, open))
    });
    let repeated = found.iter().filter_map(|found| found.repeated).collect();
    let duplicates = duplicates::find(state, &repeated);
    let rows = found.into_iter().map(|found| found.into_row(&duplicates)).collect();
    let longer = filter.longer().filter(|_| more);
    let marks = request.as_deref().map(annotations::marks).unwrap_or_default();
    let detail = request.as_deref().map(|request| Detail::new(state, page_request, &frame, request, &marks));
    let connect = match detail {
        None => connect::for_empty_view(state, page_request, &mut frame),
        Some(_) => None,
    };
    PageResponse::page(&RequestsPage {
        connect,
        channels: with_chosen(words_of(Spec::embedded(), &CHANNELS), &filter.channel),
        statuses: with_chosen(statuses(state), &filter.status),
        rows,
        longer: longer.map(|longer| format!("{PATH}/requests{}", longer.query())),
        open: detail,
        frame,
    })
}

/// Returns the status, the method and the end of the path: `422 POST messages`.
fn title(request: &RecordedRequest) -> String {
    let path = request.path.split('?').next().unwrap_or_default();
    let path = path.trim_start_matches('/');
    let end = path.strip_prefix("conversations/").unwrap_or(path);
    format!("{} {} {end}", request.status, request.method)
}

fn file(state: &Arc<Engine>, page_request: &PageRequest, which: &str) -> PageResponse {
    let id = page_request.parameter(0);
    let Some(request) = state.ledger.request(id) else { return gone(id) };
    let (name, body) = detail::file(&request, which);
    PageResponse::File { name, body }
}

fn gone(id: &str) -> PageResponse {
    PageResponse::problem(
        StatusCode::NOT_FOUND,
        format!(
            "request {id} not found; it may have been removed, because only the newest requests are stored"
        ),
    )
}

/// A matching request.
struct MatchingRequest {
    row: Row,
    /// The content, if several requests stored it.
    repeated: Option<RequestFingerprint>,
    /// The badges of a duplicate.
    as_duplicate: Vec<Badge>,
}

impl MatchingRequest {
    fn new(state: &Engine, frame: &Frame, request: &RecordedRequest, open: &str) -> Self {
        let stored = request.fingerprint.map_or(0, |fingerprint| state.ledger.times(fingerprint).stored);
        let is_repeated = annotations::is_sent_twice(request, stored);
        Self {
            row: Row::new(frame, request, stored, open),
            repeated: request.fingerprint.filter(|_| is_repeated),
            as_duplicate: if is_repeated { annotations::badges(request, stored, true) } else { Vec::new() },
        }
    }

    fn into_row(self, duplicates: &HashSet<String>) -> Row {
        let mut row = self.row;
        if self.repeated.is_some() && duplicates.contains(&row.id) {
            row.badges = self.as_duplicate;
        }
        row
    }
}

impl Row {
    fn new(frame: &Frame, request: &RecordedRequest, stored: u64, open: &str) -> Self {
        Self {
            link: frame.link(&format!("requests/{}", request.id)),
            is_open: request.id == open,
            operation: request.operation.map_or("", |operation| operation.id()),
            location: request.location_id.clone().unwrap_or_default(),
            took: format::took(request.duration),
            badges: annotations::badges(request, stored, false),
            id: request.id.clone(),
            method: request.method.clone(),
            path: format::start(&request.path, 200),
            status: request.status,
            is_cut: request.broken,
            at: request.received_at.clone().into(),
        }
    }
}

/// Returns the statuses offered in the search form: the classes, and all statuses that occurred.
fn statuses(state: &Engine) -> Vec<String> {
    let (by_status, _) = state.ledger.totals();
    let kinds = ["2xx", "3xx", "4xx", "5xx"].map(str::to_owned).into_iter();
    kinds.chain(by_status.into_keys().map(|status| status.to_string())).collect()
}
