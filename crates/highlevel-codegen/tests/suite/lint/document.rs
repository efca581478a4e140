//! Rules about the document as a whole, and about operations.

use serde_json::json;

use super::{OPERATION, SENT, check, json_body, refer};
use crate::description::Edit::{Remove, Set};
use crate::description::edited;

#[test]
fn unsupported_documents_are_reported() {
    const VERSION: &[(&str, &str, &str)] = &[("/openapi", "reads OpenAPI 3.0 only", "3.0.3")];
    const EXISTS: &str = "does not exist";
    check(vec![
        ("version 3.1", vec![Set("/openapi", json!("3.1.0"))], VERSION),
        ("version 2", vec![Set("/openapi", json!("2.0"))], VERSION),
        ("a version that only begins alike", vec![Set("/openapi", json!("3.00"))], VERSION),
        ("a number as version", vec![Set("/openapi", json!(3.0))], VERSION),
        ("no version", vec![Remove("/openapi")], VERSION),
        ("another patch of 3.0", vec![Set("/openapi", json!("3.0.0"))], &[]),
        (
            "webhooks of 3.1",
            vec![Set("/webhooks", json!({}))],
            &[("/webhooks", "it would get no type", "x-webhooks")],
        ),
        (
            "a webhook without a payload",
            vec![Set("/x-webhooks/A~1B", json!({}))],
            &[("/x-webhooks/A~1B/payload", "not a reference to a schema", "#/components/schemas/NAME")],
        ),
        (
            "a webhook with an inline payload",
            vec![Set("/x-webhooks/LetterRead/payload", json!({ "type": "string" }))],
            &[("/x-webhooks/LetterRead/payload", "not a reference to a schema", "#/components/schemas/NAME")],
        ),
        (
            "a reference to no schema",
            vec![Set(SENT, refer("Leter"))],
            &[(SENT, "`#/components/schemas/Leter`, which does not exist", "correct the name")],
        ),
        (
            "a reference to no response",
            vec![Set("/paths/~1letters/post/responses/400", json!({ "$ref": "#/components/responses/No" }))],
            &[("/paths/~1letters/post/responses/400", EXISTS, "add the component")],
        ),
        (
            "a reference in a webhook",
            vec![Set("/x-webhooks/LetterRead/payload", refer("No"))],
            &[("/x-webhooks/LetterRead/payload", EXISTS, "correct the name")],
        ),
        (
            "a reference to another file",
            vec![Set(SENT, json!({ "$ref": "letters.yaml#/Letter" }))],
            &[(SENT, EXISTS, "other files are not read")],
        ),
        (
            "a reference to a part of a component",
            vec![Set(SENT, json!({ "$ref": "#/components/schemas/Letter/properties/text" }))],
            &[(SENT, "which is not a component", "make it a component")],
        ),
        (
            "a reference to something that is no schema",
            vec![Set(SENT, json!({ "$ref": "#/info" }))],
            &[(SENT, "which is not a component", "make it a component")],
        ),
        (
            "a slash at the end of a server",
            vec![Set("/servers/-", json!({ "url": "https://example.com/" }))],
            &[("/servers/1/url", "starts with `//`", "remove the slash")],
        ),
    ]);
}

