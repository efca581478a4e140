//! Counts words that show unclear writing.

use std::collections::BTreeMap;
use std::fmt;

use super::rust_text::{Kind, Text, texts};

/// Words that no file contains. A phrase is its words, separated by spaces.
const BANNED: [&str; 18] = [
    "anew",
    "mend",
    "mends",
    "mended",
    "mending",
    "somebody",
    "nobody",
    "anybody",
    "everybody",
    "whoever",
    "whosoever",
    "unless told",
    "say yes",
    "say no",
    "says yes",
    "says no",
    "said yes",
    "said no",
];

/// Statuses of calls in HighLevel's API. A literal that is one of them is a quotation.
const CALL_STATUSES: [&str; 2] = ["answered", "no-answer"];

const QUESTIONS: [&str; 9] = ["What", "Whether", "How", "Who", "Whose", "Where", "When", "Why", "Which"];

/// A word that is allowed, but rarely.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Overused {
    /// "answer": mostly a response, a return value or a reply.
    Answer,
    What,
    /// "say" and "tell": mostly return, report, specify or notify.
    Say,
}

impl Overused {
    fn of(word: &str) -> Option<Self> {
        match word {
            "what" | "whatever" => Some(Self::What),
            "say" | "says" | "said" | "saying" | "tell" | "tells" | "told" | "telling" => Some(Self::Say),
            _ if word.starts_with("answer") => Some(Self::Answer),
            _ => None,
        }
    }
}

/// A line of prose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Prose {
    pub(super) line: usize,
    pub(super) text: String,
    /// The first line of a documentation comment.
    pub(super) is_summary: bool,
}

/// Returns the comments of a Rust file, without the code in their examples.
pub(super) fn comments(source: &str) -> Vec<Prose> {
    let mut prose = Vec::new();
    let mut before: Option<&Text> = None;
    let mut in_example = false;
    let texts = texts(source);
    for text in texts.iter().filter(|text| text.kind != Kind::Literal) {
        let continues = before.is_some_and(|before| before.line + 1 == text.line && before.kind == text.kind);
        before = Some(text);
        in_example &= continues;
        if text.content.starts_with("```") {
            in_example = !in_example;
        } else if !in_example {
            let is_summary = text.kind == Kind::Doc && !continues;
            prose.push(Prose { line: text.line, text: text.content.clone(), is_summary });
        }
    }
    prose
}

/// Returns the string literals of a Rust file, without those that quote a status of a call.
pub(super) fn literals(source: &str) -> Vec<Prose> {
    let literals = texts(source).into_iter().filter(|text| text.kind == Kind::Literal);
    let literals = literals.filter(|text| !CALL_STATUSES.contains(&text.content.as_str()));
    literals.map(|text| Prose { line: text.line, text: text.content, is_summary: false }).collect()
}

/// Returns the lines of an OpenAPI document, without the values that fields accept: they are defined by the API.
pub(super) fn descriptions(document: &str) -> Vec<Prose> {
    let is_value = |text: &str| ["enum:", "default:"].iter().any(|key| text.trim_start().starts_with(key));
    lines(document).into_iter().filter(|line| !is_value(&line.text)).collect()
}

/// Returns the lines of a Markdown, HTML or YAML file, without fenced code and code spans.
pub(super) fn lines(page: &str) -> Vec<Prose> {
    let mut in_code = false;
    let mut prose = Vec::new();
    for (index, text) in page.lines().enumerate() {
        if text.trim_start().starts_with("```") {
            in_code = !in_code;
        } else if !in_code {
            let outside_of_code: Vec<&str> = text.split('`').step_by(2).collect();
            prose.push(Prose { line: index + 1, text: outside_of_code.join("``"), is_summary: false });
        }
    }
    prose
}

/// The counts of an area, and the places that they come from.
#[derive(Debug, Default)]
pub(super) struct Figures {
    words: usize,
    overused: BTreeMap<Overused, Vec<String>>,
    summaries: usize,
    questions: Vec<String>,
}

impl Figures {
    pub(super) fn add(&mut self, file: &str, prose: &[Prose]) {
        for Prose { line, text, is_summary } in prose {
            let place = || format!("{file}:{line}: {}", text.trim());
            for word in words(text) {
                self.words += 1;
                if let Some(overused) = Overused::of(&word.to_lowercase()) {
                    self.overused.entry(overused).or_default().push(place());
                }
            }
            if *is_summary {
                self.summaries += 1;
                if words(text).next().is_some_and(|first| QUESTIONS.contains(&first)) {
                    self.questions.push(place());
                }
            }
        }
    }

    /// Returns how often a word is used per 1,000 words.
    pub(super) fn per_thousand(&self, overused: Overused) -> f64 {
        ratio(self.places(overused).len() * 1000, self.words)
    }

