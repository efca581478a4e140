//! On which requests a fault happens.

use http::Method;
use serde::{Deserialize, Serialize};

use super::{Fault, FaultSchedule, FaultStage};

/// A fault, and the requests on which it happens. What is not chosen is any.
///
/// ```
/// use highlevel_sandbox::{Fault, FaultRule, FaultSchedule, FaultStage};
///
/// // The third message that is sent is stored, and its sender never learns of it.
/// let lost_reply = FaultRule::new(Fault::RESET)
///     .operation("sendMessage")
///     .stage(FaultStage::After)
///     .schedule(FaultSchedule::Nth(3));
/// // One request is refused, the next one is left alone, the third one is not answered.
/// let sequence = FaultRule::sequence([Fault::UNAVAILABLE, Fault::NONE, Fault::CLOSE]);
/// # let _ = (lost_reply, sequence);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FaultRule {
    /// What happens each time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) fault: Option<Fault>,
    /// What happens one time after the other; then the rule is spent.
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

/// What a rule can know about a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    pub(crate) operation: Option<&'a str>,
    pub(crate) method: &'a str,
    /// Without the query.
    pub(crate) path: &'a str,
    pub(crate) location: Option<&'a str>,
}

impl FaultRule {
    /// The same fault each time.
    pub fn new(fault: Fault) -> Self {
        Self::of(Some(fault), Vec::new())
    }

    /// One fault after the other, each once, [`Fault::NONE`] to leave a request alone; then the rule does nothing any more.
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

    /// How far a request comes. The default is the fault's [`default_stage`](Fault::default_stage).
    pub fn stage(mut self, stage: FaultStage) -> Self {
        self.stage = Some(stage);
        self
    }

    /// Sets on which of its requests the rule is triggered. Defaults to all of them.
    pub fn schedule(mut self, schedule: FaultSchedule) -> Self {
        self.schedule = schedule;
        self
    }

    /// Only requests for an operation, by the `operationId` of the specification: `sendMessage`.
    pub fn operation(mut self, id: impl Into<String>) -> Self {
        self.operation = Some(id.into());
        self
    }

    /// Only requests with this method.
    pub fn method(mut self, method: impl Into<String>) -> Self {
        self.method = Some(method.into());
        self
    }

    /// Only requests for this path; a segment in braces stands for any: `/conversations/messages/{messageId}/status`.
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// Only requests whose token belongs to this location or company.
    pub fn location(mut self, id: impl Into<String>) -> Self {
        self.location = Some(id.into());
        self
    }

    /// The fault of the nth time that the rule is triggered, from 0.
    pub(super) fn nth_fault(&self, time: u64) -> Option<&Fault> {
        match &self.fault {
            Some(fault) => Some(fault),
            None => self.sequence.get(usize::try_from(time).ok()?),
        }
    }

    pub(super) fn stage_of(&self, fault: &Fault) -> FaultStage {
        self.stage.unwrap_or_else(|| fault.default_stage())
    }

    pub(super) fn is_of_connections(&self) -> bool {
        self.stage == Some(FaultStage::Connect)
    }

    pub(super) fn triggers_on(&self, number: u64) -> bool {
        self.schedule.triggers_on(number)
    }

    /// Returns `true` if the rule is never triggered again, after `seen` requests that it covers and `times_triggered` faults.
    pub(super) fn is_spent(&self, seen: u64, times_triggered: u64) -> bool {
        let sequence_over = u64::try_from(self.sequence.len()).is_ok_and(|length| times_triggered >= length);
        (!self.sequence.is_empty() && sequence_over) || self.schedule.is_over(seen)
    }

    /// Whether it is about a request.
    pub(super) fn covers(&self, request: &Request<'_>) -> bool {
        let agrees = |wanted: &Option<String>, found: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| found == Some(wanted))
        };
        !self.is_of_connections()
            && self.method.as_deref().is_none_or(|method| method.eq_ignore_ascii_case(request.method))
            && self.path.as_deref().is_none_or(|path| fits(path, request.path))
            && agrees(&self.operation, request.operation)
            && agrees(&self.location, request.location)
    }

    /// Why it can never do what it says, if so. `operations` are those that there are.
    pub(super) fn problem(&self, operations: &[&str]) -> Option<String> {
        if self.fault.is_some() != self.sequence.is_empty() {
            return Some("a rule has either `fault` or `sequence`, which is not empty".to_owned());
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
            return Some(format!("operation: there is no operation `{operation}`; there are {known}"));
        }
        if let Some(method) = &self.method
            && Method::from_bytes(method.as_bytes()).is_err()
        {
            return Some(format!("method: `{method}` is no method"));
        }
        if let Some(path) = &self.path
            && (!path.starts_with('/') || path.contains('?'))
        {
            return Some(format!("path: `{path}` has to begin with a slash and to have no query"));
        }
        if self.is_of_connections() {
            let chooses = [&self.operation, &self.method, &self.path, &self.location];
            if chooses.iter().any(|each| each.is_some()) {
                return Some(
                    "stage: when a connection is opened nothing is known about its requests".to_owned(),
                );
            }
            if self.fault.is_some() && !self.schedule.spares() {
                return Some(
                    "schedule: a fault on each connection would shut out the admin API as well; choose `first`, `nth`, \
                     `everyNth` from 2 on, or a probability below 1"
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

/// Whether a path is like the template.
fn fits(template: &str, path: &str) -> bool {
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

    const REQUEST: Request<'static> = Request {
        operation: Some("sendMessage"),
        method: "POST",
        path: "/conversations/messages",
        location: Some("loc1"),
    };

    #[test]
    fn a_rule_covers_what_it_names() {
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
        let nobody = Request { operation: None, location: None, ..REQUEST };
        assert!(rule().covers(&nobody));
        assert!(!rule().operation("sendMessage").covers(&nobody));
        assert!(!rule().location("loc1").covers(&nobody));
    }

    #[test]
    fn what_can_never_happen_is_refused() {
        let rule = || FaultRule::new(Fault::RESET);
        let cases = [
            (rule(), None),
            (FaultRule::sequence([]), Some("either `fault` or `sequence`")),
            (FaultRule::new(Fault::answering(99)), Some("status: 99 is not between 200 and 999")),
            (FaultRule::new(Fault::NONE.header("a b", "c")), Some("`a b` is no name of a header")),
            (FaultRule::sequence([Fault::NONE, Fault::NONE.header("a", "\n")]), Some("the value of `a`")),
            (rule().schedule(FaultSchedule::Nth(0)), Some("counted from 1")),
            (
                rule().schedule(FaultSchedule::Random { probability: 1.5, seed: 0 }),
                Some("1.5 is not between 0 and 1"),
            ),
            (rule().operation("send"), Some("there is no operation `send`; there are sendMessage")),
            (rule().method("G T"), Some("`G T` is no method")),
            (rule().path("messages"), Some("begin with a slash")),
            (rule().stage(FaultStage::Connect), Some("would shut out the admin API")),
            (rule().stage(FaultStage::Connect).schedule(FaultSchedule::First(3)), None),
            (
                rule().stage(FaultStage::Connect).schedule(FaultSchedule::First(3)).path("/a"),
                Some("nothing is known about its requests"),
            ),
        ];
        for (rule, expected) in cases {
            let problem = rule.problem(&["sendMessage"]);
            match expected {
                None => assert_eq!(problem, None, "{rule:?}"),
                Some(words) => {
                    assert!(problem.as_deref().is_some_and(|it| it.contains(words)), "{problem:?}");
                }
            }
        }
    }
}
