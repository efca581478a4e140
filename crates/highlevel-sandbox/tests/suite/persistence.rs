//! The content of a state file across restarts, full disks, damage and kills.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex};

use highlevel_sandbox::{Contact, Location, Snapshot, StatusUpdate};
use serde_json::{Value, json};

use crate::caller::{SEND, client, post};
use crate::conformance::{Sandbox, StartChecked};
use crate::process::{Running, directory};

/// A small seeded generator, so that a failure can be reproduced.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

#[tokio::test]
async fn a_restart_restores_all_records_and_credentials() {
    let directory = directory("again");
    let builder = || Sandbox::builder().state_file(directory.file("state"));
    let one = builder().start_checked().await.unwrap();
    one.put_contact(Contact::new("newcomer").email("a@example.com").phone("+15035550143")).unwrap();
    let send = json!({"type": "SMS", "contactId": "newcomer", "message": "Hello", "status": "pending"});
    let id = post(&one, SEND, &send).await.body["messageId"].as_str().unwrap().to_owned();
    one.set_status(&id, StatusUpdate::new("delivered")).unwrap();
    let token = one.issue_token(one.location_id()).unwrap();
    assert!(one.delete_contact("ve9EPM428h8vShlRW1KT"));
    let facts = |sandbox: &Sandbox| {
        [sandbox.token(), sandbox.webhook_public_key(), &sandbox.client_id(), &sandbox.client_secret()]
            .map(str::to_owned)
    };
    let (before, snapshot) = (facts(&one), one.snapshot());
    one.stop().await;

    let other = builder().start_checked().await.unwrap();
    assert_eq!(facts(&other), before);
    assert_eq!(other.snapshot(), snapshot);
    assert_eq!(other.message(&id).unwrap().status, "delivered");
    assert_eq!(other.contact("ve9EPM428h8vShlRW1KT"), None);
    let request = client().post(format!("{}{SEND}", other.base_url())).bearer_auth(token);
    let response = request.header("Version", "2021-04-15").json(&send).send().await.unwrap();
    assert_eq!(response.status(), 201);

    // A reset also resets the file. Dropping the sandbox is equivalent to stopping it.
    other.reset().unwrap();
    let beginning = other.snapshot();
    drop(other);
    let third = builder().token("pit-chosen").start_checked().await.unwrap();
    assert_eq!(third.token(), "pit-chosen");
    assert!(third.messages().is_empty());
    assert_eq!((third.snapshot().contacts, third.contact("newcomer")), (beginning.contacts, None));
}

/// Starting with the same seed does not undo changes to its records.
#[tokio::test]
async fn changes_to_seeded_records_survive_a_restart() {
    let directory = directory("seeded");
    let seed = |more: &str| {
        let text = "contacts: [{id: renamed, name: Before}, {id: deleted}]\n\
                    conversations: [{id: with-deleted, contactId: deleted}]\n\
                    credentials: {privateIntegrations: [{token: pit-seeded, locationId: l1C08ntBrFjLS0elLIYU}]}\n";
        Snapshot::parse(&format!("{text}{more}")).unwrap()
    };
    let builder = |more| Sandbox::builder().state_file(directory.file("state")).seed(seed(more));
    let one = builder("").start_checked().await.unwrap();
    let complete = one.snapshot();
    one.put_contact(Contact::new("renamed").name("After")).unwrap();
    assert!(one.delete_contact("deleted"));
    let changed = one.snapshot();
    one.stop().await;

    let two = builder("").start_checked().await.unwrap();
    assert_eq!(two.snapshot(), changed);
    // A reset and an explicit seed restore the seeded records.
    two.reset().unwrap();
    assert_eq!(two.snapshot(), complete);
    two.restore(Snapshot::default()).unwrap();
    let empty = two.snapshot();
    two.stop().await;

    // Deleted records do not return at the next start, seeded or not. Only new records of the seed are added.
    let three = builder("").start_checked().await.unwrap();
    let without_credentials = |snapshot: &Snapshot| {
        let mut value = serde_json::to_value(snapshot).unwrap();
        value.as_object_mut().unwrap().remove("credentials");
        value
    };
    assert_eq!(without_credentials(&three.snapshot()), without_credentials(&empty));
    assert_eq!(status_with(&three, "pit-seeded").await, 401);
    three.stop().await;
    let name = |sandbox: &Sandbox| sandbox.snapshot().locations.remove(0).name;
    let more = "locations: [{id: two, name: Before}]";
    let four = builder(more).start_checked().await.unwrap();
    let snapshot = four.snapshot();
    assert!(snapshot.contacts.is_empty() && snapshot.conversations.is_empty());
    assert_eq!(name(&four).as_deref(), Some("Before"));
    four.put_location(Location::new("two").name("After")).unwrap();
    four.stop().await;
    let five = builder(more).start_checked().await.unwrap();
    assert_eq!(name(&five).as_deref(), Some("After"));
    five.seed(seed("")).unwrap_err();
    let location = "locations: [{id: l1C08ntBrFjLS0elLIYU}]";
    five.seed(seed(location)).unwrap();
    assert_eq!(five.contact("renamed").unwrap().name.as_deref(), Some("Before"));
    assert_ne!(status_with(&five, "pit-seeded").await, 401);
}

