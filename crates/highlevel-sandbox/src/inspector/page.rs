//! What all pages have: the head, the tabs, the clock, and the search.

use askama::Template;

use super::format::Time;
use super::{Filter, PATH, assets};
use crate::engine::Engine;
use crate::webhook::time_text;

/// The views that have a tab: the path below `/_sandbox/ui/`, the name, and of which entries of the ledger it shows
/// something.
pub(super) const TABS: [Tab; 4] = [
    Tab { path: "conversations", name: "Conversations", live: "message delivery changed" },
    Tab { path: "requests", name: "Requests", live: "request changed" },
    Tab { path: "deliveries", name: "Webhooks", live: "delivery message changed" },
    Tab { path: "controls", name: "Simulation", live: "request delivery changed" },
];

pub(super) struct Tab {
    pub(super) path: &'static str,
    pub(super) name: &'static str,
    pub(super) live: &'static str,
}

/// What is around the content of a page.
pub(super) struct Frame {
    pub(super) title: String,
    /// The path of the tab that is open.
    pub(super) tab: &'static str,
    /// The entries of the ledger after which the page has to be shown anew.
    pub(super) live: &'static str,
    pub(super) filter: Filter,
    /// What time it is in the sandbox, RFC 3339, and how fast it goes.
    pub(super) now: Time,
    pub(super) speed: f64,
    pub(super) tabs: &'static [Tab],
    pub(super) root: &'static str,
    /// Of the assets.
    pub(super) version: &'static str,
}

impl Frame {
    pub(super) fn new(state: &Engine, tab: &'static str, title: &str, filter: Filter) -> Self {
        let live = TABS.iter().find(|each| each.path == tab).map_or("", |each| each.live);
        Self {
            title: title.to_owned(),
            tab,
            live,
            filter,
            now: time_text(state.clock.now()).into(),
            speed: state.clock.speed(),
            tabs: &TABS,
            root: PATH,
            version: assets::version(),
        }
    }

    /// For a page of no tab.
    pub(super) fn plain(state: &Engine, title: &str) -> Self {
        Self::new(state, "", title, Filter::default())
    }

    /// The address of a view, with the filter of this page.
    pub(super) fn link(&self, path: &str) -> String {
        format!("{PATH}/{path}{}", self.filter.query())
    }
}

/// Says what is wrong.
#[derive(Template)]
#[template(path = "problem.html")]
pub(super) struct ProblemPage {
    pub(super) frame: Frame,
    pub(super) message: String,
}
