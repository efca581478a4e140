//! Writing the fields of a request into a contact.

use serde_json::{Map, Value};

use super::contact_rejection::ContactRejection;
use crate::api::tolerance;
use crate::model::{Contact, DndChannel, address};
use crate::spec::Violation;

/// Fields that the model has no use for. They are stored and returned as they are.
const FIELDS: [&str; 12] = [
    "gender",
    "companyName",
    "address1",
    "city",
    "state",
    "country",
    "postalCode",
    "website",
    "timezone",
    "source",
    "assignedTo",
    "dateOfBirth",
];

/// Sets the fields that a valid body has. `null` and the empty text remove a field.
pub(super) fn set(contact: &mut Contact, body: &Value) -> Result<(), ContactRejection> {
    let Some(fields) = body.as_object() else { return Ok(()) };
    let mut violations = Vec::new();
    set_address(&mut contact.email, fields, "email", address::email, "must be an email", &mut violations);
    set_address(
        &mut contact.phone,
        fields,
        "phone",
        address::phone,
        "must be a valid phone number",
        &mut violations,
    );
    if !violations.is_empty() {
        return Err(ContactRejection::Invalid(violations));
    }
    set_names(contact, fields);
    if let Some(tags) = fields.get("tags") {
        contact.tags.clear();
        add_tags(contact, tags);
    }
    if let Some(custom_fields) = fields.get("customFields") {
        contact.custom_fields = match without_nulls(custom_fields) {
            Value::Array(list) => list,
            _ => Vec::new(),
        };
    }
    for name in FIELDS {
        match fields.get(name) {
            None => {}
            Some(value) if is_empty(value) => drop(contact.fields.remove(name)),
            Some(value) => drop(contact.fields.insert(name.to_owned(), without_nulls(value))),
        }
    }
    set_do_not_disturb(contact, fields);
    Ok(())
}

/// Adds the tags that a contact does not have yet, and returns them.
pub(super) fn add_tags(contact: &mut Contact, tags: &Value) -> Vec<String> {
    let mut known: std::collections::BTreeSet<String> = contact.tags.iter().cloned().collect();
    let added = texts(tags).filter(|tag| known.insert(tag.clone())).collect::<Vec<_>>();
    contact.tags.extend(added.iter().cloned());
    added
}

/// Returns the texts in a list, without those that are empty.
pub(super) fn texts(list: &Value) -> impl Iterator<Item = String> {
    let texts = list.as_array().into_iter().flatten().filter_map(Value::as_str);
    texts.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// Returns a value without the members that are `null`, because responses have none.
fn without_nulls(value: &Value) -> Value {
    let mut value = value.clone();
    tolerance::remove_nulls(&mut value);
    value
}

fn is_empty(value: &Value) -> bool {
    value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty())
}

fn set_address(
    target: &mut Option<String>,
    fields: &Map<String, Value>,
    name: &str,
    normalized: fn(&str) -> Option<String>,
    problem: &str,
    violations: &mut Vec<Violation>,
) {
    match fields.get(name) {
        None => {}
        Some(value) if is_empty(value) => *target = None,
        Some(value) => match value.as_str().and_then(normalized) {
            Some(address) => *target = Some(address),
            None => violations.push(Violation::new(&format!("/{name}"), "format", problem)),
        },
    }
}

/// Sets the first and the last name, and the display name that they form.
fn set_names(contact: &mut Contact, fields: &Map<String, Value>) {
    let text = |name: &str| {
        let value = fields.get(name)?;
        Some(value.as_str().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned))
    };
    if let Some(name) = text("name") {
        let parts = name.as_deref().map(|name| name.split_once(' ').unwrap_or((name, "")));
        contact.first_name = parts.map(|(first, _)| first.to_owned());
        contact.last_name = parts.map(|(_, last)| last.trim().to_owned()).filter(|last| !last.is_empty());
        contact.name = name;
    }
    let (first, last) = (text("firstName"), text("lastName"));
    if first.is_some() || last.is_some() {
        if let Some(first) = first {
            contact.first_name = first;
        }
        if let Some(last) = last {
            contact.last_name = last;
        }
        let names: Vec<&str> =
            [&contact.first_name, &contact.last_name].into_iter().flatten().map(String::as_str).collect();
        contact.name = (!names.is_empty()).then(|| names.join(" "));
    }
}

fn set_do_not_disturb(contact: &mut Contact, fields: &Map<String, Value>) {
    let mut set = |channel: DndChannel, is_active: bool| {
        if is_active {
            contact.do_not_disturb.insert(channel);
        } else {
            contact.do_not_disturb.remove(&channel);
        }
    };
    if let Some(all) = fields.get("dnd").and_then(Value::as_bool) {
        set(DndChannel::All, all);
    }
    for channel in DndChannel::ALL {
        let status =
            fields.get("dndSettings").and_then(|settings| settings[channel.as_str()]["status"].as_str());
        if let Some(status) = status {
            set(channel, status != "inactive");
        }
    }
}
