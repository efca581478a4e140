//! The parts that all pages share: head, tabs, clock and search.

use askama::Template;

use super::assets;
use super::filter::Filter;
use super::format::{self, Time};
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

/// The maximum length of the name of an item in the title, in characters.
const MAX_TITLE: usize = 80;

pub(super) struct Tab {
    pub(super) path: &'static str,
    pub(super) name: &'static str,
    pub(super) live: &'static str,
}

/// The frame around the content of a page.
pub(super) struct Frame {
    /// The name of what the page shows, and the name of the view.
    pub(super) title: String,
    /// The path of the open tab.
    pub(super) tab: &'static str,
    /// The ledger entries after which the page is refreshed.
    pub(super) live: &'static str,
    pub(super) filter: Filter,
    /// The number of failures since the start.
    pub(super) failures: u64,
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
        let mut frame = Self {
            title: title.to_owned(),
            tab,
            live,
            failures: state.ledger.failures(),
            filter,
            now: time_text(state.clock.now()).into(),
            speed: state.clock.speed(),
            tabs: &TABS,
            root: PATH,
            version: assets::version(),
        };
        if frame.tab_name() == Some(title) && !frame.filter.text.is_empty() {
            frame.show(&format!("“{}”", format::start(&frame.filter.text, MAX_TITLE)));
        } else if frame.tab_name() != Some(title) {
            frame.show(title);
        }
        frame
    }

    /// Sets the title to the name of an item, followed by the name of the view.
    pub(super) fn show(&mut self, item: &str) {
        let item = format::start(item, MAX_TITLE);
        self.title = match self.tab_name() {
            Some(name) => format!("{item} · {name}"),
            None => item,
        };
    }

    /// Returns the end of the title. The name of the program is left out where the name of an item takes the space.
    pub(super) fn suffix(&self) -> &'static str {
        if self.title.contains(" · ") { "" } else { " · HighLevel sandbox" }
    }

    fn tab_name(&self) -> Option<&'static str> {
        TABS.iter().find(|each| each.path == self.tab).map(|each| each.name)
    }

    /// Creates the frame of a page outside the tabs.
    pub(super) fn plain(state: &Engine, title: &str) -> Self {
        Self::new(state, "", title, Filter::default())
    }

    /// Returns the URL of a tab, with the criteria of this page that its view has too.
    pub(super) fn tab_address(&self, path: &str) -> String {
        format!("{PATH}/{path}{}", self.filter.for_view(path).query())
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
