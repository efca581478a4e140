//! The parts that all pages share: head, tabs, clock and search.

use askama::Template;

use super::assets;
use super::filter::Filter;
use super::format::Time;
use crate::access::INSPECTOR_PATH as PATH;
use crate::engine::Engine;
use crate::webhook::time_text;

/// The tabs, each with its path relative to `/_sandbox/ui/`, its name, and the ledger entries that affect it.
pub(super) const TABS: [Tab; 5] = [
    Tab { path: "conversations", name: "Conversations", live: "message delivery changed" },
    Tab { path: "contacts", name: "Contacts", live: "changed message" },
    Tab { path: "requests", name: "Requests", live: "request changed" },
    Tab { path: "deliveries", name: "Webhooks", live: "delivery message changed" },
    Tab { path: "controls", name: "Simulation", live: "request delivery changed" },
];

pub(super) struct Tab {
    pub(super) path: &'static str,
    pub(super) name: &'static str,
    pub(super) live: &'static str,
}

/// The frame around the content of a page.
pub(super) struct Frame {
    pub(super) title: String,
    /// The path of the open tab.
    pub(super) tab: &'static str,
    /// The ledger entries after which the page is refreshed.
    pub(super) live: &'static str,
    pub(super) filter: Filter,
    /// The sandbox time (RFC 3339) and its speed.
    pub(super) now: Time,
    pub(super) speed: f64,
    pub(super) tabs: &'static [Tab],
    pub(super) root: &'static str,
    /// The version of the assets.
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

    /// Creates the frame of a page outside the tabs.
    pub(super) fn plain(state: &Engine, title: &str) -> Self {
        Self::new(state, "", title, Filter::default())
    }

    /// Returns the URL of a view, with the filter of this page.
    pub(super) fn link(&self, path: &str) -> String {
        format!("{PATH}/{path}{}", self.filter.query())
    }
}

/// The error page.
#[derive(Template)]
#[template(path = "problem.html")]
pub(super) struct ProblemPage {
    pub(super) frame: Frame,
    pub(super) message: String,
}
