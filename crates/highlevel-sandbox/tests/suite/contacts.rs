//! Contacts through the API.

use std::sync::Arc;

use highlevel_sandbox::{Contact, DndChannel, Location};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::Barrier;

use crate::caller::{Response, bare, call, execute, post};
use crate::conformance::{Sandbox, StartChecked};

const UPSERT: &str = "/contacts/upsert";
const CREATE: &str = "/contacts/";
const SEARCH: &str = "/contacts/search";

/// Returns a body with the location of the token.
fn with_location(sandbox: &Sandbox, mut body: Value) -> Value {
    body["locationId"] = json!(sandbox.location_id());
    body
}

async fn create(sandbox: &Sandbox, body: Value) -> Response {
    post(sandbox, CREATE, &with_location(sandbox, body)).await
}

async fn upsert(sandbox: &Sandbox, body: Value) -> Response {
    post(sandbox, UPSERT, &with_location(sandbox, body)).await
}

async fn get(sandbox: &Sandbox, path: &str) -> Response {
    call(sandbox, Method::GET, path, None).await
}

fn id(response: &Response) -> String {
    response.body["contact"]["id"].as_str().unwrap_or_else(|| panic!("{}", response.body)).to_owned()
}

#[tokio::test]
async fn addresses_are_stored_in_their_normal_form() {
    struct Case {
        name: &'static str,
        body: Value,
        status: u16,
        phone: Option<&'static str>,
        email: Option<&'static str>,
    }
    let case = |name, body, status, phone, email| Case { name, body, status, phone, email };
    let sandbox = Sandbox::start().await.unwrap();
    let cases = [
        case("separators", json!({"phone": "(503) 708-1301"}), 201, Some("+15037081301"), None),
        case("country", json!({"phone": "+49 30 123456"}), 201, Some("+4930123456"), None),
        case("upper case", json!({"email": "Joan@Example.COM "}), 201, None, Some("joan@example.com")),
        case("null", json!({"phone": null, "email": null, "firstName": "Iris"}), 201, None, None),
        case("empty", json!({"phone": "", "email": " ", "firstName": "Iris"}), 201, None, None),
        case("no number", json!({"phone": "call me"}), 422, None, None),
        case("no address", json!({"email": "joan@"}), 422, None, None),
        case("a number as number", json!({"phone": 5_037_081_210_u64}), 422, None, None),
    ];
    for Case { name, body, status, phone, email } in cases {
        let response = create(&sandbox, body).await;
        assert_eq!(response.status, status, "{name}: {}", response.body);
        if status == 201 {
            let contact = &response.body["contact"];
            assert_eq!((contact["phone"].as_str(), contact["email"].as_str()), (phone, email), "{name}");
            let read = get(&sandbox, &format!("/contacts/{}", id(&response))).await;
            assert_eq!((read.status.as_u16(), &read.body["contact"]), (200, contact), "{name}");
            assert_eq!(read.body["traceId"].as_str().map(str::len), Some(36));
        }
    }
}

#[tokio::test]
async fn an_upsert_updates_the_contact_with_the_address() {
    let sandbox = Sandbox::start().await.unwrap();
    let phone = create(&sandbox, json!({"phone": "+15037081401", "firstName": "Phone"})).await;
    let email = create(&sandbox, json!({"email": "both@example.com", "lastName": "Email"})).await;
    let (phone, email) = (id(&phone), id(&email));
    let count = sandbox.snapshot().contacts.len();

    let found = upsert(&sandbox, json!({"phone": "1 503 708 1401", "lastName": "Found"})).await;
    assert_eq!((found.status.as_u16(), &found.body["new"], id(&found)), (200, &json!(false), phone.clone()));
    assert!(found.body["succeded"] == true && found.body["succeeded"] == true, "both spellings");
    let contact = sandbox.contact(&phone).unwrap();
    assert_eq!(contact.name.as_deref(), Some("Phone Found"), "other fields stay");

    // One contact has the email, another one the phone number: the email decides, and the number is ignored.
    let both =
        upsert(&sandbox, json!({"phone": "+15037081401", "email": "BOTH@example.com", "name": "New Name"}))
            .await;
    assert_eq!(id(&both), email);
    let contact = sandbox.contact(&email).unwrap();
    assert_eq!((contact.phone, contact.first_name.as_deref()), (None, Some("New")));
    assert_eq!(sandbox.contact(&phone).unwrap().phone.as_deref(), Some("+15037081401"));
    assert_eq!(sandbox.snapshot().contacts.len(), count);

    let new = upsert(&sandbox, json!({"phone": "+15037081402"})).await;
    assert_eq!((new.status.as_u16(), &new.body["new"]), (201, &json!(true)));
    let again = upsert(&sandbox, json!({"phone": "+15037081402"})).await;
    assert_eq!((again.status.as_u16(), id(&again)), (200, id(&new)));

    // Contacts of the admin API are found as well, by all their addresses.
    let admin = Contact::new("admin").phone("(503) 708-1403").additional_email("Second@Example.com");
    sandbox.put_contact(admin).unwrap();
    for body in [json!({"phone": "+15037081403"}), json!({"email": "second@example.com"})] {
        assert_eq!(id(&upsert(&sandbox, body).await), "admin");
    }
    assert!(sandbox.delete_contact("admin"));
    assert_ne!(id(&upsert(&sandbox, json!({"phone": "+15037081403"})).await), "admin");
}

