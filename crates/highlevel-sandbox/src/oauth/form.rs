//! The fields of a form, in a body or a query.

/// Names and values, decoded. What has no value is as good as missing (RFC 6749, section 3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Form(Vec<(String, String)>);

impl Form {
    /// Reads a query.
    pub(crate) fn of_query(query: &str) -> Self {
        let fields = form_urlencoded::parse(query.as_bytes()).into_owned();
        Self(fields.filter(|(_, value)| !value.is_empty()).collect())
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
        let fields = form_urlencoded::parse(body).into_owned().filter(|(_, value)| !value.is_empty());
        let form = Self(fields.collect());
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

    /// The value of a field.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(each, _)| each == name).map(|(_, value)| value.as_str())
    }

    /// All values of a field.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(each, _)| each == name).map(|(_, value)| value.as_str())
    }

    /// All fields, in order.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// A field that has more than one value.
    pub(crate) fn twice(&self) -> Option<&str> {
        let names = self.0.iter().map(|(name, _)| name.as_str());
        names
            .enumerate()
            .find(|(place, name)| self.0[..*place].iter().any(|(each, _)| each == name))
            .map(|(_, name)| name)
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
}
