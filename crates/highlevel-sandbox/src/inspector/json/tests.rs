use super::*;

/// Formats JSON without truncation; returns other text unchanged.
fn pretty(text: &str) -> String {
    let Ok(json) = Json::read(text, usize::MAX, usize::MAX, &[]) else { return text.to_owned() };
    let text = |line: &Line<'_>| line.tokens.iter().map(|token| &*token.text).collect::<String>();
    let lines = json.lines.iter().map(|line| format!("{}{}", line.indent(), text(line)));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn json_is_shown_as_it_came() {
    let cases = [
        ("{}", "{}"),
        (" [ ] ", "[]"),
        ("null", "null"),
        (
            r#"{"b":1.10,"a":[1e5,{"c":"\u00e9\n"}],"b":true}"#,
            "{\n  \"b\": 1.10,\n  \"a\": [\n    1e5,\n    {\n      \"c\": \"\\u00e9\\n\"\n    }\n  ],\n  \"b\": true\n}",
        ),
        ("[[],{},\"\\\"\"]", "[\n  [],\n  {},\n  \"\\\"\"\n]"),
        ("12345678901234567890.5", "12345678901234567890.5"),
        // Text that is not JSON stays unchanged.
        ("", ""),
        ("{\"a\":1", "{\"a\":1"),
        ("{\"a\" 1}", "{\"a\" 1}"),
        ("{a:1}", "{a:1}"),
        ("[1,]", "[1,]"),
        ("[1 2]", "[1 2]"),
        ("{} {}", "{} {}"),
        ("[1}", "[1}"),
        ("01", "01"),
        ("\"a\nb\"", "\"a\nb\""),
        ("<html> é", "<html> é"),
    ];
    for (text, expected) in cases {
        assert_eq!(pretty(text), expected, "{text}");
    }
}

/// Returns the annotated lines with the pointers of their annotations.
fn marked(text: &str, pointers: &[&str]) -> Vec<(String, Vec<String>)> {
    let mark = |pointer: &&str| Mark { pointer: (*pointer).to_owned(), ..Mark::default() };
    let marks: Vec<Mark> = pointers.iter().map(mark).collect();
    let shown = Shown::of(text.as_bytes(), &marks);
    let lines = shown.json().unwrap().lines.iter().filter(|line| !line.marks.is_empty());
    let text = |line: &Line<'_>| line.tokens.iter().map(|token| &*token.text).collect::<String>();
    let marks = |line: &Line<'_>| line.marks.iter().map(|mark| mark.pointer.clone()).collect();
    lines.map(|line| (text(line), marks(line))).collect()
}

#[test]
fn marks_stand_where_their_pointers_lead() {
    let text = r#"{"a": {"b": [1, {"c": 2}], "": 3}, "x/y": 4, "m~n": 5, "x": {"y": 6}, "~1": 7, "\u0064": 8, "0": 9}"#;
    let cases = [
        ("", "{"),
        ("/a", "\"a\": {"),
        ("/a/b", "\"b\": ["),
        ("/a/b/0", "1,"),
        ("/a/b/1", "{"),
        ("/a/b/1/c", "\"c\": 2"),
        ("/a/", "\"\": 3"),
        ("/x~1y", "\"x/y\": 4,"),
        ("/x/y", "\"y\": 6"),
        ("/m~0n", "\"m~n\": 5,"),
        ("/~01", "\"~1\": 7,"),
        ("/d", "\"\\u0064\": 8,"),
        ("/0", "\"0\": 9"),
        // Missing targets are attached to the closest ancestor.
        ("/contactId", "{"),
        ("/a/none", "\"a\": {"),
        ("/a/b/2", "\"b\": ["),
        ("/a/b/1/c/d/e", "\"c\": 2"),
        ("/none/at/all", "{"),
        ("/a/b/01", "\"b\": ["),
        ("no pointer", "{"),
    ];
    for (pointer, expected) in cases {
        assert_eq!(marked(text, &[pointer]), [(expected.to_owned(), vec![pointer.to_owned()])], "{pointer}");
    }
    let all: Vec<&str> = cases.iter().map(|(pointer, _)| *pointer).collect();
    assert_eq!(marked(text, &all).iter().map(|(_, marks)| marks.len()).sum::<usize>(), all.len());
    assert_eq!(marked("5", &["/a"]), [("5".to_owned(), vec!["/a".to_owned()])]);
}

#[test]
fn of_a_name_that_comes_twice_the_last_counts() {
    let text = r#"{"a": 1, "a": {"b": 2}, "a": {"c": 3}}"#;
    let line = |text: &str, pointer: &str| vec![(text.to_owned(), vec![pointer.to_owned()])];
    let found = [marked(text, &["/a/c"]), marked(text, &["/a/b"])];
    assert_eq!(found, [line("\"c\": 3", "/a/c"), line("\"a\": {", "/a/b")]);
    let shown = Shown::of(text.as_bytes(), &[]);
    assert_eq!(shown.json().unwrap().lines.len(), 9);
}

#[test]
fn only_the_beginning_of_what_is_long_is_shown() {
    let long_text = format!("{{\"a\":\"{}é\"}}", "x".repeat(MOST_BYTES - 7));
    let many = format!("[{}1]", "1,".repeat(10_000));
    let deep = "[".repeat(1_000_000);
    let long_name = format!("{{\"{}\":{}", "n".repeat(60_000), "[".repeat(100_000));
    for text in [&long_text, &many, &deep, &long_name] {
        let mark = Mark { pointer: "/a/0".to_owned(), ..Mark::default() };
        let marks = [mark];
        let shown = Shown::of(text.as_bytes(), &marks);
        assert!(shown.is_cut(), "{}", &text[..20]);
        let json = shown.json().unwrap();
        let bytes: usize =
            json.lines.iter().flat_map(|line| &line.tokens).map(|token| token.text.len()).sum();
        assert!(json.lines.len() <= MOST_LINES && bytes <= MOST_BYTES + 10_000, "{bytes}");
    }
    let plain = "é".repeat(MOST_BYTES);
    assert!(
        matches!(Shown::of(plain.as_bytes(), &[]), Shown::Text { text, is_cut: true } if text.len() == MOST_BYTES)
    );
    assert!(!Shown::of("[1]".as_bytes(), &[]).is_cut());
    assert_eq!(pretty(&many).lines().count(), 10_003);
}

#[test]
fn a_body_is_shown_as_what_it_is() {
    let cases: [(&[u8], &str, Option<&str>); 6] = [
        (b"", "none", None),
        (b" {} ", "JSON", None),
        (b"<b>", "text", Some("<b>")),
        (
            b"{\"a\":\"\xff\"}",
            "bytes",
            Some("00000000  7b 22 61 22 3a 22 ff 22 7d                       {\"a\":\".\"}"),
        ),
        (b"a\0", "bytes", Some("00000000  61 00                                            a.")),
        (
            b"0123456789abcdef\x80",
            "bytes",
            Some(
                "00000000  30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 66  0123456789abcdef\n00000010  80                                               .",
            ),
        ),
    ];
    for (body, kind, text) in cases {
        let shown = Shown::of(body, &[]);
        assert_eq!((shown.kind(), shown.text()), (kind, text));
    }
}

/// Compares with `serde_json`: the formatted text has the same value.
#[test]
fn what_is_shown_is_the_same_value() {
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..2_000 {
        let value = any(&mut random, 4);
        let text = if random.bool() { value.to_string() } else { format!("{value:#}") };
        let shown = pretty(&text);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value, "{text}");
        // A text with a part removed or changed is JSON for both or for neither.
        let place = random.usize(..text.len());
        let broken: String =
            text.char_indices().filter(|(each, _)| *each != place).map(|(_, letter)| letter).collect();
        let is_json = serde_json::from_str::<serde_json::Value>(&broken).is_ok();
        assert_eq!(Json::read(&broken, usize::MAX, usize::MAX, &[]).is_ok(), is_json, "{broken}");
    }
}

fn any(random: &mut fastrand::Rng, depth: usize) -> serde_json::Value {
    use serde_json::{Value, json};

    const LETTERS: [char; 14] = ['a', '"', '\\', '/', '~', '\n', '{', '}', '[', ']', ':', ',', ' ', 'é'];

    let word = |random: &mut fastrand::Rng| {
        (0..random.usize(..5)).map(|_| *random.choice(&LETTERS).unwrap()).collect::<String>()
    };
    match random.u8(if depth == 0 { 0..5 } else { 0..9 }) {
        0 => Value::Null,
        1 => json!(random.bool()),
        2 => json!(random.i32(..)),
        3 => json!(random.f64() * 1e9),
        4 => json!(word(random)),
        5 | 6 => (0..random.usize(..4)).map(|_| any(random, depth - 1)).collect(),
        _ => (0..random.usize(..4)).map(|_| (word(random), any(random, depth - 1))).collect(),
    }
}
