//! The packages that a program outside the workspace compiles when it depends on the SDK.

use std::fs;
use std::process::Command;

use highlevel_test_support::Directory;

use crate::metadata::root;

/// The generator, and packages that only it needs.
const GENERATOR: &[&str] = &[
    "highlevel-codegen",
    "highlevel-spec",
    "openapiv3",
    "prettyplease",
    "progenitor",
    "progenitor-impl",
    "regress",
    "serde-saphyr",
    "typify",
    "typify-impl",
];

/// Returns the names of the packages that a program with these dependencies compiles on this platform, one per
/// version. A path in the text is relative to the root of the workspace.
fn compiled(dependencies: &[&str]) -> Vec<String> {
    let folder = Directory::create(env!("CARGO_TARGET_TMPDIR"), "consumer");
    // Cargo reads a backslash of a path as an escape.
    let root = root().canonicalize().expect("the root exists").display().to_string().replace('\\', "/");
    let dependencies = dependencies.join("\n").replace("path = \"", &format!("path = \"{root}/"));
    let manifest = format!(
        "[workspace]\n\n[package]\nname = \"consumer\"\nedition = \"2024\"\n\n[[bin]]\nname = \"consumer\"\n\
         path = \"main.rs\"\n\n[dependencies]\n{dependencies}\n"
    );
    fs::write(folder.file("Cargo.toml"), manifest).expect("a manifest");
    fs::write(folder.file("main.rs"), "fn main() {}\n").expect("a program");
    // With the versions of the workspace, which were downloaded for it.
    fs::copy(format!("{root}/Cargo.lock"), folder.file("Cargo.lock")).expect("a lock file");
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--edges", "normal,build", "--prefix", "none", "--format", "{p}"])
        .current_dir(folder.path())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "cargo tree failed: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let mut packages: Vec<&str> = text.lines().map(|line| line.trim_end_matches(" (*)")).collect();
    packages.sort_unstable();
    packages.dedup();
    packages.into_iter().filter_map(|package| package.split(' ').next()).map(str::to_owned).collect()
}

fn generator(packages: &[String]) -> Vec<&str> {
    packages.iter().map(String::as_str).filter(|package| GENERATOR.contains(package)).collect()
}

#[test]
fn a_consumer_compiles_no_generator() {
    for dependency in [
        r#"highlevel = { path = "crates/highlevel" }"#,
        r#"highlevel = { path = "crates/highlevel", features = ["axum", "blocking", "rsa", "testing"] }"#,
        r#"highlevel-postgres = { path = "crates/highlevel-postgres", features = ["sqlx"] }"#,
    ] {
        let packages = compiled(&[dependency]);
        assert!(packages.iter().any(|package| package == "highlevel-wire"), "{dependency}: {packages:?}");
        assert_eq!(generator(&packages), Vec::<&str>::new(), "{dependency}");
        assert!(!packages.iter().any(|package| package == "schemars"), "{dependency}: {packages:?}");
    }
}

/// Edge functions verify webhooks without an HTTP client and without a runtime.
#[test]
fn a_consumer_without_the_client_compiles_no_http_client() {
    const CLIENT: [&str; 6] = ["hyper", "reqwest", "rustls", "tokio", "tokio-util", "getrandom"];
    let packages = compiled(&[
        r#"highlevel = { path = "crates/highlevel", default-features = false, features = ["webhook"] }"#,
    ]);
    assert!(packages.iter().any(|package| package == "ed25519-dalek"), "{packages:?}");
    let unexpected: Vec<&String> =
        packages.iter().filter(|package| CLIENT.contains(&package.as_str())).collect();
    assert_eq!(unexpected, Vec::<&String>::new());
    // The names are those of the tree with the client.
    let packages = compiled(&[r#"highlevel = { path = "crates/highlevel" }"#]);
    for name in CLIENT {
        assert!(packages.iter().any(|package| package == name), "{name} is not in {packages:?}");
    }
}

#[test]
fn a_consumer_that_wants_schemas_compiles_one_schemars() {
    let packages = compiled(&[r#"highlevel = { path = "crates/highlevel", features = ["schemars"] }"#]);
    assert_eq!(generator(&packages), Vec::<&str>::new());
    assert_eq!(packages.iter().filter(|package| *package == "schemars").count(), 1, "{packages:?}");
}

/// Shows that the list names packages of the generator, and that `cargo tree` reports them.
#[test]
fn the_feature_of_the_workspace_compiles_the_generator() {
    let packages =
        compiled(&[r#"highlevel-wire = { path = "crates/highlevel-wire", features = ["generate"] }"#]);
    assert_eq!(generator(&packages), GENERATOR);
}

/// A program that only sends messages compiles no signatures.
#[test]
fn a_consumer_without_webhooks_compiles_no_signatures() {
    const SIGNATURES: [&str; 3] = ["curve25519-dalek", "curve25519-dalek-derive", "ed25519-dalek"];
    let sends = r#"highlevel = { path = "crates/highlevel", default-features = false, features = ["client", "http2", "rustls-ring"] }"#;
    let both = r#"highlevel = { path = "crates/highlevel" }"#;
    for (dependency, expected) in [(sends, false), (both, true)] {
        let packages = compiled(&[dependency]);
        for name in SIGNATURES {
            let is_compiled = packages.iter().any(|package| package == name);
            assert_eq!(is_compiled, expected, "{name}: {packages:?}");
        }
    }
}
