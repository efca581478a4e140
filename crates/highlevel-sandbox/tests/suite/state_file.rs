//! State files in real processes: kinds of files, concurrent starts, and failing writes.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use highlevel_test_support::Directory;
use http::StatusCode;
use serde_json::{Value, json};

use crate::caller::client;
use crate::process::{Running, directory, program};
use crate::receiver::Receiver;

/// Ends a test in which something is broken.
const TEST_TIMEOUT: Duration = Duration::from_secs(60);

/// Starts a sandbox whose start fails, and returns its standard error.
fn start_error(path: &Path) -> String {
    let mut child = program()
        .args(["serve", "--state", path.to_str().unwrap()])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut printed = String::new();
    child.stderr.take().unwrap().read_to_string(&mut printed).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1), "{}: {printed}", path.display());
    assert!(!printed.contains("panicked"), "{printed}");
    printed
}

fn start(path: &Path) -> (Running, Value) {
    let mut running = Running::start(["serve", "--state", path.to_str().unwrap()]);
    let ready = running.ready();
    (running, ready)
}

async fn send(ready: &Value, text: &str) -> (u16, Value) {
    let response = client()
        .post(format!("{}/conversations/messages", ready["baseUrl"].as_str().unwrap()))
        .bearer_auth(ready["token"].as_str().unwrap())
        .header("Version", "2021-04-15")
        .json(&json!({"type": "SMS", "contactId": ready["contactId"], "message": text, "status": "pending"}))
        .send()
        .await
        .unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

async fn admin(ready: &Value, path: &str) -> (u16, Value) {
    let response =
        client().get(format!("{}{path}", ready["adminUrl"].as_str().unwrap())).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

/// Returns the ids of all messages.
async fn messages(ready: &Value) -> Vec<String> {
    let (_, body) = admin(ready, "messages?limit=1000").await;
    let messages = body["messages"].as_array().unwrap_or_else(|| panic!("{body}"));
    messages.iter().map(|message| message["id"].as_str().unwrap().to_owned()).collect()
}

fn run(command: &str, arguments: &[&str]) -> bool {
    Command::new(command).args(arguments).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

#[cfg(unix)]
#[test]
fn only_regular_files_are_accepted_and_others_stay_unchanged() {
    use std::os::unix::fs::{FileTypeExt, symlink};

    let directory = directory("places");
    let fifo = directory.file("fifo");
    assert!(run("mkfifo", &[fifo.to_str().unwrap()]));
    assert!(start_error(&fifo).contains("is not a regular file"));
    assert!(fs::metadata(&fifo).unwrap().file_type().is_fifo());

    let folder = directory.file("folder");
    fs::create_dir(&folder).unwrap();
    assert!(start_error(&folder).contains("is not a regular file"));

    let device = directory.file("device");
    if run("mknod", &[device.to_str().unwrap(), "c", "1", "3"]) {
        assert!(start_error(&device).contains("is not a regular file"));
        assert!(fs::metadata(&device).unwrap().file_type().is_char_device());
    } else {
        println!("SKIPPED: a character device; only root can create one");
    }

    let (dangling, nowhere) = (directory.file("dangling"), directory.file("nowhere"));
    symlink(&nowhere, &dangling).unwrap();
    assert!(start_error(&dangling).contains("is a symbolic link to a path that does not exist"));
    assert!(fs::symlink_metadata(&dangling).unwrap().is_symlink() && !nowhere.exists());

    // A link to a state file is followed, and stays a link.
    let (link, target) = (directory.file("link"), directory.file("target"));
    drop(start(&target));
    symlink(&target, &link).unwrap();
    drop(start(&link));
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());

    // A link at the name of a temporary file is not followed.
    let (state, precious) = (directory.file("state"), directory.file("precious"));
    fs::write(&precious, "precious").unwrap();
    symlink(&precious, directory.file("state.new")).unwrap();
    drop(start(&state));
    assert_eq!(fs::read_to_string(&precious).unwrap(), "precious");
}

#[cfg(unix)]
#[test]
fn a_state_file_is_private_whatever_the_umask() {
    use std::os::unix::fs::PermissionsExt;

    let directory = directory("mode");
    for (name, is_empty) in [("new", false), ("empty", true)] {
        let path = directory.file(name);
        if is_empty {
            fs::write(&path, "").unwrap();
        }
        let mut command = Command::new("sh");
        let script =
            format!("umask 0; exec {} serve --state \"$1\"", env!("CARGO_BIN_EXE_highlevel-sandbox"));
        command.args(["-c", &script, "sh", path.to_str().unwrap()]);
        let mut running = Running::of(command);
        running.ready();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
        // The directory contains nothing else.
        let names: Vec<_> =
            fs::read_dir(path.parent().unwrap()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(names.iter().all(|found| found == "new" || found == "empty"), "{names:?}");
    }
}

#[test]
fn of_concurrent_starts_exactly_one_succeeds() {
    let directory = directory("race");
    for round in 0..25 {
        let path = directory.file(&format!("state-{round}"));
        if round % 3 == 0 {
            fs::write(&path, "").unwrap();
        }
        let start_line = Arc::new(Barrier::new(3));
        let starts: Vec<_> = (0..3)
            .map(|_| {
                let (path, start_line) = (path.clone(), Arc::clone(&start_line));
                thread::spawn(move || {
                    start_line.wait();
                    let mut child = program()
                        .args(["serve", "--json", "--state", path.to_str().unwrap()])
                        .stdout(Stdio::piped())
                        .stderr(Stdio::piped())
                        .spawn()
                        .unwrap();
                    let mut first = [0; 1];
                    // Either it becomes ready, or its output ends.
                    let is_ready = child.stdout.as_mut().unwrap().read(&mut first).unwrap() > 0;
                    (is_ready, child)
                })
            })
            .collect();
        let mut ready = 0;
        let mut children = Vec::new();
        for start in starts {
            let (is_ready, mut child) = start.join().unwrap();
            ready += usize::from(is_ready);
            if !is_ready {
                let mut printed = String::new();
                child.stderr.take().unwrap().read_to_string(&mut printed).unwrap();
                assert!(printed.contains("is in use by another sandbox"), "round {round}: {printed}");
            }
            children.push(child);
        }
        assert_eq!(ready, 1, "round {round}");
        for mut child in children {
            let _ = child.kill();
            child.wait().unwrap();
        }
        // The file is intact: a single start can use it.
        drop(start(&path));
    }
}

/// A file system of a few megabytes that can be enlarged. Only root can mount one.
#[cfg(target_os = "linux")]
struct SmallDisk(Directory);

#[cfg(target_os = "linux")]
impl SmallDisk {
    fn mount() -> Option<Self> {
        let directory = directory("disk");
        let path = directory.file("");
        run("mount", &["-t", "tmpfs", "-o", "size=3m", "tmpfs", path.to_str().unwrap()])
            .then_some(Self(directory))
    }

    fn grow(&self) {
        assert!(run("mount", &["-o", "remount,size=64m", self.0.file("").to_str().unwrap()]));
    }
}

#[cfg(target_os = "linux")]
impl Drop for SmallDisk {
    fn drop(&mut self) {
        run("umount", &["--lazy", self.0.file("").to_str().unwrap()]);
    }
}

/// A failed write is not in memory, is not published, and is reported. With free space on the disk the sandbox
/// continues.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_failed_write_is_rolled_back_and_the_sandbox_recovers() {
    let Some(disk) = SmallDisk::mount() else {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "a file system cannot be mounted");
        println!("SKIPPED: a full disk; only root can mount a small one");
        return;
    };
    let receiver = Receiver::start(StatusCode::OK).await;
    let path = disk.0.file("state");
    let arguments = ["serve", "--state", path.to_str().unwrap(), "--webhook-url", &receiver.url];
    let mut running = Running::start(arguments);
    let ready = running.ready();
    let long = "x".repeat(20_000);
    let (mut accepted, mut start_error) = (Vec::new(), 0);
    while start_error < 5 {
        match send(&ready, &long).await {
            (201, body) => accepted.push(body["messageId"].as_str().unwrap().to_owned()),
            (500, body) => {
                assert!(body["message"].to_string().contains("the state file cannot be written"), "{body}");
                start_error += 1;
            }
            other => panic!("{other:?}"),
        }
        assert!(accepted.len() < 1_000, "the disk is never full");
    }
    let sorted = |mut ids: Vec<String>| {
        ids.sort();
        ids
    };
    assert_eq!(sorted(messages(&ready).await), sorted(accepted.clone()));
    let (status, health) = admin(&ready, "health").await;
    assert_eq!((status, &health["status"]), (503, &json!("failing")), "{health}");
    assert!(health["failure"].as_str().unwrap().contains("the state file cannot be written"), "{health}");
    // Other changes are rejected too, and have no effect.
    let contact = format!("{}contacts/newcomer", ready["adminUrl"].as_str().unwrap());
    let put = client().put(&contact).json(&json!({})).send().await.unwrap();
    assert_eq!(put.status(), 500);
    assert_eq!(client().get(&contact).send().await.unwrap().status(), 404);

    disk.grow();
    let recovery = async {
        while admin(&ready, "health").await.0 != 200 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(TEST_TIMEOUT, recovery).await.expect("it recovers without a restart");
    let (status, body) = send(&ready, "after").await;
    assert_eq!(status, 201, "{body}");
    accepted.push(body["messageId"].as_str().unwrap().to_owned());
    assert_eq!(sorted(messages(&ready).await), sorted(accepted.clone()));
    // There is one event for each accepted message, and no other.
    let events = async {
        while receiver.events().len() < accepted.len() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(TEST_TIMEOUT, events).await.expect("all events");
    let events = receiver.events();
    let announced = events.iter().map(|event| {
        let event: Value = serde_json::from_slice(&event.body).unwrap();
        event["messageId"].as_str().unwrap().to_owned()
    });
    assert_eq!(sorted(announced.collect()), sorted(accepted.clone()));

    running.kill();
    let (_running, ready) = start(&path);
    assert_eq!(sorted(messages(&ready).await), sorted(accepted));
}

/// The limit on the size of a file ends a process by a signal unless it is ignored.
#[cfg(unix)]
#[tokio::test]
async fn a_file_size_limit_is_reported_and_survived() {
    let directory = directory("limit");
    let path = directory.file("state");
    let mut command = Command::new("bash");
    let script =
        format!("ulimit -f 2400; exec {} serve --state \"$1\"", env!("CARGO_BIN_EXE_highlevel-sandbox"));
    command.args(["-c", &script, "bash", path.to_str().unwrap()]);
    let mut running = Running::of(command);
    let ready = running.ready();
    let long = "x".repeat(50_000);
    let mut accepted = Vec::new();
    let failure = loop {
        match send(&ready, &long).await {
            (201, body) => accepted.push(body["messageId"].clone()),
            other => break other,
        }
        assert!(accepted.len() < 1_000, "the file grows without end");
    };
    assert_eq!(failure.0, 500, "{failure:?}");
    assert_eq!(messages(&ready).await.len(), accepted.len());
    drop(running);
    let (_running, ready) = start(&path);
    assert_eq!(messages(&ready).await.len(), accepted.len());
}

/// Writes to a removed file would be lost with the process.
#[cfg(unix)]
#[tokio::test]
async fn a_removed_state_file_rejects_changes() {
    let directory = directory("removed");
    let path = directory.file("state");
    let (_running, ready) = start(&path);
    assert_eq!(send(&ready, "before").await.0, 201);
    fs::remove_file(&path).unwrap();
    let (status, body) = send(&ready, "after").await;
    assert_eq!(status, 500, "{body}");
    assert!(body["message"].to_string().contains("removed or replaced"), "{body}");
    assert_eq!(admin(&ready, "health").await.0, 503);
}
