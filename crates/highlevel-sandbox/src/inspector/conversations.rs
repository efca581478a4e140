//! The Conversations tab: the messages of each contact as chat.

mod actions;
mod budget;
mod labels;
mod list;
mod thread;

use askama::Template;
use http::{Method, StatusCode};

use super::connect::{self, Panel};
use super::filter::{CHANNELS, Filter, with_chosen, words_of};
use super::format::Time;
use super::page::Frame;
use super::response::PageResponse;
use super::response::done;
use super::route::{PageRequest, Route};
use crate::access::INSPECTOR_PATH as PATH;
use crate::engine::Engine;
use crate::json_fields;
use crate::spec::Spec;
use actions::Composer;
pub(super) use labels::{NAME, line, name, path, segment};
pub(super) use list::Avatar;
use list::Row;
use thread::Thread;
pub(super) use thread::tone;

pub(super) const ROUTES: &[Route] = &[
    Route { method: Method::GET, path: "", handler: |state, page_request| show(state, page_request) },
    Route {
        method: Method::GET,
        path: "conversations",
        handler: |state, page_request| show(state, page_request),
    },
    Route {
        method: Method::GET,
        path: "conversations/{contact}",
        handler: |state, page_request| show(state, page_request),
    },
    Route {
        method: Method::GET,
        path: "emails/{message}",
        handler: |state, page_request| html(state, page_request),
    },
    Route {
        method: Method::POST,
        path: "conversations/{contact}/messages",
        handler: |state, page_request| done(actions::send(state, page_request)),
    },
    Route {
        method: Method::POST,
        path: "messages/{message}/status",
        handler: |state, page_request| done(actions::status(state, page_request)),
    },
    Route {
        method: Method::GET,
        path: "messages/{message}/text",
        handler: |state, page_request| text(state, page_request),
    },
];

/// The schemas that define message statuses.
const STATUSES: [&str; 3] = ["SendStatus", "EventMessageStatus", "CallStatus"];

#[derive(Template)]
#[template(path = "conversations.html")]
struct ConversationsPage<'a> {
    frame: Frame,
    /// The path of the search form, which keeps the open conversation.
    search: String,
    channels: Vec<&'a str>,
    statuses: Vec<&'a str>,
    rows: Vec<Row>,
    longer: Option<String>,
    open: Option<(Thread, Composer)>,
    /// The Connect panel, while no program is connected and no conversation is open.
    connect: Option<Panel>,
    /// The locations available for new contacts.
    locations: Vec<String>,
    own_location: String,
}

fn show(state: &Engine, page_request: &PageRequest) -> PageResponse {
    let filter = page_request.filter();
    let id = page_request.parameter(0);
    let model = state.shared_model();
    let contact = model.contact(id);
    if !id.is_empty() && contact.is_none() {
        return PageResponse::problem(StatusCode::NOT_FOUND, format!("contact {id} not found"));
    }
    let (rows, more) = list::rows(&model, &filter, id);
    let open =
        contact.map(|contact| (thread::thread(&model, &filter, contact), Composer::new(&model, contact)));
    let locations = model.locations().map(|location| location.id.clone()).collect();
    // Release the lock before rendering.
    drop(model);
    let title = open.as_ref().map_or("Conversations", |(thread, _)| &thread.name).to_owned();
    let search = if id.is_empty() { "conversations".to_owned() } else { labels::path(id) };
    let longer = filter.longer().filter(|_| more);
    let longer = longer.map(|longer| format!("{PATH}/{search}{}", longer.query()));
    let mut frame = Frame::new(state, "conversations", &title, filter.clone());
    let connect = match open {
        None => connect::for_empty_view(state, page_request, &mut frame),
        Some(_) => None,
    };
    PageResponse::page(&ConversationsPage {
        frame,
        connect,
        search,
        channels: with_chosen(words_of(Spec::embedded(), &CHANNELS), &filter.channel),
        statuses: with_chosen(words_of(Spec::embedded(), &STATUSES), &filter.status),
        rows,
        longer,
        open,
        locations,
        own_location: state.account.location_id.clone(),
    })
}

