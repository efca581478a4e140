//! YAML text to a JSON value.

use highlevel_codegen::parse::parse;
use serde_json::{Value, json};

/// The value, or words of the problem.
type Expected = Result<Value, &'static [&'static str]>;

#[test]
fn yaml_is_parsed_or_rejected_with_the_place() {
    let cases: &[(&str, &str, Expected)] = &[
        ("a mapping", "a: 1\nb: [x, 'y']\n", Ok(json!({ "a": 1, "b": ["x", "y"] }))),
        ("JSON", r#"{"a": {"b": null}}"#, Ok(json!({ "a": { "b": null } }))),
        ("an empty mapping", "{}", Ok(json!({}))),
        ("an alias", "a: &x {k: 1}\nb: *x\n", Ok(json!({ "a": { "k": 1 }, "b": { "k": 1 } }))),
        ("an alias of a list", "a: &x [1]\nb: [*x, *x]\n", Ok(json!({ "a": [1], "b": [[1], [1]] }))),
        ("a number as key", "responses:\n  200: ok\n", Ok(json!({ "responses": { "200": "ok" } }))),
        ("a date in quotes", "v: \"2021-04-15\"\n", Ok(json!({ "v": "2021-04-15" }))),
        ("a date without quotes", "v: 2021-04-15\n", Ok(json!({ "v": "2021-04-15" }))),
        // The lint reports it if a text is required.
        (
            "words that need quotes",
            "v: [no, off, y, \"no\"]\n",
            Ok(json!({ "v": [false, false, true, "no"] })),
        ),
        ("the order of keys is not kept", "b: 1\na: 2\n", Ok(json!({ "a": 2, "b": 1 }))),
        ("two equal keys", "a: 1\nb: 2\na: 3\n", Err(&["duplicate", "line 3"])),
        ("two equal keys below", "a:\n  k: 1\n  j: 1\n  k: 2\n", Err(&["duplicate", "line 4"])),
        ("an alias of nothing", "a: *x\n", Err(&["cannot be read as YAML", "line 1"])),
        ("bad indentation", "a:\n    b: 1\n  c: 2\n", Err(&["cannot be read as YAML", "line 3"])),
        ("an open bracket", "a: [1, 2\n", Err(&["cannot be read as YAML"])),
        ("a tab", "a:\n\tb: 1\n", Err(&["cannot be read as YAML", "line 2"])),
        ("two documents", "a: 1\n---\nb: 2\n", Err(&["cannot be read as YAML"])),
        ("nothing", "", Err(&["is not a mapping"])),
        ("only a comment", "# later\n", Err(&["is not a mapping"])),
        ("null", "~", Err(&["is not a mapping"])),
        ("a list", "- a\n- b\n", Err(&["is not a mapping"])),
        ("a word", "openapi", Err(&["is not a mapping"])),
        ("a number", "3", Err(&["is not a mapping"])),
    ];
    for (name, yaml, expected) in cases {
        match (parse(yaml), expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, *expected, "{name}"),
            (Err(problem), Err(words)) => {
                assert_eq!(problem.pointer, "", "{name}");
                assert!(!problem.help.is_empty(), "{name}");
                for word in *words {
                    assert!(problem.to_string().contains(word), "{name}: `{word}` is not in\n{problem}");
                }
            }
            (found, _) => panic!("{name}: {found:?}"),
        }
    }
}
