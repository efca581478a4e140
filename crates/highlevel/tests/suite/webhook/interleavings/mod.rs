//! All interleavings of two and three deliveries of one event: with handlers that fail, clients that disconnect,
//! processes that are killed, and claims that time out.
//!
//! The receiver is the real one. A deduplicator that waits before and after each of its calls makes the places at which
//! deliveries can overtake each other, and a depth-first search tries every order.

mod choices;
mod remote;

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use highlevel::webhook::{Deduplicator, InMemoryDeduplicator, Receiver, WebhookErrorKind};
use http::HeaderMap;

use self::choices::Choices;
use self::remote::{Oracle, Remote, pause};
use super::broken::{Broken, Defect, TIMEOUT};
use super::{headers, public_key, sign, signing_key, time};

const BODY: &str = r#"{"type":"X","webhookId":"w"}"#;

/// The number of failures of each kind in a run.
#[derive(Clone, Copy)]
struct Scenario {
    deliveries: usize,
    failing_handlers: usize,
    disconnects: usize,
    kills: usize,
    timeouts: usize,
    /// The number of times that background tasks, such as aborts, can run before the deliveries end.
    background: usize,
    /// There is a pause between the effect of a call and its result.
    result_pauses: bool,
}

const NO_FAILURES: Scenario = Scenario {
    deliveries: 2,
    failing_handlers: 0,
    disconnects: 0,
    kills: 0,
    timeouts: 0,
    background: 0,
    result_pauses: true,
};

/// The stage of a delivery.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Stage {
    Idle,
    Handling,
    Committing,
}

/// The record of a run.
#[derive(Default)]
struct Log {
    stages: RefCell<Vec<Stage>>,
    handled: Cell<usize>,
    committed: Cell<usize>,
    overlapped: Cell<bool>,
    /// A delivery was a duplicate of an event that no handler had handled.
    false_duplicate: Cell<bool>,
}

impl Log {
    fn new(deliveries: usize) -> Rc<Self> {
        Rc::new(Self { stages: RefCell::new(vec![Stage::Idle; deliveries]), ..Self::default() })
    }

    fn set(&self, delivery: usize, stage: Stage) {
        let mut stages = self.stages.borrow_mut();
        stages[delivery] = stage;
        let handling = stages.iter().filter(|stage| **stage == Stage::Handling).count();
        self.overlapped.set(self.overlapped.get() || handling > 1);
    }
}

async fn deliver(
    receiver: Receiver,
    request: Rc<(HeaderMap, Bytes)>,
    now: SystemTime,
    number: usize,
    fails: bool,
    log: Rc<Log>,
) -> Option<WebhookErrorKind> {
    let event = match receiver.receive(&request.0, request.1.clone(), now).await {
        Ok(event) => event,
        Err(error) => {
            let is_false = error.kind() == WebhookErrorKind::Duplicate && log.handled.get() == 0;
            log.false_duplicate.set(log.false_duplicate.get() || is_false);
            return Some(error.kind());
        }
    };
    log.set(number, Stage::Handling);
    pause().await;
    if fails {
        log.set(number, Stage::Idle);
        return None;
    }
    log.handled.set(log.handled.get() + 1);
    log.set(number, Stage::Committing);
    let result = event.commit().await;
    log.set(number, Stage::Idle);
    log.committed.set(log.committed.get() + usize::from(result.is_ok()));
    result.err().map(|error| error.kind())
}

type Delivery = Pin<Box<dyn Future<Output = Option<WebhookErrorKind>>>>;

enum State {
    Waiting { fails: bool },
    Running(Delivery),
    Ended,
}

