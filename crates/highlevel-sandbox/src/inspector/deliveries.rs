//! Webhook events on their way: each attempt, its signature, its answer, and what comes next.

use std::sync::Arc;

use askama::Template;
use http::{Method, StatusCode};

use super::format::Time;
use super::page::Frame;
use super::{Answer, Asked, PATH, Route};
use crate::server::State;
use crate::webhook::{Delivery, DeliveryFilter};

pub(super) const ROUTES: &[Route] = &[
    Route { method: Method::GET, path: "deliveries", handler: |state, asked| show(state, asked) },
    Route { method: Method::GET, path: "deliveries/{id}", handler: |state, asked| show(state, asked) },
];

#[derive(Template)]
#[template(path = "deliveries.html")]
struct DeliveriesPage {
    frame: Frame,
    rows: Vec<Row>,
    longer: Option<String>,
    open: Option<Delivery>,
}

/// A delivery in the list.
struct Row {
    id: u64,
    link: String,
    event: String,
    url: String,
    state: &'static str,
    attempts: usize,
    at: Time,
    is_open: bool,
}

fn show(state: &Arc<State>, asked: &Asked<'_>) -> Answer {
    let filter = asked.filter();
    let frame = Frame::new(state, "deliveries", "Deliveries", filter.clone());
    let open = asked.parameter(0);
    let delivery = open.parse().ok().and_then(|id| state.outbox.delivery(id));
    if !open.is_empty() && delivery.is_none() {
        return Answer::problem(
            StatusCode::NOT_FOUND,
            format!("there is no delivery {open}, or it is forgotten"),
        );
    }
    let mut found = state.outbox.newest(&DeliveryFilter::default(), filter.rows + 1);
    let more = found.len() > filter.rows;
    found.truncate(filter.rows);
    let rows = found
        .into_iter()
        .map(|each| Row {
            link: frame.link(&format!("deliveries/{}", each.id)),
            is_open: Some(each.id) == delivery.as_ref().map(|delivery| delivery.id),
            id: each.id,
            event: each.event,
            url: each.url,
            state: each.state.as_str(),
            attempts: each.attempts.len(),
            at: each.created_at.into(),
        })
        .collect();
    let longer = if more { filter.longer() } else { None };
    let longer = longer.map(|longer| format!("{PATH}/deliveries{}", longer.query()));
    Answer::page(&DeliveriesPage { frame, rows, longer, open: delivery })
}
