//! Annotations of a request body: validation errors and warnings.

use crate::fidelity::Rule;
use crate::inspector::format::start;
use crate::inspector::json::Mark;
use crate::ledger::RecordedRequest;

/// The maximum number of errors, and of warnings.
const MOST: usize = 100;
/// The maximum length of untrusted text in characters.
const LONGEST: usize = 300;

/// Returns the errors of a request, followed by the warnings.
pub(super) fn marks(request: &RecordedRequest) -> Vec<Mark> {
    let faults = request.violations.iter().take(MOST).enumerate().map(|(place, violation)| {
        let end = if violation.pointer.is_empty() { "the top" } else { &violation.pointer };
        // The annotation is shown at its place, so the pointer is redundant.
        let text = violation.message.strip_suffix(&format!(" (at {end})")).unwrap_or(&violation.message);
        Mark {
            id: format!("error-{}", place + 1),
            pointer: violation.pointer.clone(),
            is_error: true,
            name: violation.keyword.clone(),
            text: start(text, LONGEST),
        }
    });
    let tolerated = request.tolerated.iter().filter_map(|name| {
        let rule = Rule::all().iter().find(|rule| rule.name == *name)?;
        Some((
            pointer(rule.field),
            "lenient",
            format!(
                "{} according to the documentation, but accepted in lenient mode: {}",
                rule.documented, rule.lenient
            ),
        ))
    });
    let unknown = request.unknown_fields.iter().map(|pointer| {
        (
            pointer.clone(),
            "unknown field",
            match request.suggestions.get(pointer) {
                Some(name) => format!("not in the API specification; did you mean {name}?"),
                None => "not in the API specification; the live API may ignore it".to_owned(),
            },
        )
    });
    let remarks =
        tolerated.chain(unknown).take(MOST).enumerate().map(|(place, (pointer, name, text))| Mark {
            id: format!("warning-{}", place + 1),
            pointer,
            is_error: false,
            name: name.to_owned(),
            text: text.replace('`', ""),
        });
    faults.chain(remarks).collect()
}

/// Returns the pointer of the field of a rule.
fn pointer(field: &str) -> String {
    if field.is_empty() { String::new() } else { format!("/{}", field.replace('.', "/")) }
}

/// The number of annotations that are not shown.
pub(super) fn more(request: &RecordedRequest) -> usize {
    let remarks = request.tolerated.len() + request.unknown_fields.len();
    let more = request.more_violations + request.more_unknown_fields;
    request.violations.len().saturating_sub(MOST) + remarks.saturating_sub(MOST) + more
}

/// The number of violations of the API specification.
pub(super) fn error_count(request: &RecordedRequest) -> usize {
    request.violations.len() + request.more_violations
}

/// The number of deviations from the API specification that were accepted.
pub(super) fn warning_count(request: &RecordedRequest) -> usize {
    request.tolerated.len() + request.unknown_fields.len() + request.more_unknown_fields
}

/// A label of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Badge {
    /// The CSS class.
    pub(super) class: &'static str,
    pub(super) text: String,
}

/// Returns the labels that need attention. `stored` is the number of times that the same content was stored, and
/// `is_duplicate` is `true` if the request is probably one of two by mistake.
pub(super) fn badges(request: &RecordedRequest, stored: u64, is_duplicate: bool) -> Vec<Badge> {
    let mut badges = Vec::new();
    let mut add = |class, text| badges.push(Badge { class, text });
    if is_sent_twice(request, stored) {
        if is_duplicate {
            add("is-bad", format!("duplicate ×{stored}"));
        } else {
            add("", format!("same content ×{stored}"));
        }
    }
    if let Some(fault) = &request.fault {
        add(if request.broken { "is-bad" } else { "is-warn" }, format!("fault: {}", start(fault, LONGEST)));
    }
    if let Some(quirk) = request.quirk {
        add("is-warn", format!("quirk: {quirk}"));
    }
    if let Some(refusal) = request.refusal {
        add("is-warn", format!("refusal: {refusal}"));
    }
    if !request.tolerated.is_empty() {
        add("", "lenient".to_owned());
    }
    match request.unknown_fields.len() + request.more_unknown_fields {
        0 => {}
        1 => add("", "unknown field".to_owned()),
        several => add("", format!("{several} unknown fields")),
    }
    badges
}