#[tokio::test]
async fn duplicates_are_rejected_and_found() {
    let sandbox = Sandbox::start().await.unwrap();
    let first =
        create(&sandbox, json!({"phone": "+15037081501", "email": "a@example.com", "name": "Ann Lee"})).await;
    let second = create(&sandbox, json!({"email": "b@example.com"})).await;
    let (first, second) = (id(&first), id(&second));
    let update = format!("/contacts/{second}");
    for (name, response, field) in [
        ("phone", create(&sandbox, json!({"phone": "503-708-1501"})).await, "phone"),
        ("email", create(&sandbox, json!({"email": "A@example.com"})).await, "email"),
        (
            "update",
            call(&sandbox, Method::PUT, &update, Some(&json!({"phone": "+15037081501"}))).await,
            "phone",
        ),
    ] {
        assert_eq!(response.status, 400, "{name}");
        assert_eq!(response.body["message"], "This location does not allow duplicated contacts.", "{name}");
        let expected = json!({"contactId": first, "contactName": "Ann Lee", "matchingField": field});
        assert_eq!(response.body["meta"], expected, "{name}");
    }
    assert_eq!(sandbox.contact(&second).unwrap().phone, None);

    let location = sandbox.location_id();
    let duplicate = |query: &str| format!("/contacts/search/duplicate?locationId={location}{query}");
    let cases = [
        ("by phone", "&number=%2B15037081501", Some(&first)),
        ("by another form of the phone", "&number=%28503%29%20708-1501", Some(&first)),
        ("by email", "&email=B%40Example.com", Some(&second)),
        ("email before phone", "&number=%2B15037081501&email=b%40example.com", Some(&second)),
        ("unknown", "&number=%2B15037081599", None),
        // An unencoded plus sign is a space.
        ("unencoded", "&number=+15037081501", Some(&first)),
        ("no address", "&number=x", None),
    ];
    for (name, query, expected) in cases {
        let response = get(&sandbox, &duplicate(query)).await;
        assert_eq!(response.status, 200, "{name}: {}", response.body);
        assert_eq!(response.body["contact"]["id"].as_str(), expected.map(String::as_str), "{name}");
    }
    assert_eq!(get(&sandbox, &duplicate("")).await.status, 422);
    assert_eq!(get(&sandbox, "/contacts/search/duplicate?number=1").await.status, 422);
}

