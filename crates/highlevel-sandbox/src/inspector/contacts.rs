//! The Contacts tab: contacts with their addresses, tags, notes and do-not-disturb settings.

mod detail;
mod form;
mod list;

use std::sync::Arc;

use askama::Template;
use http::{Method, StatusCode};

use super::connect::{self, Panel};
use super::conversations::segment;
use super::filter::Filter;
use super::format::Time;
use super::page::Frame;
use super::response::{PageResponse, done};
use super::route::{PageRequest, Route};
use crate::access::INSPECTOR_PATH as PATH;
use crate::api_error::ApiError;
use crate::engine::{ContactError, Engine};
use crate::model::{Kind, Model};
use detail::OpenContact;
use form::ContactForm;
use list::Row;

pub(super) const ROUTES: &[Route] = &[
    Route { method: Method::GET, path: "contacts", handler: show },
    Route { method: Method::POST, path: "contacts", handler: create },
    Route { method: Method::GET, path: "contacts/{contact}", handler: show },
    Route { method: Method::POST, path: "contacts/{contact}", handler: update },
    Route { method: Method::GET, path: "contacts/{contact}/edit", handler: edit },
    Route {
        method: Method::POST,
        path: "contacts/{contact}/delete",
        handler: |state, page_request| done(delete(state, page_request)),
    },
    Route {
        method: Method::POST,
        path: "contacts/{contact}/notes",
        handler: |state, page_request| done(add_note(state, page_request)),
    },
    // Not below `contacts/`, where it could be the ID of a contact.
    Route { method: Method::GET, path: "new-contact", handler: edit },
];

/// The right pane of the page.
enum Pane {
    Nothing,
    Details(Box<OpenContact>),
    Form(Box<ContactForm>),
}

#[derive(Template)]
#[template(path = "contacts.html")]
struct ContactsPage {
    frame: Frame,
    /// The path of the search form, which keeps the open contact.
    search: String,
    rows: Vec<Row>,
    longer: Option<String>,
    pane: Pane,
    /// The Connect panel, while no program is connected and no contact is open.
    connect: Option<Panel>,
}

/// Shows the list, and the contact in the path.
fn show(state: &Arc<Engine>, page_request: &PageRequest) -> PageResponse {
    let id = page_request.parameter(0);
    let model = state.shared_model();
    let (pane, title) = match model.contact(id) {
        Some(contact) => {
            let details = OpenContact::new(&model, contact);
            let title = details.name.clone();
            (Pane::Details(Box::new(details)), title)
        }
        None if id.is_empty() => (Pane::Nothing, "Contacts".to_owned()),
        None => return missing(id).into(),
    };
    page(state, &model, page_request, StatusCode::OK, pane, &title)
}

/// Shows the form for a new contact, or for that in the path.
fn edit(state: &Arc<Engine>, page_request: &PageRequest) -> PageResponse {
    let id = page_request.parameter(0);
    let model = state.shared_model();
    let form = match model.contact(id) {
        Some(contact) => ContactForm::of(contact),
        None if id.is_empty() => ContactForm::empty(&model, &state.account.location_id),
        None => return missing(id).into(),
    };
    with_form(state, &model, page_request, StatusCode::OK, form)
}

fn create(state: &Arc<Engine>, page_request: &PageRequest) -> PageResponse {
    let model = state.shared_model();
    let mut form = ContactForm::sent(&model, None, &state.account.location_id, page_request);
    if !form.has_valid_id(&model) {
        return with_form(state, &model, page_request, StatusCode::UNPROCESSABLE_ENTITY, form);
    }
    // A change copies the model while it is shared.
    drop(model);
    let id = form.id.clone().filter(|id| !id.is_empty());
    match state.create_contact(id, &form.location, &form.input(None)) {
        Ok(contact) if page_request.field("to").as_deref() == Some("conversation") => {
            PageResponse::See(format!("{PATH}/{}", super::conversations::path(&contact.id)))
        }
        Ok(contact) => PageResponse::See(address(&contact.id)),
        Err(error) => rejected(state, page_request, form, error),
    }
}

