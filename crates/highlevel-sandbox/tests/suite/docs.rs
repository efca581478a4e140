//! `docs/sandbox.md` matches the program.

use std::collections::BTreeSet;
use std::process::Command;

use highlevel_sandbox::{Snapshot, TamperMode, TestCredentials};
use reqwest::Method;
use serde_json::Value;

use crate::caller::{bare, client};
use crate::conformance::{Sandbox, StartChecked};
use crate::process::{Running, directory, program};

const DOCS: &str = include_str!("../../../../docs/sandbox.md");
const SKILL: &str = include_str!("../../../../docs/skills/highlevel/SKILL.md");

/// Returns the code blocks of a language.
fn blocks(language: &str) -> impl Iterator<Item = &'static str> {
    let start = format!("```{language}\n");
    let blocks = DOCS.match_indices("```").filter_map(move |(at, _)| DOCS[at..].strip_prefix(&start));
    blocks.map(|rest| rest.split("\n```").next().unwrap())
}

#[tokio::test]
async fn the_guide_lists_every_admin_operation() {
    let sandbox = Sandbox::start().await.unwrap();
    let response = bare(&sandbox, Method::GET, "/_sandbox/openapi.json").send().await.unwrap();
    let description: Value = response.json().await.unwrap();
    let mut operations = 0;
    for (path, item) in description["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys().filter(|key| *key != "parameters") {
            let row = format!("| `{} {path}` |", method.to_uppercase());
            assert!(DOCS.contains(&row), "docs/sandbox.md has no row {row}");
            operations += 1;
        }
    }
    assert_eq!(
        operations,
        DOCS.lines()
            .filter(|line| line
                .split('`')
                .nth(1)
                .is_some_and(|cell| line.starts_with("| `") && cell.contains(" /_sandbox/")))
            .count()
    );
}

#[test]
fn the_guide_lists_the_tamper_modes() {
    for mode in TamperMode::ALL {
        let row = format!("| `{mode}` | {} | {} |", mode.description(), mode.expected_response());
        assert!(DOCS.lines().any(|line| line == row), "docs/sandbox.md has no row {row}");
    }
}

/// The tables of the crate's documentation, which tests compare with the code.
#[test]
fn the_guide_has_the_tables_of_rules_quirks_and_refusals() {
    for (name, table) in [
        ("rules", include_str!("../../src/fidelity/rules.md")),
        ("deviations", include_str!("../../src/fidelity/deviations.md")),
        ("quirks", include_str!("../../src/fidelity/quirks.md")),
        ("refusals", include_str!("../../src/fidelity/refusals.md")),
    ] {
        assert!(DOCS.contains(table), "docs/sandbox.md must contain src/fidelity/{name}.md:\n{table}");
    }
}

/// Returns the names of variables that follow a dollar sign.
fn variables(line: &str) -> impl Iterator<Item = &str> {
    line.split('$').skip(1).filter_map(|rest| {
        let rest = rest.strip_prefix('{').unwrap_or(rest);
        let end = rest.find(|letter: char| !(letter.is_ascii_uppercase() || letter == '_'));
        let name = &rest[..end.unwrap_or(rest.len())];
        (!name.is_empty()).then_some(name)
    })
}

#[test]
fn the_fixed_values_are_in_the_pages() {
    let llms = include_str!("../../../../docs/llms.txt");
    for (name, page, values) in [
        (
            "docs/sandbox.md",
            DOCS,
            &[
                TestCredentials::TOKEN,
                TestCredentials::CLIENT_SECRET,
                TestCredentials::WEBHOOK_PUBLIC_KEY,
                "http://127.0.0.1:4010",
            ][..],
        ),
        (
            "SKILL.md",
            SKILL,
            &[
                TestCredentials::TOKEN,
                TestCredentials::CLIENT_SECRET,
                TestCredentials::WEBHOOK_PUBLIC_KEY,
                "http://127.0.0.1:4010",
            ],
        ),
        ("docs/llms.txt", llms, &[TestCredentials::TOKEN, "http://127.0.0.1:4010"]),
    ] {
        for value in values {
            assert!(page.contains(value), "{name} has no {value}");
        }
    }
}

