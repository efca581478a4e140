//! The list of contacts, the newest first.

use std::cmp::Reverse;

use super::form::do_not_disturb;
use crate::inspector::conversations::{Avatar, NAME, name, segment};
use crate::inspector::filter::Filter;
use crate::inspector::format::{self, Time};
use crate::model::{Contact, Model};
use crate::search_term::SearchTerm;

/// The maximum number of addresses of a contact, and of its tags.
const MOST: usize = 3;
/// The maximum length of an address, and of a tag, in characters.
const ADDRESS: usize = 60;
const TAG: usize = 24;

/// A contact in the list.
pub(super) struct Row {
    pub(super) id: String,
    /// The path relative to the inspector.
    pub(super) path: String,
    pub(super) name: String,
    pub(super) avatar: Avatar,
    /// The time of creation, if known.
    pub(super) created: Option<Time>,
    /// Phone numbers and email addresses, on one line.
    pub(super) addresses: String,
    pub(super) tags: Vec<String>,
    pub(super) more_tags: usize,
    /// The channels with do-not-disturb, on one line.
    pub(super) do_not_disturb: String,
    pub(super) unsubscribed: bool,
    pub(super) is_open: bool,
}

/// Returns the matching rows, and `true` if there are more.
pub(super) fn rows(model: &Model, filter: &Filter, open: &str) -> (Vec<Row>, bool) {
    let text = SearchTerm::new(&filter.text);
    let mut found: Vec<&Contact> = model.contacts().filter(|contact| is_in(&text, contact)).collect();
    // Contacts without a time are those of the seed, in the order of their IDs.
    found.sort_by_key(|contact| Reverse(contact.date_added.as_deref()));
    let more = found.len() > filter.rows;
    (found.into_iter().take(filter.rows).map(|contact| Row::new(contact, open)).collect(), more)
}

fn is_in(text: &SearchTerm, contact: &Contact) -> bool {
    let names = [&contact.name, &contact.first_name, &contact.last_name].into_iter().flatten();
    let all = names.map(String::as_str).chain(contact.phones()).chain(contact.emails());
    let mut all = all.chain(contact.tags.iter().map(String::as_str)).chain([contact.id.as_str()]);
    all.any(|each| text.is_in(each))
}

impl Row {
    fn new(contact: &Contact, open: &str) -> Self {
        let shown = |text: &str, most| format::start(text, most);
        let addresses = contact.phones().chain(contact.emails());
        let mut addresses: Vec<String> = addresses.map(|each| shown(each, ADDRESS)).take(MOST + 1).collect();
        let count = contact.phones().count() + contact.emails().count();
        if count > MOST {
            addresses.truncate(MOST);
            addresses.push(format!("and {} more", count - MOST));
        }
        Self {
            id: contact.id.clone(),
            path: format!("contacts/{}", segment(&contact.id)),
            name: shown(name(contact), NAME),
            avatar: Avatar::of(contact),
            created: contact.date_added.clone().map(Time::from),
            addresses: addresses.join(" · "),
            tags: contact.tags.iter().take(MOST).map(|tag| shown(tag, TAG)).collect(),
            more_tags: contact.tags.len().saturating_sub(MOST),
            do_not_disturb: do_not_disturb(contact).join(", "),
            unsubscribed: contact.unsubscribed,
            is_open: contact.id == open,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{DndChannel, Record};
    use crate::snapshot::seed;

    fn model() -> Model {
        let mut model = Model::try_from(seed()).unwrap();
        let mut linus = Contact::new("linus")
            .name("Linus")
            .phone("+15035550101")
            .additional_phone("+15035550102")
            .email("linus@example.com")
            .additional_email("linus@work.example")
            .tag("vip")
            .do_not_disturb(DndChannel::Sms);
        linus.date_added = Some("2026-01-31T09:30:00.000Z".to_owned());
        let mut barbara = Contact::new("barbara").name("Barbara");
        barbara.date_added = Some("2026-02-01T09:30:00.000Z".to_owned());
        model.put([Record::from(linus), Record::from(barbara)]).unwrap();
        model
    }

    #[test]
    fn the_newest_contact_is_first_and_the_search_finds() {
        let model = model();
        let names = |query: &str| {
            let (rows, _) = rows(&model, &Filter::parse(query), "linus");
            rows.iter().map(|row| row.name.clone()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(names(""), "Barbara Linus Ada Alan Grace");
        for query in ["text=LINUS", "text=5550102", "text=work.example", "text=vip"] {
            assert_eq!(names(query), "Linus", "{query}");
        }
        assert_eq!(names("text=absent"), "");
        let (rows, more) = rows(&model, &Filter { rows: 2, ..Filter::default() }, "linus");
        assert!(more && rows[1].is_open && !rows[0].is_open);
        assert_eq!(rows[1].addresses, "+15035550101 · +15035550102 · linus@example.com · and 1 more");
        assert_eq!(rows[1].do_not_disturb, "SMS");
    }
}
