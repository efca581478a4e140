//! A small description without a fault, and edits of it.

use highlevel_codegen::{Document, GeneratedFiles, Problems};
use serde_json::{Value, json};

/// One request, one response, one error and one event: an example of everything that the rules check.
pub(crate) fn small() -> Value {
    json!({
        "openapi": "3.0.3",
        "info": { "title": "Letters", "version": "1" },
        "servers": [{ "url": "https://example.com" }],
        "paths": {
            "/letters": {
                "post": {
                    "operationId": "sendLetter",
                    "parameters": [{ "$ref": "#/components/parameters/Version" }],
                    "requestBody": {
                        "required": true,
                        "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Letter" } } }
                    },
                    "responses": {
                        "200": { "$ref": "#/components/responses/Sent" },
                        "201": { "$ref": "#/components/responses/Sent" },
                        "400": { "$ref": "#/components/responses/Refused" }
                    }
                }
            }
        },
        "x-webhooks": {
            "LetterRead": { "payload": { "$ref": "#/components/schemas/LetterRead" } }
        },
        "components": {
            "parameters": {
                "Version": {
                    "name": "Version",
                    "in": "header",
                    "required": true,
                    "schema": { "$ref": "#/components/schemas/Edition" }
                }
            },
            "responses": {
                "Sent": {
                    "description": "Sent",
                    "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Receipt" } } }
                },
                "Refused": {
                    "description": "Refused",
                    "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Refusal" } } }
                }
            },
            "schemas": {
                "Edition": { "type": "string", "description": "An edition.", "enum": ["v1", "v2"] },
                "LetterId": { "type": "string", "description": "A letter." },
                "Timestamp": { "type": "string", "format": "date-time", "description": "A point in time." },
                "Channel": { "type": "string", "description": "A channel.", "enum": ["SMS", "Live_Chat"] },
                "OneOrMany": {
                    "description": "One name, or a list.",
                    "oneOf": [
                        { "title": "One", "type": "string" },
                        { "title": "Many", "type": "array", "items": { "type": "string" } }
                    ]
                },
                "Letter": {
                    "type": "object",
                    "description": "A letter to send.",
                    "required": ["channel", "replyTo"],
                    "properties": {
                        "channel": { "$ref": "#/components/schemas/Channel" },
                        "replyTo": { "$ref": "#/components/schemas/LetterId", "description": "The response." },
                        "text": { "type": "string", "description": "The text." },
                        "pages": { "type": "integer", "format": "int64", "description": "How many pages." },
                        "stamps": {
                            "type": "array", "description": "The stamps on it.", "items": { "type": "string" }
                        },
                        "at": { "$ref": "#/components/schemas/Timestamp" }
                    }
                },
                "Receipt": {
                    "type": "object",
                    "description": "A letter that was sent.",
                    "required": ["id", "weight"],
                    "x-required-on-receive": ["id"],
                    "additionalProperties": {},
                    "properties": {
                        "id": { "$ref": "#/components/schemas/LetterId" },
                        "weight": { "type": "number", "description": "In grams." },
                        "to": { "$ref": "#/components/schemas/OneOrMany" },
                        "stops": {
                            "type": "array", "nullable": true, "description": "Where it stops.",
                            "items": { "type": "string" }
                        }
                    }
                },
                "Refusal": {
                    "type": "object",
                    "description": "Why a letter was refused.",
                    "x-required-on-receive": [],
                    "additionalProperties": {},
                    "properties": { "message": { "type": "string", "description": "The reason." } }
                },
                "LetterRead": {
                    "type": "object",
                    "description": "A letter was read.",
                    "x-required-on-receive": ["id"],
                    "additionalProperties": {},
                    "properties": {
                        "id": { "$ref": "#/components/schemas/LetterId" },
                        "channel": { "$ref": "#/components/schemas/Channel" }
                    }
                }
            }
        }
    })
}

/// [`small`] after some edits.
pub(crate) fn edited(edits: &[Edit]) -> Value {
    let mut document = small();
    for edit in edits {
        edit.apply(&mut document);
    }
    document
}

/// One edit, by JSON pointer.
pub(crate) enum Edit {
    /// Sets a key of the mapping, or the entry of the list, that the pointer leads to; `-` is the end of a list.
    Set(&'static str, Value),
    /// Removes a key.
    Remove(&'static str),
}

impl Edit {
    fn apply(&self, document: &mut Value) {
        let (Self::Set(pointer, _) | Self::Remove(pointer)) = self;
        let (parent, key) = pointer.rsplit_once('/').expect("a pointer to a child");
        let key = key.replace("~1", "/").replace("~0", "~");
        let parent =
            document.pointer_mut(parent).unwrap_or_else(|| panic!("{pointer}: there is no such place"));
        match (self, parent) {
            (Self::Set(_, value), Value::Object(map)) => {
                map.insert(key, value.clone());
            }
            (Self::Set(_, value), Value::Array(items)) if key == "-" => items.push(value.clone()),
            (Self::Set(_, value), Value::Array(items)) => {
                items[key.parse::<usize>().expect("an index")] = value.clone();
            }
            (Self::Remove(_), Value::Object(map)) => {
                assert!(map.remove(&key).is_some(), "{pointer}: there is nothing to remove");
            }
            _ => panic!("{pointer}: not a mapping or a list"),
        }
    }
}

/// Returns the problems that the lint finds in a document.
pub(crate) fn lint(document: Value) -> Result<(), Problems> {
    highlevel_codegen::lint::lint(&Document::new(document))
}

/// The whole pipeline over a JSON document; JSON is YAML.
pub(crate) fn run(document: &Value) -> Result<GeneratedFiles, Problems> {
    highlevel_codegen::run(&document.to_string())
}
