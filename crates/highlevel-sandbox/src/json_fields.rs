//! Extracts strings from selected fields of a JSON object, without parsing the rest into memory.

use std::fmt::{self, Formatter};

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Returns the strings in the fields with the `wanted` names, each with the index of its name. A field contains either a
/// string or an array with strings. Returns no strings for JSON that is not an object.
pub(crate) fn texts(json: &[u8], wanted: &[&str]) -> Vec<(usize, String)> {
    let mut found = Fields { wanted, texts: Vec::new() };
    let mut reader = serde_json::Deserializer::from_slice(json);
    // Fields before a syntax error are returned as well.
    let _ = reader.deserialize_any(&mut found);
    found.texts
}

/// Returns the first string in a field.
pub(crate) fn text(json: &[u8], name: &str) -> Option<String> {
    texts(json, &[name]).into_iter().next().map(|(_, text)| text)
}

struct Fields<'a> {
    wanted: &'a [&'a str],
    texts: Vec<(usize, String)>,
}

impl<'de> Visitor<'de> for &mut Fields<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        while let Some(name) = fields.next_key::<String>()? {
            match self.wanted.iter().position(|wanted| *wanted == name) {
                Some(index) => {
                    let Texts(texts) = fields.next_value()?;
                    self.texts.extend(texts.into_iter().map(|text| (index, text)));
                }
                None => drop(fields.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

/// A string, the strings in an array, or no strings for any other value.
struct Texts(Vec<String>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldReader {
            is_nested: bool,
        }

        impl<'de> Visitor<'de> for FieldReader {
            type Value = Texts;

            fn expecting(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
                formatter.write_str("anything")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Texts, E> {
                Ok(Texts(vec![text.to_owned()]))
            }

            fn visit_unit<E: Error>(self) -> Result<Texts, E> {
                Ok(Texts(Vec::new()))
            }

            fn visit_bool<E: Error>(self, _: bool) -> Result<Texts, E> {
                self.visit_unit()
            }

            fn visit_i64<E: Error>(self, _: i64) -> Result<Texts, E> {
                self.visit_unit()
            }

            fn visit_u64<E: Error>(self, _: u64) -> Result<Texts, E> {
                self.visit_unit()
            }

            fn visit_f64<E: Error>(self, _: f64) -> Result<Texts, E> {
                self.visit_unit()
            }

            fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Texts, A::Error> {
                while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Texts(Vec::new()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Texts, A::Error> {
                let mut texts = Vec::new();
                if self.is_nested {
                    while entries.next_element::<IgnoredAny>()?.is_some() {}
                } else {
                    while let Some(Entry(Texts(text))) = entries.next_element()? {
                        texts.extend(text);
                    }
                }
                Ok(Texts(texts))
            }
        }

        /// An element of an array. Strings in nested arrays are ignored.
        struct Entry(Texts);

        impl<'de> Deserialize<'de> for Entry {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(FieldReader { is_nested: true }).map(Self)
            }
        }

        deserializer.deserialize_any(FieldReader { is_nested: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The wanted names, and the expected strings with the indices of their names.
    type Case = (&'static [&'static str], &'static [(usize, &'static str)]);

    #[test]
    fn texts_of_wanted_fields_are_found() {
        let json = r#"{"a": "x\u00fc", "b": 5, "c": ["1", 2, ["3"], {"a": "4"}, null, "5"], "d": {"a": "no"}, "e": null}"#;
        let cases: [Case; 4] = [
            (&["a"], &[(0, "xü")]),
            (&["c", "a"], &[(1, "xü"), (0, "1"), (0, "5")]),
            (&["b", "d", "e", "f"], &[]),
            (&[], &[]),
        ];
        for (wanted, expected) in cases {
            let found = texts(json.as_bytes(), wanted);
            let found: Vec<_> = found.iter().map(|(index, text)| (*index, text.as_str())).collect();
            assert_eq!(found, expected, "{wanted:?}");
        }
        for json in ["", "5", "\"a\"", "[{\"a\": \"x\"}]", "\u{fe}"] {
            assert_eq!(text(json.as_bytes(), "a"), None, "{json}");
        }
        assert_eq!(text(br#"{"a": "x", "#, "a").as_deref(), Some("x"));
    }
}
