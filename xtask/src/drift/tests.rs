//! Comparisons with small documents in the style of the vendor.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::classify::{Classification, VendorFile};
use super::compare::compare;
use super::outline::outline;

/// Returns a document with one operation, whose body has these schemas.
fn document(request: &Value, response: &Value) -> Value {
    json!({
        "paths": {
            "/notes/{noteId}/": {
                "post": {
                    "parameters": [
                        { "name": "Version", "in": "header", "required": true, "schema": { "type": "string", "enum": ["1"] } },
                        { "name": "noteId", "in": "path", "required": true, "schema": { "type": "string" } },
                    ],
                    "requestBody": { "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Note" } } } },
                    "responses": {
                        "200": { "content": { "application/json": { "schema": response } } },
                        "400": { "content": { "application/json": { "schema": { "$ref": "../common.json#/Error" } } } },
                    },
                },
            },
        },
        "components": { "schemas": {
            "Note": request,
            "Author": { "type": "object", "properties": { "name": { "type": "string" } } },
        } },
    })
}

fn note(properties: &Value, required: &Value) -> Value {
    json!({ "type": "object", "properties": properties, "required": required })
}

fn differences(spec: &Value, vendor: &Value) -> Vec<String> {
    compare(&outline(spec), &outline(vendor)).into_iter().collect()
}

/// The properties of a body in both documents.
struct Case {
    name: &'static str,
    spec: Value,
    vendor: Value,
    expected: &'static [&'static str],
}

#[test]
fn a_star_in_the_list_stands_for_any_text() {
    struct Case {
        listed: &'static str,
        problems: usize,
    }
    let difference = "POST /notes response note.text is only in the spec";
    let list = |listed: &str| json!([{ "reason": "it is so", "files": ["notes"], "differences": [listed] }]);
    for Case { listed, problems } in [
        Case { listed: difference, problems: 0 },
        Case { listed: "* is only in the spec", problems: 0 },
        Case { listed: "POST /notes response *", problems: 0 },
        Case { listed: "POST * response *text* the spec", problems: 0 },
        Case { listed: "POST /notes response note.text is only in the spec*", problems: 0 },
        // Both a new difference and a stale entry.
        Case { listed: "POST /notes response", problems: 2 },
        Case { listed: "* is only in the vendor's file", problems: 2 },
        Case { listed: "*text*note* is only in the spec", problems: 2 },
        Case { listed: "*spec*spec", problems: 2 },
    ] {
        let file =
            VendorFile { name: "notes".to_owned(), differences: BTreeSet::from([difference.to_owned()]) };
        let report =
            Classification::parse(&list(listed)).expect("a list").check(&[file]).expect("a known file");
        let found = report.result().err().map_or(0, |text| text.lines().count() - 1);
        assert_eq!(found, problems, "{listed}");
    }
}

#[test]
fn each_kind_of_difference_is_found() {
    let base = json!({ "text": { "type": "string" } });
    let cases = [
        Case { name: "equal", spec: base.clone(), vendor: base.clone(), expected: &[] },
        Case {
            name: "a field of the vendor",
            spec: base.clone(),
            vendor: json!({ "text": { "type": "string" }, "colour": { "type": "string" } }),
            expected: &["POST /notes/{} request colour is only in the vendor's file"],
        },
        Case {
            name: "an object of the vendor is one difference",
            spec: base.clone(),
            vendor: json!({ "text": { "type": "string" }, "author": { "allOf": [{ "$ref": "#/components/schemas/Author" }] } }),
            expected: &["POST /notes/{} request author is only in the vendor's file"],
        },
        Case {
            name: "a field of the spec",
            spec: json!({ "text": { "type": "string" }, "author": { "$ref": "#/components/schemas/Author" } }),
            vendor: json!({ "text": { "type": "string" }, "author": { "type": "object" } }),
            expected: &["POST /notes/{} request author.name is only in the spec"],
        },
        Case {
            name: "a type",
            spec: base.clone(),
            vendor: json!({ "text": { "oneOf": [{ "type": "string" }, { "type": "array" }] } }),
            expected: &[
                "POST /notes/{} request text has the type string in the spec, array or string in the vendor's file",
            ],
        },
        Case {
            name: "values",
            spec: json!({ "text": { "type": "string", "enum": ["a", "b"] } }),
            vendor: json!({ "text": { "type": "string", "enum": ["b", "c"] } }),
            expected: &[
                "POST /notes/{} request text values: a only in the spec; c only in the vendor's file",
            ],
        },
        Case {
            name: "a field in a list",
            spec: json!({ "text": { "type": "string" }, "authors": { "type": "array", "items": { "$ref": "#/components/schemas/Author" } } }),
            vendor: json!({ "text": { "type": "string" }, "authors": { "type": "array", "items": {
                "type": "object", "properties": { "name": { "type": "number" } } } } }),
            expected: &[
                "POST /notes/{} request authors[].name has the type string in the spec, number in the vendor's file",
            ],
        },
    ];
    for Case { name, spec, vendor, expected } in cases {
        let response = json!({ "type": "object" });
        let spec = document(&note(&spec, &json!(["text"])), &response);
        let vendor = document(&note(&vendor, &json!(["text"])), &response);
        assert_eq!(differences(&spec, &vendor), expected, "{name}");
    }
}

