//! Contacts as the API returns them.

use chrono::DateTime;
use serde_json::{Map, Value, json};

use crate::model::{Contact, DndChannel};

/// The time of records that have none, because they were not created through the API.
pub(super) const BEGINNING: &str = "2024-01-01T00:00:00.000Z";

/// Returns a time in milliseconds since 1970.
pub(super) fn milliseconds(time: &str) -> i64 {
    DateTime::parse_from_rfc3339(time).map_or(0, |time| time.timestamp_millis())
}

pub(super) fn date_added(contact: &Contact) -> &str {
    contact.date_added.as_deref().unwrap_or(BEGINNING)
}

pub(super) fn date_updated(contact: &Contact) -> &str {
    contact.date_updated.as_deref().unwrap_or_else(|| date_added(contact))
}

/// Returns the first and the last name. A contact of the admin API may have only a display name.
pub(super) fn names(contact: &Contact) -> (Option<&str>, Option<&str>) {
    if contact.first_name.is_some() || contact.last_name.is_some() {
        return (contact.first_name.as_deref(), contact.last_name.as_deref());
    }
    match contact.name.as_deref().map(|name| name.split_once(' ').unwrap_or((name, ""))) {
        Some((first, last)) => (Some(first), Some(last).filter(|last| !last.is_empty())),
        None => (None, None),
    }
}

/// Returns the display name.
pub(super) fn full_name(contact: &Contact) -> Option<String> {
    let (first, last) = names(contact);
    let names: Vec<&str> = first.into_iter().chain(last).collect();
    (!names.is_empty()).then(|| names.join(" "))
}

/// Returns a contact as a read or a write of one contact returns it. Fields that are not set are absent.
pub(super) fn details(contact: &Contact) -> Value {
    let (first, last) = names(contact);
    let lower = |text: Option<&str>| text.map(str::to_lowercase);
    let mut view = Map::new();
    view.extend(contact.fields.clone());
    let mut set = |name: &str, value: Value| {
        if !value.is_null() {
            view.insert(name.to_owned(), value);
        }
    };
    set("id", json!(contact.id));
    set("locationId", json!(contact.location_id));
    set("type", json!("lead"));
    set("firstName", json!(first));
    set("firstNameLowerCase", json!(lower(first)));
    set("lastName", json!(last));
    set("lastNameLowerCase", json!(lower(last)));
    set("fullNameLowerCase", json!(lower(full_name(contact).as_deref())));
    set("email", json!(contact.email));
    set("emailLowerCase", json!(lower(contact.email.as_deref())));
    set("phone", json!(contact.phone));
    set("tags", json!(contact.tags));
    set("dateAdded", json!(date_added(contact)));
    set("dateUpdated", json!(date_updated(contact)));
    set("followers", json!([]));
    set_common(&mut set, contact);
    view.entry("country").or_insert_with(|| json!("US"));
    Value::Object(view)
}

/// Returns a contact as a search returns it. The live API has further fields that are `null`.
pub(super) fn found(contact: &Contact) -> Value {
    let mut view = details(contact);
    if let Some(view) = view.as_object_mut() {
        view.remove("emailLowerCase");
        view.remove("fullNameLowerCase");
        if let Some(name) = full_name(contact) {
            view.insert("contactName".to_owned(), json!(name.to_lowercase()));
        }
        view.insert("dnd".to_owned(), json!(contact.do_not_disturb.contains(&DndChannel::All)));
        for name in ["dndSettings", "inboundDndSettings", "attributionSource", "lastAttributionSource"] {
            view.entry(name).or_insert_with(|| json!({}));
        }
    }
    view
}

/// Sets the fields that reads and searches have in common.
fn set_common(set: &mut impl FnMut(&str, Value), contact: &Contact) {
    set(
        "additionalEmails",
        contact.additional_emails.iter().map(|email| json!({ "email": email })).collect::<Value>(),
    );
    set(
        "additionalPhones",
        contact.additional_phones.iter().map(|phone| json!({ "phone": phone })).collect::<Value>(),
    );
    set("customFields", contact.custom_fields.iter().map(custom_field).collect::<Value>());
    if !contact.do_not_disturb.is_empty() {
        let channels = DndChannel::ALL.into_iter().filter(|channel| *channel != DndChannel::All);
        let settings: Map<String, Value> = channels
            .filter(|channel| contact.has_do_not_disturb(*channel))
            .map(|channel| (channel.as_str().to_owned(), json!({ "status": "active", "code": "103" })))
            .collect();
        set("dnd", json!(contact.do_not_disturb.contains(&DndChannel::All)));
        set("dndSettings", json!(settings));
    }
    if contact.unsubscribed {
        set("unsubscribeEmail", json!(true));
    }
}

/// Returns a custom field: the ID and the value.
fn custom_field(field: &Value) -> Value {
    let value = ["field_value", "fieldValue", "value"].iter().find_map(|name| field.get(*name));
    let mut view = json!({ "value": value });
    if let Some(id) = field.get("id").or_else(|| field.get("key")) {
        view["id"] = id.clone();
    }
    view
}