/// Each key is upserted by two clients on threads of their own, at the same moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn simultaneous_upserts_of_a_contact_create_one_contact() {
    const KEYS: usize = 100;
    let sandbox = Sandbox::start().await.unwrap();
    let contacts = |sandbox: &Sandbox| sandbox.snapshot().contacts.len();
    let before = contacts(&sandbox);
    let barrier = Arc::new(Barrier::new(2 * KEYS));
    let mut tasks = Vec::new();
    for key in 0..KEYS {
        // By phone number, by email, and in other spellings.
        let (one, other) = match key % 3 {
            0 => (
                json!({"phone": format!("+1503555{key:04}")}),
                json!({"phone": format!("(503) 555-{key:04}")}),
            ),
            1 => (
                json!({"email": format!("a{key}@example.com")}),
                json!({"email": format!("A{key}@Example.com")}),
            ),
            _ => {
                let phone = format!("+1503555{key:04}");
                (json!({"phone": phone, "email": format!("a{key}@example.com")}), json!({"phone": phone}))
            }
        };
        for body in [one, other] {
            let request = bare(&sandbox, Method::POST, UPSERT).bearer_auth(sandbox.token());
            let request = request.header("Version", "2021-07-28").json(&with_location(&sandbox, body));
            let barrier = Arc::clone(&barrier);
            tasks.push((
                key,
                tokio::spawn(async move {
                    barrier.wait().await;
                    execute(request).await
                }),
            ));
        }
    }
    let mut responses: Vec<Vec<Response>> = (0..KEYS).map(|_| Vec::new()).collect();
    for (key, task) in tasks {
        responses[key].push(task.await.unwrap());
    }
    for (key, both) in responses.iter().enumerate() {
        assert_eq!(id(&both[0]), id(&both[1]), "{key}");
        let new: Vec<bool> = both.iter().map(|each| each.body["new"] == true).collect();
        assert_eq!(new.iter().filter(|new| **new).count(), 1, "{key}: {new:?}");
    }
    assert_eq!(contacts(&sandbox), before + KEYS);
}

#[tokio::test]
async fn an_update_sets_the_fields_that_it_has() {
    struct Case {
        name: &'static str,
        body: Value,
        field: &'static str,
        expected: Value,
    }

    let sandbox = Sandbox::start().await.unwrap();
    let body = json!({
        "firstName": "Ada", "lastName": "Byron", "email": "ada.b@example.com", "city": "London", "tags": ["vip"],
        "customFields": [{"id": "cf1", "field_value": {"any": ["value"]}}], "dnd": false,
        "dndSettings": {"SMS": {"status": "active"}, "Email": {"status": "permanent"}, "Call": {"status": "inactive"}},
    });
    let created = create(&sandbox, body).await;
    let path = format!("/contacts/{}", id(&created));
    let contact = &created.body["contact"];
    assert_eq!(contact["customFields"], json!([{"id": "cf1", "value": {"any": ["value"]}}]));
    assert_eq!(contact["dndSettings"].as_object().unwrap().keys().collect::<Vec<_>>(), ["Email", "SMS"]);
    let stored = sandbox.contact(&id(&created)).unwrap();
    assert!(stored.has_do_not_disturb(DndChannel::Sms) && !stored.has_do_not_disturb(DndChannel::Call));

    let case = |name, body, field, expected| Case { name, body, field, expected };
    let cases = [
        case("last name", json!({"lastName": "Lovelace"}), "fullNameLowerCase", json!("ada lovelace")),
        case("removed by null", json!({"city": null}), "city", Value::Null),
        case("removed by the empty text", json!({"email": ""}), "email", Value::Null),
        case("tags", json!({"tags": ["new", "new", " "]}), "tags", json!(["new"])),
        case(
            "do-not-disturb ends",
            json!({"dndSettings": {"SMS": {"status": "inactive"}}}),
            "dndSettings",
            json!({"Email": {"status": "active", "code": "103"}}),
        ),
        case("nothing", json!({}), "lastName", json!("Lovelace")),
    ];
    for Case { name, body, field, expected } in cases {
        let response = call(&sandbox, Method::PUT, &path, Some(&body)).await;
        assert_eq!(response.status, 200, "{name}: {}", response.body);
        assert_eq!(response.body["contact"][field], expected, "{name}");
    }

    let (tags, notes) = (format!("{path}/tags"), format!("{path}/notes"));
    let added = post(&sandbox, &tags, &json!({"tags": ["a", "new", "a"]})).await;
    assert_eq!(
        (added.status.as_u16(), &added.body["tags"], &added.body["tagsAdded"]),
        (201, &json!(["new", "a"]), &json!(["a"]))
    );
    let removed = call(&sandbox, Method::DELETE, &tags, Some(&json!({"tags": ["new", "other"]}))).await;
    assert_eq!(
        (removed.status.as_u16(), &removed.body["tags"], &removed.body["tagsRemoved"]),
        (200, &json!(["a"]), &json!(["new"]))
    );
    let note = post(&sandbox, &notes, &json!({"body": "called", "userId": "user1"})).await;
    assert_eq!((note.status.as_u16(), &note.body["note"]["body"]), (201, &json!("called")));
    assert_eq!(sandbox.contact(&id(&created)).unwrap().notes[0].user_id.as_deref(), Some("user1"));
}

