//! Install and uninstall events, and several apps.

use std::time::Duration;

use highlevel_sandbox::{InstallEvents, Location, SandboxApp, TokenResource};
use http::StatusCode;
use http::header::LOCATION;
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    AUTHORIZE, INVALID, MINUTE, REDIRECT_URI, SCOPES, browser, code, description, exchange, location_token,
    refresh, send, token,
};
use crate::caller::{bare, execute};
use crate::conformance::{Sandbox, StartChecked};
use crate::receiver::Receiver;

/// Returns the received events by type and time of exchange.
fn received_events(receiver: &Receiver) -> Vec<(String, String)> {
    let events = receiver.events();
    let received_events = events.iter().map(|event| {
        let payload: Value = serde_json::from_slice(&event.body).unwrap();
        let id = payload.get("locationId").or(payload.get("companyId")).unwrap();
        (payload["type"].as_str().unwrap().to_owned(), id.as_str().unwrap().to_owned())
    });
    received_events.collect()
}

fn events(events: &[(&str, &str)]) -> Vec<(String, String)> {
    events.iter().map(|(event, id)| ((*event).to_owned(), (*id).to_owned())).collect()
}

#[tokio::test]
async fn install_and_uninstall_events_are_sent() {
    let receiver = Receiver::start(StatusCode::OK).await;
    let sandbox = Sandbox::builder().webhook_url(&receiver.url).start_checked().await.unwrap();
    sandbox.put_location(Location::new("second")).unwrap();
    let (location, company) = (sandbox.location_id(), sandbox.company_id());
    let own = TokenResource::location(location);

    sandbox.install(&own).unwrap();
    let tokens = sandbox.issue_tokens(&own, ["conversations/message.write"]).unwrap();
    sandbox.uninstall(&own).unwrap();
    sandbox.wait_for_deliveries(2, MINUTE).await.unwrap();
    assert_eq!(received_events(&receiver), events(&[("INSTALL", location), ("UNINSTALL", location)]));
    assert_eq!(send(&sandbox, &tokens).await.status, 401);
    assert_eq!(description(&refresh(&sandbox, &tokens).await), INVALID);
    assert!(sandbox.uninstall(&own).is_err());

    let whole = TokenResource::company(company);
    sandbox.install(&whole).unwrap();
    let of_company = sandbox.issue_tokens(&whole, ["oauth.write"]).unwrap();
    let of_location = location_token(&sandbox, &of_company, company, "second").await.body;
    sandbox.uninstall(&whole).unwrap();
    sandbox.wait_for_deliveries(8, MINUTE).await.unwrap();
    let all = ["company", location, "second"].map(|id| if id == "company" { company } else { id });
    let installed = all.map(|id| ("INSTALL", id));
    let removed = all.map(|id| ("UNINSTALL", id));
    assert_eq!(received_events(&receiver)[2..], events(&[installed, removed].concat()));
    for tokens in [&of_company, &of_location] {
        assert_eq!(description(&refresh(&sandbox, tokens).await), INVALID);
    }

    let first: Value = serde_json::from_slice(&receiver.events()[0].body).unwrap();
    let spec = highlevel_sandbox::Spec::load().unwrap();
    for event in receiver.events() {
        let payload: Value = serde_json::from_slice(&event.body).unwrap();
        let schema = spec.event_schema(payload["type"].as_str().unwrap()).unwrap();
        assert_eq!(spec.validate(schema, &payload), [], "{payload}");
        assert_eq!(payload["appId"], sandbox.app_id());
    }
    assert_eq!((&first["installType"], &first["companyId"]), (&json!("Location"), &json!(company)));
    assert!(sandbox.install(&TokenResource::location("nowhere")).is_err());
}

