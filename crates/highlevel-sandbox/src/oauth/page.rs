//! The pages that a person sees: what to install an app on, or what is wrong.
//!
//! They run no script, load nothing, and send no form: a choice is a link. (A policy for forms would also hold for the
//! redirect that follows, to a place that is not known here.)

use super::form::Form;
use super::resource::companies;
use crate::world::World;

/// A page, and the policy that goes with it.
pub(crate) struct Page {
    pub(crate) html: String,
    pub(crate) policy: String,
}

/// The page on which to choose. `nonce` is what lets the page's own style through.
pub(crate) fn choose(query: &Form, world: &World, path: &str, nonce: &str) -> Page {
    let app = escaped(query.get("client_id").unwrap_or_default());
    let mut content =
        vec![format!("<h1>Install the app on&hellip;</h1><p>The app <code>{app}</code> asks for:</p><ul>")];
    let scopes = query.get("scope").unwrap_or_default().split(' ').filter(|scope| !scope.is_empty());
    content.extend(scopes.map(|scope| format!("<li><code>{}</code></li>", escaped(scope))));
    content.push("</ul>".to_owned());
    for company in companies(world) {
        let whole = link(query, path, ("company", company), "The company, with all its locations");
        content.push(format!("<h2>Company {}</h2><p>{whole}</p><ul>", escaped(company)));
        for location in world.locations().filter(|location| location.company_id == company) {
            let name = location.name.as_deref().map_or_else(String::new, |name| format!(" ({name})"));
            let text = format!("{}{name}", location.id);
            content.push(format!("<li>{}</li>", link(query, path, ("location_id", &location.id), &text)));
        }
        content.push("</ul>".to_owned());
    }
    page("Choose a location", &content.concat(), nonce)
}

/// The page that says what is wrong.
pub(crate) fn wrong(words: &str, nonce: &str) -> Page {
    let content = format!(
        "<h1>The app cannot be installed</h1><p>{}</p><p>Nothing was sent to the app.</p>",
        escaped(words)
    );
    page("The app cannot be installed", &content, nonce)
}

fn page(title: &str, content: &str, nonce: &str) -> Page {
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title} - HighLevel sandbox</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><style nonce=\"{nonce}\">\
         body{{font:1rem/1.5 system-ui,sans-serif;max-width:40rem;margin:2rem auto;padding:0 1rem}}\
         h2{{font-size:1rem}}code{{overflow-wrap:anywhere}}</style></head><body><main>{content}</main></body></html>"
    );
    let policy = format!(
        "default-src 'none'; style-src 'nonce-{nonce}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    Page { html, policy }
}

/// A link to the same request with a choice added.
fn link(query: &Form, path: &str, choice: (&str, &str), text: &str) -> String {
    let target = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(query.fields())
        .append_pair(choice.0, choice.1)
        .finish();
    format!("<a href=\"{path}?{}\">{}</a>", escaped(&target), escaped(text))
}

/// Text as it stands in HTML, between tags and in a quoted attribute.
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
    use crate::world;

    const EVIL: &str = "<script>alert('x')</script>\"&";

    #[test]
    fn nothing_of_a_request_is_markup() {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("client_id", EVIL)
            .append_pair("scope", EVIL)
            .append_pair("state", EVIL)
            .finish();
        let query = Form::of_query(&query);
        let mut seed = world::seed();
        seed.locations.push(world::Location::new(EVIL).name(EVIL));
        for page in [choose(&query, &World::try_from(seed).unwrap(), "/path", "n"), wrong(EVIL, "n")] {
            assert!(!page.html.contains("<script") && !page.html.contains("alert('"), "{}", page.html);
            assert!(page.html.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&quot;&amp;"));
        }
    }

    #[test]
    fn a_choice_keeps_the_request() {
        let query = Form::of_query("client_id=a-b&scope=x+y%2Fz&state=1%262");
        let page = choose(&query, &World::try_from(world::seed()).unwrap(), "/p", "n");
        let link = "href=\"/p?client_id=a-b&amp;scope=x+y%2Fz&amp;state=1%262&amp;location_id=l1C08ntBrFjLS0elLIYU\"";
        assert!(page.html.contains(link), "{}", page.html);
    }
}
