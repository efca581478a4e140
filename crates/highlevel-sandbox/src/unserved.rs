//! Requests that the sandbox does not serve: documented endpoints of `HighLevel`, and misspelt paths.

use std::cmp::Reverse;
use std::fmt::Write;
use std::sync::OnceLock;

use crate::similar::edits;

/// The response header with the note.
pub(crate) const NOTE_HEADER: &str = "x-sandbox-note";
/// The documented endpoints of `HighLevel`, one path template per line, after its methods.
const DOCUMENTED: &str = include_str!("../vendor-paths.txt");

/// A documented path.
struct Documented {
    /// In upper case.
    methods: Vec<&'static str>,
    template: &'static str,
}

/// Returns the reason why a request is not served.
pub(crate) fn note(method: &str, path: &str) -> String {
    let (paths, matcher) = documented();
    let found = matcher.at(path).ok().map(|found| *found.value);
    let mut note = match found.map(|index| &paths[index]) {
        Some(Documented { methods, template }) if methods.contains(&method) => {
            format!("not served by the sandbox: {method} {template} of HighLevel is not implemented")
        }
        Some(Documented { methods, template }) => {
            format!("not served by the sandbox: HighLevel has {template} with {} only", methods.join(", "))
        }
        None => "not served by the sandbox: HighLevel does not document this path".to_owned(),
    };
    if let Some(Documented { methods, template }) = closest(paths, method, path, found) {
        let method = if methods.contains(&method) { method } else { methods[0] };
        // Writing to a string cannot fail.
        let _ = write!(note, "; did you mean {method} {template}?");
    }
    note
}

/// Returns the documented path that is most similar to a path, other than the one that it matches. Paths with the method
/// take precedence, and then those with fewer parameters.
fn closest<'a>(
    paths: &'a [Documented],
    method: &str,
    path: &str,
    matched: Option<usize>,
) -> Option<&'a Documented> {
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let near =
        paths.iter().enumerate().filter(|(index, _)| Some(*index) != matched).filter_map(|(_, each)| {
            // A version before the path is one error.
            let whole = path_edits(&segments, each.template);
            let after_version = segments.get(1..).and_then(|rest| Some(path_edits(rest, each.template)? + 1));
            let edits = whole.or(after_version)?;
            let has_method = each.methods.contains(&method);
            // A matched path that fits several templates contains no error.
            if matched.is_some() && (edits == 0 || !has_method) {
                return None;
            }
            Some(((Reverse(has_method), edits, each.template.matches('{').count()), each))
        });
    near.min_by_key(|(order, _)| *order).map(|(_, each)| each)
}

/// Returns the number of typing errors in a path. `None` if it does not resemble the template.
fn path_edits(segments: &[&str], template: &str) -> Option<usize> {
    let mut expected = template.split('/').filter(|segment| !segment.is_empty());
    let mut total = 0;
    for segment in segments {
        let expected = expected.next()?;
        if !expected.starts_with('{') {
            total += edits(segment, expected)?;
        }
    }
    expected.next().is_none().then_some(total)
}

/// Returns the documented paths, parsed on first use.
fn documented() -> &'static (Vec<Documented>, matchit::Router<usize>) {
    static PATHS: OnceLock<(Vec<Documented>, matchit::Router<usize>)> = OnceLock::new();
    PATHS.get_or_init(|| {
        let lines = DOCUMENTED.lines().filter_map(|line| line.split_once(' '));
        let paths =
            lines.map(|(methods, template)| Documented { methods: methods.split(',').collect(), template });
        let paths: Vec<Documented> = paths.collect();
        let mut matcher = matchit::Router::new();
        for (index, path) in paths.iter().enumerate() {
            // A test ensures that no path conflicts with another one.
            let _ = matcher.insert(path.template, index);
        }
        (paths, matcher)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::Operation;

    #[test]
    fn documented_paths_match_themselves_and_contain_the_served_ones() {
        let (paths, matcher) = documented();
        assert_eq!(paths.len(), DOCUMENTED.lines().count());
        for path in paths {
            let example = path.template.replace(['{', '}'], "");
            let found = matcher.at(&example).map(|found| paths[*found.value].template);
            assert_eq!(found.ok(), Some(path.template));
            assert!(path.methods.iter().all(|method| http::Method::from_bytes(method.as_bytes()).is_ok()));
            assert!(note(path.methods[0], &example).is_ascii());
        }
        for operation in Operation::ALL {
            let example = operation.path().replace(['{', '}'], "");
            let found = matcher.at(&example).map(|found| &paths[*found.value].methods);
            assert!(found.is_ok_and(|methods| methods.contains(&operation.method())), "{operation}");
        }
    }

    #[test]
    fn notes_tell_documented_paths_from_misspelt_ones() {
        const UNDOCUMENTED: &str = "HighLevel does not document this path";
        struct Case {
            method: &'static str,
            path: &'static str,
            expected: String,
        }
        let case = |method, path, expected: &str| Case { method, path, expected: expected.to_owned() };
        let missing = |method, path, template: &str| Case {
            method,
            path,
            expected: format!("{method} {template} of HighLevel is not implemented"),
        };
        let typo = |method, path, meant: &str| Case {
            method,
            path,
            expected: format!("{UNDOCUMENTED}; did you mean {meant}?"),
        };
        let cases = [
            missing("GET", "/opportunities/abc", "/opportunities/{id}"),
            missing("POST", "/calendars/events/appointments", "/calendars/events/appointments"),
            case(
                "PATCH",
                "/opportunities/abc",
                "HighLevel has /opportunities/{id} with GET, PUT, DELETE only",
            ),
            case(
                "GET",
                "/conversations/messages/inbound",
                "HighLevel has /conversations/messages/inbound with POST only",
            ),
            typo("POST", "/conversation/messages", "POST /conversations/messages"),
            typo("POST", "/conversations/messages/", "POST /conversations/messages"),
            typo("POST", "//conversations/messages", "POST /conversations/messages"),
            typo("POST", "/v1/conversations/messages", "POST /conversations/messages"),
            typo("POST", "/conversations/message/inbound", "POST /conversations/messages/inbound"),
            typo("POST", "/Conversations/Messages/outbound", "POST /conversations/messages/outbound"),
            typo(
                "PUT",
                "/conversations/messages/abc/satus",
                "PUT /conversations/messages/{messageId}/status",
            ),
            typo("POST", "/oauth/tokens", "POST /oauth/token"),
            typo("GET", "/opportunitys/abc", "GET /opportunities/{id}"),
            case("GET", "/", UNDOCUMENTED),
            case("GET", "/favicon.ico", UNDOCUMENTED),
            case("POST", "/graphql", UNDOCUMENTED),
            case("GET", "/a/b/c/d/e/f/g/h/i", UNDOCUMENTED),
            case("GET", "/%ff%00", UNDOCUMENTED),
        ];
        for Case { method, path, expected } in cases {
            assert_eq!(
                note(method, path),
                format!("not served by the sandbox: {expected}"),
                "{method} {path}"
            );
        }
        // The path of a conversation that does not exist, because the name of the endpoint is misspelt.
        let found = note("POST", "/conversations/mesages");
        assert!(found.ends_with("; did you mean POST /conversations/messages?"), "{found}");
        let long = note("GET", &format!("/conversations/{}", "messages/".repeat(1_000)));
        assert!(long.ends_with(UNDOCUMENTED), "{long}");
    }
}
