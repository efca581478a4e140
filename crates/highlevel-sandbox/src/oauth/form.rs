//! The fields of a form, in a body or a query.

use std::borrow::Cow;
use std::collections::HashSet;

/// The maximum number of fields in a form or a query, including fields without a value.
pub(crate) const MAX_FIELDS: usize = 100;

/// Decoded names and values. Fields without a value are treated as omitted (RFC 6749, section 3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Form(Vec<(String, String)>);

impl Form {
    /// Parses a query.
    pub(crate) fn parse_query(query: &str) -> Result<Self, String> {
        Self::of_fields(form_urlencoded::parse(query.as_bytes()))
            .map_err(|()| format!("the query has more than {MAX_FIELDS} fields"))
    }

    /// Parses the body of a form.
    ///
    /// # Errors
    ///
    /// Returns a message if the body is not a form, has too many fields, or has a field more than once.
    pub(crate) fn parse_body(content_type: Option<&str>, body: &[u8]) -> Result<Self, String> {
        let media_type = content_type.and_then(|value| value.split(';').next()).map(str::trim);
        if !media_type.is_some_and(|found| found.eq_ignore_ascii_case("application/x-www-form-urlencoded")) {
            let found = content_type.map_or_else(|| "missing".to_owned(), |found| format!("`{found}`"));
            return Err(format!(
                "Invalid request: content must be application/x-www-form-urlencoded; the Content-Type is {found}"
            ));
        }
        let form = Self::of_fields(form_urlencoded::parse(body))
            .map_err(|()| format!("Invalid request: the form has more than {MAX_FIELDS} fields"))?;
        match form.duplicate() {
            Some(name) => Err(format!("Invalid request: `{name}` appears more than once")),
            None => Ok(form),
        }
    }

    /// Adds a field.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.0.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Collects the fields, and stops at the first one above the limit.
    fn of_fields<'a>(fields: impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)>) -> Result<Self, ()> {
        let mut found = Vec::new();
        for (index, (name, value)) in fields.enumerate() {
            if index == MAX_FIELDS {
                return Err(());
            }
            if !value.is_empty() {
                found.push((name.into_owned(), value.into_owned()));
            }
        }
        Ok(Self(found))
    }

    /// Returns the first value of a field.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(each, _)| each == name).map(|(_, value)| value.as_str())
    }

    /// Returns all values of a field.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(each, _)| each == name).map(|(_, value)| value.as_str())
    }

    /// Returns the name of a field that has more than one value.
    fn duplicate(&self) -> Option<&str> {
        let mut seen = HashSet::with_capacity(self.0.len());
        self.0.iter().map(|(name, _)| name.as_str()).find(|name| !seen.insert(*name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_forms_without_duplicates_are_accepted() {
        let form = "application/x-www-form-urlencoded";
        let fields = |fields: &[(&str, &str)]| {
            Ok(Form(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()))
        };
        let rejected = |message: &str| Err(format!("Invalid request: {message}"));
        let wrong_type = "content must be application/x-www-form-urlencoded; the Content-Type is ";
        for (content_type, body, expected) in [
            (Some(form), "a=1&b=x+y%26", fields(&[("a", "1"), ("b", "x y&")])),
            (Some("Application/X-WWW-form-urlencoded; charset=utf-8"), "a=1&b=", fields(&[("a", "1")])),
            (Some(form), "", fields(&[])),
            (Some(form), "a=1&b=2&a=1", rejected("`a` appears more than once")),
            (Some("application/json"), "{}", rejected(&format!("{wrong_type}`application/json`"))),
            (None, "a=1", rejected(&format!("{wrong_type}missing"))),
        ] {
            assert_eq!(Form::parse_body(content_type, body.as_bytes()), expected, "{content_type:?} {body}");
        }
    }

    #[test]
    fn fields_above_the_limit_are_rejected_without_parsing_them() {
        let field = |number: usize| (Cow::from(format!("{number}")), Cow::from("1"));
        for (fields, taken, is_read) in
            [(1, 1, true), (MAX_FIELDS, MAX_FIELDS, true), (350_000, MAX_FIELDS + 1, false)]
        {
            let mut steps = 0;
            let form = Form::of_fields((0..fields).map(field).inspect(|_| steps += 1));
            assert_eq!((steps, form.is_ok()), (taken, is_read), "{fields} fields");
        }
        let many = "a=&".repeat(MAX_FIELDS + 1);
        let message = "the query has more than 100 fields";
        assert_eq!(Form::parse_query(&many), Err(message.to_owned()));
        let message = "Invalid request: the form has more than 100 fields";
        let body = Form::parse_body(Some("application/x-www-form-urlencoded"), many.as_bytes());
        assert_eq!(body, Err(message.to_owned()));
    }
}