    /// Returns how many of 100 summaries begin with a question word.
    pub(super) fn question_percentage(&self) -> f64 {
        ratio(self.questions.len() * 100, self.summaries)
    }

    pub(super) fn places(&self, overused: Overused) -> &[String] {
        self.overused.get(&overused).map_or(&[], Vec::as_slice)
    }

    pub(super) fn questions(&self) -> &[String] {
        &self.questions
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} words; answer {:.2}, what {:.2}, say {:.2} per 1,000; questions {}/{} = {:.1} %",
            self.words,
            self.per_thousand(Overused::Answer),
            self.per_thousand(Overused::What),
            self.per_thousand(Overused::Say),
            self.questions.len(),
            self.summaries,
            self.question_percentage()
        )
    }
}

#[allow(clippy::cast_precision_loss, reason = "the counts are far below 2^52")]
fn ratio(part: usize, whole: usize) -> f64 {
    part as f64 / whole.max(1) as f64
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|character: char| !character.is_ascii_alphabetic() && character != '\'')
        .filter(|word| !word.is_empty())
}

/// Returns the banned words of a file with their lines. Code counts as well: identifiers are read, too.
pub(super) fn banned(text: &str) -> Vec<(usize, &'static str)> {
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let words: Vec<String> = words(line).map(str::to_lowercase).collect();
        for phrase in BANNED {
            let phrase_words: Vec<&str> = phrase.split(' ').collect();
            if words.windows(phrase_words.len()).any(|window| window == phrase_words) {
                found.push((index + 1, phrase));
            }
        }
    }
    found
}

#[test]
fn overused_words_are_counted_in_comments_only() {
    let source = "/// Answers what the server said.\nfn answer() { call(\"what\"); } // tell the caller\n";
    let mut figures = Figures::default();
    figures.add("a.rs", &comments(source));
    assert_eq!(figures.words, 8);
    assert_eq!(figures.places(Overused::Answer), ["a.rs:1: Answers what the server said."]);
    assert_eq!(figures.places(Overused::What).len(), 1);
    assert_eq!(
        figures.places(Overused::Say),
        ["a.rs:1: Answers what the server said.", "a.rs:2: tell the caller"]
    );
    assert!((figures.per_thousand(Overused::Answer) - 125.0).abs() < 1e-9);
}

#[test]
fn summaries_are_the_first_lines_of_documentation() {
    let source = "\
//! What a module is.
//! Where it ends.

/// Returns a value.
///
/// ```
/// // What an example says
/// ```
/// When it fails.
fn f() {}
// How a comment begins
/// Whether a flag is set.
const FLAG: bool = true;
";
    let mut figures = Figures::default();
    figures.add("a.rs", &comments(source));
    assert_eq!(figures.summaries, 3);
    assert_eq!(figures.questions(), ["a.rs:1: What a module is.", "a.rs:12: Whether a flag is set."]);
    assert!(figures.places(Overused::Say).is_empty(), "examples are no prose");
}

#[test]
fn literals_are_measured_apart_from_comments() {
    let source = "\
// an answer
fail(\"the answer is empty\");
set([\"answered\", \"no-answer\", \"busy\"]);
fail(\"a call that was answered\");
";
    let mut figures = Figures::default();
    figures.add("a.rs", &literals(source));
    assert_eq!(
        figures.places(Overused::Answer),
        ["a.rs:2: the answer is empty", "a.rs:4: a call that was answered"]
    );
}

#[test]
fn code_in_pages_is_no_prose() {
    let mut figures = Figures::default();
    figures.add("a.md", &lines("What it is.\n```sh\nwhat\n```\nAnswer\n`answered` or `no-answer`"));
    assert_eq!(figures.places(Overused::What), ["a.md:1: What it is."]);
    assert_eq!(figures.places(Overused::Answer), ["a.md:5: Answer"]);
}

#[test]
fn accepted_values_in_api_descriptions_are_no_prose() {
    let mut figures = Figures::default();
    let document = "status:\n  enum: [answered]\n  default: answered\n  description: The answer.\n";
    figures.add("a.yaml", &descriptions(document));
    assert_eq!(figures.places(Overused::Answer), ["a.yaml:4: description: The answer."]);
}

#[test]
fn banned_words_are_found_in_code_and_prose() {
    let text = "amend the commit\nlet x = problem.mend;\nfn nobody_waits() {}\nIt is set Anew.\n\
        unless it is told\nunless told otherwise\nit says: no\n";
    assert_eq!(banned(text), [(2, "mend"), (3, "nobody"), (4, "anew"), (6, "unless told"), (7, "says no")]);
}
