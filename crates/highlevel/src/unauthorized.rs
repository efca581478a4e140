//! Reads the cause of a 401 from its body: pure functions.
//!
//! HighLevel responds with 401 for many reasons that a new token does not cure, with changing texts and formats. The cause is
//! recognized by features of the text, not by whole sentences.

use serde_json::Value;
use sha2::{Digest, Sha256};

/// Longer texts are truncated before they are compared: an error message is never that long.
const MAX_TEXT: usize = 4096;

/// The cause of a 401, and the text it was read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unauthorized {
    pub(crate) cause: Cause,
    pub(crate) text: TextDigest,
}

/// The cause of a 401.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The token is expired, revoked or malformed: a new one may be accepted.
    Token,
    /// The token lacks a scope. A refreshed one lacks it as well; only a new installation can grant it.
    Scope,
    /// The request is rejected with any token.
    Other,
    /// The text is unknown.
    Unknown,
}

/// A digest of the text of a 401, without the parts that differ each time. A repetition of the error has the same digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TextDigest(pub(crate) u64);

impl Unauthorized {
    /// Reads the cause from the body of a 401.
    pub(crate) fn read(body: &[u8]) -> Self {
        let text = Text::read(body);
        Self { cause: text.cause(), text: text.digest() }
    }

    /// Returns `true` if a request that got this response may be accepted with another token.
    pub(crate) fn is_about_the_token(self) -> bool {
        self.cause != Cause::Other
    }
}

/// The text of an error body: lower case, one space between words, no punctuation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Text {
    /// With a space at both ends, so that ` word ` finds whole words.
    text: String,
    /// `canonicalCode`, in the same form.
    code: Option<String>,
}

/// Fields that are not about the cause, or differ each time.
const IGNORED: [&str; 8] =
    ["traceid", "requestid", "correlationid", "timestamp", "path", "statuscode", "status", "canonicalcode"];

impl Text {
    /// Reads JSON of any shape, HTML and plain text.
    pub(crate) fn read(body: &[u8]) -> Self {
        let mut raw = String::new();
        let mut code = None;
        match serde_json::from_slice::<Value>(body) {
            Ok(value) => collect(&value, &mut raw, &mut code, 0),
            Err(_) => raw = without_tags(&String::from_utf8_lossy(&body[..body.len().min(4 * MAX_TEXT)])),
        }
        Self { text: normalise(&raw), code: code.map(|code| normalise(&code)) }
    }

    /// Returns `true` if the text contains one of these phrases of whole words.
    pub(crate) fn has(&self, phrases: &[&str]) -> bool {
        phrases.iter().any(|phrase| self.text.contains(&format!(" {phrase} ")))
    }

    /// Returns `true` if a word of the text begins with one of these stems.
    pub(crate) fn has_stem(&self, stems: &[&str]) -> bool {
        stems.iter().any(|stem| self.text.contains(&format!(" {stem}")))
    }

    /// Returns `true` if the text names a token or JWT.
    fn names_a_token(&self) -> bool {
        self.has_stem(&["token", "jwt", "jsonwebtoken", "bearer", "accesstoken"])
    }

    /// Returns `true` if the text is about something that is expired, revoked, malformed or otherwise permanently invalid.
    pub(crate) fn is_dead(&self) -> bool {
        self.has_stem(&["expire", "revoke", "malformed", "blacklist", "invalidat", "decod"])
            || self.has(&["no longer", "invalid signature", "signature verification failed"])
    }

    /// Returns `true` if the text is about something that is not accepted.
    pub(crate) fn is_rejected(&self) -> bool {
        self.is_dead()
            || self.has_stem(&[
                "invalid",
                "incorrect",
                "unrecogni",
                "unauthori",
                "inactive",
                "reject",
                "already",
            ])
            || self.has(&[
                "not valid",
                "isn t valid",
                "not found",
                "does not exist",
                "doesn t exist",
                "do not exist",
                "don t exist",
                "not authorized",
                "not authorised",
                "not active",
                "not recognized",
                "not recognised",
                "not accepted",
                "wrong",
                "bad",
                "unknown",
                "missing",
                "used",
                "consumed",
                "redeemed",
                "failed",
            ])
    }

