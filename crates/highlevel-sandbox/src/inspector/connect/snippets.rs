//! Programs that send one message, and the environment variables, to copy.

use crate::shell::quoted;

/// A text to copy.
pub(in crate::inspector) struct Snippet {
    pub(in crate::inspector) name: &'static str,
    /// The ID of its element.
    pub(in crate::inspector) element: &'static str,
    /// The commands that install what it needs, or its file name.
    pub(in crate::inspector) hint: &'static str,
    pub(in crate::inspector) parts: Vec<Part>,
}

/// A part of a text.
pub(in crate::inspector) struct Part {
    pub(in crate::inspector) text: String,
    /// `true` if it is masked until the user shows it.
    pub(in crate::inspector) is_secret: bool,
}

/// Returns all snippets: cURL first, the environment last.
pub(super) fn all(
    base_url: &str,
    token: &str,
    contact: &str,
    environment: &[(&'static str, &str, bool)],
) -> Vec<Snippet> {
    // JSON strings are also strings of JavaScript, Python and Rust, except for escapes, which IDs and tokens do not have.
    let text = |value: &str| serde_json::Value::from(value).to_string();
    let (url, secret, id) = (text(base_url), text(token), text(contact));
    let snippet = |name, element, hint, (before, secret, after): (String, String, String)| Snippet {
        name,
        element,
        hint,
        parts: vec![
            Part { text: before, is_secret: false },
            Part { text: secret, is_secret: true },
            Part { text: after, is_secret: false },
        ],
    };
    let body = format!(r#"{{"type":"SMS","contactId":{id},"message":"Hello","status":"pending"}}"#);
    let curl = (
        format!("curl {} \\\n  -H ", quoted(&format!("{base_url}/conversations/messages"))),
        quoted(&format!("Authorization: Bearer {token}")),
        format!(
            " \\\n  -H 'Version: 2021-04-15' \\\n  -H 'Content-Type: application/json' \\\n  -d {}",
            quoted(&body)
        ),
    );
    let fetch = (
        format!(
            "const response = await fetch({url} + \"/conversations/messages\", {{\n  method: \"POST\",\n  headers: \
             {{\n    Authorization: \"Bearer \" + "
        ),
        secret.clone(),
        format!(
            ",\n    Version: \"2021-04-15\",\n    \"Content-Type\": \"application/json\",\n  }},\n  body: JSON.stringify({{ \
             type: \"SMS\", contactId: {id}, message: \"Hello\", status: \"pending\" }}),\n}});\n\
             console.log(response.status, await response.json());"
        ),
    );
    let javascript = (
        format!(
            "import {{ HighLevel }} from \"@gohighlevel/api-client\";\n\n\
             HighLevel.BASE_URL = {url}; // remove for the live API\n\
             const highlevel = new HighLevel({{ privateIntegrationToken: "
        ),
        secret.clone(),
        format!(
            " }});\nconst sent = await highlevel.conversations.sendANewMessage({{\n  type: \"SMS\",\n  contactId: {id},\n  \
             message: \"Hello\",\n  status: \"pending\",\n}});\nconsole.log(sent);"
        ),
    );
    let python = (
        format!(
            "import asyncio\nfrom highlevel import HighLevel\n\n\n\
             class Sandbox(HighLevel):  # for the live API use HighLevel\n    BASE_URL = {url}\n\n\n\
             async def main():\n    client = Sandbox(private_integration_token="
        ),
        secret.clone(),
        format!(
            ")\n    message = {{\"type\": \"SMS\", \"contactId\": {id}, \"message\": \"Hello\", \"status\": \"pending\"}}\n    \
             print(await client.conversations.send_a_new_message(message))\n\n\nasyncio.run(main())"
        ),
    );
    let rust = (
        "use highlevel::{Client, Sms};\n\n#[tokio::main]\nasync fn main() -> highlevel::Result<()> {\n    \
         let client = Client::builder()\n        .token("
            .to_owned(),
        secret,
        format!(
            ")\n        .base_url({url}) // remove for the live API\n        .build()?;\n    \
             let sent = client.messages().send(Sms::to({id}).text(\"Hello\")).await?;\n    \
             println!(\"{{}}\", sent.message_id());\n    Ok(())\n}}"
        ),
    );
    vec![
        snippet("cURL", "connect-curl", "", curl),
        snippet(
            "JavaScript (fetch)",
            "connect-fetch",
            "an ES module: save it as `hello.mjs`, and run `node hello.mjs`",
            fetch,
        ),
        snippet(
            "JavaScript (official SDK)",
            "connect-javascript",
            "`npm install @gohighlevel/api-client`, then as `hello.mjs`",
            javascript,
        ),
        snippet("Python (official SDK)", "connect-python", "`pip install gohighlevel-api-client`", python),
        snippet(
            "Rust (highlevel)",
            "connect-rust",
            "with the crates `highlevel` and `tokio`, features `macros` and `rt-multi-thread`",
            rust,
        ),
        Snippet { name: ".env", element: "connect-env", hint: "", parts: environment_parts(environment) },
    ]
}

/// Returns the lines of an `.env` file.
fn environment_parts(environment: &[(&'static str, &str, bool)]) -> Vec<Part> {
    let is_plain =
        |value: &str| value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:/+=".contains(&byte));
    environment
        .iter()
        .flat_map(|(name, value, is_secret)| {
            let value = if is_plain(value) { (*value).to_owned() } else { quoted(value) };
            [
                Part { text: format!("{name}="), is_secret: false },
                Part { text: value, is_secret: *is_secret },
                Part { text: "\n".to_owned(), is_secret: false },
            ]
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(snippet: &Snippet) -> String {
        snippet.parts.iter().map(|part| part.text.as_str()).collect()
    }

    #[test]
    fn each_snippet_masks_the_token_and_has_all_values() {
        let environment = [("HIGHLEVEL_TOKEN", "pit-1", true), ("HIGHLEVEL_BASE_URL", "http://a:1", false)];
        let snippets = all("http://a:1", "pit-1", "c1", &environment);
        assert_eq!(snippets.len(), 6);
        for snippet in &snippets {
            let shown = text(snippet);
            assert!(shown.contains("pit-1") && shown.contains("http://a:1"), "{shown}");
            assert!(snippet.name == ".env" || shown.contains("c1"), "{shown}");
            for part in snippet.parts.iter().filter(|part| !part.is_secret) {
                assert!(!part.text.contains("pit-1"), "{}: {}", snippet.name, part.text);
            }
        }
        assert_eq!(text(&snippets[5]), "HIGHLEVEL_TOKEN=pit-1\nHIGHLEVEL_BASE_URL=http://a:1\n");
    }

    #[test]
    fn values_of_variables_are_quoted_if_a_shell_would_change_them() {
        let parts = environment_parts(&[("A", "b c$d", false)]);
        assert_eq!(parts.iter().map(|part| part.text.as_str()).collect::<String>(), "A='b c$d'\n");
    }
}