/// Returns the HTML body of a message, to be shown in a frame.
fn html(state: &Engine, page_request: &PageRequest) -> PageResponse {
    let id = page_request.parameter(0);
    let request = state.model().message(id).map(|message| message.request.clone());
    let html = request.and_then(|request| json_fields::text(request.as_str().as_bytes(), "html"));
    html.map_or_else(
        || PageResponse::problem(StatusCode::NOT_FOUND, format!("message {id} has no HTML body")),
        PageResponse::Foreign,
    )
}

/// Returns the full text of a message as a file.
fn text(state: &Engine, page_request: &PageRequest) -> PageResponse {
    let id = page_request.parameter(0);
    let request = state.model().message(id).map(|message| message.request.clone());
    let text = request.and_then(|request| json_fields::text(request.as_str().as_bytes(), "message"));
    let Some(text) = text else {
        return PageResponse::problem(StatusCode::NOT_FOUND, format!("message {id} has no text"));
    };
    let plain = |letter: &char| letter.is_ascii_alphanumeric() || "-_".contains(*letter);
    let name = id.chars().filter(plain).take(100).collect::<String>();
    PageResponse::File { name: format!("message-{name}.txt"), body: text.into_bytes() }
}

impl ConversationsPage<'_> {
    /// Returns the time for today's messages and the date for all others, in sandbox time.
    fn when<'a>(&self, at: &'a Time) -> &'a str {
        if at.day() == self.frame.now.day() { at.clock() } else { at.day() }
    }

    /// Returns the URL of the page with older messages.
    fn earlier(&self) -> Option<String> {
        let longer: Filter = self.frame.filter.longer()?;
        Some(format!("{PATH}/{}{}", self.search, longer.query()))
    }

    /// Returns the URL of the status form of a message.
    fn status_of(&self, bubble: &thread::Bubble) -> String {
        format!("{PATH}/messages/{}/status{}", bubble.segment, self.query())
    }

    /// Returns the query of the current search, including the question mark.
    fn query(&self) -> String {
        self.frame.filter.query()
    }
}

#[cfg(test)]
mod tests {
    use http::Request;
    use serde_json::{Value, json};

    use super::*;
    use crate::Sandbox;
    use crate::model::{CONTACT_ID, CONVERSATION_ID, LOCATION_ID, Record};

    /// A message with the maximum of everything, whose text is five times as long in HTML.
    fn large(number: usize) -> Record {
        let long = "<".repeat(10_000);
        let addresses: Vec<_> =
            (0..30).map(|each| format!("https://a.example/{each}/{}", "&".repeat(300))).collect();
        let mut request = json!({
            "message": long, "subject": long, "emailFrom": long, "emailTo": long, "emailCc": [long], "emailBcc": [long],
            "replyTo": long, "attachments": addresses, "html": long, "call": { "from": long, "to": long },
        });
        for each in 0..30 {
            request[format!("{each}{long:.500}")] = Value::from(&long[..1000]);
        }
        let step = json!({ "status": "failed", "at": "2026-01-31T09:30:00Z", "error": long[..1000] });
        let message = json!({
            "id": format!("m{number}"), "contactId": CONTACT_ID, "conversationId": CONVERSATION_ID,
            "locationId": LOCATION_ID, "direction": "outbound", "channel": if number.is_multiple_of(2) { "Email" } else { "Call" },
            "dateAdded": "2026-01-31T09:30:00Z", "status": "pending", "history": vec![step; 30], "request": request,
        });
        Record::from(serde_json::from_value::<crate::model::StoredMessage>(message).unwrap())
    }

    #[tokio::test]
    async fn a_page_is_short_however_much_was_written() {
        let sandbox = Sandbox::start().await.unwrap();
        let state = &sandbox.state;
        state.model().put((0..102).map(large)).unwrap();
        for (query, shown) in [("", 50), ("text=m101", 1)] {
            let request = Request::builder().uri(format!("/?{query}")).body(()).unwrap();
            let page_request = PageRequest {
                parameters: vec![CONTACT_ID.to_owned()],
                ..PageRequest::without_form(&request.into_parts().0)
            };
            let PageResponse::Page { html, .. } = show(state, &page_request) else { panic!("no page") };
            assert_eq!(html.matches(" more bytes)</a>").count(), shown);
            assert!(html.len() < 500_000, "{query}: {} bytes", html.len());
            // The newest message is shown as completely as if it were the only one.
            for words in ["and 10 more", "10 earlier"] {
                assert!(html.contains(words), "{query}: {words}");
            }
        }
    }
}
