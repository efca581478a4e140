//! Conditions on requests.

use std::fmt;

use serde_json::Value;

use super::SentRequest;

/// A condition on requests. From [`message`], [`operation`] or [`any`].
pub struct RequestMatcher {
    text: String,
    conditions: Vec<Box<Condition>>,
}

/// Returns the difference to a request that does not match.
type Condition = dyn Fn(&SentRequest) -> Result<(), String> + Send + Sync;

/// Matches requests that send a message to a contact: [`Messages::send`](crate::Messages::send).
pub fn message() -> RequestMatcher {
    RequestMatcher { text: "message()".to_owned(), conditions: Vec::new() }
        .and(|sent| equal("the operation", &Value::from(sent.operation()), &Value::from("send_message")))
}

/// Matches requests of an operation, by the name that [`Error::operation`](crate::Error::operation) returns: `get_contact`,
/// `add_inbound_message`. Requests of [`Client::request`](crate::Client::request) are `request`.
pub fn operation(name: impl Into<String>) -> RequestMatcher {
    let name = Value::from(name.into());
    RequestMatcher { text: format!("operation({name})"), conditions: Vec::new() }
        .and(move |sent| equal("the operation", &Value::from(sent.operation()), &name))
}

/// Matches all requests.
pub fn any() -> RequestMatcher {
    RequestMatcher { text: "any()".to_owned(), conditions: Vec::new() }
}

impl RequestMatcher {
    /// Requires the contact in the body (`contactId`).
    pub fn to(self, contact: impl AsRef<str>) -> Self {
        self.equals("to", "/contactId", contact.as_ref())
    }

    /// Requires the whole text of the message in the body (`message`).
    pub fn text(self, text: impl AsRef<str>) -> Self {
        self.equals("text", "/message", text.as_ref())
    }

    /// Requires the channel in the body (`type`): `SMS`, `Email`, `WhatsApp`.
    pub fn channel(self, channel: impl AsRef<str>) -> Self {
        self.equals("channel", "/type", channel.as_ref())
    }

    /// Requires a value in the body, by its JSON pointer: `/emailCc/0`.
    pub fn field(self, pointer: impl Into<String>, value: impl Into<Value>) -> Self {
        let (pointer, value) = (pointer.into(), value.into());
        let text = format!(".field({pointer:?}, {value})");
        self.described(&text, move |sent| compare(sent, &pointer, &value))
    }

    /// Requires the path of the URL, without the query: `/contacts/abc123def456`.
    pub fn path(self, path: impl Into<String>) -> Self {
        let path = Value::from(path.into());
        let text = format!(".path({path})");
        self.described(&text, move |sent| equal("the path", &Value::from(sent.path()), &path))
    }

    /// Requires that a function returns `true`. `name` describes it in messages.
    pub fn matching(
        self,
        name: &str,
        condition: impl Fn(&SentRequest) -> bool + Send + Sync + 'static,
    ) -> Self {
        let message = format!("it is not {name}");
        self.described(&format!(".matching({name:?})"), move |sent| {
            if condition(sent) { Ok(()) } else { Err(message.clone()) }
        })
    }

    fn equals(self, name: &str, pointer: &'static str, value: &str) -> Self {
        let text = format!(".{name}({value:?})");
        let value = Value::from(value);
        self.described(&text, move |sent| compare(sent, pointer, &value))
    }

    fn described(
        mut self,
        text: &str,
        condition: impl Fn(&SentRequest) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        self.text.push_str(text);
        self.and(condition)
    }

    fn and(mut self, condition: impl Fn(&SentRequest) -> Result<(), String> + Send + Sync + 'static) -> Self {
        self.conditions.push(Box::new(condition));
        self
    }

    /// Returns the first difference to a request, or `None` if it matches.
    pub(super) fn difference(&self, sent: &SentRequest) -> Option<String> {
        self.conditions.iter().find_map(|condition| condition(sent).err())
    }
}

fn compare(sent: &SentRequest, pointer: &str, expected: &Value) -> Result<(), String> {
    let json = sent.json().unwrap_or_default();
    let value = json.pointer(pointer).unwrap_or(&Value::Null);
    equal(&format!("`{}`", pointer.trim_start_matches('/').replace('/', ".")), value, expected)
}

fn equal(subject: &str, value: &Value, expected: &Value) -> Result<(), String> {
    if value == expected { Ok(()) } else { Err(format!("{subject} is {value}, expected {expected}")) }
}

/// Writes the matcher as it was built.
impl fmt::Display for RequestMatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for RequestMatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
