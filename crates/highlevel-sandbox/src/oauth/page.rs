//! The HTML pages of the authorization: choosing a location or company, and errors.
//!
//! The pages run no scripts and load no resources. The form contains a token, so that pages of other sites cannot submit
//! it. The content security policy has no `form-action`, because browsers also apply it to the redirect to the app.

use std::collections::BTreeMap;

use super::authorize::{FIELDS, FUTURE_LOCATIONS};
use super::form::Form;
use super::resource::companies;
use crate::model::{Location, Model};

/// The maximum number of locations on a page.
const MAX_LOCATIONS: usize = 200;
/// The maximum length of a location's name, in characters. Longer names are cut.
const MAX_NAME: usize = 200;

/// The field with the choice, `location_id=ID` or `company=ID`.
const CHOICE_FIELD: &str = "choice";
/// The fields of a request that specify a choice.
const CHOICE_FIELDS: [&str; 2] = ["location_id", "company"];
/// The field with the token of the form.
pub(crate) const TOKEN_FIELD: &str = "choice_token";

/// A page and its content security policy.
pub(crate) struct Page {
    pub(crate) html: String,
    pub(crate) policy: String,
}

/// Returns the page for choosing. `nonce` allows the embedded style sheet, and `token` proves that the form was issued by
/// the sandbox. `future_locations` is the initial state of the checkbox for locations that are created later.
pub(crate) fn choose(
    query: &Form,
    model: &Model,
    path: &str,
    (token, nonce): (&str, &str),
    future_locations: bool,
) -> Page {
    let app = escaped(query.get("client_id").unwrap_or_default());
    let mut content = vec![format!(
        "<h1>Install the app on&hellip;</h1><p>The app <code>{app}</code> requests these scopes:</p><ul>"
    )];
    let scopes = query.get("scope").unwrap_or_default().split(' ').filter(|scope| !scope.is_empty());
    content.extend(scopes.map(|scope| format!("<li><code>{}</code></li>", escaped(scope))));
    content.push(format!("</ul><form method=\"post\" action=\"{path}\">"));
    // The fields of the request. Unknown fields are not repeated.
    let request = FIELDS.iter().filter_map(|name| Some((*name, query.get(name)?)));
    content.extend(request.chain([(TOKEN_FIELD, token)]).map(|(name, value)| {
        format!("<input type=\"hidden\" name=\"{}\" value=\"{}\">", escaped(name), escaped(value))
    }));
    let checked = if future_locations { " checked" } else { "" };
    content.push(format!(
        "<p><label><input type=\"checkbox\" name=\"{FUTURE_LOCATIONS}\" value=\"true\"{checked}> For a company, also \
         install on locations that are created later</label></p>"
    ));
    let mut by_company: BTreeMap<&str, Vec<&Location>> = BTreeMap::new();
    for location in model.locations().take(MAX_LOCATIONS) {
        by_company.entry(&location.company_id).or_default().push(location);
    }
    let mut listed = 0;
    for company in companies(model).into_iter().take(MAX_LOCATIONS) {
        let whole = button(("company", company), "Entire company (all locations)");
        content.push(format!("<h2>Company {}</h2><p>{whole}</p><ul>", escaped(company)));
        for location in by_company.remove(company).into_iter().flatten() {
            listed += 1;
            let name = location.name.as_deref().map_or_else(String::new, |name| format!(" ({name})"));
            let name: String = name.chars().take(MAX_NAME).collect();
            let text = format!("{}{name}", location.id);
            content.push(format!("<li>{}</li>", button(("location_id", &location.id), &text)));
        }
        content.push("</ul>".to_owned());
    }
    content.push("</form>".to_owned());
    let more = model.locations().count() - listed;
    if more > 0 {
        content.push(format!(
            "<p>… and {more} more locations. To choose one of them, add <code>location_id</code> to the address.</p>"
        ));
    }
    page("Choose a location", &content.concat(), nonce)
}

/// Returns the name and value of the request field for the pressed button of a form.
pub(crate) fn choice_of(form: &Form) -> Option<(&str, &str)> {
    let (name, value) = form.get(CHOICE_FIELD)?.split_once('=')?;
    CHOICE_FIELDS.contains(&name).then_some((name, value))
}

