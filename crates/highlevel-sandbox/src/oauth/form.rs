//! The fields of a form, in a body or a query.

use std::borrow::Cow;
use std::collections::HashSet;

/// The most fields that a form or a query may have, fields without a value included.
pub(crate) const MAX_FIELDS: usize = 100;

/// Names and values, decoded. What has no value is as good as missing (RFC 6749, section 3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Form(Vec<(String, String)>);

impl Form {
    /// Reads a query.
    pub(crate) fn of_query(query: &str) -> Result<Self, String> {
        Self::of_fields(form_urlencoded::parse(query.as_bytes()))
            .map_err(|()| format!("the query has more than {MAX_FIELDS} fields"))
    }

    /// Reads a body, if it is a form; otherwise what is wrong.
    pub(crate) fn of_body(content_type: Option<&str>, body: &[u8]) -> Result<Self, String> {
        let media_type = content_type.and_then(|value| value.split(';').next()).map(str::trim);
        if !media_type.is_some_and(|found| found.eq_ignore_ascii_case("application/x-www-form-urlencoded")) {
            let found = content_type.map_or_else(|| "missing".to_owned(), |found| format!("`{found}`"));
            return Err(format!(
                "Invalid request: content must be application/x-www-form-urlencoded; the Content-Type is {found}"
            ));
        }
        let form = Self::of_fields(form_urlencoded::parse(body))
            .map_err(|()| format!("Invalid request: the form has more than {MAX_FIELDS} fields"))?;
        match form.twice() {
            Some(name) => Err(format!("Invalid request: `{name}` is there twice")),
            None => Ok(form),
        }
    }

    /// The same form with one more field.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.0.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Takes no more fields than are allowed, however many there are.
    fn of_fields<'a>(fields: impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)>) -> Result<Self, ()> {
        let mut found = Vec::new();
        for (place, (name, value)) in fields.enumerate() {
            if place == MAX_FIELDS {
                return Err(());
            }
            if !value.is_empty() {
                found.push((name.into_owned(), value.into_owned()));
            }
        }
        Ok(Self(found))
    }

    /// The value of a field.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(each, _)| each == name).map(|(_, value)| value.as_str())
    }

    /// All values of a field.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(each, _)| each == name).map(|(_, value)| value.as_str())
    }

    /// A field that has more than one value.
    pub(crate) fn twice(&self) -> Option<&str> {
        let mut seen = HashSet::with_capacity(self.0.len());
        self.0.iter().map(|(name, _)| name.as_str()).find(|name| !seen.insert(*name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_forms_are_read() {
        let form = "application/x-www-form-urlencoded";
        let fields = |fields: &[(&str, &str)]| {
            Ok(Form(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()))
        };
        let refused = |words: &str| Err(format!("Invalid request: {words}"));
        let other = "content must be application/x-www-form-urlencoded; the Content-Type is ";
        for (content_type, body, expected) in [
            (Some(form), "a=1&b=x+y%26", fields(&[("a", "1"), ("b", "x y&")])),
            (Some("Application/X-WWW-form-urlencoded; charset=utf-8"), "a=1&b=", fields(&[("a", "1")])),
            (Some(form), "", fields(&[])),
            (Some(form), "a=1&b=2&a=1", refused("`a` is there twice")),
            (Some("application/json"), "{}", refused(&format!("{other}`application/json`"))),
            (None, "a=1", refused(&format!("{other}missing"))),
        ] {
            assert_eq!(Form::of_body(content_type, body.as_bytes()), expected, "{content_type:?} {body}");
        }
    }

    #[test]
    fn fields_beyond_the_limit_are_refused_and_not_read() {
        let field = |number: usize| (Cow::from(format!("{number}")), Cow::from("1"));
        for (fields, taken, is_read) in
            [(1, 1, true), (MAX_FIELDS, MAX_FIELDS, true), (350_000, MAX_FIELDS + 1, false)]
        {
            let mut steps = 0;
            let form = Form::of_fields((0..fields).map(field).inspect(|_| steps += 1));
            assert_eq!((steps, form.is_ok()), (taken, is_read), "{fields} fields");
        }
        let many = "a=&".repeat(MAX_FIELDS + 1);
        let words = "the query has more than 100 fields";
        assert_eq!(Form::of_query(&many), Err(words.to_owned()));
        let words = "Invalid request: the form has more than 100 fields";
        let body = Form::of_body(Some("application/x-www-form-urlencoded"), many.as_bytes());
        assert_eq!(body, Err(words.to_owned()));
    }
}
