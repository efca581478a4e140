//! The pipeline returns for any text: it does not panic, and prints no backtrace.

use highlevel_codegen::Problems;
use serde_json::{Value, json};

use crate::description::small;

#[track_caller]
fn answers(name: &str, text: &str) {
    let result = std::panic::catch_unwind(|| highlevel_codegen::run(text));
    let Ok(result) = result else { panic!("{name}: panicked") };
    if let Err(problems) = result {
        readable(name, &problems);
    }
}

#[track_caller]
fn readable(name: &str, problems: &Problems) {
    let message = problems.to_string();
    assert!(!problems.as_slice().is_empty(), "{name}");
    for trace in ["stack backtrace", "panicked at", "RUST_BACKTRACE", ".rs:"] {
        assert!(!message.contains(trace), "{name}: `{trace}` in\n{message}");
    }
    // Three lines a problem, an empty one before each, and the heading.
    assert_eq!(message.lines().count(), 1 + 4 * problems.as_slice().len(), "{name}:\n{message}");
}

/// Every pointer of the small description.
fn pointers(value: &Value, pointer: &str, into: &mut Vec<String>) {
    into.push(pointer.to_owned());
    let escape = |key: &String| key.replace('~', "~0").replace('/', "~1");
    match value {
        Value::Object(map) => {
            map.iter().for_each(|(key, child)| pointers(child, &format!("{pointer}/{}", escape(key)), into));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(i, child)| pointers(child, &format!("{pointer}/{i}"), into));
        }
        _ => {}
    }
}

#[test]
fn unexpected_values_in_every_place_cause_no_panic() {
    let strange = [
        Value::Null,
        json!(true),
        json!(-1.5),
        json!(""),
        json!("$ref"),
        json!([]),
        json!([null]),
        json!([{ "$ref": 7 }]),
        json!({}),
        json!({ "": {} }),
        json!({ "$ref": null }),
        json!({ "$ref": "#" }),
        json!({ "$ref": "#/" }),
        json!({ "$ref": "#/components/schemas/Letter" }),
        json!({ "type": [], "enum": {}, "properties": [], "oneOf": {}, "required": "a", "items": [] }),
    ];
    let mut places = Vec::new();
    pointers(&small(), "", &mut places);
    assert!(places.len() > 100, "{}", places.len());
    for (index, place) in places.iter().enumerate() {
        // A few of them in each place, always others: all of them everywhere take a while and find no more.
        for value in strange.iter().cycle().skip(index * 4).take(5) {
            let mut document = small();
            *document.pointer_mut(place).expect("the place exists") = value.clone();
            answers(&format!("{place} := {value}"), &document.to_string());
        }
    }
}

#[test]
fn deep_and_recursive_documents_cause_no_panic() {
    let nested = |open: &str, close: &str| format!("a: {}{}", open.repeat(20_000), close.repeat(20_000));
    let bomb: String = std::iter::once("a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned())
        .chain((1..12).map(|i| format!("a{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 9].join(", "))))
        .collect();
    let cases = [
        ("lists in lists", nested("[", "]")),
        ("mappings in mappings", nested("{a: ", "}")),
        ("aliases that grow", bomb),
        ("an alias of itself", "a: &a [*a]\n".to_owned()),
        ("a byte that is not text", "a: \u{0}\n".to_owned()),
        ("a mark of byte order", format!("\u{feff}{}", small())),
    ];
    for (name, text) in cases {
        answers(name, &text);
    }
}

#[test]
fn recursive_types_cause_no_panic() {
    let mut document = small();
    document["components"]["schemas"]["Letter"]["properties"]["enclosed"] =
        json!({ "$ref": "#/components/schemas/Letter" });
    let output =
        highlevel_codegen::run(&document.to_string()).unwrap_or_else(|problems| panic!("{problems}"));
    assert!(output.outline.contains("enclosed  enclosed: Option<Box<Letter>>"), "{}", output.outline);
}

#[test]
fn truncated_specs_cause_no_panic() {
    let text = highlevel_spec::OPENAPI_YAML;
    let ends: Vec<usize> = text.match_indices('\n').map(|(end, _)| end + 1).collect();
    assert!(ends.len() > 1000);
    for end in ends.into_iter().step_by(23) {
        answers(&format!("the first {end} bytes"), &text[..end]);
    }
}

#[test]
fn missing_lines_of_the_spec_cause_no_panic() {
    let lines: Vec<&str> = highlevel_spec::OPENAPI_YAML.lines().collect();
    for left_out in (40..lines.len()).step_by(61) {
        let text = [&lines[..left_out], &lines[left_out + 1..]].concat().join("\n");
        answers(&format!("without line {}", left_out + 1), &text);
    }
}
