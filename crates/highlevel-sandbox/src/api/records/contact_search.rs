//! Searching contacts.

use std::cmp::{Ordering, Reverse};
use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::contact_view::{date_added, date_updated, found, full_name, milliseconds};
use super::search_index::SearchIndex;
use super::{ErrorResponse, RecordRequest, Reply};
use crate::model::Contact;
use crate::spec::Violation;

/// The maximum number of contacts on a page.
const MAX_PAGE: i64 = 500;

/// The maximum number of filters, and of their values altogether. Each one is compared with all contacts.
const MAX_FILTERS: usize = 20;
const MAX_VALUES: usize = 100;
/// The maximum length of a search term and of a value, in bytes.
const MAX_TERM: usize = 400;

/// A condition of a search.
struct Filter<'a> {
    field: &'a str,
    operator: &'a str,
    /// In lower case.
    wanted: BTreeSet<String>,
}

impl RecordRequest<'_> {
    pub(super) fn search_contacts(&self) -> Result<Reply, ErrorResponse> {
        if self.text("query").is_some_and(|query| query.len() > MAX_TERM) {
            let long = Violation::new("/query", "maxLength", "has more than 400 bytes");
            return Err(ErrorResponse::invalid(&[long], 0));
        }
        let filters = self.filters()?;
        let (by_added, ascending) = self.order()?;
        let term = self.text("query").map(str::to_lowercase).filter(|term| !term.trim().is_empty());
        let key = |contact: &Contact| {
            milliseconds(if by_added { date_added(contact) } else { date_updated(contact) })
        };
        let compare = |left: (i64, &str), right: (i64, &str)| -> Ordering {
            let order = left.cmp(&right);
            if ascending { order } else { order.reverse() }
        };
        let matching = SearchIndex::new(self.model, self.unindexed).contacts().filter(|contact| {
            contact.location_id == self.location
                && term.as_deref().is_none_or(|term| contains(contact, term.trim()))
                && filters.iter().all(|filter| filter.matches(contact))
        });
        let mut all: Vec<(i64, &Contact)> = matching.map(|contact| (key(contact), contact)).collect();
        all.sort_by(|left, right| compare((left.0, &left.1.id), (right.0, &right.1.id)));

        let total = all.len();
        let number = |field: &str| self.body.get(field).and_then(Value::as_i64);
        let limit = usize::try_from(number("pageLimit").unwrap_or(20).clamp(1, MAX_PAGE)).unwrap_or(1);
        let after = self.body.get("searchAfter").and_then(Value::as_array).filter(|after| !after.is_empty());
        let skipped = if let Some(after) = after {
            let after = (
                after.first().and_then(Value::as_i64).unwrap_or_default(),
                after.get(1).and_then(Value::as_str).unwrap_or_default(),
            );
            all.partition_point(|(key, contact)| compare((*key, &contact.id), after) != Ordering::Greater)
        } else {
            let page = usize::try_from(number("page").unwrap_or(1).max(1)).unwrap_or(usize::MAX);
            (page - 1).saturating_mul(limit)
        };
        let page = all.into_iter().skip(skipped).take(limit);
        let page = page.map(|(key, contact)| {
            let mut view = found(contact);
            view["searchAfter"] = json!([key, contact.id]);
            view
        });
        Ok(Reply::ok(json!({ "contacts": page.collect::<Value>(), "total": total })))
    }

    /// The latest contact comes first. A page continues after the date and the ID of a contact.
    pub(super) fn list_contacts(&self) -> Reply {
        let query = &self.query;
        let term = query.get("query").map(str::to_lowercase);
        let matching = self.model.contacts().filter(|contact| {
            contact.location_id == self.location
                && term.as_deref().is_none_or(|term| contains(contact, term.trim()))
        });
        let mut all: Vec<(i64, &Contact)> =
            matching.map(|contact| (milliseconds(date_added(contact)), contact)).collect();
        all.sort_by_key(|(date, contact)| Reverse((*date, &contact.id)));
        let (total, limit) = (all.len(), query.limit(20, 100));
        let after = (query.number("startAfter"), query.get("startAfterId").unwrap_or_default());
        let skipped = after.0.map_or(0, |date| {
            all.partition_point(|(added, contact)| (*added, contact.id.as_str()) >= (date, after.1))
        });
        let page: Vec<(i64, &Contact)> = all.into_iter().skip(skipped).take(limit).collect();
        let number = skipped / limit + 1;
        let has_more = skipped + page.len() < total;
        let mut meta = json!({
            "total": total, "currentPage": number, "nextPage": has_more.then_some(number + 1),
        });
        if let Some((date, contact)) = page.last() {
            (meta["startAfter"], meta["startAfterId"]) = (json!(date), json!(contact.id));
        }
        let contacts: Value = page.iter().map(|(_, contact)| found(contact)).collect();
        Reply::ok(json!({ "contacts": contacts, "count": total, "meta": meta }))
    }

    fn filters(&self) -> Result<Vec<Filter<'_>>, ErrorResponse> {
        let filters = self.body.get("filters").and_then(Value::as_array).into_iter().flatten();
        let (mut found, mut values) = (Vec::new(), 0);
        for (index, filter) in filters.enumerate() {
            let wanted = wanted(&filter["value"]);
            values += wanted.len();
            let text = |name: &str| filter[name].as_str().unwrap_or_default();
            let (field, operator) = (text("field"), text("operator"));
            let problem = if filter.get("filters").is_some() {
                "is a group, which the sandbox does not support; list its filters instead"
            } else if !matches!(
                operator,
                "eq" | "not_eq" | "contains" | "not_contains" | "exists" | "not_exists"
            ) {
                "has an unsupported operator; use eq, not_eq, contains, not_contains, exists or not_exists"
            } else if !FILTERED.contains(&field) {
                "has an unsupported field; use id, email, phone, firstName, lastName, contactName, tags or companyName"
            } else if index >= MAX_FILTERS || values > MAX_VALUES {
                "exceeds the limit of the sandbox; use at most 20 filters with 100 values altogether"
            } else if wanted.iter().any(|value| value.len() > MAX_TERM) {
                "has a value of more than 400 bytes"
            } else {
                found.push(Filter { field, operator, wanted });
                continue;
            };
            return Err(ErrorResponse::invalid(
                &[Violation::new(&format!("/filters/{index}"), "filter", problem)],
                0,
            ));
        }
        Ok(found)
    }

    /// Returns `true` for an order by the time of creation, and `true` for an ascending one.
    fn order(&self) -> Result<(bool, bool), ErrorResponse> {
        let sort = &self.body["sort"][0];
        let by_added = match sort["field"].as_str() {
            None | Some("dateAdded") => true,
            Some("dateUpdated") => false,
            Some(_) => {
                let problem = "is an unsupported field; use dateAdded or dateUpdated";
                return Err(ErrorResponse::invalid(&[Violation::new("/sort/0/field", "sort", problem)], 0));
            }
        };
        Ok((by_added, sort["direction"] == "asc"))
    }
}

