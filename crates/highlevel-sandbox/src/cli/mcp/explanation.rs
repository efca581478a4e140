//! Explains the requests of the ledger.

use highlevel_sandbox::{Quirk, Refusal};
use serde_json::{Value, json};

/// Returns `true` if a request was rejected, or its response did not arrive.
pub(super) fn is_failure(request: &Value) -> bool {
    request["broken"] == true || request["status"].as_u64().is_some_and(|status| status >= 400)
}

/// Returns the fields of a request for a list.
pub(super) fn request_summary(request: &Value) -> Value {
    json!({
        "id": request["id"],
        "receivedAt": request["receivedAt"],
        "method": request["method"],
        "path": request["path"],
        "operation": request["operation"],
        "status": request["status"],
        "messageId": request["messageId"],
        "fault": request["fault"],
        "responseLost": request["broken"],
        "acceptedBefore": request["acceptedBefore"],
    })
}

/// Returns the reasons of a request's outcome, and the request itself.
pub(super) fn explain(request: &Value) -> Value {
    json!({
        "reasons": reasons(request),
        "request": request_summary(request),
        "body": request["body"],
        "response": request["response"],
    })
}

fn reasons(request: &Value) -> Vec<String> {
    let text = |name: &str| request[name].as_str();
    let list = |name: &str| request[name].as_array().into_iter().flatten();
    let mut reasons: Vec<String> =
        list("violations").filter_map(|violation| violation["message"].as_str()).map(str::to_owned).collect();
    for pointer in list("unknownFields").filter_map(Value::as_str) {
        reasons.push(match request["suggestions"][pointer].as_str() {
            Some(name) => format!("the API does not know the field {pointer}; `{name}` is probably meant"),
            None => format!("the API does not know the field {pointer}; it is ignored"),
        });
    }
    for rule in list("tolerated").filter_map(Value::as_str) {
        reasons.push(format!("accepted, but the documentation requires more (rule {rule})"));
    }
    if let Some(name) = text("refusal") {
        let refusal = Refusal::all().find(|refusal| refusal.name() == name);
        let condition = refusal.map_or("", Refusal::condition);
        reasons.push(format!("the live API refuses this (refusal {name}): {condition}"));
    }
    if let Some(name) = text("quirk") {
        let quirk = Quirk::ALL.into_iter().find(|quirk| quirk.name() == name);
        let description = quirk.map_or("", Quirk::description);
        reasons.push(format!("a quirk of the live API is enabled ({name}): {description}"));
    }
    if let Some(fault) = text("fault") {
        let outcome = if request["accepted"] == true {
            "the request was processed, and its message is stored; a retry sends it twice"
        } else {
            "the request was not processed"
        };
        reasons.push(format!("the fault {fault} was injected: {outcome}"));
    }
    reasons.extend(text("note").map(str::to_owned));
    if reasons.is_empty() {
        let message = &request["response"]["json"]["message"];
        reasons.push(match message.as_str() {
            Some(message) => message.to_owned(),
            None if is_failure(request) => format!("the response has the only reason: {message}"),
            None => "the request succeeded".to_owned(),
        });
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(fields: &Value) -> Value {
        let mut request = json!({
            "status": 422, "broken": false, "accepted": false, "violations": [], "unknownFields": [], "suggestions": {},
            "tolerated": [], "refusal": null, "quirk": null, "fault": null, "note": null,
            "response": {"json": {"message": "as the response has it"}},
        });
        for (name, value) in fields.as_object().unwrap() {
            request[name] = value.clone();
        }
        request
    }

    #[test]
    fn reasons_name_fields_rules_and_faults() {
        let quirk = Quirk::EmptySuccess;
        for (fields, expected) in [
            (json!({"violations": [{"message": "status is invalid"}]}), "status is invalid"),
            (
                json!({"unknownFields": ["/mesage"], "suggestions": {"/mesage": "message"}}),
                "the API does not know the field /mesage; `message` is probably meant",
            ),
            (json!({"unknownFields": ["/x"]}), "the API does not know the field /x; it is ignored"),
            (
                json!({"tolerated": ["send-without-status"]}),
                "accepted, but the documentation requires more (rule send-without-status)",
            ),
            (
                json!({"quirk": quirk.name()}),
                &format!("a quirk of the live API is enabled ({}): {}", quirk.name(), quirk.description()),
            ),
            (
                json!({"fault": "reset", "accepted": true, "broken": true}),
                "the fault reset was injected: the request was processed, and its message is stored; a retry sends it twice",
            ),
            (json!({"fault": "reset"}), "the fault reset was injected: the request was not processed"),
            (json!({"note": "the contact does not exist"}), "the contact does not exist"),
            (json!({}), "as the response has it"),
            (json!({"status": 201, "response": {"json": {}}}), "the request succeeded"),
        ] {
            assert_eq!(reasons(&request(&fields)), [expected], "{fields}");
        }
    }

    #[test]
    fn refusals_have_their_condition() {
        for refusal in Refusal::all() {
            let reasons = reasons(&request(&json!({"refusal": refusal.name()})));
            let expected =
                format!("the live API refuses this (refusal {}): {}", refusal.name(), refusal.condition());
            assert_eq!(reasons, [expected]);
        }
    }
}
