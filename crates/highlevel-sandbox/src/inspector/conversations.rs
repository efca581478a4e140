//! Conversations, as chat: who wrote what, on which channel, and how far it has come.

use std::collections::HashMap;

use askama::Template;
use http::{Method, StatusCode};

use super::format::Time;
use super::page::Frame;
use super::{Answer, Asked, Route, format};
use crate::server::State;
use crate::world::{Contact, Message, World};

pub(super) const ROUTES: &[Route] = &[
    Route { method: Method::GET, path: "", handler: |state, asked| show(state, asked) },
    Route { method: Method::GET, path: "conversations", handler: |state, asked| show(state, asked) },
    Route {
        method: Method::GET,
        path: "conversations/{contact}",
        handler: |state, asked| show(state, asked),
    },
];

#[derive(Template)]
#[template(path = "conversations.html")]
struct ConversationsPage {
    frame: Frame,
    rows: Vec<Row>,
    longer: Option<String>,
    open: Option<Thread>,
}

/// A conversation in the list.
struct Row {
    id: String,
    name: String,
    link: String,
    last: String,
    at: Time,
    is_open: bool,
}

/// The conversation that is open.
struct Thread {
    name: String,
    contact: Contact,
    messages: Vec<Bubble>,
}

/// A message of the conversation.
struct Bubble {
    message: Message,
    at: Time,
}

fn show(state: &State, asked: &Asked<'_>) -> Answer {
    let filter = asked.filter();
    let frame = Frame::new(state, "conversations", "Conversations", filter.clone());
    let world = state.world();
    let open = asked.parameter(0);
    if !open.is_empty() && world.contact(open).is_none() {
        return Answer::problem(StatusCode::NOT_FOUND, format!("there is no contact {open}"));
    }
    // The newest message of each contact comes first.
    let mut last: HashMap<&str, &Message> = HashMap::new();
    let mut order: Vec<&str> = Vec::new();
    for message in world.messages().rev() {
        last.entry(&message.contact_id).or_insert_with(|| {
            order.push(&message.contact_id);
            message
        });
    }
    let silent = world.contacts().map(|contact| &*contact.id).filter(|id| !last.contains_key(id));
    let all: Vec<&str> = order.iter().copied().chain(silent).collect();
    let fitting = all.iter().filter_map(|id| world.contact(id)).filter(|contact| {
        let name = name(contact);
        filter.finds(&name) || filter.finds(&contact.id)
    });
    let mut fitting = fitting.skip(0);
    let rows = fitting.by_ref().take(filter.rows).map(|contact| {
        let message = last.get(&*contact.id);
        Row {
            id: contact.id.clone(),
            name: name(contact),
            link: frame.link(&format!("conversations/{}", contact.id)),
            last: message
                .and_then(|message| message.text())
                .map(|text| format::start(text, 80))
                .unwrap_or_default(),
            at: message.map(|message| Time::from(message.date_added.clone())).unwrap_or_default(),
            is_open: contact.id == open,
        }
    });
    let rows = rows.collect();
    let longer = fitting
        .next()
        .and(filter.longer())
        .map(|longer| format!("{}/conversations{}", super::PATH, longer.query()));
    let open = world.contact(open).map(|contact| thread(&world, contact));
    Answer::page(&ConversationsPage { frame, rows, longer, open })
}

fn thread(world: &World, contact: &Contact) -> Thread {
    let messages = world.messages().filter(|message| message.contact_id == contact.id);
    let messages = messages
        .map(|message| Bubble { at: message.date_added.clone().into(), message: message.clone() })
        .collect();
    Thread { name: name(contact), contact: contact.clone(), messages }
}

fn name(contact: &Contact) -> String {
    contact.name.clone().unwrap_or_else(|| contact.id.clone())
}