    fn cause(&self) -> Cause {
        // A code of a domain, such as CONVERSATIONS_MSG_PROVIDER_NO_ACCESS, names the rejected object: not the token.
        let of_domain = |code: &String| {
            !["token", "jwt", "unauthori", "unauthenticat", "auth"].iter().any(|word| code.contains(word))
        };
        if self.code.as_ref().is_some_and(of_domain) || self.is_about_the_kind_of_request() {
            return Cause::Other;
        }
        if self.has_stem(&["scope"]) {
            return Cause::Scope;
        }
        let code_names_a_token =
            self.code.as_ref().is_some_and(|code| code.contains("token") || code.contains("jwt"));
        if self.has_stem(&["jwt", "jsonwebtoken"]) || self.names_a_token() && self.is_dead() {
            return Cause::Token;
        }
        if self.is_about_a_permission() || !self.names_a_token() && self.is_about_something_missing() {
            return Cause::Other;
        }
        if code_names_a_token || self.names_a_token() && self.is_rejected() {
            return Cause::Token;
        }
        Cause::Unknown
    }

    /// Returns `true` if the header, the endpoint or the kind of token does not match: this rejects every token of this kind.
    fn is_about_the_kind_of_request(&self) -> bool {
        self.has(&["version header", "api version", "version segment"])
            || self.has_stem(&["version"]) && !self.names_a_token()
            || self.has_stem(&["authclass", "usertype"])
            || self.has(&["auth class", "user type", "iam", "token type", "type of token"])
            || self.has_stem(&["mismatch"]) && !self.has_stem(&["signature", "jwt"])
    }

    fn is_about_a_permission(&self) -> bool {
        self.has_stem(&["permission", "privilege", "forbidden", "permitted", "belong"])
            || self.has(&[
                "authorized to",
                "authorised to",
                "unauthorized to",
                "unauthorised to",
                "authorized for",
                "authorised for",
                "unauthorized for",
                "unauthorised for",
                "allowed",
                "for this",
                "access to",
                "have access",
                "no access",
                "access denied",
                "has access",
                "not supported",
                "not yet supported",
                "not enabled",
            ])
    }

    fn is_about_something_missing(&self) -> bool {
        let found = self.has(&["found", "exist", "exists"])
            && self.has(&["no", "not", "cannot", "t", "none", "never"]);
        found
            || self.has(&["passed in", "conversation provider", "not active", "is required", "are required"])
            || self.has_stem(&["inactive", "suspend", "disabled"])
    }

    /// Leaves out long words and those with digits: they are ids, times and numbers, which differ each time.
    fn digest(&self) -> TextDigest {
        let is_constant = |word: &&str| word.len() <= 24 && !word.bytes().any(|byte| byte.is_ascii_digit());
        let mut digest = Sha256::new();
        for word in
            self.text.split(' ').chain(self.code.iter().flat_map(|code| code.split(' '))).filter(is_constant)
        {
            digest.update(word);
            digest.update(" ");
        }
        let digest = digest.finalize();
        TextDigest(digest.iter().take(8).fold(0, |all, byte| all << 8 | u64::from(*byte)))
    }
}

