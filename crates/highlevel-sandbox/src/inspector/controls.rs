//! The Simulation tab: clock, faults, webhooks, rate limits and validation.
//!
//! Each card is a separate file. Its forms call the same methods of [`Engine`] as the admin API.

mod clock;
mod events;
mod faults;
mod form;
mod limits;
mod summary;
mod validation;
mod webhooks;

use std::sync::Arc;

use askama::Template;
use http::Method;

use super::page::Frame;
use super::response::{PageResponse, done};
use super::route::{PageRequest, Route};
use crate::access::INSPECTOR_PATH as PATH;
use crate::api_error::ApiError;
use crate::engine::Engine;

pub(super) const ROUTES: &[Route] = &[
    Route { method: Method::GET, path: "controls", handler: |state, page_request| show(state, page_request) },
    post("controls/reset", |state, page_request| then("summary", summary::reset(state, page_request))),
    post("controls/clock", |state, page_request| then("time", clock::change(state, page_request))),
    post("controls/clock/system", |state, _| then("time", clock::follow_system(state))),
    post("controls/faults", |state, page_request| then("faults", faults::add(state, page_request))),
    post("controls/faults/clear", |state, _| {
        state.clear_faults();
        then("faults", Ok(()))
    }),
    post("controls/faults/{id}/remove", |state, page_request| {
        then("faults", faults::remove(state, page_request))
    }),
    post("controls/webhooks/url", |state, page_request| {
        then("webhooks", webhooks::set_url(state, page_request))
    }),
    post("controls/webhooks/retries", |state, page_request| {
        then("webhooks", webhooks::set_retries(state, page_request))
    }),
    post("controls/webhooks/tamper", |state, page_request| {
        then("webhooks", webhooks::set_tampering(state, page_request))
    }),
    post("controls/webhooks/keys", |state, _| then("webhooks", webhooks::rotate(state))),
    post("controls/events", |state, page_request| done(events::trigger(state, page_request))),
    post("controls/limits", |state, page_request| then("limits", limits::change(state, page_request))),
    post("controls/limits/use", |state, page_request| then("limits", limits::take(state, page_request))),
    post("controls/validation", |state, page_request| {
        then("validation", validation::change(state, page_request))
    }),
];

const fn post(path: &'static str, handler: fn(&Arc<Engine>, &PageRequest) -> PageResponse) -> Route {
    Route { method: Method::POST, path, handler }
}

#[derive(Template)]
#[template(path = "controls.html")]
struct ControlsPage {
    frame: Frame,
    summary: summary::Overview,
    clock: clock::ClockForm,
    faults: faults::FaultRules,
    webhooks: webhooks::WebhookSettings,
    events: events::TestEvents,
    limits: limits::RateLimits,
    validation: validation::ValidationSettings,
}

fn show(state: &Arc<Engine>, page_request: &PageRequest) -> PageResponse {
    PageResponse::page(&ControlsPage {
        frame: Frame::new(state, "controls", "Simulation", page_request.filter()),
        summary: summary::Overview::of(state),
        clock: clock::ClockForm::of(state),
        faults: faults::FaultRules::of(state),
        webhooks: webhooks::WebhookSettings::of(state),
        events: events::TestEvents::of(state, page_request),
        limits: limits::RateLimits::of(state),
        validation: validation::ValidationSettings::of(state),
    })
}

/// Redirects to the card of the action, or returns the error page.
fn then(card: &str, result: Result<(), ApiError>) -> PageResponse {
    done(result.map(|()| PageResponse::See(format!("{PATH}/controls#{card}"))))
}
