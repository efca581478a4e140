//! Codes and tokens: each is a separate row of the state file.

use serde_json::{Value, json};

use crate::process::directory;
use crate::raw::Program;

/// Returns the rows, bytes and transactions written since the start.
fn written(program: &Program) -> [u64; 3] {
    let written = program.health()["written"].clone();
    ["rows", "bytes", "transactions"].map(|name| written[name].as_u64().unwrap())
}

/// Returns the status of a request, and the rows, bytes and transactions that it wrote.
fn cost(program: &Program, act: impl FnOnce() -> u16) -> (u16, [u64; 3]) {
    let before = written(program);
    let status = act();
    let after = written(program);
    (status, [after[0] - before[0], after[1] - before[1], after[2] - before[2]])
}

#[test]
fn the_cost_of_a_request_is_independent_of_the_number_of_credentials() {
    let directory = directory("rows");
    let state = directory.file("state");
    let program = Program::start(":", &format!("--state {}", state.display()));
    let client = program.ready["clientId"].as_str().unwrap().to_owned();
    let secret = program.ready["clientSecret"].as_str().unwrap().to_owned();
    let location = program.ready["locationId"].as_str().unwrap().to_owned();
    let form = |secret: &str, fields: &str| {
        let form = format!("client_id={client}&client_secret={secret}&{fields}");
        program.ask_with("POST", "/oauth/token", "application/x-www-form-urlencoded", &form)
    };
    let costs = || {
        let tokens = json!({"locationId": location, "scopes": ["a"]}).to_string();
        let tokens = program.ask("POST", "/_sandbox/oauth/tokens", &tokens).json();
        let refresh =
            format!("grant_type=refresh_token&refresh_token={}", tokens["refresh_token"].as_str().unwrap());
        let page = format!(
            "/v2/oauth/chooselocation?response_type=code&client_id={client}&scope=a&location_id={location}\
             &redirect_uri=http://127.0.0.1:9/x"
        );
        [
            cost(&program, || form("wrong", &refresh).status),
            cost(&program, || form(&secret, "grant_type=authorization_code&code=unknown").status),
            cost(&program, || program.ask("GET", &page.replace(&location, "nowhere"), "").status),
            cost(&program, || form(&secret, &refresh).status),
            cost(&program, || program.ask("GET", &page, "").status),
        ]
    };
    let few = costs();

    let mut snapshot = program.ask("GET", "/_sandbox/snapshot", "").json();
    let oauth = &mut snapshot["credentials"]["oauth"];
    let code = oauth["codes"].as_object().unwrap().values().next().unwrap().clone();
    let access = oauth["accessTokens"].as_object().unwrap().values().next().unwrap().clone();
    let mut refresh = oauth["refreshTokens"].as_object().unwrap().values().next().unwrap().clone();
    refresh["used"] = Value::Null;
    for number in 0..9_990 {
        oauth["codes"][format!("code-{number}")] = code.clone();
    }
    for number in 0..2_000 {
        oauth["accessTokens"][format!("access-{number}")] = access.clone();
        oauth["refreshTokens"][format!("refresh-{number}")] = refresh.clone();
    }
    assert_eq!(program.ask("PUT", "/_sandbox/snapshot", &snapshot.to_string()).status, 204);
    assert!(program.health()["memory"]["credentials"]["count"].as_u64() > Some(13_900));

    let many = costs();
    for ((status, few), (same, many)) in few.into_iter().zip(many) {
        assert_eq!(status, same);
        let is_rejected = status >= 400;
        assert_eq!(many[0] == 0 && many[2] == 0, is_rejected, "{status}: {many:?}");
        // Ids vary in length by their encoding; the first install may be written a second time.
        assert!(many[0] <= few[0] && many[1] <= few[1] + 100, "{status}: {few:?}, then {many:?}");
        assert!(many[0] <= 5 && many[1] < 5_000, "{status}: {many:?}");
    }
    drop(program);

    let program = Program::start(":", &format!("--state {}", state.display()));
    assert!(program.health()["memory"]["credentials"]["count"].as_u64() > Some(13_900));
    let token = program.ask("POST", "/_sandbox/oauth/expire", "{\"token\": \"access-1999\"}");
    assert_eq!(token.json()["tokens"], 1);
}
