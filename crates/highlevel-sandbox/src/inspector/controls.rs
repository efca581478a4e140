//! What is switched on: faults, the clock, limits, and where webhooks go.

use std::sync::Arc;

use askama::Template;
use http::Method;

use super::page::Frame;
use super::{Answer, Asked, Route};
use crate::fault::ActiveFault;
use crate::server::State;

pub(super) const ROUTES: &[Route] =
    &[Route { method: Method::GET, path: "controls", handler: |state, asked| show(state, asked) }];

#[derive(Template)]
#[template(path = "controls.html")]
struct ControlsPage {
    frame: Frame,
    faults: Vec<ActiveFault>,
}

fn show(state: &Arc<State>, asked: &Asked<'_>) -> Answer {
    let frame = Frame::new(state, "controls", "Faults & clock", asked.filter());
    Answer::page(&ControlsPage { frame, faults: state.faults.list() })
}