#[test]
fn unsupported_operations_are_reported() {
    const SUCCESSES: &str = "the generator panics when successes differ";
    const SAME: &str = "the same schema";
    const PATH: &[(&str, &str, &str)] =
        &[("/paths/~1letters/post/parameters/1", "`id` has to be in the path", "`{id}` into the path")];
    const NAMED: &str = "would become a function of another name";
    check(vec![
        (
            "no id",
            vec![Remove("/paths/~1letters/post/operationId")],
            &[(OPERATION, "has no operationId", "operationId: sendMessage")],
        ),
        (
            "one id twice",
            vec![Set("/paths/~1notes", edited(&[])["paths"]["/letters"].clone())],
            &[(
                "/paths/~1notes/post/operationId",
                "is the id of /paths/~1letters/post as well",
                "a unique id",
            )],
        ),
        (
            "an id in snake case",
            vec![Set("/paths/~1letters/post/operationId", json!("send_letter"))],
            &[("/paths/~1letters/post/operationId", NAMED, "camel case")],
        ),
        (
            "the id of a function that exists",
            vec![Set("/paths/~1letters/post/operationId", json!("new"))],
            &[("/paths/~1letters/post/operationId", NAMED, "camel case")],
        ),
        (
            "an empty id",
            vec![Set("/paths/~1letters/post/operationId", json!(""))],
            &[("/paths/~1letters/post/operationId", NAMED, "camel case")],
        ),
        (
            "no responses",
            vec![Remove("/paths/~1letters/post/responses")],
            &[("/paths/~1letters/post/responses", "is missing", "at least one success")],
        ),
        (
            "only an error",
            vec![
                Remove("/paths/~1letters/post/responses/200"),
                Remove("/paths/~1letters/post/responses/201"),
            ],
            &[("/paths/~1letters/post/responses", "has no success", "2xx")],
        ),
        (
            "200 and default",
            vec![Set("/paths/~1letters/post/responses/default", json_body(&refer("Receipt")))],
            &[("/paths/~1letters/post/responses/default", "a success and as an error", "each status")],
        ),
        (
            "two success schemas",
            vec![Set("/paths/~1letters/post/responses/201", json_body(&refer("LetterRead")))],
            &[("/paths/~1letters/post/responses/201", SUCCESSES, SAME)],
        ),
        (
            "a body beside no body",
            vec![Set("/paths/~1letters/post/responses/204", json!({ "description": "Nothing." }))],
            &[("/paths/~1letters/post/responses/204", "has no body, but 200 has the body", SAME)],
        ),
        (
            "no body beside a body",
            vec![Set("/paths/~1letters/post/responses/200", json!({ "description": "Nothing." }))],
            &[("/paths/~1letters/post/responses/201", "but 200 has no body", SAME)],
        ),
        (
            "the same schema, inline and by reference",
            vec![Set("/paths/~1letters/post/responses/201", json_body(&refer("Receipt")))],
            &[],
        ),
        (
            "a form as request",
            vec![Set(
                "/paths/~1letters/post/requestBody/content",
                json!({ "multipart/form-data": { "schema": refer("Letter") } }),
            )],
            &[(
                "/paths/~1letters/post/requestBody/content/multipart~1form-data",
                "only JSON bodies",
                "application/json",
            )],
        ),
        (
            "a request without a schema",
            vec![Set("/paths/~1letters/post/requestBody/content/application~1json", json!({}))],
            &[(
                "/paths/~1letters/post/requestBody/content/application~1json",
                "has no schema",
                "#/components/schemas/NAME",
            )],
        ),
        (
            "an inline request",
            vec![Set(
                "/paths/~1letters/post/requestBody/content/application~1json/schema",
                json!({ "type": "array", "items": { "type": "string" } }),
            )],
            &[(
                "/paths/~1letters/post/requestBody/content/application~1json/schema",
                "is inline, so its type",
                "#/components/schemas/NAME",
            )],
        ),
        (
            "a default of a parameter",
            vec![Set(
                "/paths/~1letters/post/parameters/-",
                json!({ "name": "limit", "in": "query", "schema": { "type": "integer", "default": 20 } }),
            )],
            &[
                ("/paths/~1letters/post/parameters/1", "the generator ignores", "remove it"),
                ("/paths/~1letters/post/parameters/1/schema/default", "although the caller", "is missing"),
            ],
        ),
        (
            "a parameter that is not in the path",
            vec![Set(
                "/paths/~1letters/post/parameters/-",
                json!({ "name": "id", "in": "path", "required": true, "schema": refer("LetterId") }),
            )],
            PATH,
        ),
        (
            "a parameter in the path that is not required",
            vec![
                Set("/paths/~1letters~1{id}", edited(&[])["paths"]["/letters"].clone()),
                Set(
                    "/paths/~1letters~1{id}/post/parameters/-",
                    json!({ "name": "id", "in": "path", "schema": refer("LetterId") }),
                ),
                Remove("/paths/~1letters"),
            ],
            &[("/paths/~1letters~1{id}/post/parameters/1", "be required", "`required: true`")],
        ),
        (
            "parameters beside the operations",
            vec![Set("/paths/~1letters/parameters", json!([{ "$ref": "#/components/parameters/Version" }]))],
            &[("/paths/~1letters/parameters", "`Version` header is not recognised", "each operation")],
        ),
    ]);
}
