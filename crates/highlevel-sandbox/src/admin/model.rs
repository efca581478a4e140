//! Locations, contacts, conversations, providers and messages.

use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};

use super::response::Output;
use super::route::{Input, Route};
use crate::api::file_path;
use crate::api_error::ApiError;
use crate::engine::Engine;
use crate::engine::MutationError;
use crate::model::{
    Kind, MessageDirection, MessageFilter, Model, Order, Page, Record, StatusUpdate, StoredFile,
};
use crate::search_term::{MAX_CHARS, SearchTerm};

macro_rules! route {
    ($method:ident $path:literal, $do:ident $kind:ident) => {
        Route { method: Method::$method, path: $path, handler: |state, input| $do(state, input, Kind::$kind) }
    };
}

pub(super) const ROUTES: &[Route] = &[
    route!(GET "locations", list Location),
    route!(GET "locations/{id}", get Location),
    route!(PUT "locations/{id}", put Location),
    route!(GET "contacts", list Contact),
    route!(GET "contacts/{id}", get Contact),
    route!(PUT "contacts/{id}", put Contact),
    route!(DELETE "contacts/{id}", delete Contact),
    route!(GET "conversations", list Conversation),
    route!(GET "conversations/{id}", get Conversation),
    route!(PUT "conversations/{id}", put Conversation),
    route!(DELETE "conversations/{id}", delete Conversation),
    route!(GET "providers", list Provider),
    route!(GET "providers/{id}", get Provider),
    route!(PUT "providers/{id}", put Provider),
    route!(DELETE "providers/{id}", delete Provider),
    route!(GET "messages", list Message),
    route!(GET "messages/{id}", get Message),
    route!(PUT "messages/{id}", put Message),
    route!(DELETE "messages/{id}", delete Message),
    Route { method: Method::PUT, path: "messages/{id}/status", handler: set_status },
    route!(GET "files", list File),
    Route { method: Method::GET, path: "files/{id}", handler: get_file },
    route!(DELETE "files/{id}", delete File),
];

/// The default and the maximum page size.
const PAGE: usize = 100;
const LARGEST_PAGE: usize = 1000;
/// The maximum memory of the messages on a page in bytes; the last message may exceed it.
const PAGE_BYTES: usize = 4 * 1024 * 1024;

fn list(state: &Arc<Engine>, input: &Input<'_>, kind: Kind) -> Result<Output, ApiError> {
    let filters: &[&str] = match kind {
        Kind::Location => &[],
        Kind::Contact | Kind::Provider | Kind::File => &["locationId"],
        Kind::Conversation => &["locationId", "contactId"],
        Kind::Message => {
            &["locationId", "contactId", "conversationId", "channel", "direction", "status", "text", "order"]
        }
    };
    input.allow(&[filters, &["limit", "after"]].concat())?;
    let page = Page { limit: limit(input)?, after: input.query("after").map(str::to_owned) };
    let model = state.shared_model();
    let in_location = |id: &str| input.query("locationId").is_none_or(|wanted| wanted == id);
    let (name, items, more) = match kind {
        Kind::Location => {
            let (page, more) = page.of(model.locations(), |location| &location.id);
            ("locations", json!(page), more)
        }
        Kind::Contact => {
            let all = model.contacts().filter(|contact| in_location(&contact.location_id));
            let (page, more) = page.of(all, |contact| &contact.id);
            ("contacts", json!(page), more)
        }
        Kind::Conversation => {
            let with = input.query("contactId");
            let all = model.conversations().filter(|conversation| {
                in_location(&conversation.location_id)
                    && with.as_ref().is_none_or(|contact| *contact == conversation.contact_id)
            });
            let (page, more) = page.of(all, |conversation| &conversation.id);
            ("conversations", json!(page), more)
        }
        Kind::Provider => {
            let all = model.providers().filter(|provider| in_location(&provider.location_id));
            let (page, more) = page.of(all, |provider| &provider.id);
            ("providers", json!(page), more)
        }
        Kind::Message => messages(&model, input, &page)?,
        Kind::File => {
            let all = model.files().map(|file| &**file);
            let mut all: Vec<&StoredFile> = all.filter(|file| in_location(&file.location_id)).collect();
            all.sort_unstable_by_key(|file| &file.id);
            let (page, more) = page.of(all.into_iter(), |file| &file.id);
            ("files", page.into_iter().map(without_content).collect(), more)
        }
    };
    let last = items.as_array().and_then(|items| items.last());
    let next = last.filter(|_| more).map(|last| last["id"].clone());
    Ok(Output::ok(json!({ name: items, "next": next })))
}