fn update(state: &Arc<Engine>, page_request: &PageRequest) -> PageResponse {
    let id = page_request.parameter(0);
    let model = state.shared_model();
    let Some(contact) = model.contact(id) else { return missing(id).into() };
    let form = ContactForm::sent(&model, Some(contact), &contact.location_id, page_request);
    let input = form.input(Some(contact));
    // A change copies the model while it is shared.
    drop(model);
    match state.update_contact(id, &input) {
        Ok(contact) => PageResponse::See(address(&contact.id)),
        Err(error) => rejected(state, page_request, form, error),
    }
}

/// Shows a form again, with each error at its field.
fn rejected(
    state: &Arc<Engine>,
    page_request: &PageRequest,
    mut form: ContactForm,
    error: ContactError,
) -> PageResponse {
    match error {
        ContactError::Rejected(rejection) => form.reject(rejection),
        ContactError::Mutation(error) => {
            let error = ApiError::from(error);
            if error.status != StatusCode::CONFLICT {
                return error.into();
            }
            form.problem = Some(error.message);
        }
    }
    with_form(state, &state.shared_model(), page_request, StatusCode::UNPROCESSABLE_ENTITY, form)
}

fn with_form(
    state: &Engine,
    model: &Model,
    page_request: &PageRequest,
    status: StatusCode,
    form: ContactForm,
) -> PageResponse {
    let title = if form.is_new() { "New contact" } else { "Edit contact" };
    page(state, model, page_request, status, Pane::Form(Box::new(form)), title)
}

fn page(
    state: &Engine,
    model: &Model,
    page_request: &PageRequest,
    status: StatusCode,
    pane: Pane,
    title: &str,
) -> PageResponse {
    let filter = page_request.filter();
    let id = page_request.parameter(0);
    let (rows, more) = list::rows(model, &filter, id);
    let search = match &pane {
        Pane::Details(details) => format!("contacts/{}", details.segment),
        Pane::Nothing | Pane::Form(_) => "contacts".to_owned(),
    };
    let longer = filter.longer().filter(|_| more);
    let longer = longer.map(|longer| format!("{PATH}/{search}{}", longer.query()));
    let mut frame = Frame::new(state, "contacts", title, filter);
    if matches!(pane, Pane::Form(_)) {
        // A refresh would remove the errors.
        frame.live = "";
    }
    let connect = match pane {
        Pane::Nothing => connect::for_empty_view(state, page_request, &mut frame),
        Pane::Details(_) | Pane::Form(_) => None,
    };
    PageResponse::page_with(status, &ContactsPage { frame, search, rows, longer, pane, connect })
}

fn delete(state: &Engine, page_request: &PageRequest) -> Result<PageResponse, ApiError> {
    let id = page_request.parameter(0);
    if !state.delete(Kind::Contact, id) {
        return Err(missing(id));
    }
    Ok(PageResponse::See(format!("{PATH}/contacts{}", page_request.filter().query())))
}

fn add_note(state: &Engine, page_request: &PageRequest) -> Result<PageResponse, ApiError> {
    let id = page_request.parameter(0);
    let text = page_request.text_area("note").filter(|text| !text.trim().is_empty());
    let text = text.ok_or_else(|| ApiError::bad_request("the note is empty; enter a text"))?;
    match state.add_contact_note(id, text.trim()) {
        Ok(()) => Ok(PageResponse::See(address(id))),
        Err(ContactError::Mutation(error)) => Err(error.into()),
        Err(ContactError::Rejected(_)) => Err(ApiError::bad_request(crate::api::too_many_notes())),
    }
}

fn missing(id: &str) -> ApiError {
    ApiError::not_found(format!("contact {id} not found"))
}

fn address(id: &str) -> String {
    format!("{PATH}/contacts/{}", segment(id))
}

impl ContactsPage {
    /// Returns the time for contacts created today and the date for all others, in sandbox time.
    fn when<'a>(&self, at: &'a Time) -> &'a str {
        if at.day() == self.frame.now.day() { at.clock() } else { at.day() }
    }

    fn details(&self) -> Option<&OpenContact> {
        match &self.pane {
            Pane::Details(details) => Some(details),
            Pane::Nothing | Pane::Form(_) => None,
        }
    }

    fn form(&self) -> Option<&ContactForm> {
        match &self.pane {
            Pane::Form(form) => Some(form),
            Pane::Nothing | Pane::Details(_) => None,
        }
    }

    fn filter(&self) -> &Filter {
        &self.frame.filter
    }

    /// Returns the options of the selections that the search form of contacts does not have.
    fn no_options() -> [&'static str; 0] {
        []
    }
}
