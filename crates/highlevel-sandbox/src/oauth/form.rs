//! The fields of a form, in a body or a query.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt::Formatter;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};

use super::version::OAuthVersion;

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

    /// Parses the body of a token request: a form or, in version `v3`, a form or a JSON object. The names of the fields are
    /// those of RFC 6749.
    ///
    /// # Errors
    ///
    /// Returns a message if the body is neither, has too many fields, or has a field more than once.
    pub(crate) fn parse_token_request(
        content_type: Option<&str>,
        body: &[u8],
        version: OAuthVersion,
    ) -> Result<Self, String> {
        let form = if version == OAuthVersion::V3 && is_json(content_type) {
            Self::parse_json(body)?
        } else {
            Self::parse_body(content_type, body)?
        };
        let renamed = form.0.into_iter();
        let form =
            Self(renamed.map(|(name, value)| (version.standard_name(&name).to_owned(), value)).collect());
        match form.duplicate() {
            Some(name) => Err(format!("Invalid request: `{name}` appears more than once")),
            None => Ok(form),
        }
    }

    /// Parses a JSON object of strings. Fields that are null are treated as omitted.
    pub(crate) fn parse_json(body: &[u8]) -> Result<Self, String> {
        // The message of the parser can quote the body, which contains secrets.
        let found = serde_json::from_slice::<JsonFields>(body).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            format!(
                "Invalid request: the body is not a JSON object of at most {MAX_FIELDS} strings (line {line}, column \
                 {column})"
            )
        })?;
        Ok(Self(found.0))
    }

    /// Returns the names and values of all fields.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
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

/// Returns `true` if a content type is JSON.
pub(crate) fn is_json(content_type: Option<&str>) -> bool {
    let media_type = content_type.and_then(|value| value.split(';').next()).map(str::trim);
    media_type.is_some_and(|found| found.eq_ignore_ascii_case("application/json"))
}

/// The fields of a JSON object with a value. Parsing stops at the first field above the limit.
struct JsonFields(Vec<(String, String)>);

impl<'de> Deserialize<'de> for JsonFields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = JsonFields;

            fn expecting(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("an object of strings")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<JsonFields, A::Error> {
                let (mut found, mut count) = (Vec::new(), 0);
                while let Some((name, value)) = map.next_entry::<String, Option<String>>()? {
                    count += 1;
                    if count > MAX_FIELDS {
                        return Err(A::Error::custom("too many fields"));
                    }
                    found.extend(value.filter(|value| !value.is_empty()).map(|value| (name, value)));
                }
                Ok(JsonFields(found))
            }
        }

        deserializer.deserialize_map(Fields)
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

    /// A token request, and its fields or the start of the error.
    struct Row {
        version: OAuthVersion,
        content_type: &'static str,
        body: String,
        expected: Result<&'static [(&'static str, &'static str)], &'static str>,
    }

    #[test]
    fn version_3_accepts_json_and_camel_case_names() {
        use OAuthVersion::{Dated, V3};
        let row = |version, content_type, body: &str, expected| Row {
            version,
            content_type,
            body: body.to_owned(),
            expected,
        };
        let (form, json) = ("application/x-www-form-urlencoded", "application/json; charset=utf-8");
        let no_json =
            "Invalid request: the body is not a JSON object of at most 100 strings (line 1, column ";
        let object = |count: usize| {
            let fields: Vec<String> = (0..count).map(|number| format!(r#""f{number}":null"#)).collect();
            format!("{{{}}}", fields.join(","))
        };
        for Row { version, content_type, body, expected } in [
            row(V3, form, "clientId=a&code=b", Ok(&[("client_id", "a"), ("code", "b")])),
            row(V3, form, "client_id=a", Ok(&[("client_id", "a")])),
            row(Dated, form, "clientId=a", Ok(&[("clientId", "a")])),
            row(V3, json, r#"{"grantType":"x","redirectUri":null,"code":""}"#, Ok(&[("grant_type", "x")])),
            row(V3, json, r#"{"user_type":"Location"}"#, Ok(&[("user_type", "Location")])),
            row(
                V3,
                json,
                r#"{"clientId":"a","client_id":"b"}"#,
                Err("Invalid request: `client_id` appears more"),
            ),
            row(V3, form, "clientId=a&client_id=b", Err("Invalid request: `client_id` appears more")),
            row(V3, json, r#"{"code":"a","code":"a"}"#, Err("Invalid request: `code` appears more")),
            row(V3, json, r#"{"clientId":5}"#, Err(no_json)),
            row(V3, json, r#""client_secret""#, Err(no_json)),
            row(V3, json, "{", Err(no_json)),
            row(V3, json, &object(100), Ok(&[])),
            row(V3, json, &object(101), Err(no_json)),
            row(Dated, json, "{}", Err("Invalid request: content must be application/x-www-form-urlencoded")),
            row(
                V3,
                "text/plain",
                "{}",
                Err("Invalid request: content must be application/x-www-form-urlencoded"),
            ),
        ] {
            let found = Form::parse_token_request(Some(content_type), body.as_bytes(), version);
            match (&found, expected) {
                (Ok(form), Ok(fields)) => assert_eq!(form.fields().collect::<Vec<_>>(), fields, "{body}"),
                (Err(found), Err(expected)) => assert!(found.starts_with(expected), "{body}: {found}"),
                _ => panic!("{body}: {found:?}"),
            }
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