/// Returns `true` if the message was stored by more than one request.
pub(super) fn is_sent_twice(request: &RecordedRequest, stored: u64) -> bool {
    stored > 1 && request.message_id.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Spec;
    use serde_json::json;

    #[test]
    fn faults_come_with_what_was_expected() {
        let body = json!({"type": "sms", "contactId": 5, "attachments": ["a", 1]});
        let spec = Spec::load().unwrap();
        let request = RecordedRequest {
            violations: spec.validate("SendMessageRequest", &body),
            tolerated: vec!["send-without-status"],
            unknown_fields: vec!["/mesage".to_owned()],
            suggestions: [("/mesage".to_owned(), "message".to_owned())].into(),
            ..RecordedRequest::default()
        };
        let marks = marks(&request);
        let found: Vec<_> = marks
            .iter()
            .filter(|mark| mark.pointer != "/status" || !mark.is_error)
            .map(|mark| (mark.id.as_str(), mark.pointer.as_str(), mark.is_error))
            .collect();
        let expected = [
            ("error-1", "/attachments/1", true),
            ("error-2", "/contactId", true),
            ("error-4", "/type", true),
            ("warning-1", "/status", false),
            ("warning-2", "/mesage", false),
        ];
        assert_eq!(found, expected);
        assert_eq!(marks[1].text, "contactId must be a string, found the number 5");
        assert!(marks[3].text.ends_with("did you mean SMS?"), "{}", marks[3].text);
        assert_eq!(marks.last().unwrap().text, "not in the API specification; did you mean message?");
        assert_eq!(more(&request), 0);
    }

    #[test]
    fn of_a_long_pointer_the_beginning_is_shown() {
        let long = format!("/{}", "é".repeat(450_000));
        let fits = format!("/{}", "é".repeat(199));
        let request = RecordedRequest {
            unknown_fields: vec![long.clone(), fits.clone()],
            ..RecordedRequest::default()
        };
        let marks = marks(&request);
        // The complete pointer is used to find the place.
        assert_eq!((&marks[0].pointer, &marks[1].pointer), (&long, &fits));
        assert_eq!((marks[0].place(), marks[1].place()), (format!("{fits}…").into(), fits.into()));
    }

    #[test]
    fn no_more_is_shown_than_a_person_reads() {
        let request = RecordedRequest {
            unknown_fields: (0..500).map(|place| format!("/{place}")).collect(),
            ..RecordedRequest::default()
        };
        assert_eq!((marks(&request).len(), more(&request)), (MOST, 400));
    }

    #[test]
    fn badges_say_what_is_out_of_the_ordinary() {
        let stored = RecordedRequest { message_id: Some("m".to_owned()), ..RecordedRequest::default() };
        let odd = RecordedRequest {
            fault: Some("reset".to_owned()),
            broken: true,
            quirk: Some("empty-success"),
            tolerated: vec!["send-without-status"],
            unknown_fields: vec!["/a".to_owned(), "/b".to_owned()],
            ..RecordedRequest::default()
        };
        let cases = [
            (&stored, 1, true, vec![]),
            (&stored, 2, true, vec![("is-bad", "duplicate ×2")]),
            (&stored, 3, true, vec![("is-bad", "duplicate ×3")]),
            (&stored, 3, false, vec![("", "same content ×3")]),
            (
                &odd,
                2,
                false,
                vec![
                    ("is-bad", "fault: reset"),
                    ("is-warn", "quirk: empty-success"),
                    ("", "lenient"),
                    ("", "2 unknown fields"),
                ],
            ),
        ];
        for (request, times, is_duplicate, expected) in cases {
            let found = badges(request, times, is_duplicate);
            let found: Vec<_> = found.iter().map(|badge| (badge.class, badge.text.as_str())).collect();
            assert_eq!(found, expected);
        }
    }
}