#[tokio::test]
async fn contacts_are_listed_page_by_page() {
    let sandbox = Sandbox::start().await.unwrap();
    for contact in sandbox.snapshot().contacts {
        sandbox.delete_contact(&contact.id);
    }
    sandbox.set_clock_speed(0.0);
    let mut created = Vec::new();
    for number in 0..25 {
        let email = format!("n{number}@example.com");
        let contact = create(&sandbox, json!({"firstName": format!("Number{number}"), "email": email})).await;
        created.push(id(&contact));
        sandbox.advance_clock(std::time::Duration::from_millis(5));
    }
    created.reverse();
    let list = async |query: &str| {
        let path = format!("/contacts/?locationId={}{query}", sandbox.location_id());
        let response = get(&sandbox, &path).await;
        assert_eq!(response.status, 200, "{}", response.body);
        response.body
    };
    let (mut listed, mut after, mut pages) = (Vec::new(), String::new(), Vec::new());
    loop {
        let page = list(&format!("&limit=10{after}")).await;
        assert_eq!((&page["count"], &page["meta"]["total"]), (&json!(25), &json!(25)));
        let contacts = page["contacts"].as_array().unwrap();
        listed.extend(contacts.iter().map(|contact| contact["id"].as_str().unwrap().to_owned()));
        let meta = &page["meta"];
        pages.push((meta["currentPage"].clone(), meta["nextPage"].clone()));
        if meta["nextPage"].is_null() {
            break;
        }
        let last = meta["startAfterId"].as_str().unwrap();
        after = format!("&startAfter={}&startAfterId={last}", meta["startAfter"]);
    }
    assert_eq!(listed, created);
    assert_eq!(pages, [(json!(1), json!(2)), (json!(2), json!(3)), (json!(3), Value::Null)]);
    assert_eq!(list("&query=NUMBER24").await["count"], 1);
    assert_eq!(list("&query=unknown").await["contacts"], json!([]));
}

