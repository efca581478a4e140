//! The commands of `docs/cli.md`, which are run by a shell against a sandbox.

use std::path::Path;
use std::process::Command;

use highlevel_test_support::{Action, Server, response};

use crate::program::Setup;

/// Returns the commands of a page.
fn blocks(page: &str) -> Vec<&str> {
    page.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

/// Writes the body of an event to `body.json`. Returns its signature, and the public key.
async fn captured_event(setup: &Setup) -> (String, String) {
    let server = Server::always(Action::Respond(response("200 OK", "", ""))).await;
    setup.sandbox.set_webhook_url(server.url()).expect("a URL");
    setup.run(&["send", "sms", "--to-contact", setup.sandbox.contact_id(), "Hello"]).exits(0);
    server.arrived(1).await;
    let event = server.request();
    setup.write("body.json", &event.body);
    (event.header("x-ghl-signature")[0].to_owned(), setup.sandbox.webhook_public_key().to_owned())
}

#[tokio::test]
async fn the_commands_of_the_guide_succeed() {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/cli.md"))
        .expect("the guide");
    let setup = Setup::new().await;
    let blocks = blocks(&page);
    assert!(blocks.len() >= 3, "only {} blocks were found", blocks.len());
    let program = setup.command(&[]);
    let folder = Path::new(program.get_program()).parent().expect("a directory").to_owned();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap_or_default());
    let (signature, key) = captured_event(&setup).await;
    for block in blocks {
        let mut shell = Command::new("bash");
        shell.args(["-euo", "pipefail", "-c", block]).env("PATH", &path).current_dir(setup.directory.path());
        for (name, value) in program.get_envs().filter_map(|(name, value)| Some((name, value?))) {
            shell.env(name, value);
        }
        shell.env("HIGHLEVEL_CONTACT_ID", setup.sandbox.contact_id());
        shell.env("SIGNATURE", &signature).env("HIGHLEVEL_WEBHOOK_KEY", &key);
        let before = setup.sandbox.messages().len();
        let run = setup.output(shell).exits(0);
        assert_eq!(run.stderr, "", "{block}");
        let sends = block.matches("highlevel send").count();
        assert_eq!(setup.sandbox.messages().len(), before + sends, "{block}");
    }
}