fn messages(model: &Model, input: &Input<'_>, page: &Page) -> Result<(&'static str, Value, bool), ApiError> {
    let filter = MessageFilter {
        location_id: input.query("locationId").map(str::to_owned),
        contact_id: input.query("contactId").map(str::to_owned),
        conversation_id: input.query("conversationId").map(str::to_owned),
        channel: input.query("channel").map(str::to_owned),
        direction: one_of(
            input,
            "direction",
            &[("inbound", Some(MessageDirection::Inbound)), ("outbound", Some(MessageDirection::Outbound))],
        )?,
        status: input.query("status").map(str::to_owned),
        text: input.query("text").map(search_term).transpose()?,
    };
    let order = one_of(input, "order", &[("oldest", Order::OldestFirst), ("newest", Order::NewestFirst)])?;
    let (page, more) = model.list_messages(&filter, order, page).ok_or_else(|| {
        let after = page.after.as_deref().unwrap_or_default();
        ApiError::bad_request(format!("after: there is no message {after:?} to go on after"))
    })?;
    // Pages of large messages are shorter.
    let mut bytes = 0;
    let fitting = page.iter().take_while(|message| {
        let is_in = bytes <= PAGE_BYTES;
        bytes += message.weight();
        is_in
    });
    let shown = fitting.map(|message| json!(***message)).collect::<Vec<_>>();
    let more = more || shown.len() < page.len();
    Ok(("messages", json!(shown), more))
}

fn search_term(text: &str) -> Result<SearchTerm, ApiError> {
    if text.chars().nth(MAX_CHARS).is_some() {
        return Err(ApiError::bad_request(format!("text: a search term has at most {MAX_CHARS} characters")));
    }
    Ok(SearchTerm::new(text))
}

fn get(state: &Arc<Engine>, input: &Input<'_>, kind: Kind) -> Result<Output, ApiError> {
    let id = input.parameter(0);
    let record = state.model().get(kind, id).ok_or_else(|| missing(kind, id))?;
    Ok(Output::ok(record.to_value()))
}

fn get_file(state: &Arc<Engine>, input: &Input<'_>) -> Result<Output, ApiError> {
    let id = input.parameter(0);
    let file = state.model().file(id).cloned().ok_or_else(|| missing(Kind::File, id))?;
    Ok(Output::ok(without_content(&file)))
}

/// Returns the properties of a file, with its path.
fn without_content(file: &StoredFile) -> Value {
    json!({
        "id": file.id,
        "locationId": file.location_id,
        "conversationId": file.conversation_id,
        "name": file.name,
        "contentType": file.content_type(),
        "bytes": file.content().len(),
        "dateAdded": file.date_added,
        "path": file_path(file),
    })
}

fn put(state: &Arc<Engine>, input: &Input<'_>, kind: Kind) -> Result<Output, ApiError> {
    let id = input.parameter(0);
    let mut body: Value = input.json()?;
    let Some(fields) = body.as_object_mut() else {
        return Err(ApiError::bad_request("the body has to be a JSON object"));
    };
    if let Some(other) = fields.insert("id".to_owned(), id.into()).filter(|other| other != id) {
        return Err(ApiError::bad_request(format!("the path names the {kind} {id}, and the body {other}")));
    }
    let record = Record::from_value(kind, body)
        .map_err(|error| ApiError::bad_request(format!("the body is no {kind}: {error}")))?;
    let shown = record.to_value();
    state.put_record(record).map_err(|conflict| MutationError::Conflict(conflict.to_string()))?;
    Ok(Output::ok(shown))
}

fn delete(state: &Arc<Engine>, input: &Input<'_>, kind: Kind) -> Result<Output, ApiError> {
    let id = input.parameter(0);
    if state.delete(kind, id) { Ok(Output::no_content()) } else { Err(missing(kind, id)) }
}

fn set_status(state: &Arc<Engine>, input: &Input<'_>) -> Result<Output, ApiError> {
    let update: StatusUpdate = input.json()?;
    let message = state.set_status(input.parameter(0), update)?;
    Ok(Output::ok(Record::Message(message).to_value()))
}

fn missing(kind: Kind, id: &str) -> ApiError {
    ApiError::not_found(format!("there is no {kind} {id}"))
}

fn limit(input: &Input<'_>) -> Result<usize, ApiError> {
    let Some(text) = input.query("limit") else { return Ok(PAGE) };
    text.parse().ok().filter(|limit| (1..=LARGEST_PAGE).contains(limit)).ok_or_else(|| {
        ApiError::bad_request(format!("limit is {text:?}, and has to be a number from 1 to {LARGEST_PAGE}"))
    })
}

/// Parses a query parameter with fixed values. Returns the default if it is missing.
fn one_of<T: Copy + Default>(input: &Input<'_>, name: &str, values: &[(&str, T)]) -> Result<T, ApiError> {
    let Some(text) = input.query(name) else { return Ok(T::default()) };
    let found = values.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
    found.ok_or_else(|| {
        let words: Vec<&str> = values.iter().map(|(word, _)| *word).collect();
        ApiError::bad_request(format!("{name} is {text:?}, and has to be {}", words.join(" or ")))
    })
}
