//! The list of requests, the newest first, with a separator for each day.

use std::collections::HashSet;

use chrono::NaiveDate;

use super::annotations::{self, Badge};
use super::search::Search;
use super::{duplicates, summary};
use crate::engine::Engine;
use crate::inspector::format::{self, Time};
use crate::inspector::highlight::Highlighted;
use crate::inspector::page::Frame;
use crate::ledger::{RecordedRequest, RequestFingerprint};

/// The maximum length of a path, and of the second line, in characters.
const MAX_PATH: usize = 200;
const MAX_LINE: usize = 160;
/// The number of characters before a match in an excerpt.
const BEFORE_MATCH: usize = 12;

/// A request in the list.
pub(super) struct Row {
    pub(super) id: String,
    pub(super) link: String,
    /// The date above the row, if it differs from that of the row before.
    pub(super) day: Option<String>,
    pub(super) status: u16,
    /// `true` if the client did not receive the full response.
    pub(super) is_cut: bool,
    pub(super) method: Highlighted,
    /// The full path, truncated.
    pub(super) path: String,
    /// The path without the part that most requests share.
    pub(super) resource: Highlighted,
    /// The channel of the message.
    pub(super) channel: String,
    /// The name of the contact, or its ID.
    pub(super) contact: Highlighted,
    /// The first error, the beginning of the text, or the operation.
    pub(super) line: Highlighted,
    pub(super) is_error: bool,
    /// The place of the match, if it is not in the row.
    pub(super) place: Option<&'static str>,
    pub(super) took: String,
    pub(super) at: Time,
    pub(super) badges: Vec<Badge>,
    pub(super) is_open: bool,
}

/// Returns the rows that match the filter of the frame, and `true` if there are more.
pub(super) fn rows(state: &Engine, frame: &Frame, open: &str) -> (Vec<Row>, bool) {
    let search = Search::new(state, &frame.filter);
    let contact_of = |id: &str| state.model().message(id).map(|message| message.contact_id.to_string());
    let (found, more) = state.ledger.collect(frame.filter.rows, |request| {
        search.fits(request, contact_of).then(|| MatchingRequest::new(state, frame, &search, request, open))
    });
    let repeated = found.iter().filter_map(|found| found.repeated).collect();
    let duplicates = duplicates::find(state, &repeated);
    let mut rows: Vec<Row> = found.into_iter().map(|found| found.into_row(&duplicates)).collect();
    let mut day = frame.now.day().to_owned();
    for row in &mut rows {
        if row.at.day() != day {
            row.at.day().clone_into(&mut day);
            row.day = Some(long_date(&day));
        }
    }
    (rows, more)
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
    fn new(
        state: &Engine,
        frame: &Frame,
        search: &Search<'_>,
        request: &RecordedRequest,
        open: &str,
    ) -> Self {
        let stored = request.fingerprint.map_or(0, |fingerprint| state.ledger.times(fingerprint).stored);
        let is_repeated = annotations::is_sent_twice(request, stored);
        let mut row = Row::new(state, search, request, open);
        row.link = frame.link(&format!("requests/{}", request.id));
        row.badges = annotations::badges(request, stored, false);
        Self {
            row,
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
    fn new(state: &Engine, search: &Search<'_>, request: &RecordedRequest, open: &str) -> Self {
        let summary = summary::of(request);
        let contact = summary.contact.map(|id| {
            let model = state.model();
            let named = model.contact(&id).and_then(|contact| contact.name.clone());
            named.filter(|name| !name.trim().is_empty()).unwrap_or(id)
        });
        let mut row = Self {
            id: request.id.clone(),
            link: String::new(),
            day: None,
            status: request.status,
            is_cut: request.broken,
            method: Highlighted::new(&request.method, &search.text),
            path: format::start(&request.path, MAX_PATH),
            resource: Highlighted::new(
                &format::start(summary::resource(&request.path), MAX_PATH),
                &search.text,
            ),
            channel: summary.channel.map(|channel| format::start(&channel, 40)).unwrap_or_default(),
            contact: contact.map(|contact| marked_contact(&contact, search)).unwrap_or_default(),
            line: Highlighted::new(&excerpt(&summary.line, search), &search.text),
            is_error: summary.is_error,
            place: None,
            took: format::took(request.duration),
            at: request.received_at.clone().into(),
            badges: Vec::new(),
            is_open: request.id == open,
        };
        let has_match = [&row.method, &row.resource, &row.contact, &row.line];
        if !search.text.is_empty() && !has_match.iter().any(|text| text.has_match()) {
            row.place = search.place(request);
        }
        row
    }
}

/// Marks the match of the text, or of the contact, in the name of a contact.
fn marked_contact(contact: &str, search: &Search<'_>) -> Highlighted {
    let contact = format::start(contact, 60);
    let marked = Highlighted::new(&contact, &search.text);
    if marked.has_match() { marked } else { Highlighted::new(&contact, &search.contact) }
}

/// Returns the beginning of a text on one line, or the part with the first match if that is not at the beginning.
fn excerpt(text: &str, search: &Search<'_>) -> String {
    let first = search.text.matches(text).into_iter().next().map_or(0, |first| first.start);
    let before = text[..first].char_indices().rev().nth(BEFORE_MATCH).map_or(0, |(start, _)| start);
    if text[..before].trim().is_empty() {
        return format::start(text, MAX_LINE);
    }
    format!("…{}", format::start(&text[before..], MAX_LINE))
}

/// Formats a date in RFC 3339 for a separator: `Saturday, 14 March 2026 (UTC)`.
fn long_date(day: &str) -> String {
    day.parse::<NaiveDate>()
        .map_or_else(|_| day.to_owned(), |date| date.format("%A, %-d %B %Y (UTC)").to_string())
}