/// Returns the status of a request with a token.
async fn status_with(sandbox: &Sandbox, token: &str) -> u16 {
    let request = client().post(format!("{}{SEND}", sandbox.base_url())).bearer_auth(token);
    let body = json!({"type": "SMS", "contactId": "renamed", "status": "pending", "message": "Hello"});
    request.header("Version", "2021-04-15").json(&body).send().await.unwrap().status().as_u16()
}

/// The program may write 8 MiB. Beyond that the operating system returns an error, as it does for a full disk.
#[cfg(unix)]
#[tokio::test]
async fn failed_writes_are_recorded_with_their_response() {
    let directory = directory("full");
    let state = directory.file("state");
    // The unit is 512 or 1024 bytes, depending on the shell.
    let script = "trap '' XFSZ; ulimit -f 8192; exec \"$0\" \"$@\"";
    let arguments =
        ["-c", script, env!("CARGO_BIN_EXE_highlevel-sandbox"), "--state", state.to_str().unwrap()];
    let mut command = std::process::Command::new("sh");
    command.args(arguments).args(["--token", "pit-1", "--json"]).stderr(std::process::Stdio::null());
    let mut running = Running::of(command);
    let ready = serde_json::from_str::<Value>(&running.line()).unwrap()["data"].clone();
    let url = format!("{}{SEND}", ready["baseUrl"].as_str().unwrap());
    let client = client();
    let mut accepted = 0;
    let rejection = loop {
        let text = format!("{accepted} {}", "x".repeat(500_000));
        let body =
            json!({"type": "SMS", "contactId": ready["contactId"], "message": text, "status": "pending"});
        let request = client.post(&url).bearer_auth("pit-1").header("Version", "2021-04-15").json(&body);
        let response = request.send().await.unwrap();
        match response.status().as_u16() {
            201 => accepted += 1,
            status => break (status, response.json::<Value>().await.unwrap()),
        }
        assert!(accepted < 100, "nothing limits the file");
    };
    assert_eq!(rejection.0, 500, "{}", rejection.1);
    assert!(accepted > 0, "it could not write at all");

    let admin = async |path: &str| -> Value {
        let url = format!("{}{path}", ready["adminUrl"].as_str().unwrap());
        client.get(url).send().await.unwrap().json().await.unwrap()
    };
    let requests = admin("requests?limit=2").await;
    let last = &requests["requests"][0];
    assert_eq!((&last["status"], &last["accepted"]), (&json!(500), &json!(false)), "{last}");
    assert_eq!(last["messageId"], Value::Null);
    assert_eq!(last["id"], rejection.1["traceId"]);
    assert_eq!(requests["requests"][1]["accepted"], json!(true));
    let fingerprint = last["fingerprint"].as_str().unwrap();
    let times = admin(&format!("ledger/{fingerprint}")).await;
    assert_eq!(times["accepted"], 0, "{times}");
}