/// Returns a page with an error message.
pub(crate) fn error(message: &str, nonce: &str) -> Page {
    let content = format!(
        "<h1>The app cannot be installed</h1><p>{}</p><p>Nothing was sent to the app.</p>",
        escaped(message)
    );
    page("The app cannot be installed", &content, nonce)
}

fn page(title: &str, content: &str, nonce: &str) -> Page {
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title} - HighLevel sandbox</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><style nonce=\"{nonce}\">\
         body{{font:1rem/1.5 system-ui,sans-serif;max-width:40rem;margin:2rem auto;padding:0 1rem}}\
         h2{{font-size:1rem}}code{{overflow-wrap:anywhere}}\
         button{{font:inherit;padding:.25rem .5rem;overflow-wrap:anywhere;text-align:start}}</style></head><body><main>{content}</main></body></html>"
    );
    let policy =
        format!("default-src 'none'; style-src 'nonce-{nonce}'; base-uri 'none'; frame-ancestors 'none'");
    Page { html, policy }
}

/// Returns the button for a choice.
fn button(choice: (&str, &str), text: &str) -> String {
    let value = escaped(&format!("{}={}", choice.0, choice.1));
    format!("<button name=\"{CHOICE_FIELD}\" value=\"{value}\">{}</button>", escaped(text))
}

/// Escapes text for use in HTML content and quoted attributes.
fn escaped(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut html, character| {
        match character {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            other => html.push(other),
        }
        html
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model;

    const MARKUP: &str = "<script>alert('x')</script>\"&";

    #[test]
    fn values_of_a_request_are_escaped() {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("client_id", MARKUP)
            .append_pair("scope", MARKUP)
            .append_pair("state", MARKUP)
            .finish();
        let query = Form::parse_query(&query).unwrap();
        let mut seed = crate::snapshot::seed();
        seed.locations.push(model::Location::new(MARKUP).name(MARKUP));
        for page in
            [choose(&query, &Model::try_from(seed).unwrap(), "/path", ("t", "n"), false), error(MARKUP, "n")]
        {
            assert!(!page.html.contains("<script") && !page.html.contains("alert('"), "{}", page.html);
            assert!(page.html.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&quot;&amp;"));
        }
    }

    #[test]
    fn the_form_contains_the_request_and_a_button_per_choice() {
        let query =
            Form::parse_query("client_id=a-b&scope=x+y%2Fz&state=1%262&location_id=elsewhere").unwrap();
        let page = choose(
            &query,
            &Model::try_from(crate::snapshot::seed()).unwrap(),
            "/p",
            ("the token", "n"),
            true,
        );
        for (part, times) in [
            ("<form method=\"post\" action=\"/p\">", 1),
            ("name=\"scope\" value=\"x y/z\"", 1),
            ("name=\"state\" value=\"1&amp;2\"", 1),
            ("name=\"choice_token\" value=\"the token\"", 1),
            ("name=\"install_to_future_locations\" value=\"true\" checked>", 1),
            ("name=\"location_id\"", 0),
            ("name=\"choice\" value=\"location_id=l1C08ntBrFjLS0elLIYU\"", 1),
        ] {
            assert_eq!(page.html.matches(part).count(), times, "{part} in {}", page.html);
        }
        let form = Form::parse_query("choice=location_id%3Dl1").unwrap();
        assert_eq!(choice_of(&form), Some(("location_id", "l1")));
        assert_eq!(choice_of(&Form::parse_query("choice=scope%3Dall").unwrap()), None);
    }

    #[test]
    fn the_size_of_a_page_is_bounded() {
        let query = Form::parse_query(&format!("client_id=a-b&other={}", "x".repeat(60_000))).unwrap();
        let mut seed = crate::snapshot::seed();
        let locations = (0..5_000).map(|number| {
            let company = format!("company{}", number % 500);
            model::Location::new(format!("location{number}")).company(company).name("<".repeat(1_000))
        });
        seed.locations.extend(locations);
        let page = choose(&query, &Model::try_from(seed).unwrap(), "/p", ("t", "n"), false);
        assert!(page.html.contains("and 4801 more locations"));
        assert!(page.html.len() < 300_000, "{} bytes", page.html.len());
    }
}