#[tokio::test]
async fn contacts_are_searched_page_by_page() {
    let sandbox = Sandbox::start().await.unwrap();
    for contact in sandbox.snapshot().contacts {
        sandbox.delete_contact(&contact.id);
    }
    sandbox.set_clock_speed(0.0);
    for number in 0..25 {
        let tag = if number % 5 == 0 { "fifth" } else { "other" };
        let email = format!("n{number}@example.com");
        create(&sandbox, json!({"firstName": format!("Number{number}"), "email": email, "tags": [tag]}))
            .await;
        // Two contacts each have the same time.
        if number % 2 == 1 {
            sandbox.advance_clock(std::time::Duration::from_millis(5));
        }
    }
    let search = async |body: Value| {
        let response = post(&sandbox, SEARCH, &with_location(&sandbox, body)).await;
        assert_eq!(response.status, 200, "{}", response.body);
        response.body
    };
    let ids = |page: &Value| -> Vec<String> {
        page["contacts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|each| each["id"].as_str().unwrap().to_owned())
            .collect()
    };
    for sort in [json!([]), json!([{"field": "dateUpdated", "direction": "asc"}])] {
        let all = ids(&search(json!({"pageLimit": 100, "sort": sort})).await);
        assert_eq!(all.len(), 25);
        let (mut by_page, mut by_cursor, mut after) = (Vec::new(), Vec::new(), json!([]));
        for page in 1..=4 {
            by_page.extend(ids(&search(json!({"pageLimit": 7, "page": page, "sort": sort})).await));
            let found = search(json!({"pageLimit": 7, "searchAfter": after, "sort": sort})).await;
            after = found["contacts"].as_array().unwrap().last().unwrap()["searchAfter"].clone();
            assert_eq!(found["total"], 25);
            by_cursor.extend(ids(&found));
        }
        assert_eq!((&by_page, &by_cursor), (&all, &all));
        let end = search(json!({"pageLimit": 7, "searchAfter": after, "sort": sort})).await;
        assert_eq!((ids(&end).len(), &end["total"]), (0, &json!(25)));
    }
    let cases = [
        ("all", json!({}), 25),
        ("a name", json!({"query": "NUMBER24"}), 1),
        ("an email", json!({"query": "n3@example"}), 1),
        ("a tag", json!({"filters": [{"field": "tags", "operator": "eq", "value": "FIFTH"}]}), 5),
        (
            "one of two",
            json!({"filters": [{"field": "email", "operator": "eq", "value": ["n1@example.com", "n2@example.com"]}]}),
            2,
        ),
        ("not", json!({"filters": [{"field": "tags", "operator": "not_eq", "value": "fifth"}]}), 20),
        ("no phone", json!({"filters": [{"field": "phone", "operator": "not_exists"}]}), 25),
        (
            "all filters",
            json!({"filters": [{"field": "tags", "operator": "eq", "value": "fifth"},
            {"field": "firstName", "operator": "contains", "value": "number1"}]}),
            2,
        ),
    ];
    for (name, mut body, count) in cases {
        body["pageLimit"] = json!(100);
        assert_eq!(ids(&search(body).await).len(), count, "{name}");
    }
    for body in [
        json!({"pageLimit": 5, "filters": [{"field": "shoeSize", "operator": "eq", "value": 5}]}),
        json!({"pageLimit": 5, "filters": [{"field": "email", "operator": "range", "value": 5}]}),
        json!({"pageLimit": 5, "filters": [{"group": "OR", "filters": []}]}),
        json!({"pageLimit": 5, "sort": [{"field": "city", "direction": "asc"}]}),
        json!({"sort": []}),
    ] {
        let response = post(&sandbox, SEARCH, &with_location(&sandbox, body.clone())).await;
        assert_eq!(response.status, 422, "{body}");
    }
}

#[tokio::test]
async fn contacts_belong_to_the_location_of_the_token() {
    let sandbox = Sandbox::start().await.unwrap();
    sandbox.put_location(Location::new("two")).unwrap();
    sandbox.put_contact(Contact::new("theirs").location("two").phone("+15037081601")).unwrap();
    let other = json!({"locationId": "two", "phone": "+15037081601", "pageLimit": 5});
    for (method, path, body) in [
        (Method::POST, CREATE, Some(&other)),
        (Method::POST, UPSERT, Some(&other)),
        (Method::POST, SEARCH, Some(&other)),
        (Method::GET, "/contacts/theirs", None),
        (Method::PUT, "/contacts/theirs", Some(&json!({"firstName": "Mine"}))),
        (Method::POST, "/contacts/theirs/tags", Some(&json!({"tags": ["mine"]}))),
        (Method::POST, "/contacts/theirs/notes", Some(&json!({"body": "mine"}))),
        (Method::GET, "/contacts/search/duplicate?locationId=two&number=1", None),
    ] {
        let response = call(&sandbox, method.clone(), path, body).await;
        assert_eq!(response.status, 403, "{method} {path}");
        assert_eq!(response.body["message"], "The token does not have access to this location.");
    }
    let missing = get(&sandbox, "/contacts/missing").await;
    assert_eq!(
        (missing.status.as_u16(), &missing.body["message"]),
        (400, &json!("Contact with id missing not found"))
    );
    // The same address in another location is no duplicate.
    assert_eq!(create(&sandbox, json!({"phone": "+15037081601"})).await.status, 201);
    assert_eq!(
        sandbox.contact("theirs").unwrap(),
        Contact::new("theirs").location("two").phone("+15037081601")
    );

    let request = bare(&sandbox, Method::GET, "/contacts/theirs").header("Version", "2021-07-28");
    assert_eq!(execute(request).await.status, 401, "without a token");
}

#[tokio::test]
async fn contacts_survive_a_restart() {
    let directory = crate::process::directory("contacts");
    let builder = || Sandbox::builder().state_file(directory.file("state"));
    let sandbox = builder().start_checked().await.unwrap();
    let body = json!({"phone": "+15037081701", "firstName": "Kept", "tags": ["a"], "customFields": [{"id": "c", "field_value": 1}]});
    let created = create(&sandbox, body).await;
    post(&sandbox, &format!("/contacts/{}/notes", id(&created)), &json!({"body": "note"})).await;
    let before = sandbox.contact(&id(&created)).unwrap();
    sandbox.stop().await;
    let restarted = builder().start_checked().await.unwrap();
    assert_eq!(restarted.contact(&id(&created)).unwrap(), before);
    assert_eq!(id(&upsert(&restarted, json!({"phone": "+15037081701"})).await), id(&created));
}
