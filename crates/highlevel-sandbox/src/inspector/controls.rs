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
use super::response::{Answer, done};
use super::route::{Asked, Route};
use crate::access::INSPECTOR_PATH as PATH;
use crate::api_error::ApiError;
use crate::engine::Engine;

pub(super) const ROUTES: &[Route] = &[
    Route { method: Method::GET, path: "controls", handler: |state, asked| show(state, asked) },
    post("controls/reset", |state, asked| then("summary", summary::reset(state, asked))),
    post("controls/clock", |state, asked| then("time", clock::change(state, asked))),
    post("controls/clock/system", |state, _| then("time", clock::follow_system(state))),
    post("controls/faults", |state, asked| then("faults", faults::add(state, asked))),
    post("controls/faults/clear", |state, _| {
        state.clear_faults();
        then("faults", Ok(()))
    }),
    post("controls/faults/{id}/remove", |state, asked| then("faults", faults::remove(state, asked))),
    post("controls/webhooks/url", |state, asked| then("webhooks", webhooks::set_url(state, asked))),
    post("controls/webhooks/retries", |state, asked| then("webhooks", webhooks::set_retries(state, asked))),
    post("controls/webhooks/tamper", |state, asked| then("webhooks", webhooks::set_tampering(state, asked))),
    post("controls/webhooks/keys", |state, _| then("webhooks", webhooks::rotate(state))),
    post("controls/events", |state, asked| done(events::trigger(state, asked))),
    post("controls/limits", |state, asked| then("limits", limits::change(state, asked))),
    post("controls/limits/use", |state, asked| then("limits", limits::take(state, asked))),
    post("controls/validation", |state, asked| then("validation", validation::change(state, asked))),
];

const fn post(path: &'static str, handler: fn(&Arc<Engine>, &Asked<'_>) -> Answer) -> Route {
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

fn show(state: &Arc<Engine>, asked: &Asked<'_>) -> Answer {
    Answer::page(&ControlsPage {
        frame: Frame::new(state, "controls", "Simulation", asked.filter()),
        summary: summary::Overview::of(state),
        clock: clock::ClockForm::of(state),
        faults: faults::FaultRules::of(state),
        webhooks: webhooks::WebhookSettings::of(state),
        events: events::TestEvents::of(state, asked),
        limits: limits::RateLimits::of(state),
        validation: validation::ValidationSettings::of(state),
    })
}

/// Redirects to the card of the action, or returns the error page.
fn then(card: &str, result: Result<(), ApiError>) -> Answer {
    done(result.map(|()| Answer::See(format!("{PATH}/controls#{card}"))))
}