/// Collects the texts of a JSON value at any depth.
fn collect(value: &Value, text: &mut String, code: &mut Option<String>, depth: usize) {
    if depth > 8 || text.len() > MAX_TEXT {
        return;
    }
    match value {
        Value::String(found) => {
            text.push(' ');
            text.push_str(&without_tags(found));
        }
        Value::Array(entries) => entries.iter().for_each(|entry| collect(entry, text, code, depth + 1)),
        Value::Object(fields) => {
            for (name, field) in fields {
                let name: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
                let name = name.to_ascii_lowercase();
                if name == "canonicalcode"
                    && let Value::String(found) = field
                    && !found.trim().is_empty()
                {
                    code.get_or_insert_with(|| found.clone());
                }
                if !IGNORED.contains(&&*name) {
                    collect(field, text, code, depth + 1);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn without_tags(text: &str) -> String {
    let mut shown = String::with_capacity(text.len().min(MAX_TEXT));
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        let is_tag =
            rest[start + 1..].starts_with(|next: char| next.is_ascii_alphabetic() || "/!?".contains(next));
        match rest[start..].find('>') {
            Some(end) if is_tag => {
                shown.push_str(&rest[..start]);
                shown.push(' ');
                rest = &rest[start + end + 1..];
            }
            _ => {
                shown.push_str(&rest[..=start]);
                rest = &rest[start + 1..];
            }
        }
    }
    shown.push_str(rest);
    shown
}

fn normalise(text: &str) -> String {
    let mut normal = String::from(" ");
    for letter in text.chars().take(MAX_TEXT).flat_map(char::to_lowercase) {
        if letter.is_alphanumeric() {
            normal.push(letter);
        } else if !normal.ends_with(' ') {
            normal.push(' ');
        }
    }
    if !normal.ends_with(' ') {
        normal.push(' ');
    }
    normal
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Observed and documented texts, and similar ones.
    const TABLE: [(&str, Cause); 66] = [
        ("Invalid JWT", Cause::Token),
        ("jwt expired", Cause::Token),
        ("JWT malformed", Cause::Token),
        ("JsonWebTokenError: invalid signature", Cause::Token),
        ("access token is invalid", Cause::Token),
        ("The access token is invalid.", Cause::Token),
        ("Invalid access token", Cause::Token),
        ("invalid_token", Cause::Token),
        ("token is expired", Cause::Token),
        ("The token has expired", Cause::Token),
        ("Token expired!", Cause::Token),
        ("This token was revoked by its user", Cause::Token),
        (
            "The access token provided is expired, revoked, malformed, or invalid for other reasons.",
            Cause::Token,
        ),
        ("The token is not authorized", Cause::Token),
        ("The token is not authorized.", Cause::Token),
        ("Unauthorized: bad token", Cause::Token),
        ("Token is not valid", Cause::Token),
        ("Access token not found", Cause::Token),
        ("The token is no longer active", Cause::Token),
        ("Auth token is missing", Cause::Token),
        ("Access denied: the token has expired", Cause::Token),
        ("JWT signature mismatch", Cause::Token),
        ("The token is not authorized for this scope.", Cause::Scope),
        ("The token is not authorized for this scope: oauth.write is needed", Cause::Scope),
        ("Insufficient scope", Cause::Scope),
        ("version header was not found.", Cause::Other),
        ("version header is invalid", Cause::Other),
        ("Version header not found", Cause::Other),
        ("Invalid API version segment 'bogus' at position 0", Cause::Other),
        ("Unsupported version", Cause::Other),
        (
            "This authClass type is not allowed to access this scope. Please verify your IAM configuration if this is not \
             the case.",
            Cause::Other,
        ),
        ("This auth class is not allowed here", Cause::Other),
        ("This route is not yet supported by the IAM Service. Please update your IAM config.", Cause::Other),
        ("Token's user type mismatch!", Cause::Other),
        ("The user type of the token does not match", Cause::Other),
        ("The token type is wrong for this endpoint", Cause::Other),
        ("No message found for the id: t22c6DQcTDf3MjRhwf77 passed in params", Cause::Other),
        ("No messages found with id abc", Cause::Other),
        ("Message not found", Cause::Other),
        ("Conversation with id 7 not found", Cause::Other),
        ("The contact does not exist", Cause::Other),
        ("The token does not have access to this location.", Cause::Other),
        ("The token does not have access to this conversation provider", Cause::Other),
        ("No access to the conversation provider", Cause::Other),
        ("You don't have access to the conversationProvider with id: 61d6d1f9cdac7612faf80753", Cause::Other),
        ("The conversation provider belongs to another app", Cause::Other),
        ("The token does not belong to this location", Cause::Other),
        ("No conversation provider found for this message", Cause::Other),
        ("You do not have permission to do this", Cause::Other),
        ("You are not authorized to perform this action", Cause::Other),
        ("The token is not authorized to access this location", Cause::Other),
        ("The token is not authorized for this location", Cause::Other),
        ("Access denied", Cause::Other),
        ("Forbidden resource", Cause::Other),
        ("This account is suspended", Cause::Other),
        ("Location is not active", Cause::Other),
        ("locationId is required", Cause::Other),
        ("User type mismatch: Company token on a location endpoint", Cause::Other),
        ("Unauthorized", Cause::Unknown),
        ("UnAuthorized!", Cause::Unknown),
        ("not for you", Cause::Unknown),
        ("Authentication failed", Cause::Unknown),
        ("Session ended", Cause::Unknown),
        ("Authorization Required", Cause::Unknown),
        ("", Cause::Unknown),
        ("Switch to the new API", Cause::Unknown),
    ];

    /// Returns bodies in all observed formats, and similar ones.
    fn bodies(text: &str) -> Vec<Vec<u8>> {
        let json = [
            json!({ "statusCode": 401, "message": text }),
            json!({ "statusCode": 401, "message": [text], "error": "Unauthorized", "traceId": "7f-1" }),
            json!({ "statusCode": 401, "error": { "message": text, "statusCode": 401 } }),
            json!({ "message": { "message": [text], "name": "UnauthorizedException" } }),
            json!({ "error": "UnAuthorized!", "error_description": text }),
            json!({ "msg": text.to_uppercase() }),
            json!({ "errors": [{ "detail": text }], "timestamp": "2026-11-20T10:00:00.000Z", "path": "/oauth/token" }),
            json!([text]),
            json!(text),
        ];
        let mut bodies: Vec<_> = json.iter().map(|json| json.to_string().into_bytes()).collect();
        bodies.push(text.as_bytes().to_vec());
        bodies.push(format!("<html><body class=\"token\">\r\n<h1>{text}</h1></body></html>").into_bytes());
        bodies
    }

    #[test]
    fn causes_are_read_from_all_formats() {
        for (text, expected) in TABLE {
            for body in bodies(text) {
                let found = Unauthorized::read(&body).cause;
                assert_eq!(found, expected, "{text:?} in {}", String::from_utf8_lossy(&body));
            }
        }
    }

    #[test]
    fn canonical_codes_of_a_domain_are_not_about_the_token() {
        for (code, message, expected) in [
            ("CONVERSATIONS_MSG_PROVIDER_NO_ACCESS", "", Cause::Other),
            ("CONVERSATIONS_MSG_PROVIDER_NO_ACCESS", "Unauthorized", Cause::Other),
            ("CONVERSATIONS_MSG_PROVIDER_NO_ACCESS", "The token is invalid", Cause::Other),
            ("CONTACTS_SOMETHING_NEW", "no", Cause::Other),
            ("TOKEN_EXPIRED", "", Cause::Token),
            ("AUTH_INVALID_JWT", "", Cause::Token),
            ("UNAUTHORIZED", "Invalid JWT", Cause::Token),
            ("UNAUTHORIZED", "", Cause::Unknown),
            ("", "Invalid JWT", Cause::Token),
        ] {
            let body = json!({ "message": message, "canonicalCode": code }).to_string();
            assert_eq!(Unauthorized::read(body.as_bytes()).cause, expected, "{code} {message}");
        }
    }

    #[test]
    fn repetitions_have_the_same_digest() {
        let digest = |text: &str| Unauthorized::read(&bodies(text)[1]).text;
        for (text, same) in [
            ("Not for you", "not for YOU!"),
            ("Refused at 10:15:00", "Refused at 10:16:22"),
            ("Refused (request 7f3a-11)", "Refused (request 9c-4b1)"),
            ("No for ve9EPM428h8vShlRW1KT", "No for l1C08ntBrFjLS0elLIYU"),
        ] {
            assert_eq!(digest(text), digest(same), "{text}");
        }
        assert_ne!(digest("Not for you"), digest("Not for them"));
        assert_ne!(digest("Not for you"), digest(""));
        // The trace id differs each time.
        let traced = |trace: &str| {
            Unauthorized::read(json!({ "message": "no", "traceId": trace }).to_string().as_bytes()).text
        };
        assert_eq!(traced("aaaa"), traced("bbbb"));
    }

    #[test]
    fn hostile_bodies_are_read_without_a_panic() {
        let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
        let long = format!("{{\"message\":\"{}\"}}", "token ".repeat(200_000));
        for body in [deep.as_bytes(), long.as_bytes(), b"<<<<<>", b"\xff\xfe<", b"{", b"<a"] {
            let _ends = Unauthorized::read(body);
        }
    }
}