const FILTERED: [&str; 8] =
    ["id", "email", "phone", "firstName", "lastName", "contactName", "tags", "companyName"];

impl Filter<'_> {
    fn matches(&self, contact: &Contact) -> bool {
        let values = values(contact, self.field);
        let equal = || values.iter().any(|value| self.wanted.contains(value));
        let contained = || values.iter().any(|value| self.wanted.iter().any(|wanted| value.contains(wanted)));
        match self.operator {
            "eq" => equal(),
            "not_eq" => !equal(),
            "contains" => contained(),
            "not_contains" => !contained(),
            "exists" => !values.is_empty(),
            _ => values.is_empty(),
        }
    }
}

/// Returns the values of a filter in lower case.
fn wanted(value: &Value) -> BTreeSet<String> {
    match value {
        Value::Array(values) => values.iter().filter_map(Value::as_str).map(str::to_lowercase).collect(),
        value => value.as_str().map(str::to_lowercase).into_iter().collect(),
    }
}

/// Returns the values of a field in lower case.
fn values(contact: &Contact, field: &str) -> Vec<String> {
    let one = |value: Option<&str>| value.map(str::to_lowercase).into_iter().collect();
    match field {
        "id" => vec![contact.id.to_lowercase()],
        "email" => contact.emails().map(str::to_lowercase).collect(),
        "phone" => contact.phones().map(str::to_lowercase).collect(),
        "firstName" => one(super::contact_view::names(contact).0),
        "lastName" => one(super::contact_view::names(contact).1),
        "contactName" => one(full_name(contact).as_deref()),
        "tags" => contact.tags.iter().map(|tag| tag.to_lowercase()).collect(),
        _ => one(contact.fields.get(field).and_then(Value::as_str)),
    }
}

/// Returns `true` if a name or an address contains a term in lower case.
fn contains(contact: &Contact, term: &str) -> bool {
    full_name(contact).is_some_and(|name| name.to_lowercase().contains(term))
        || contact.emails().chain(contact.phones()).any(|address| address.to_lowercase().contains(term))
}
