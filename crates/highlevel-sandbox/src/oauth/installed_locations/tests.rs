use super::super::app::SandboxApp;
use super::super::resource::Choice;
use super::*;
use crate::model::{COMPANY_ID, LOCATION_ID};

const DATED: OAuthVersion = OAuthVersion::Dated;
const V3: OAuthVersion = OAuthVersion::V3;

fn start() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000)
}

fn caller() -> Subject {
    Subject {
        client_id: "app-1".to_owned(),
        choice: Choice::company(COMPANY_ID, Vec::new()),
        scopes: vec![SCOPE.to_owned()],
    }
}

/// Five locations of the company, listed by ID: the default one and `second` with the app, three without it; and a foreign one.
fn model() -> Model {
    let mut seed = crate::snapshot::seed();
    let names =
        [("second", "Café Süd"), ("third", "Cafe North"), ("fourth", "Office"), ("fifth", "Office 2")];
    seed.locations.extend(names.map(|(id, name)| Location::new(id).name(name)));
    seed.locations.push(Location::new("foreign").company("strangers"));
    Model::try_from(seed).unwrap()
}

fn registry() -> Registry {
    let mut registry = Registry::new(SandboxApp::new("app-1", "secret"));
    for (choice, days) in [
        (Choice::company(COMPANY_ID, vec!["second".to_owned()]).with_future_locations(true), 0),
        (Choice::location("second", COMPANY_ID), 0),
        (Choice::location(LOCATION_ID, COMPANY_ID), 11),
    ] {
        registry.put_install(Installation {
            client_id: "app-1".to_owned(),
            choice,
            installed_at: start() - TimeDelta::days(days),
            announced: true,
            is_future_location: false,
        });
    }
    registry
}

fn response(version: OAuthVersion, query: &str) -> Result<Value, Rejection> {
    let query = format!("companyId={COMPANY_ID}&appId=app&{query}");
    let query = Form::parse_query(&query).unwrap();
    decide(&query, version, &caller(), &registry(), &model(), start(), "t")
}

fn ids(locations: &Value) -> Vec<&str> {
    locations.as_array().unwrap().iter().map(|location| location["_id"].as_str().unwrap()).collect()
}

/// The fields of a query, the listed locations, and the number of all that match.
struct Row {
    query: &'static str,
    listed: &'static [&'static str],
    count: usize,
}

#[test]
fn locations_are_filtered_and_paged() {
    for Row { query, listed, count } in [
        Row { query: "", listed: &["fifth", "fourth", LOCATION_ID, "second", "third"], count: 5 },
        Row { query: "isInstalled=true", listed: &[LOCATION_ID, "second"], count: 2 },
        Row { query: "isInstalled=false", listed: &["fifth", "fourth", "third"], count: 3 },
        Row { query: "query=CAF", listed: &["second", "third"], count: 2 },
        Row { query: "query=s%C3%BCd", listed: &["second"], count: 1 },
        Row { query: "locationId=third", listed: &["third"], count: 1 },
        Row { query: "locationId=foreign", listed: &[], count: 0 },
        Row { query: "onTrial=true", listed: &["second"], count: 1 },
        Row { query: "onTrial=false&isInstalled=true", listed: &[LOCATION_ID], count: 1 },
        Row { query: "planId=66a0419a0dffa47fb5f8b22f", listed: &[LOCATION_ID, "second"], count: 2 },
        Row { query: "planId=other", listed: &[], count: 0 },
        Row { query: "versionId=app", listed: &[LOCATION_ID, "second"], count: 2 },
        Row { query: "limit=2", listed: &["fifth", "fourth"], count: 5 },
        Row { query: "limit=2&skip=4", listed: &["third"], count: 5 },
        Row { query: "skip=18446744073709551615", listed: &[], count: 5 },
    ] {
        let body = response(DATED, query).unwrap();
        assert_eq!((ids(&body["locations"]), &body["count"]), (listed.to_vec(), &json!(count)), "{query}");
        assert_eq!(body["installToFutureLocations"], true);
    }
    let body = response(DATED, "locationId=second").unwrap();
    let expected = json!({
        "_id": "second", "name": "Café Süd", "address": "", "isInstalled": true, "versionId": "app",
        "installedAt": "2024-10-04T00:00:00.000Z",
    });
    assert_eq!(body["locations"][0], expected);
    let without_app = response(DATED, "locationId=third").unwrap();
    let expected = json!({ "_id": "third", "name": "Cafe North", "address": "", "isInstalled": false });
    assert_eq!(without_app["locations"][0], expected);
}

