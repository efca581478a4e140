//! The expectations of a mock, and the requests that it has received.

use std::collections::HashMap;
use std::fmt::Write;
use std::panic::Location;
use std::sync::{Mutex, MutexGuard, PoisonError};

use http::StatusCode;
use serde_json::json;

use super::outcome::{MockResponse, MockStep, StepKind};
use super::{MockOutcome, RequestMatcher, SentRequest};

/// The operations that create a message or a call.
const CREATING: [&str; 3] = ["send_message", "add_inbound_message", "add_outbound_call"];

#[derive(Default)]
pub(super) struct MockState(Mutex<MockLog>);

#[derive(Default)]
struct MockLog {
    expected: Vec<Expected>,
    requests: Vec<SentRequest>,
    /// The calls whose first attempt has matched an expectation.
    calls: HashMap<u64, Assigned>,
    /// The reasons why requests are unexpected.
    unexpected: Vec<String>,
    is_reported: bool,
}

/// An expectation.
pub(super) struct Expected {
    pub(super) matcher: RequestMatcher,
    /// The number of calls; `None` for any.
    pub(super) calls: Option<usize>,
    pub(super) outcomes: Vec<MockOutcome>,
    pub(super) location: &'static Location<'static>,
    /// The number of calls that have matched.
    pub(super) received: usize,
}

/// The outcome of a call, and the number of attempts that have used it.
struct Assigned {
    outcome: MockOutcome,
    attempts: usize,
}

impl MockState {
    pub(super) fn add(&self, expected: Expected) {
        self.log().expected.push(expected);
    }

    pub(super) fn requests(&self) -> Vec<SentRequest> {
        self.log().requests.clone()
    }

    /// Records a request and returns its outcome.
    pub(super) fn receive(&self, mut request: SentRequest) -> MockStep {
        let mut log = self.log();
        let step = log.assign(&request);
        if let StepKind::Accepted(id) = &step.kind {
            if CREATING.contains(&request.operation) {
                request.message_id = Some(id.clone());
            } else {
                let reason = format!(
                    "  {} has no receipt with an id: use `MockOutcome::json` instead of `MockOutcome::accepted`\n",
                    request.operation
                );
                log.unexpected.push(reason);
            }
        }
        log.requests.push(request);
        step
    }

    /// Returns the differences between the expectations and the requests.
    pub(super) fn verify(&self) -> Result<(), String> {
        let log = self.log();
        let unmet = log.expected.iter().filter_map(Expected::unmet);
        let problems: Vec<String> = unmet.chain(log.unexpected.iter().cloned()).collect();
        if problems.is_empty() {
            return Ok(());
        }
        let mut report = format!("the expectations of the mock were not met\n{}", problems.concat());
        report.push_str(if log.requests.is_empty() { "no request was sent" } else { "requests:" });
        for request in &log.requests {
            let _ = write!(report, "\n  {}", describe(request));
        }
        Err(report)
    }

    pub(super) fn set_reported(&self) {
        self.log().is_reported = true;
    }

    pub(super) fn is_reported(&self) -> bool {
        self.log().is_reported
    }

    fn log(&self) -> MutexGuard<'_, MockLog> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MockLog {
    /// Returns the outcome of a request: that of its call, or of the first expectation that matches.
    fn assign(&mut self, request: &SentRequest) -> MockStep {
        if let Some(assigned) = self.calls.get_mut(&request.call) {
            assigned.attempts += 1;
            if let Some(step) = assigned.outcome.step(assigned.attempts) {
                return step.clone();
            }
        }
        let mut differences = String::new();
        for expected in &mut self.expected {
            let difference = match expected.matcher.difference(request) {
                None if expected.calls.is_none_or(|calls| expected.received < calls) => {
                    let outcome = &expected.outcomes[expected.received % expected.outcomes.len()];
                    expected.received += 1;
                    if let Some(step) = outcome.step(0) {
                        let step = step.clone();
                        self.calls.insert(request.call, Assigned { outcome: outcome.clone(), attempts: 0 });
                        return step;
                    }
                    continue;
                }
                None => format!("it matches, but all of its {} calls were received", expected.received),
                Some(difference) => difference,
            };
            let _ = writeln!(differences, "    {}: {difference}", expected.matcher);
        }
        self.unexpected.push(format!("  unexpected: {}\n{differences}", describe(request)));
        let message = "the mock has no expectation for this request; its report lists the differences";
        let body = json!({ "statusCode": 404, "message": message });
        let kind = StepKind::Respond(MockResponse::new(StatusCode::NOT_FOUND, &body));
        MockStep { delay: std::time::Duration::ZERO, kind }
    }
}

impl Expected {
    /// Returns a message if fewer calls were received than expected.
    fn unmet(&self) -> Option<String> {
        let calls = self.calls.filter(|calls| self.received < *calls)?;
        let Self { matcher, location, received, .. } = self;
        Some(format!("  {matcher} at {location}: expected {calls} calls, received {received}\n"))
    }
}

/// Returns a request in one line, without headers.
fn describe(request: &SentRequest) -> String {
    let SentRequest { operation, attempt, method, path, query, content, .. } = request;
    let query = query.as_deref().map(|query| format!("?{query}")).unwrap_or_default();
    let body = content.as_deref().map_or("(a stream)".into(), String::from_utf8_lossy);
    format!("{operation}, attempt {attempt}: {method} {path}{query} {body}").trim_end().to_owned()
}
