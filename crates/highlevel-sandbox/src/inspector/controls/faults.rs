//! The fault rules, and the form that adds a rule.

use serde_json::{Map, Value, json};

use super::form::{Choice, number};
use crate::api_error::ApiError;
use crate::engine::Engine;
use crate::fault::{ActiveFault, Fault, FaultRule, FaultSchedule, FaultStage};
use crate::inspector::route::PageRequest;
use crate::operation::Operation;

/// Options of the fault field besides the names of predefined faults.
const SEQUENCE: &str = "sequence";
const CUSTOM: &str = "custom";
/// The label of rules that apply to connections.
const CONNECTIONS: &str = "Connections";

pub(super) struct FaultRules {
    pub(super) rules: Vec<Rule>,
    /// The number of rules that are not finished.
    pub(super) active: usize,
    /// The predefined faults by category.
    pub(super) groups: Vec<(&'static str, Vec<Choice>)>,
    pub(super) stages: [(&'static str, &'static str); 4],
    pub(super) operations: [&'static str; Operation::ALL.len()],
}

/// A fault rule as text.
pub(super) struct Rule {
    pub(super) id: u64,
    pub(super) effect: String,
    /// The descriptions of its predefined faults.
    pub(super) descriptions: Vec<String>,
    /// The requests to which the rule applies.
    pub(super) filter: String,
    pub(super) schedule: String,
    pub(super) stage: &'static str,
    pub(super) hits: u64,
    pub(super) seen: u64,
    pub(super) spent: bool,
}

impl FaultRules {
    pub(super) fn of(state: &Engine) -> Self {
        let mut groups: Vec<(&'static str, Vec<Choice>)> = Vec::new();
        for fault in Fault::all().filter(|fault| **fault != Fault::NONE) {
            let label = format!("{}: {}", fault.name(), fault.description().unwrap_or_default());
            let label = label.replace('`', "");
            let choice = Choice::new(fault.name(), label, false);
            match groups.iter_mut().find(|(category, _)| *category == fault.sort()) {
                Some((_, choices)) => choices.push(choice),
                None => groups.push((fault.sort(), vec![choice])),
            }
        }
        let stages = [FaultStage::Connect, FaultStage::Head, FaultStage::Before, FaultStage::After];
        let rules: Vec<Rule> = state.faults.list().into_iter().map(Rule::from).collect();
        Self {
            active: rules.iter().filter(|rule| !rule.spent).count(),
            rules,
            groups,
            stages: stages.map(|stage| (stage.as_str(), stage_label(stage))),
            operations: Operation::ALL.map(Operation::id),
        }
    }
}

impl From<ActiveFault> for Rule {
    fn from(ActiveFault { id, rule, seen, hits, spent }: ActiveFault) -> Self {
        let faults: Vec<&Fault> = rule.fault.iter().chain(&rule.sequence).collect();
        let mut stages: Vec<FaultStage> =
            faults.iter().map(|fault| rule.stage.unwrap_or_else(|| fault.default_stage())).collect();
        stages.dedup();
        let mut descriptions: Vec<String> = Vec::new();
        for fault in faults.iter().filter(|fault| ***fault != Fault::NONE) {
            let description = fault.description().map(|words| {
                if faults.len() == 1 { words.to_owned() } else { format!("{}: {words}", fault.name()) }
            });
            descriptions.extend(description.filter(|words| !descriptions.contains(words)));
        }
        Self {
            id,
            effect: faults.iter().map(|fault| fault_words(fault)).collect::<Vec<_>>().join(", then "),
            descriptions,
            filter: filter(&rule),
            schedule: schedule_label(rule.schedule),
            stage: if let [stage] = stages[..] { stage_label(stage) } else { "default stage of each fault" },
            hits,
            seen,
            spent,
        }
    }
}

impl Rule {
    /// The unit of `seen`.
    pub(super) fn unit(&self) -> &'static str {
        match (self.filter == CONNECTIONS, self.seen) {
            (true, 1) => "connection",
            (true, _) => "connections",
            (false, 1) => "request",
            (false, _) => "requests",
        }
    }
}

/// Returns the name of a predefined fault, or the JSON of a custom one.
fn fault_words(fault: &Fault) -> String {
    match json!(fault) {
        Value::String(name) => name,
        other => other.to_string(),
    }
}

/// The requests to which a rule applies.
fn filter(rule: &FaultRule) -> String {
    if rule.stage == Some(FaultStage::Connect) {
        return CONNECTIONS.to_owned();
    }
    let parts = [
        rule.method.as_ref().map(|method| format!("with {method}")),
        rule.path.as_ref().map(|path| format!("to {path}")),
        rule.operation.as_ref().map(|operation| format!("for {operation}")),
        rule.location.as_ref().map(|location| format!("of {location}")),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { "All requests".to_owned() } else { format!("Requests {}", parts.join(" ")) }
}

/// Formats the schedule.
fn schedule_label(schedule: FaultSchedule) -> String {
    match schedule {
        FaultSchedule::Always => "every one".to_owned(),
        FaultSchedule::First(1) => "the first one".to_owned(),
        FaultSchedule::First(count) => format!("the first {count}"),
        FaultSchedule::Nth(nth) => format!("the {}", ordinal(nth)),
        FaultSchedule::EveryNth(nth) => format!("every {}", ordinal(nth)),
        FaultSchedule::Random { probability, seed } => {
            format!("random, {} % (seed {seed})", probability * 100.0)
        }
    }
}

fn ordinal(number: u64) -> String {
    let ending = match (number % 100, number % 10) {
        (11..=13, _) => "th",
        (_, 1) => "st",
        (_, 2) => "nd",
        (_, 3) => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}

fn stage_label(stage: FaultStage) -> &'static str {
    match stage {
        FaultStage::Connect => "on connect",
        FaultStage::Head => "after the request headers",
        FaultStage::Before => "before processing (nothing is stored)",
        FaultStage::After => "after processing (the message is stored)",
    }
}

/// Adds the rule in the form.
pub(super) fn add(state: &Engine, page_request: &PageRequest) -> Result<(), ApiError> {
    // Built as JSON and parsed like the body of the admin API, so that there is one format for rules.
    let mut rule = Map::new();
    let name = page_request.field("fault").unwrap_or_default();
    match &*name {
        "" => return Err(ApiError::bad_request("Fault is required")),
        SEQUENCE => rule.insert("sequence".to_owned(), sequence(page_request)?),
        CUSTOM => rule.insert("fault".to_owned(), json_field(page_request, "custom", "Fault definition")?),
        name => rule.insert("fault".to_owned(), json!(name)),
    };
    rule.insert("schedule".to_owned(), schedule(page_request)?);
    for field in ["stage", "operation", "method", "path", "location"] {
        if let Some(value) = page_request.field(field) {
            rule.insert(field.to_owned(), json!(value.trim()));
        }
    }
    let rule: FaultRule =
        serde_json::from_value(rule.into()).map_err(|error| ApiError::bad_request(error.to_string()))?;
    state.add_fault(rule).map(drop).map_err(ApiError::bad_request)
}

fn schedule(page_request: &PageRequest) -> Result<Value, ApiError> {
    let count = || number::<u64>(page_request, "count", "N");
    Ok(match &*page_request.field("schedule").unwrap_or_default() {
        "first" => json!({ "first": count()? }),
        "nth" => json!({ "nth": count()? }),
        "everyNth" => json!({ "everyNth": count()? }),
        "random" => json!({ "random": {
            "probability": number::<f64>(page_request, "probability", "Probability")?,
            "seed": number::<u64>(page_request, "seed", "Seed")?,
        } }),
        _ => json!("always"),
    })
}

/// Parses fault names separated by commas or white space, or a JSON array.
fn sequence(page_request: &PageRequest) -> Result<Value, ApiError> {
    let text = page_request.field("sequence").unwrap_or_default();
    if text.trim_start().starts_with('[') {
        return json_field(page_request, "sequence", "Sequence");
    }
    let names = text.split(|character: char| character == ',' || character.is_whitespace());
    Ok(names.filter(|name| !name.is_empty()).collect())
}

fn json_field(page_request: &PageRequest, field: &str, name: &str) -> Result<Value, ApiError> {
    let text = page_request.field(field).unwrap_or_default();
    serde_json::from_str(&text)
        .map_err(|error| ApiError::bad_request(format!("{name}: not valid JSON: {error}")))
}

/// Removes a rule.
pub(super) fn remove(state: &Engine, page_request: &PageRequest) -> Result<(), ApiError> {
    let id = page_request.parameter(0);
    if id.parse().is_ok_and(|id| state.remove_fault(id)) {
        return Ok(());
    }
    Err(ApiError::not_found(format!("fault {id} no longer exists")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_formatted_as_labels() {
        let rule = |rule: FaultRule| {
            let rule = Rule::from(ActiveFault { id: 1, rule, seen: 0, hits: 0, spent: false });
            (rule.effect, rule.filter, rule.schedule, rule.stage)
        };
        let labels = |effect: &str, filter: &str, schedule: &str, stage: &'static str| {
            (effect.to_owned(), filter.to_owned(), schedule.to_owned(), stage)
        };
        let before = "before processing (nothing is stored)";
        let cases = [
            (FaultRule::new(Fault::RESET), labels("reset", "All requests", "every one", before)),
            (
                FaultRule::new(Fault::RESET)
                    .operation("sendMessage")
                    .location("loc1")
                    .schedule(FaultSchedule::EveryNth(2))
                    .stage(FaultStage::After),
                labels(
                    "reset",
                    "Requests for sendMessage of loc1",
                    "every 2nd",
                    "after processing (the message is stored)",
                ),
            ),
            (
                FaultRule::new(Fault::CLOSE).stage(FaultStage::Connect).schedule(FaultSchedule::First(3)),
                labels("close", "Connections", "the first 3", "on connect"),
            ),
            (
                FaultRule::sequence([Fault::UNAVAILABLE, Fault::status(418)])
                    .method("POST")
                    .path("/a/{id}")
                    .schedule(FaultSchedule::Nth(1)),
                labels(
                    "unavailable, then {\"status\":418}",
                    "Requests with POST to /a/{id}",
                    "the 1st",
                    before,
                ),
            ),
            (
                FaultRule::sequence([Fault::UNAVAILABLE, Fault::NONE]),
                labels("unavailable, then none", "All requests", "every one", "default stage of each fault"),
            ),
        ];
        for (given, expected) in cases {
            assert_eq!(rule(given), expected);
        }
    }

    #[test]
    fn ordinals_have_their_endings() {
        let cases =
            [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (112, "112th"), (121, "121st")];
        for (number, expected) in cases {
            assert_eq!(ordinal(number), expected);
        }
    }
}