fn poll(delivery: &mut Delivery) -> Poll<Option<WebhookErrorKind>> {
    delivery.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

/// Runs the deliveries in the chosen order. Returns the promise that was broken.
fn run(
    deduplicator: impl Deduplicator + 'static,
    scenario: Scenario,
    request: &Rc<(HeaderMap, Bytes)>,
    choices: &mut Choices,
) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let entered = runtime.enter();
    let oracle = Arc::new(Mutex::new(Oracle::default()));
    let receiver = Receiver::builder()
        .any_app()
        .key(public_key("test", &signing_key(1)))
        .deduplicator(Remote {
            inner: deduplicator,
            result_pauses: scenario.result_pauses,
            oracle: Arc::clone(&oracle),
        })
        .build();
    let log = Log::new(scenario.deliveries);
    let mut states: Vec<State> = (0..scenario.deliveries)
        .map(|number| State::Waiting { fails: number < scenario.failing_handlers })
        .collect();
    let Scenario { mut disconnects, mut kills, mut timeouts, .. } = scenario;
    let mut now = time();
    let mut is_commit_detached = false;
    let mut background = scenario.background;
    loop {
        let all = 0..states.len();
        let alive: Vec<usize> = all.clone().filter(|it| !matches!(states[*it], State::Ended)).collect();
        let running: Vec<usize> = all.filter(|it| matches!(states[*it], State::Running(_))).collect();
        if alive.is_empty() {
            break;
        }
        let options = [
            alive.len(),
            if disconnects > 0 { running.len() } else { 0 },
            if kills > 0 { running.len() } else { 0 },
            usize::from(timeouts > 0),
            usize::from(background > 0),
        ];
        let mut choice = choices.choose(options.iter().sum());
        let mut action = 0;
        while choice >= options[action] {
            choice -= options[action];
            action += 1;
        }
        match action {
            0 => {
                let number = alive[choice];
                if let State::Waiting { fails } = states[number] {
                    let (receiver, request) = (receiver.clone(), Rc::clone(request));
                    let delivery = deliver(receiver, request, now, number, fails, Rc::clone(&log));
                    states[number] = State::Running(Box::pin(delivery));
                }
                if let State::Running(delivery) = &mut states[number]
                    && poll(delivery).is_ready()
                {
                    states[number] = State::Ended;
                }
            }
            1 => {
                (disconnects, background) = (disconnects - 1, 3);
                let number = running[choice];
                is_commit_detached |= log.stages.borrow()[number] == Stage::Committing;
                log.set(number, Stage::Idle);
                states[number] = State::Ended;
            }
            2 => {
                kills -= 1;
                let number = running[choice];
                log.set(number, Stage::Idle);
                // Its destructors do not run.
                std::mem::forget(std::mem::replace(&mut states[number], State::Ended));
            }
            3 => {
                timeouts -= 1;
                now += TIMEOUT + Duration::from_secs(1);
            }
            _ => {
                background -= 1;
                runtime.block_on(tokio::task::yield_now());
            }
        }
    }
    for _ in 0..8 {
        runtime.block_on(tokio::task::yield_now());
    }
    // A killed process cannot abort, so its claim has to time out.
    if scenario.kills > 0 {
        now += TIMEOUT + Duration::from_secs(1);
    }
    let redelivered = deliver(receiver, Rc::clone(request), now, 0, false, Log::new(1));
    let mut redelivered: Delivery = Box::pin(redelivered);
    let result = loop {
        if let Poll::Ready(result) = poll(&mut redelivered) {
            break result;
        }
    };
    drop(entered);
    let lost_last = oracle.lock().expect("a lock").lost_last;
    check_promises(&log, scenario, is_commit_detached, lost_last, result)
}

/// Checks the record of a run, and the result of the redelivery after it.
fn check_promises(
    log: &Log,
    scenario: Scenario,
    is_commit_detached: bool,
    lost_last: bool,
    redelivery: Option<WebhookErrorKind>,
) -> Result<(), String> {
    let is_recorded = log.committed.get() > 0 || is_commit_detached && scenario.timeouts == 0;
    let broken = if log.committed.get() > 1 {
        "an event was committed twice"
    } else if log.false_duplicate.get() {
        "an event was lost: it is a duplicate, but was never handled"
    } else if lost_last {
        "the last claim was lost"
    } else if scenario.timeouts == 0 && log.overlapped.get() {
        "two deliveries were handled at the same time"
    } else if scenario.timeouts + scenario.kills == 0 && log.handled.get() > 1 {
        "an event was handled twice"
    } else {
        match redelivery {
            None if is_recorded => "a committed event was handled again",
            Some(WebhookErrorKind::Duplicate) if log.handled.get() == 0 => {
                "an event was lost: it is a duplicate, but was never handled"
            }
            None | Some(WebhookErrorKind::Duplicate) => return Ok(()),
            Some(kind) => return Err(format!("an event was lost: its redelivery is {kind:?}")),
        }
    };
    Err(broken.to_owned())
}

