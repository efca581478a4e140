//! Receiving webhooks in processes that share a deduplicator and are stopped and killed, and on runtimes that are dropped.

use std::sync::mpsc::channel;
use std::thread;
use std::time::SystemTime;

use highlevel::webhook::testing::{EventBuilder, SigningKey};
use highlevel::webhook::{ReceivedEvent, Receiver, WebhookError, WebhookErrorKind};
use highlevel_test_support::Directory;

use crate::process::{Process, scratch};

/// The seconds after which a claim of the child process has ended.
const AFTER_TIMEOUT: u32 = 601;

fn start(scratch: &Directory) -> Process {
    let process = Process::start(env!("CARGO_BIN_EXE_webhook-process"), &[scratch.text()]);
    assert_eq!(process.line(), "ready");
    process
}

fn ask(process: &mut Process, command: &str) -> String {
    process.tell(command);
    process.line()
}

#[test]
fn the_deduplicator_of_the_processes_conforms() {
    let scratch = scratch();
    assert_eq!(ask(&mut start(&scratch), "conformance"), "conforms");
}

#[test]
fn the_event_of_a_killed_process_is_handled_by_another() {
    for is_handling in [true, false] {
        let scratch = scratch();
        let (mut killed, mut other) = (start(&scratch), start(&scratch));
        assert_eq!(ask(&mut killed, "receive 0"), "granted");
        assert_eq!(ask(&mut other, "receive 1"), "InProgress 429");
        if is_handling {
            killed.kill();
            assert_eq!(ask(&mut other, "receive 600"), "InProgress 429");
            assert_eq!(ask(&mut other, &format!("receive {AFTER_TIMEOUT}")), "granted");
            assert_eq!(ask(&mut other, "commit"), "committed");
        } else {
            assert_eq!(ask(&mut killed, "commit"), "committed");
            killed.kill();
        }
        for seconds in [602, 2 * 60 * 60] {
            assert_eq!(ask(&mut other, &format!("receive {seconds}")), "Duplicate 200", "{is_handling}");
        }
    }
}

/// A process is stopped in its handler for longer than a claim lasts. Another one handles the event meanwhile.
#[test]
fn a_stopped_process_cannot_end_the_claim_that_replaced_its_own() {
    for (command, expected) in [("commit", "ClaimLost 429"), ("abort", "aborted")] {
        for is_other_done in [true, false] {
            let scratch = scratch();
            let (mut stopped, mut other) = (start(&scratch), start(&scratch));
            assert_eq!(ask(&mut stopped, "receive 0"), "granted");
            stopped.stop();
            assert_eq!(ask(&mut other, &format!("receive {AFTER_TIMEOUT}")), "granted");
            if is_other_done {
                assert_eq!(ask(&mut other, "commit"), "committed");
            }
            stopped.resume();
            assert_eq!(ask(&mut stopped, command), expected);
            if !is_other_done {
                assert_eq!(ask(&mut stopped, &format!("receive {AFTER_TIMEOUT}")), "InProgress 429");
                assert_eq!(ask(&mut other, "commit"), "committed");
            }
            assert_eq!(ask(&mut stopped, "receive 700"), "Duplicate 200");
        }
    }
}

fn receiver() -> (SigningKey, Receiver) {
    let key = SigningKey::from_seed([1; 32]);
    let receiver = Receiver::builder().any_app().key(key.public_key("test")).build();
    (key, receiver)
}

async fn receive(key: &SigningKey, receiver: &Receiver, id: &str) -> Result<ReceivedEvent, WebhookError> {
    let body = EventBuilder::named("X").webhook_id(id).body();
    receiver.receive(&key.headers(&body), body, SystemTime::now()).await
}

/// A thousand events are in progress on a runtime that nothing drives, and which is then dropped.
#[test]
fn the_events_of_a_dropped_runtime_are_handled_on_another() {
    const EVENTS: usize = 1_000;
    let (key, receiver) = receiver();
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let (sender, granted) = channel();
    runtime.block_on(async {
        for number in 0..EVENTS {
            let (key, receiver, sender) = (key.clone(), receiver.clone(), sender.clone());
            tokio::spawn(async move {
                let event = receive(&key, &receiver, &number.to_string()).await.expect("granted");
                sender.send(()).expect("the test counts");
                // The handler never ends.
                std::future::pending::<()>().await;
                drop(event);
            });
        }
        let mut count = 0;
        while count < EVENTS {
            tokio::task::yield_now().await;
            count += granted.try_iter().count();
        }
    });
    let other = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let redeliver = |number: usize| other.block_on(receive(&key, &receiver, &number.to_string()));
    for number in 0..EVENTS {
        let error = redeliver(number).expect_err("in progress on the runtime that nothing drives");
        assert_eq!(error.kind(), WebhookErrorKind::InProgress);
    }
    drop(runtime);
    for number in 0..EVENTS {
        other.block_on(redeliver(number).expect("granted").commit()).expect("committed");
    }
    for number in 0..EVENTS {
        assert_eq!(redeliver(number).expect_err("handled").kind(), WebhookErrorKind::Duplicate);
    }
}

/// Events are passed to a thread without a runtime, which commits some of them and drops the others.
#[test]
fn events_are_committed_and_dropped_without_a_runtime() {
    let (key, receiver) = receiver();
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let (sender, events) = channel::<ReceivedEvent>();
    let worker = thread::spawn(move || {
        for (number, event) in events.iter().enumerate() {
            if number % 2 == 0 {
                let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
                runtime.block_on(event.commit()).expect("committed");
            }
        }
    });
    for number in 0..10 {
        let event = runtime.block_on(receive(&key, &receiver, &number.to_string())).expect("granted");
        sender.send(event).expect("the worker runs");
    }
    drop(sender);
    worker.join().expect("the worker ends");
    for number in 0..10 {
        let redelivered = runtime.block_on(receive(&key, &receiver, &number.to_string()));
        let kind = redelivered.as_ref().err().map(WebhookError::kind);
        assert_eq!(kind, (number % 2 == 0).then_some(WebhookErrorKind::Duplicate), "event {number}");
    }
}
