//! Templates of request paths: `contacts/{id}`.

/// Returns the parameters of a path that matches a template.
pub(crate) fn parameters(template: &str, segments: &[&str]) -> Option<Vec<String>> {
    let mut parameters = Vec::new();
    let mut rest = segments.iter();
    for expected in template.split('/') {
        let segment = *rest.next()?;
        if expected.starts_with('{') {
            parameters.push(percent_decoded(segment)?);
        } else if expected != segment {
            return None;
        }
    }
    rest.next().is_none().then_some(parameters)
}

fn percent_decoded(segment: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(segment.len());
    let mut bytes = segment.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let (high, low) =
                    (char::from(bytes.next()?).to_digit(16)?, char::from(bytes.next()?).to_digit(16)?);
                u8::try_from(high * 16 + low).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(decoded).ok().filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_fit_their_templates() {
        let cases = [
            ("health", "health", Some(vec![])),
            ("health", "health/", None),
            ("contacts/{id}", "contacts/a%20b%2F", Some(vec!["a b/".to_owned()])),
            ("contacts/{id}", "contacts/", None),
            ("contacts/{id}", "contacts/a/b", None),
            ("contacts/{id}", "contacts/%ff", None),
            ("contacts/{id}", "contacts/%4", None),
        ];
        for (template, path, expected) in cases {
            let segments: Vec<&str> = path.split('/').collect();
            assert_eq!(parameters(template, &segments), expected, "{template} {path}");
        }
    }
}