#[tokio::test]
async fn the_install_event_precedes_or_follows_the_exchange() {
    let receiver = Receiver::start(StatusCode::OK).await;
    let sandbox = Sandbox::builder().webhook_url(&receiver.url).start_checked().await.unwrap();
    let location = sandbox.location_id();
    let choice = ("location_id", location);

    // The event precedes the redirect with the code.
    let early = code(&sandbox, choice).await;
    sandbox.wait_for_deliveries(1, MINUTE).await.unwrap();
    token(&sandbox, &[("grant_type", "authorization_code"), ("code", &early)]).await;
    assert_eq!(received_events(&receiver), events(&[("INSTALL", location)]));

    // With the exchange, delayed by the sandbox's clock.
    sandbox.uninstall(&TokenResource::location(location)).unwrap();
    sandbox.wait_for_deliveries(2, MINUTE).await.unwrap();
    sandbox.set_clock_speed(0.0);
    sandbox.install_events(InstallEvents::OnExchange, MINUTE);
    exchange(&sandbox, choice).await;
    sandbox.advance_clock(MINUTE / 2);
    // A later event would have arrived after it.
    sandbox.install_events(InstallEvents::OnAuthorization, Duration::ZERO);
    sandbox.install(&TokenResource::company(sandbox.company_id())).unwrap();
    sandbox.wait_for_deliveries(4, MINUTE).await.unwrap();
    assert_eq!(received_events(&receiver)[2].1, sandbox.company_id());
    sandbox.advance_clock(MINUTE / 2);
    sandbox.wait_for_deliveries(5, MINUTE).await.unwrap();

    sandbox.install_events(InstallEvents::Never, Duration::ZERO);
    exchange(&sandbox, choice).await;
    sandbox.uninstall(&TokenResource::location(location)).unwrap();
    sandbox.wait_for_deliveries(6, MINUTE).await.unwrap();
    let last = received_events(&receiver).pop().unwrap();
    assert_eq!(last, ("UNINSTALL".to_owned(), location.to_owned()));
}

#[tokio::test]
async fn the_install_event_can_wait_for_the_exchange() {
    let receiver = Receiver::start(StatusCode::OK).await;
    let sandbox = Sandbox::builder().webhook_url(&receiver.url).start_checked().await.unwrap();
    sandbox.put_location(Location::new("second")).unwrap();
    let location = sandbox.location_id();
    sandbox.install_events(InstallEvents::OnExchange, Duration::ZERO);
    let code = code(&sandbox, ("location_id", location)).await;
    // An event would have arrived before this one.
    sandbox.install(&TokenResource::location("second")).unwrap();
    let response = token(&sandbox, &[("grant_type", "authorization_code"), ("code", &code)]).await;
    assert_eq!(response.status, 200);
    sandbox.wait_for_deliveries(2, MINUTE).await.unwrap();
    assert_eq!(received_events(&receiver), events(&[("INSTALL", "second"), ("INSTALL", location)]));
}

#[tokio::test]
async fn uninstalling_invalidates_codes() {
    let sandbox = Sandbox::start().await.unwrap();
    let code = code(&sandbox, ("location_id", sandbox.location_id())).await;
    sandbox.uninstall(&TokenResource::location(sandbox.location_id())).unwrap();
    let response = token(&sandbox, &[("grant_type", "authorization_code"), ("code", &code)]).await;
    assert_eq!(description(&response), (401, "Authorization code not found"));
}

#[tokio::test]
async fn apps_have_separate_installs_and_tokens() {
    let (first, second) = (Receiver::start(StatusCode::OK).await, Receiver::start(StatusCode::OK).await);
    let other = SandboxApp::new("second-1", "other-secret").webhook_url(&second.url);
    let sandbox = Sandbox::builder().webhook_url(&first.url).app(other).start_checked().await.unwrap();
    let query = [
        ("response_type", "code"),
        ("client_id", "second-1"),
        ("redirect_uri", REDIRECT_URI),
        ("scope", SCOPES),
        ("location_id", sandbox.location_id()),
    ];
    let response =
        browser().get(format!("{}{AUTHORIZE}", sandbox.base_url())).query(&query).send().await.unwrap();
    let code = response.headers()[LOCATION].to_str().unwrap().split_once("code=").unwrap().1.to_owned();
    sandbox.wait_for_deliveries(1, MINUTE).await.unwrap();
    assert_eq!((first.events().len(), second.events().len()), (0, 1));
    let payload: Value = serde_json::from_slice(&second.events()[0].body).unwrap();
    assert_eq!(payload["appId"], "second");

    // The code belongs to the other app.
    let rejected = token(&sandbox, &[("grant_type", "authorization_code"), ("code", &code)]).await;
    assert_eq!(description(&rejected), (401, "Authorization code not found"));
    let request = bare(&sandbox, Method::POST, "/oauth/token").form(&[
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("client_id", "second-1"),
        ("client_secret", "other-secret"),
    ]);
    let tokens = execute(request).await.body;
    assert_eq!(send(&sandbox, &tokens).await.status, 201);
    assert_eq!(description(&refresh(&sandbox, &tokens).await), (401, "Invalid client credentials!"));
}
