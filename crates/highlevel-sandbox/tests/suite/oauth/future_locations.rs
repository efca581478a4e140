//! Locations that are created after an app was installed on their company.

use highlevel_sandbox::{InstallEvents, Location, TokenResource};
use http::StatusCode;
use reqwest::Method;
use serde_json::{Value, json};

use super::{MINUTE, authorize, choose, location_token};
use crate::caller::{bare, execute};
use crate::conformance::{Sandbox, StartChecked};
use crate::receiver::Receiver;

async fn start() -> (Receiver, Sandbox) {
    let receiver = Receiver::start(StatusCode::OK).await;
    let sandbox = Sandbox::builder().webhook_url(&receiver.url).start_checked().await.unwrap();
    (receiver, sandbox)
}

/// Returns the received events.
fn payloads(receiver: &Receiver) -> Vec<Value> {
    receiver.events().iter().map(|event| serde_json::from_slice(&event.body).unwrap()).collect()
}

async fn is_included(sandbox: &Sandbox) -> Vec<bool> {
    let installs = execute(bare(sandbox, Method::GET, "/_sandbox/oauth/installs")).await.body;
    let installs = installs["installs"].as_array().unwrap();
    installs.iter().map(|install| install["installToFutureLocations"].as_bool().unwrap()).collect()
}

#[tokio::test]
async fn a_created_location_is_installed_with_an_event_that_names_no_company() {
    let (receiver, sandbox) = start().await;
    let company = TokenResource::company(sandbox.company_id());
    sandbox.install_to_future_locations(true);
    sandbox.install(&company).unwrap();
    sandbox.wait_for_deliveries(2, MINUTE).await.unwrap();
    let installed = payloads(&receiver).remove(0);
    assert_eq!(installed["locationIds"], json!([sandbox.location_id()]));

    let put = bare(&sandbox, Method::PUT, "/_sandbox/locations/created").json(&json!({}));
    assert_eq!(put.send().await.unwrap().status(), 200);
    sandbox.wait_for_deliveries(3, MINUTE).await.unwrap();
    let event = payloads(&receiver).pop().unwrap();
    let names: Vec<&String> = event.as_object().unwrap().keys().collect();
    assert_eq!(names, ["appId", "installType", "locationId", "timestamp", "type", "versionId", "webhookId"]);
    assert_eq!((&event["type"], &event["locationId"]), (&json!("INSTALL"), &json!("created")));

    let tokens = sandbox.issue_tokens(&company, ["oauth.write"]).unwrap();
    assert_eq!(tokens["installToFutureLocations"], true);
    assert_eq!(tokens["approvedLocations"], json!([sandbox.location_id(), "created"]));
    assert_eq!(location_token(&sandbox, &tokens, sandbox.company_id(), "created").await.status, 200);

    // A change of the location, and a location of another company.
    sandbox.put_location(Location::new("created").name("Renamed")).unwrap();
    sandbox.put_location(Location::new("foreign").company("strangers")).unwrap();
    sandbox.uninstall(&company).unwrap();
    sandbox.wait_for_deliveries(6, MINUTE).await.unwrap();
    let uninstalled: Vec<Value> = payloads(&receiver).split_off(3);
    assert!(uninstalled.iter().all(|event| event["type"] == "UNINSTALL"), "{uninstalled:?}");
    // The app is no longer installed on the company.
    sandbox.put_location(Location::new("late")).unwrap();
    sandbox.install(&TokenResource::location("late")).unwrap();
    sandbox.wait_for_deliveries(7, MINUTE).await.unwrap();
    assert_eq!(payloads(&receiver)[6]["companyId"], sandbox.company_id());
}

#[tokio::test]
async fn each_installation_specifies_whether_future_locations_are_included() {
    let (_receiver, sandbox) = start().await;
    let company = sandbox.company_id().to_owned();
    let install = |body: Value| bare(&sandbox, Method::POST, "/_sandbox/oauth/installs").json(&body);
    for (body, expected) in [
        (json!({ "companyId": company }), false),
        (json!({ "companyId": company, "installToFutureLocations": true }), true),
        (json!({ "companyId": company, "installToFutureLocations": false }), false),
    ] {
        assert_eq!(install(body).send().await.unwrap().status(), 204);
        assert_eq!(is_included(&sandbox).await, [expected, false]);
    }
    // The checkbox of the page.
    let (_, _, html) = authorize(&sandbox, &[]).await;
    let checkbox = "name=\"install_to_future_locations\" value=\"true\"";
    assert!(html.contains(&format!("{checkbox}>")), "{html}");
    sandbox.install_to_future_locations(true);
    let (_, _, html) = authorize(&sandbox, &[]).await;
    assert!(html.contains(&format!("{checkbox} checked>")), "{html}");
    let choice = format!("company={company}");
    assert_eq!(choose(&sandbox, &html, &choice, &[]).await.status(), 303);
    assert_eq!(is_included(&sandbox).await, [false, false], "the checkbox was not checked");
    let query = [("company", "own"), ("install_to_future_locations", "true")];
    assert_eq!(authorize(&sandbox, &query).await.0, 302);
    assert_eq!(is_included(&sandbox).await, [true, false]);
}

#[tokio::test]
async fn the_settings_of_install_events_apply_and_a_snapshot_contains_the_choice() {
    let (receiver, sandbox) = start().await;
    sandbox.install_events(InstallEvents::Never, std::time::Duration::ZERO);
    sandbox.install_to_future_locations(true);
    sandbox.install(&TokenResource::company(sandbox.company_id())).unwrap();
    sandbox.put_location(Location::new("silent")).unwrap();
    let snapshot = sandbox.snapshot();
    sandbox.reset().unwrap();
    sandbox.restore(snapshot).unwrap();
    assert_eq!(is_included(&sandbox).await, [true, false, false]);
    sandbox.install_events(InstallEvents::OnAuthorization, std::time::Duration::ZERO);
    sandbox.put_location(Location::new("announced")).unwrap();
    sandbox.wait_for_deliveries(1, MINUTE).await.unwrap();
    assert_eq!(payloads(&receiver)[0]["locationId"], "announced");
}

#[tokio::test]
async fn an_uninstall_event_can_have_a_reason() {
    let (receiver, sandbox) = start().await;
    let own = TokenResource::location(sandbox.location_id());
    sandbox.install(&own).unwrap();
    sandbox.uninstall_with_reason(&own, "PAYMENT_FAILURE").unwrap();
    sandbox.install(&own).unwrap();
    let uninstall = |reason: &str| {
        let body = json!({ "locationId": sandbox.location_id(), "reason": reason });
        bare(&sandbox, Method::POST, "/_sandbox/oauth/uninstall").json(&body)
    };
    assert_eq!(uninstall(&"x".repeat(201)).send().await.unwrap().status(), 400);
    assert_eq!(uninstall("AGENCY_REQUEST").send().await.unwrap().status(), 204);
    sandbox.install(&own).unwrap();
    sandbox.uninstall(&own).unwrap();
    sandbox.wait_for_deliveries(6, MINUTE).await.unwrap();
    let reasons: Vec<Value> = payloads(&receiver)
        .iter()
        .filter(|event| event["type"] == "UNINSTALL")
        .map(|event| event["reason"].clone())
        .collect();
    assert_eq!(reasons, [json!("PAYMENT_FAILURE"), json!("AGENCY_REQUEST"), Value::Null]);
    assert!(sandbox.uninstall_with_reason(&own, &"x".repeat(201)).is_err());
}