#[test]
fn required_flags_of_the_reference_are_compared() {
    let request = note(&json!({}), &json!([]));
    let properties = json!({ "id": { "type": "string" }, "text": { "type": "string" } });
    let mut response = note(&properties, &json!(["id"]));
    let vendor = document(&request, &note(&properties, &json!(["text"])));
    let expected = [
        "POST /notes/{} response id is required in the spec only",
        "POST /notes/{} response text is required in the vendor's file only",
    ];
    assert_eq!(differences(&document(&request, &response), &vendor), expected);

    response["x-required-by-reference"] = json!(["text"]);
    assert_eq!(differences(&document(&request, &response), &vendor), [""; 0]);
}

#[test]
fn operations_parameters_and_statuses_are_compared() {
    let body = json!({ "type": "object" });
    let spec = document(&body, &body);
    let mut vendor = spec.clone();
    let operation = &mut vendor["paths"]["/notes/{noteId}/"]["post"];
    operation["parameters"][0]["schema"]["enum"] = json!(["2"]);
    operation["responses"]["404"] = json!({});
    vendor["paths"]["/tags"] = json!({ "get": { "responses": {} } });
    assert_eq!(
        differences(&spec, &vendor),
        [
            "GET /tags is only in the vendor's file",
            "POST /notes/{} header Version values: 1 only in the spec; 2 only in the vendor's file",
            "POST /notes/{} statuses: 404 only in the vendor's file",
        ]
    );
    assert_eq!(differences(&vendor, &spec).len(), 2, "operations of the spec alone are no difference");
}

#[test]
fn schemas_that_contain_themselves_are_followed_once() {
    let friend = json!({ "$ref": "#/components/schemas/Author" });
    let mut spec = document(&note(&json!({ "friend": friend }), &json!([])), &json!({ "type": "object" }));
    spec["components"]["schemas"]["Author"]["properties"]["friend"] = friend;
    let fields = outline(&spec).remove("POST /notes/{}").expect("an operation").fields;
    assert!(fields.contains_key("request friend.friend"), "{fields:?}");
    assert!(!fields.contains_key("request friend.friend.friend"), "{fields:?}");
}

fn file(differences: &[&str]) -> VendorFile {
    VendorFile {
        name: "notes".to_owned(),
        differences: differences.iter().map(|each| (*each).to_owned()).collect::<BTreeSet<_>>(),
    }
}

#[test]
fn new_and_stale_differences_fail() {
    let list = json!([
        { "reason": "An error of the vendor.", "files": ["notes", "notes-v3"], "differences": ["a", "b"] },
        { "reason": "Not covered.", "files": ["tags"], "differences": ["c"] },
    ]);
    let list = Classification::parse(&list).expect("a list");
    let check = |differences: &[&str]| list.check(&[file(differences)]).expect("a report");

    let report = check(&["a", "b"]);
    assert_eq!(report.result(), Ok(()));
    assert_eq!(report.text(), "notes: 2 differences\n  An error of the vendor.\n    a\n    b\n");

    let error = check(&["a", "x"]).result().expect_err("two problems");
    assert!(error.starts_with("new in notes: x\nstale for notes: b\n"), "{error}");

    // A difference of another file is new in this one.
    let error = check(&["a", "b", "c"]).result().expect_err("a problem");
    assert!(error.starts_with("new in notes: c\nadd"), "{error}");
}

#[test]
fn the_committed_list_can_be_read() {
    let list = serde_saphyr::from_str(include_str!("../../../spec/drift.yaml")).expect("YAML");
    Classification::parse(&list).expect("a list");
}

#[test]
fn malformed_lists_are_rejected() {
    let group = |differences: Value| json!({ "reason": "r", "files": ["notes"], "differences": differences });
    let cases = [
        (json!({}), "is not a list"),
        (json!([{ "files": ["notes"], "differences": ["a"] }]), "needs a reason"),
        (json!([{ "reason": "r", "differences": ["a"] }]), "needs a reason"),
        (json!([group(json!([]))]), "needs a reason"),
        (json!([group(json!(["a"])), group(json!(["a"]))]), "lists `a` twice for notes"),
    ];
    for (list, expected) in cases {
        let error = Classification::parse(&list).expect_err(expected);
        assert!(error.contains(expected), "{error}");
    }
    let list = Classification::parse(&json!([group(json!(["a"]))])).expect("a list");
    let unknown = VendorFile { name: "note".to_owned(), differences: BTreeSet::new() };
    let error = list.check(&[unknown]).expect_err("an unknown file");
    assert!(error.contains("does not know the file note"), "{error}");
}
