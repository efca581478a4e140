//! Rules that select the requests of a fault.

use http::Method;
use serde::{Deserialize, Serialize};

use super::{Fault, FaultSchedule, FaultStage};

/// A fault, or a sequence of faults, with the requests that trigger it. By default any request does.
///
/// ```
/// use highlevel_sandbox::{Fault, FaultRule, FaultSchedule, FaultStage};
///
/// // The third message is stored, but its sender receives no response.
/// let lost_reply = FaultRule::new(Fault::RESET)
///     .operation("sendMessage")
///     .stage(FaultStage::After)
///     .schedule(FaultSchedule::Nth(3));
/// // The first request is rejected, the second succeeds, the third receives no response.
/// let sequence = FaultRule::sequence([Fault::UNAVAILABLE, Fault::NONE, Fault::CLOSE]);
/// # let _ = (lost_reply, sequence);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FaultRule {
    /// The fault of each triggering request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) fault: Option<Fault>,
    /// The faults of successive triggering requests. The rule is spent after the last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) sequence: Vec<Fault>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) stage: Option<FaultStage>,
    #[serde(default)]
    pub(crate) schedule: FaultSchedule,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) operation: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) method: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) path: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) location: Option<String>,
}

/// The properties of a request that rules select by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestProperties<'a> {
    pub(crate) operation: Option<&'a str>,
    pub(crate) method: &'a str,
    /// The path without the query.
    pub(crate) path: &'a str,
    pub(crate) location: Option<&'a str>,
}

impl FaultRule {
    /// Creates a rule with the same fault for each triggering request.
    pub fn new(fault: Fault) -> Self {
        Self::of(Some(fault), Vec::new())
    }

    /// Creates a rule whose faults occur once each, in order. [`Fault::NONE`] skips a request.
    pub fn sequence(faults: impl IntoIterator<Item = Fault>) -> Self {
        Self::of(None, faults.into_iter().collect())
    }

    fn of(fault: Option<Fault>, sequence: Vec<Fault>) -> Self {
        let schedule = FaultSchedule::default();
        Self {
            fault,
            sequence,
            stage: None,
            schedule,
            operation: None,
            method: None,
            path: None,
            location: None,
        }
    }

    /// Sets the stage. Defaults to the fault's [`default_stage`](Fault::default_stage).
    pub fn stage(mut self, stage: FaultStage) -> Self {
        self.stage = Some(stage);
        self
    }

    /// Sets which of the selected requests trigger the rule. Defaults to all of them.
    pub fn schedule(mut self, schedule: FaultSchedule) -> Self {
        self.schedule = schedule;
        self
    }

    /// Selects the requests of an operation, by its `operationId` in the spec, such as `sendMessage`.
    pub fn operation(mut self, id: impl Into<String>) -> Self {
        self.operation = Some(id.into());
        self
    }

    /// Selects requests with this method.
    pub fn method(mut self, method: impl Into<String>) -> Self {
        self.method = Some(method.into());
        self
    }

    /// Selects requests for this path. A segment in braces matches any segment, as in
    /// `/conversations/messages/{messageId}/status`.
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// Selects requests whose token belongs to this location or company.
    pub fn location(mut self, id: impl Into<String>) -> Self {
        self.location = Some(id.into());
        self
    }

    /// Returns the fault of the nth triggering request, counted from 0.
    pub(super) fn nth_fault(&self, time: u64) -> Option<&Fault> {
        match &self.fault {
            Some(fault) => Some(fault),
            None => self.sequence.get(usize::try_from(time).ok()?),
        }
    }

    pub(super) fn stage_of(&self, fault: &Fault) -> FaultStage {
        self.stage.unwrap_or_else(|| fault.default_stage())
    }

    pub(super) fn is_for_connections(&self) -> bool {
        self.stage == Some(FaultStage::Connect)
    }

    pub(super) fn triggers_on(&self, number: u64) -> bool {
        self.schedule.triggers_on(number)
    }

    /// Returns `true` if no further request triggers the rule, after `seen` selected requests and `times_triggered` faults.
    pub(super) fn is_spent(&self, seen: u64, times_triggered: u64) -> bool {
        let sequence_over = u64::try_from(self.sequence.len()).is_ok_and(|length| times_triggered >= length);
        (!self.sequence.is_empty() && sequence_over) || self.schedule.is_over(seen)
    }