#[test]
fn commands_and_paths_of_the_skill_exist() {
    let help = |arguments: &[&str]| {
        let output = program().args(arguments).arg("--help").output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let commands: Vec<&str> =
        SKILL.split(['\n', '`']).filter_map(|text| text.strip_prefix("highlevel-sandbox ")).collect();
    assert!(commands.len() >= 6, "{commands:?}");
    for command in commands {
        let words: Vec<&str> = command.split_whitespace().collect();
        let arguments = words.iter().position(|word| word.starts_with("--")).unwrap_or(words.len());
        let help = help(&words[..arguments]);
        for option in words.iter().filter(|word| word.starts_with("--")) {
            assert!(help.contains(option), "{command}: no option {option}");
        }
    }
    let serve = help(&["serve"]);
    for option in SKILL.split('`').filter_map(|code| code.split_whitespace().next()) {
        // The front matter is between dashes.
        let is_option = option.starts_with("--") && option != "---";
        assert!(!is_option || serve.contains(option), "serve has no option {option}");
    }
    for path in SKILL.split("/_sandbox/").skip(1) {
        let end = path.find(|letter: char| !letter.is_ascii_lowercase()).unwrap();
        let path = format!("  /_sandbox/{}:", &path[..end]);
        assert!(include_str!("../../admin.yaml").contains(&path), "admin.yaml has no {path}");
    }
}

#[test]
fn the_skill_uses_names_of_the_sdk() {
    // The tests of the workspace compile and run the first program of the README.
    let readme = include_str!("../../../../README.md");
    let program = SKILL.split("```rust\n").nth(1).unwrap().split("\n```").next().unwrap();
    assert!(program.contains("async fn main()") && readme.contains(program), "{program}");
    let delivery = include_str!("../../../highlevel/src/delivery.rs");
    for variant in ["NotSent", "Rejected", "Unknown", "Accepted"] {
        assert!(SKILL.contains(&format!("| `{variant}` |")), "SKILL.md has no row {variant}");
        assert!(delivery.contains(&format!("    {variant},\n")), "Delivery has no {variant}");
    }
    let sources = concat!(
        include_str!("../../../highlevel/src/error/mod.rs"),
        include_str!("../../../highlevel/src/find.rs"),
        include_str!("../../../highlevel/src/webhook/receiver.rs"),
    );
    let calls = SKILL.split("error.").skip(1).filter_map(|rest| rest.split_once('('));
    let methods: Vec<&str> = calls.map(|(name, _)| name).collect();
    assert_eq!(methods.len(), 3, "{methods:?}");
    for method in methods {
        assert!(sources.contains(&format!("fn {method}(")), "the SDK has no {method}");
    }
    assert!(SKILL.contains("`highlevel::webhook::Receiver`") && sources.contains("pub struct Receiver"));
}

#[test]
fn links_of_the_index_for_agents_exist() {
    let docs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let index = include_str!("../../../../docs/llms.txt");
    let links: Vec<&str> = index.split("](").skip(1).filter_map(|rest| rest.split(')').next()).collect();
    assert!(links.len() >= 10, "{links:?}");
    for link in links {
        assert!(docs.join(link).is_file(), "docs/llms.txt links to {link}");
    }
}

#[test]
fn commands_of_the_guide_use_only_variables_set_before() {
    let mut set = BTreeSet::new();
    let (mut used, mut shell) = (0, false);
    for line in DOCS.lines() {
        if line.starts_with("```") {
            shell = matches!(line, "```sh" | "```console");
        }
        if !shell {
            continue;
        }
        for name in variables(line) {
            assert!(set.contains(name), "docs/sandbox.md uses ${name} before it is set: {line}");
            used += 1;
        }
        // Some shells interpret an unquoted question mark as a pattern.
        let bare = line.split_whitespace().find(|word| word.starts_with('$') && word.contains('?'));
        assert_eq!(bare, None, "docs/sandbox.md has a URL with a query outside of quotes: {line}");
        let assignment = line.strip_prefix("export ").unwrap_or(line);
        if let Some((name, _)) = assignment.split_once('=')
            && name.chars().all(|letter| letter.is_ascii_uppercase() || letter == '_')
        {
            set.insert(name);
        }
    }
    assert!(used > 20, "{used}");
}

#[tokio::test]
async fn output_of_the_program_matches_the_guide() {
    let mut running = Running::start(["serve"]);
    let mut welcome = Vec::new();
    while !welcome.last().is_some_and(|line: &String| line.starts_with("ready ")) {
        welcome.push(running.line());
    }
    let ready: Value = serde_json::from_str(&welcome.last().unwrap()["ready ".len()..]).unwrap();
    let text = |name: &str| ready[name].as_str().unwrap().to_owned();

    // The first message of the welcome, and the ledger's request about it in the guide.
    let first = welcome.iter().find_map(|line| line.trim().strip_prefix("-d '")).unwrap();
    let first: Value = serde_json::from_str(first.trim_end_matches('\'')).unwrap();
    let request = client().post(text("baseUrl") + "/conversations/messages").bearer_auth(text("token"));
    assert_eq!(request.header("Version", "2021-04-15").json(&first).send().await.unwrap().status(), 201);
    let block = blocks("sh").find(|block| block.contains("/_sandbox/ledger -d '")).unwrap();
    let (question, shown) = block.split_once("/_sandbox/ledger -d '").unwrap().1.split_once("'\n# ").unwrap();
    let question: Value = serde_json::from_str(question).unwrap();
    assert_eq!(question["body"], first);
    let request = client().post(text("adminUrl") + "ledger").json(&question);
    let mut response: Value = request.send().await.unwrap().json().await.unwrap();
    for name in ["id", "messageId"] {
        response["requests"][0][name] = "…".into();
    }
    assert_eq!(response, serde_json::from_str::<Value>(shown).unwrap());

    let output = program().args(["trigger", "Install", "--url", &text("baseUrl")]).output().unwrap();
    let shown = format!("$ highlevel-sandbox trigger Install\n{}", String::from_utf8(output.stderr).unwrap());
    assert!(DOCS.contains(&shown), "{shown}");
}

#[tokio::test]
async fn the_seed_of_the_guide_is_valid() {
    let seed = blocks("yaml").find(|block| block.starts_with("locations:")).unwrap();
    let seed = Snapshot::parse(seed).unwrap();
    let sandbox = Sandbox::builder().seed(seed).start_checked().await.unwrap();
    assert_eq!(sandbox.message("first").unwrap().text(), Some("Hello"));
}

#[test]
fn the_python_example_of_the_guide_runs() {
    if Command::new("python3").arg("--version").output().is_err() {
        println!("skipped: python3 is not installed");
        return;
    }
    let directory = directory("python");
    let file = directory.file("example.py");
    std::fs::write(&file, blocks("python").next().unwrap()).unwrap();
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_highlevel-sandbox")).parent().unwrap();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path =
        std::env::join_paths([program.to_owned()].into_iter().chain(std::env::split_paths(&path))).unwrap();
    let output =
        Command::new("python3").arg(file).env("PATH", path).env("no_proxy", "127.0.0.1").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
