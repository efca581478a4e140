//! What is switched on: the clock, faults, where webhooks go and how wrongly, limits, and how requests are judged.
//!
//! Each card is a file. What its buttons do is done by the functions that the admin API uses as well: those of [`State`],
//! of [`fault`] for faults, and [`trigger`](crate::webhook::trigger()) for events.

mod clock;
mod events;
mod faults;
mod judging;
mod limits;
mod summary;
mod webhooks;

use std::sync::Arc;

use askama::Template;
use http::Method;

use super::page::Frame;
use super::{Answer, Asked, PATH, Route};
use crate::admin::Problem;
use crate::fault;
use crate::server::State;

pub(super) const ROUTES: &[Route] = &[
    Route { method: Method::GET, path: "controls", handler: |state, asked| show(state, asked) },
    post("controls/reset", |state, asked| then("summary", summary::reset(state, asked))),
    post("controls/clock", |state, asked| then("time", clock::change(state, asked))),
    post("controls/clock/system", |state, _| then("time", clock::follow_system(state))),
    post("controls/faults", |state, asked| then("faults", faults::add(state, asked))),
    post("controls/faults/clear", |state, _| {
        fault::clear(state);
        then("faults", Ok(()))
    }),
    post("controls/faults/{id}/remove", |state, asked| then("faults", faults::remove(state, asked))),
    post("controls/webhooks/url", |state, asked| then("webhooks", webhooks::set_url(state, asked))),
    post("controls/webhooks/retries", |state, asked| then("webhooks", webhooks::set_retries(state, asked))),
    post("controls/webhooks/tamper", |state, asked| then("webhooks", webhooks::set_tampering(state, asked))),
    post("controls/webhooks/keys", |state, _| then("webhooks", webhooks::rotate(state))),
    post("controls/events", |state, asked| super::answer::done(events::trigger(state, asked))),
    post("controls/limits", |state, asked| then("limits", limits::change(state, asked))),
    post("controls/limits/use", |state, asked| then("limits", limits::take(state, asked))),
    post("controls/validation", |state, asked| then("validation", judging::change(state, asked))),
];

const fn post(path: &'static str, handler: fn(&Arc<State>, &Asked<'_>) -> Answer) -> Route {
    Route { method: Method::POST, path, handler }
}

#[derive(Template)]
#[template(path = "controls.html")]
struct ControlsPage {
    frame: Frame,
    summary: summary::Card,
    clock: clock::Card,
    faults: faults::Card,
    webhooks: webhooks::Card,
    events: events::Card,
    limits: limits::Card,
    validation: judging::Card,
}

fn show(state: &Arc<State>, asked: &Asked<'_>) -> Answer {
    Answer::page(&ControlsPage {
        frame: Frame::new(state, "controls", "Simulation", asked.filter()),
        summary: summary::Card::of(state),
        clock: clock::Card::of(state),
        faults: faults::Card::of(state),
        webhooks: webhooks::Card::of(state),
        events: events::Card::of(state, asked),
        limits: limits::Card::of(state),
        validation: judging::Card::of(state),
    })
}

/// Back to the card in which something was done, or why it was not.
fn then(card: &str, result: Result<(), Problem>) -> Answer {
    super::answer::done(result.map(|()| Answer::See(format!("{PATH}/controls#{card}"))))
}

/// Something to choose from.
struct Choice {
    value: String,
    label: String,
    chosen: bool,
}

impl Choice {
    fn new(value: impl Into<String>, label: impl Into<String>, chosen: bool) -> Self {
        Self { value: value.into(), label: label.into(), chosen }
    }
}

/// The number in a field, or what is wrong with it.
fn number<T: std::str::FromStr>(asked: &Asked<'_>, field: &str, name: &str) -> Result<T, Problem> {
    let text = asked.field(field).ok_or_else(|| Problem::bad_request(format!("{name} is required")))?;
    text.trim()
        .parse()
        .map_err(|_| Problem::bad_request(format!("{name}: \"{}\" is not a valid number", text.trim())))
}