    /// Returns `true` if the rule selects the request.
    pub(super) fn covers(&self, request: &RequestProperties<'_>) -> bool {
        let matches = |wanted: &Option<String>, found: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| found == Some(wanted))
        };
        !self.is_for_connections()
            && self.method.as_deref().is_none_or(|method| method.eq_ignore_ascii_case(request.method))
            && self.path.as_deref().is_none_or(|path| matches_template(path, request.path))
            && matches(&self.operation, request.operation)
            && matches(&self.location, request.location)
    }

    /// Returns the error of a rule that can never be triggered or is invalid. `operations` has all operation ids.
    pub(super) fn problem(&self, operations: &[&str]) -> Option<String> {
        if self.fault.is_some() != self.sequence.is_empty() {
            return Some("a rule needs either `fault` or a `sequence` that is not empty".to_owned());
        }
        if let Some(problem) = self.fault.iter().chain(&self.sequence).find_map(Fault::problem) {
            return Some(problem);
        }
        if let Some(problem) = self.schedule.problem() {
            return Some(format!("schedule: {problem}"));
        }
        if let Some(operation) = &self.operation
            && !operations.contains(&operation.as_str())
        {
            let known = operations.join(", ");
            return Some(format!("operation: unknown operation `{operation}`; known operations: {known}"));
        }
        if let Some(method) = &self.method
            && Method::from_bytes(method.as_bytes()).is_err()
        {
            return Some(format!("method: `{method}` is not a valid HTTP method"));
        }
        if let Some(path) = &self.path
            && (!path.starts_with('/') || path.contains('?'))
        {
            return Some(format!("path: `{path}` must start with a slash and have no query"));
        }
        if self.is_for_connections() {
            let selectors = [&self.operation, &self.method, &self.path, &self.location];
            if selectors.iter().any(|each| each.is_some()) {
                return Some(
                    "stage: `connect` cannot select requests; remove `operation`, `method`, `path` and `location`".to_owned(),
                );
            }
            if self.fault.is_some() && !self.schedule.spares() {
                return Some(
                    "schedule: a fault on every connection would block the admin API too; use `first`, `nth`, `everyNth` of \
                     at least 2, or a probability below 1"
                        .to_owned(),
                );
            }
        }
        None
    }
}

impl From<Fault> for FaultRule {
    fn from(fault: Fault) -> Self {
        Self::new(fault)
    }
}

/// Returns `true` if the path matches the template.
fn matches_template(template: &str, path: &str) -> bool {
    let (mut expected, mut found) = (template.split('/'), path.split('/'));
    loop {
        match (expected.next(), found.next()) {
            (None, None) => return true,
            (Some(expected), Some(found)) if expected == found || expected.starts_with('{') => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: RequestProperties<'static> = RequestProperties {
        operation: Some("sendMessage"),
        method: "POST",
        path: "/conversations/messages",
        location: Some("loc1"),
    };

    #[test]
    fn a_rule_covers_the_requests_it_selects() {
        let rule = || FaultRule::new(Fault::RESET);
        let cases = [
            (rule(), true),
            (rule().operation("sendMessage"), true),
            (rule().operation("addInboundMessage"), false),
            (rule().method("post"), true),
            (rule().method("GET"), false),
            (rule().path("/conversations/messages"), true),
            (rule().path("/conversations/{id}"), true),
            (rule().path("/conversations"), false),
            (rule().path("/conversations/messages/{id}"), false),
            (rule().location("loc1"), true),
            (rule().location("loc2"), false),
            (rule().operation("sendMessage").location("loc2"), false),
            (rule().stage(FaultStage::Connect), false),
        ];
        for (rule, expected) in cases {
            assert_eq!(rule.covers(&REQUEST), expected, "{rule:?}");
        }
        let unauthenticated = RequestProperties { operation: None, location: None, ..REQUEST };
        assert!(rule().covers(&unauthenticated));
        assert!(!rule().operation("sendMessage").covers(&unauthenticated));
        assert!(!rule().location("loc1").covers(&unauthenticated));
    }

    #[test]
    fn invalid_rules_are_rejected() {
        let rule = || FaultRule::new(Fault::RESET);
        let cases = [
            (rule(), None),
            (FaultRule::sequence([]), Some("either `fault` or a `sequence`")),
            (FaultRule::new(Fault::status(99)), Some("status: 99 is not between 200 and 999")),
            (FaultRule::new(Fault::NONE.header("a b", "c")), Some("`a b` is not a valid header name")),
            (FaultRule::sequence([Fault::NONE, Fault::NONE.header("a", "\n")]), Some("the value of `a`")),
            (rule().schedule(FaultSchedule::Nth(0)), Some("start at 1")),
            (
                rule().schedule(FaultSchedule::Random { probability: 1.5, seed: 0 }),
                Some("1.5 is not between 0 and 1"),
            ),
            (rule().operation("send"), Some("unknown operation `send`; known operations: sendMessage")),
            (rule().method("G T"), Some("`G T` is not a valid HTTP method")),
            (rule().path("messages"), Some("must start with a slash")),
            (rule().stage(FaultStage::Connect), Some("would block the admin API")),
            (rule().stage(FaultStage::Connect).schedule(FaultSchedule::First(3)), None),
            (
                rule().stage(FaultStage::Connect).schedule(FaultSchedule::First(3)).path("/a"),
                Some("cannot select requests"),
            ),
        ];
        for (rule, expected) in cases {
            let problem = rule.problem(&["sendMessage"]);
            match expected {
                None => assert_eq!(problem, None, "{rule:?}"),
                Some(text) => {
                    assert!(problem.as_deref().is_some_and(|it| it.contains(text)), "{problem:?}");
                }
            }
        }
    }
}