#[test]
fn the_pages_of_version_3_are_linked_by_tokens() {
    let (mut token, mut pages, mut previous) = (String::new(), Vec::new(), Vec::new());
    loop {
        let body = response(V3, &format!("pageSize=2.0&pageToken={token}")).unwrap();
        let pagination = &body["pagination"];
        pages.push(ids(&body["items"]).len());
        previous.push(pagination["prevPageToken"].as_str().map(|token| skip_of(token).unwrap()));
        assert_eq!(
            (&pagination["totalRecords"], &pagination["currentPageSize"]),
            (&json!(5), &json!(pages.last()))
        );
        assert_eq!(pagination["hasPrevPage"], json!(pages.len() > 1));
        let Some(next) = pagination["nextPageToken"].as_str() else {
            assert_eq!(pagination["hasNextPage"], false);
            break;
        };
        assert_eq!(pagination["hasNextPage"], true);
        next.clone_into(&mut token);
    }
    assert_eq!((pages, previous), (vec![2, 2, 1], vec![None, Some(0), Some(2)]));
    let body = response(V3, "isInstalled=true").unwrap();
    let applied = json!({ "companyId": COMPANY_ID, "isInstalled": "true" });
    assert_eq!((&body["metadata"]["filterApplied"], body.get("locations")), (&applied, None));
}

#[test]
fn invalid_requests_are_rejected() {
    let list = |messages: &[&str]| json!(messages);
    for (version, query, status, message) in [
        (DATED, "isInstalled=1", 422, list(&["isInstalled must be a boolean value"])),
        (
            DATED,
            "limit=0&skip=-1",
            422,
            list(&["skip must be a number not less than 0", "limit must be a number not less than 1"]),
        ),
        (V3, "pageSize=101", 422, list(&["pageSize must be a number from 1 to 100"])),
    ] {
        let rejection = response(version, query).unwrap_err();
        let found = rejection.body("t");
        assert_eq!((rejection.status().as_u16(), &found["message"]), (status, &message), "{query}");
    }
    for token in ["x", "e30", "eyJza2lwIjotMX0", "bm8"] {
        let rejection = response(V3, &format!("pageToken={token}")).unwrap_err();
        let found = rejection.body("t");
        assert_eq!((rejection.status().as_u16(), &found["error"]["code"]), (400, &json!("INVALID_ARGUMENT")));
    }
    for (version, query, status, pointer, text) in [
        (DATED, "", 422, "/message/0", "companyId should not be empty"),
        (V3, "", 422, "/message/1", "appId should not be empty"),
        (
            DATED,
            "companyId=strangers&appId=app",
            403,
            "/message",
            "The token does not have access to the company strangers",
        ),
        (DATED, "companyId=own&appId=other", 400, "/message", "The requested App 'other' was not found."),
        (V3, "companyId=own&appId=other", 404, "/error/message", "The requested App 'other' was not found."),
    ] {
        let query = Form::parse_query(&query.replace("=own", &format!("={COMPANY_ID}"))).unwrap();
        let rejection = decide(&query, version, &caller(), &registry(), &model(), start(), "t").unwrap_err();
        let body = rejection.body("t");
        assert_eq!((rejection.status().as_u16(), body.pointer(pointer)), (status, Some(&json!(text))));
    }
    let location = Subject { choice: Choice::location("second", COMPANY_ID), ..caller() };
    let narrow = Subject { scopes: vec!["oauth.write".to_owned()], ..caller() };
    for caller in [location, narrow] {
        let query = Form::parse_query("").unwrap();
        let rejection = decide(&query, DATED, &caller, &registry(), &model(), start(), "t").unwrap_err();
        assert_eq!(rejection.status(), StatusCode::UNAUTHORIZED);
    }
}