/// Runs all orders. Returns their number, and the first broken promise with the choices that lead to it.
fn explore<D: Deduplicator + 'static>(
    scenario: Scenario,
    deduplicator: impl Fn() -> D,
) -> (usize, Option<String>) {
    let body = Bytes::from_static(BODY.as_bytes());
    let request = Rc::new((headers(&[&sign(&body)]), body));
    let mut choices = Choices::default();
    let mut runs = 0;
    loop {
        runs += 1;
        if let Err(promise) = run(deduplicator(), scenario, &request, &mut choices) {
            return (runs, Some(format!("{promise}: {:?}", choices.path)));
        }
        if !choices.next_path() {
            return (runs, None);
        }
    }
}

/// The name, the failures, and the least number of orders of each scenario.
fn scenarios() -> Vec<(&'static str, Scenario, usize)> {
    let none = NO_FAILURES;
    let three = Scenario { deliveries: 3, result_pauses: false, ..none };
    vec![
        ("two deliveries", none, 40),
        ("a failing handler", Scenario { failing_handlers: 1, background: 1, ..none }, 40),
        ("two failing handlers", Scenario { failing_handlers: 2, ..none }, 40),
        ("a disconnect", Scenario { disconnects: 1, ..none }, 400),
        ("three deliveries", three, 400),
        ("three deliveries, a failing handler", Scenario { failing_handlers: 1, ..three }, 400),
    ]
}

#[test]
fn an_event_is_handled_once_in_every_order_of_its_deliveries() {
    for (name, scenario, least) in scenarios() {
        let (runs, broken) = explore(scenario, InMemoryDeduplicator::new);
        assert_eq!(broken, None, "{name}");
        assert!(runs >= least, "{name}: {runs} orders");
        println!("{name}: {runs} orders");
    }
}

/// Claims of killed processes and of slow handlers time out: nothing is lost, and at most one commit succeeds.
#[test]
fn claims_that_time_out_lose_no_event_in_every_order_of_its_deliveries() {
    let killed = Scenario { kills: 1, ..NO_FAILURES };
    let rows = [
        ("a kill", killed, 400),
        ("a timeout", Scenario { timeouts: 1, ..NO_FAILURES }, 400),
        ("a kill and a timeout", Scenario { kills: 1, timeouts: 1, result_pauses: false, ..killed }, 400),
    ];
    for (name, scenario, least) in rows.into_iter().chain(scenarios()) {
        let (runs, broken) = explore(scenario, || Broken::new(Defect::None));
        assert_eq!(broken, None, "{name}");
        assert!(runs >= least, "{name}: {runs} orders");
        println!("{name}: {runs} orders");
    }
}

#[test]
fn the_search_detects_defects_of_deduplicators() {
    let none = NO_FAILURES;
    let timeout = Scenario { timeouts: 1, ..none };
    let rows = [
        (Defect::GrantsTwice, none, "an event was handled twice"),
        (Defect::RacyBegin, none, "an event was committed twice"),
        (Defect::ForgetsCommit, none, "its redelivery is InProgress"),
        (Defect::CommitByStaleToken, timeout, "an event was committed twice"),
        (
            Defect::AbortByStaleToken,
            Scenario { failing_handlers: 1, background: 2, ..timeout },
            "the last claim was lost",
        ),
        (Defect::AbortDoesNothing, Scenario { failing_handlers: 1, ..none }, "its redelivery is InProgress"),
        (Defect::NeverExpires, Scenario { kills: 1, ..none }, "its redelivery is InProgress"),
        (
            Defect::ReportsHandledForInProgress,
            Scenario { kills: 1, ..none },
            "it is a duplicate, but was never handled",
        ),
    ];
    for (defect, scenario, expected) in rows {
        let (runs, broken) = explore(scenario, || Broken::new(defect));
        let broken = broken.unwrap_or_else(|| panic!("{defect:?}: not found in {runs} orders"));
        assert!(broken.contains(expected), "{defect:?}: {broken}");
    }
}
