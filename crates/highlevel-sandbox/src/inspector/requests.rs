//! The Requests tab: API requests with validation errors and responses.

mod annotations;
mod budget;
mod curl;
mod detail;
mod duplicates;
mod export;
mod list;
mod search;
mod summary;

use std::sync::Arc;

use askama::Template;
use http::{Method, StatusCode};

use super::connect::{self, Panel};
use super::filter::{CHANNELS, LAST, with_chosen, words_of};
use super::page::Frame;
use super::response::PageResponse;
use super::route::{PageRequest, Route};
use crate::access::INSPECTOR_PATH as PATH;
use crate::engine::Engine;
use crate::ledger::RecordedRequest;
use crate::operation::Operation;
use crate::spec::Spec;
use detail::Detail;
use list::Row;

pub(super) const ROUTES: &[Route] = &[
    Route { method: Method::GET, path: "requests", handler: |state, page_request| show(state, page_request) },
    Route {
        method: Method::GET,
        path: "requests/{id}",
        handler: |state, page_request| show(state, page_request),
    },
    Route {
        method: Method::GET,
        path: "requests.har",
        handler: |state, page_request| {
            let base_url = connect::base_url(state, &page_request.headers);
            let body = export::har(state, &page_request.filter(), &base_url);
            PageResponse::File { name: "requests.har".to_owned(), body }
        },
    },
    Route {
        method: Method::GET,
        path: "requests.json",
        handler: |state, page_request| {
            let body = export::json(state, &page_request.filter());
            PageResponse::File { name: "requests.json".to_owned(), body }
        },
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

/// The methods offered in the search form.
const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

#[derive(Template)]
#[template(path = "requests.html")]
struct RequestsPage<'r> {
    frame: Frame,
    channels: Vec<&'r str>,
    statuses: Vec<String>,
    methods: Vec<&'r str>,
    operations: Vec<&'r str>,
    rows: Vec<Row>,
    longer: Option<String>,
    open: Option<Detail<'r>>,
    /// The Connect panel, while no program is connected.
    connect: Option<Panel>,
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
    let (rows, more) = list::rows(state, &frame, open);
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
        methods: with_chosen(METHODS.to_vec(), &filter.method),
        operations: with_chosen(operations(), &filter.operation),
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

/// Returns the IDs of all operations in alphabetical order.
fn operations() -> Vec<&'static str> {
    let mut ids = Operation::ALL.map(Operation::id);
    ids.sort_unstable();
    ids.to_vec()
}

/// Returns the statuses offered in the search form: the classes, and all statuses that occurred.
fn statuses(state: &Engine) -> Vec<String> {
    let (by_status, _) = state.ledger.totals();
    let kinds = ["2xx", "3xx", "4xx", "5xx"].map(str::to_owned).into_iter();
    kinds.chain(by_status.into_keys().map(|status| status.to_string())).collect()
}