#[tokio::test]
async fn the_oldest_messages_are_dropped_over_the_limit() {
    let directory = directory("oldest");
    let builder = || Sandbox::builder().state_file(directory.file("state")).keep_messages(3);
    let sandbox = builder().start_checked().await.unwrap();
    for number in 0..5 {
        let send = json!({"type": "SMS", "contactId": sandbox.contact_id(), "message": number.to_string(), "status": "read"});
        assert_eq!(post(&sandbox, SEND, &send).await.status, 201);
    }
    let texts = |sandbox: &Sandbox| {
        sandbox.messages().iter().map(|message| message.text().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(texts(&sandbox), ["2", "3", "4"]);
    sandbox.stop().await;
    assert_eq!(texts(&builder().start_checked().await.unwrap()), ["2", "3", "4"]);
}

#[tokio::test]
async fn errors_of_state_files_name_the_fix() {
    let directory = directory("unusable");
    let start = async |path: &std::path::Path| -> std::io::Error {
        Sandbox::builder().state_file(path).start_checked().await.map(drop).unwrap_err()
    };
    let path = directory.file("state");
    let sandbox = Sandbox::builder().state_file(&path).start_checked().await.unwrap();
    let locked = start(&path).await;
    assert_eq!(locked.kind(), ErrorKind::ResourceBusy);
    assert!(locked.to_string().contains("state is in use by another sandbox; stop it"), "{locked}");
    drop(sandbox);

    let text = directory.file("text");
    std::fs::write(&text, "dear diary").unwrap();
    let database = directory.file("database");
    drop(redb::Database::create(&database).unwrap());
    for path in [&text, &database] {
        let before = std::fs::read(path).unwrap();
        let foreign = start(path).await;
        assert_eq!(foreign.kind(), ErrorKind::InvalidData);
        assert!(
            foreign.to_string().contains("is not a state file of the sandbox; choose another path"),
            "{foreign}"
        );
        if *path == text {
            assert_eq!(std::fs::read(path).unwrap(), before);
        }
    }
    let missing = start(&directory.file("no/such/directory")).await;
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    assert!(missing.to_string().contains("failed to use"), "{missing}");
}

/// A damaged file is either detected, or the damage does not affect the data.
#[tokio::test]
async fn a_damaged_file_is_rejected_or_harmless() {
    let directory = directory("damaged");
    let path = directory.file("state");
    let sandbox = Sandbox::builder().state_file(&path).start_checked().await.unwrap();
    for number in 0..20 {
        sandbox.put_contact(Contact::new(format!("contact-{number}")).name("Ada")).unwrap();
    }
    let expected = sandbox.snapshot();
    sandbox.stop().await;
    let whole = std::fs::read(&path).unwrap();

    let mut random = Random(7);
    let (mut published, mut harmless) = (0, 0);
    for round in 0..60 {
        let mut bytes = whole.clone();
        let place = usize::try_from(random.below(bytes.len() as u64)).unwrap();
        if round % 6 == 0 {
            bytes.truncate(place);
        } else {
            // Half of them in parts that are in use.
            let used = bytes
                .iter()
                .enumerate()
                .skip(place)
                .find(|(_, byte)| **byte != 0)
                .map_or(place, |(at, _)| at);
            bytes[if round % 2 == 0 { used } else { place }] ^= 1 << random.below(8);
        }
        let damaged = directory.file("damaged");
        std::fs::write(&damaged, &bytes).unwrap();
        match Sandbox::builder().state_file(&damaged).start_checked().await {
            Ok(sandbox) if bytes.is_empty() => drop(sandbox),
            Ok(sandbox) => {
                assert_eq!(sandbox.snapshot(), expected, "round {round}, byte {place}");
                harmless += 1;
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::InvalidData, "round {round}: {error}");
                published += 1;
            }
        }
    }
    assert!(published > 5 && harmless > 5, "{published} {harmless}");
}

/// Every message with a 201 response exists exactly once after `kill -9`. A message without a response exists at most
/// once.
#[tokio::test]
async fn accepted_data_survives_kill_9() {
    const ROUNDS: u64 = 50;
    let directory = directory("killed");
    let path = directory.file("state");
    let arguments = ["--state", path.to_str().unwrap(), "--token", "pit-1", "--json"];
    let mut random = Random(42);
    // The id of each acknowledged message, by its text.
    let accepted: Arc<Mutex<HashMap<String, String>>> = Arc::default();
    let mut unanswered = 0;
    for round in 0..=ROUNDS {
        let mut running = Running::start(arguments);
        let ready = serde_json::from_str::<Value>(&running.line()).unwrap()["data"].clone();
        let stored = stored(&ready).await;
        for (text, id) in accepted.lock().unwrap().iter() {
            assert_eq!(stored.get(text).map(Vec::as_slice), Some(&[id.clone()][..]), "round {round}: {text}");
        }
        assert!(stored.values().all(|ids| ids.len() == 1), "round {round}");
        unanswered = stored.len() - accepted.lock().unwrap().len();
        if round == ROUNDS {
            break;
        }

        // Kill it after this number of responses. Requests of the other senders are in progress then.
        let (responses, enough) =
            (tokio::sync::Semaphore::new(0), u32::try_from(1 + random.below(25)).unwrap());
        let responses = Arc::new(responses);
        let senders: Vec<_> = (0..4)
            .map(|sender| {
                let (ready, accepted, responses) = (ready.clone(), Arc::clone(&accepted), Arc::clone(&responses));
                tokio::spawn(async move {
                    let client = client();
                    for number in 0.. {
                        let text = format!("{round}-{sender}-{number}");
                        let url = format!("{}{SEND}", ready["baseUrl"].as_str().unwrap());
                        let body = json!({"type": "SMS", "contactId": ready["contactId"], "message": text, "status": "pending"});
                        let request = client.post(url).bearer_auth("pit-1").header("Version", "2021-04-15").json(&body);
                        // A truncated response does not count.
                        let Ok(response) = request.send().await else { return };
                        assert_eq!(response.status(), 201);
                        let Ok(response) = response.json::<Value>().await else { return };
                        accepted.lock().unwrap().insert(text, response["messageId"].as_str().unwrap().to_owned());
                        responses.add_permits(1);
                    }
                })
            })
            .collect();
        responses.acquire_many(enough).await.unwrap().forget();
        running.kill();
        for sender in senders {
            sender.await.unwrap();
        }
    }
    let accepted = accepted.lock().unwrap().len();
    println!("{ROUNDS} kills, {accepted} messages accepted, {unanswered} stored without a response");
    assert!(accepted >= usize::try_from(ROUNDS).unwrap());
}

/// Returns the ids of the stored messages by their text.
async fn stored(ready: &Value) -> HashMap<String, Vec<String>> {
    let mut stored: HashMap<String, Vec<String>> = HashMap::new();
    let mut after = String::new();
    loop {
        let url = format!("{}messages?limit=1000{after}", ready["adminUrl"].as_str().unwrap());
        let page: Value = client().get(url).send().await.unwrap().json().await.unwrap();
        for message in page["messages"].as_array().unwrap() {
            let text = message["request"]["message"].as_str().unwrap().to_owned();
            stored.entry(text).or_default().push(message["id"].as_str().unwrap().to_owned());
        }
        let Some(next) = page["next"].as_str() else { return stored };
        after = format!("&after={next}");
    }
}
