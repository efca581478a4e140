//! `oauth login` and `oauth status`, with a script that acts as the browser.

use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command};
use std::time::Duration;

use highlevel_sandbox::{Fault, FaultRule, FaultStage, TokenResource};
use highlevel_test_support::until;
use serde_json::Value;

use crate::program::{Run, Setup};

/// Requests a URL of this machine. Returns the head and the body of the response.
fn browse(url: &str) -> (String, String) {
    let rest = url.strip_prefix("http://").expect("plain http");
    let (address, path) = rest.split_once('/').expect("a path");
    let address = address.replace("localhost", "127.0.0.1");
    let mut stream = TcpStream::connect(&address).expect("a connection");
    write!(stream, "GET /{path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")
        .expect("a request");
    let mut response = String::new();
    stream.read_to_string(&mut response).expect("a response");
    let (head, body) = response.split_once("\r\n\r\n").expect("a head");
    (head.to_owned(), body.to_owned())
}

/// Returns the URL that a response redirects to.
fn location(head: &str) -> String {
    let line = head.lines().find(|line| line.to_lowercase().starts_with("location: ")).expect("a redirect");
    line[10..].trim().to_owned()
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port()
}

/// Returns the program with the credentials of the app instead of a token.
fn app_command(setup: &Setup, arguments: &[&str]) -> Command {
    let mut command = setup.anonymous(arguments);
    command.env("HIGHLEVEL_CLIENT_ID", setup.sandbox.client_id());
    command.env("HIGHLEVEL_CLIENT_SECRET", setup.sandbox.client_secret());
    command
}

struct Login {
    child: Child,
    stdout: BufReader<std::process::ChildStdout>,
    /// The URL to open.
    url: String,
}

impl Login {
    fn start(setup: &Setup, more: &[&str]) -> Self {
        let redirect = format!("http://localhost:{}/installed", free_port());
        let arguments = ["oauth", "login", "--json", "--redirect-uri", &redirect];
        let mut child = app_command(setup, &[&arguments, more].concat()).spawn().expect("it starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("a line");
        setup.assert_no_secret(&line);
        let line: Value = serde_json::from_str(&line).expect("JSON");
        Self { child, stdout, url: line["url"].as_str().expect("a URL").to_owned() }
    }

    fn end(mut self, setup: &Setup) -> Run {
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).expect("UTF-8");
        setup.assert_no_secret(&rest);
        let mut run = setup.wait(self.child);
        run.stdout = rest;
        run
    }
}

#[tokio::test]
async fn an_app_is_installed_in_the_browser_and_its_tokens_are_used() {
    let setup = Setup::new().await;
    let location_id = setup.sandbox.location_id().to_owned();
    setup.sandbox.choose_on_authorize(TokenResource::location(&location_id));
    let login = Login::start(&setup, &["--no-browser"]);
    let redirect = location(&browse(&login.url).0);
    // A forged redirect has no consequence.
    let (head, _) = browse(&redirect.replace("state=", "state=x"));
    assert!(head.starts_with("HTTP/1.1 403 "), "{head}");
    let (head, page) = browse(&redirect);
    assert!(head.starts_with("HTTP/1.1 200 ") && page.contains("The app is installed."), "{head}");
    let run = login.end(&setup).exits(0);
    let installed = run.json();
    assert_eq!(
        (&installed["outcome"], &installed["locationId"]),
        (&"installed".into(), &location_id.clone().into())
    );

    let status = setup.output(app_command(&setup, &["oauth", "status", "--json"])).exits(0).json();
    assert_eq!(
        (&status["locationId"], &status["hasRefreshToken"]),
        (&location_id.clone().into(), &true.into())
    );
    let text = setup.output(app_command(&setup, &["oauth", "status"])).exits(0).stdout;
    assert!(text.contains("refreshed automatically"), "{text}");

    // The only installation is chosen, and an expired token is refreshed and stored.
    let send = ["send", "sms", "--to-contact", setup.sandbox.contact_id(), "Hello"];
    setup.output(app_command(&setup, &send)).exits(0);
    setup.sandbox.expire_access_tokens(&TokenResource::location(&location_id));
    setup.output(app_command(&setup, &send)).exits(0);
    setup.output(app_command(&setup, &send)).exits(0);
    assert_eq!(setup.sandbox.messages().len(), 3);
    assert_eq!(setup.sandbox.token_requests_of(&TokenResource::location(&location_id)).rotated, 1);
    setup.output(app_command(&setup, &["doctor", "--json"])).exits(0);
}

/// The refresh token works once, so tokens that arrive after the command has given up must be stored.
#[tokio::test]
async fn tokens_that_are_refreshed_late_are_stored() {
    let setup = Setup::new().await;
    let resource = TokenResource::location(setup.sandbox.location_id());
    setup.sandbox.choose_on_authorize(resource.clone());
    let login = Login::start(&setup, &["--no-browser"]);
    browse(&location(&browse(&login.url).0));
    login.end(&setup).exits(0);
    setup.sandbox.expire_access_tokens(&resource);
    let late = FaultRule::new(Fault::NONE.after(Duration::from_secs(3)))
        .stage(FaultStage::After)
        .path("/oauth/token");
    let rule = setup.sandbox.add_fault(late).expect("a rule");
    let show = ["contact", "show", setup.sandbox.contact_id()];
    setup.output(app_command(&setup, &[&show[..], &["--timeout", "1"]].concat()));
    setup.sandbox.remove_fault(rule);
    setup.output(app_command(&setup, &show)).exits(0);
    let requests = setup.sandbox.token_requests_of(&resource);
    assert_eq!((requests.rotated, requests.repeated, requests.refused), (1, 0, 0));
}

#[tokio::test]
async fn a_login_that_fails_stores_nothing() {
    let setup = Setup::new().await;
    let login = Login::start(&setup, &["--no-browser"]);
    let state = login.url.split('&').find(|part| part.starts_with("state=")).expect("a state").to_owned();
    let address =
        login.url.split("redirect_uri=").nth(1).and_then(|rest| rest.split('&').next()).expect("a URI");
    let address = address.replace("%3A", ":").replace("%2F", "/");
    let (head, _) = browse(&format!("{address}?error=access_denied&{state}"));
    assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
    login.end(&setup).exits(4).complains(&["the app was not installed: access_denied"]);

    let login = Login::start(&setup, &["--no-browser"]);
    let state = login.url.split('&').find(|part| part.starts_with("state=")).expect("a state").to_owned();
    let address =
        login.url.split("redirect_uri=").nth(1).and_then(|rest| rest.split('&').next()).expect("a URI");
    let address = address.replace("%3A", ":").replace("%2F", "/");
    browse(&format!("{address}?code=forged&{state}"));
    login.end(&setup).exits(4).complains(&["help: check the client id"]);

    let login = Login::start(&setup, &["--no-browser", "--wait", "1"]);
    login.end(&setup).exits(1).complains(&["no browser has returned within 1 s"]);
    let run = setup.output(app_command(&setup, &["oauth", "status"])).exits(7);
    run.complains(&["there are no tokens", "highlevel oauth login"]);
    let run = setup.output(app_command(&setup, &["send", "sms", "--to-contact", "c", "Hello"])).exits(3);
    run.complains(&["the app is not installed on a location"]);
}

/// The browser of a desktop, as a script that records its argument and its environment.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_browser_is_opened_without_secrets() {
    use std::os::unix::fs::PermissionsExt as _;
    let setup = Setup::new().await;
    let opened = setup.path("opened");
    let script = setup.write(
        "xdg-open",
        format!("#!/bin/sh\n{{ echo \"$1\"; env; }} >{opened}.new; mv {opened}.new {opened}\n"),
    );
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).expect("permissions");
    let redirect = format!("http://127.0.0.1:{}/installed", free_port());
    let mut command = app_command(&setup, &["oauth", "login", "--redirect-uri", &redirect, "--wait", "2"]);
    let path = format!("{}:{}", setup.directory.text(), std::env::var("PATH").unwrap_or_default());
    command.env("PATH", path).env("HIGHLEVEL_TOKEN", setup.sandbox.token());
    let run = setup.output(command).exits(1);
    // The browser may outlive the command.
    let file = std::path::Path::new(&opened);
    until("the browser was opened", Duration::from_secs(60), Duration::from_millis(5), async || {
        file.exists()
    })
    .await;
    let recorded = std::fs::read_to_string(&opened).expect("the browser was opened");
    setup.assert_no_secret(&recorded);
    let url = recorded.lines().next().expect("a URL");
    assert!(run.stdout.contains(url) && url.contains("response_type=code"), "{}", run.stdout);

    // Without a browser the URL is printed all the same.
    let mut command = app_command(&setup, &["oauth", "login", "--redirect-uri", &redirect, "--wait", "1"]);
    command.env("PATH", "/nowhere");
    setup.output(command).exits(1).complains(&["note: no browser could be opened; open the URL above"]);
}

#[tokio::test]
async fn settings_of_the_app_are_required() {
    let setup = Setup::new().await;
    setup.run(&["oauth", "status"]).exits(2).complains(&["the client id of the app is not known"]);
    setup
        .run(&["oauth", "login", "--client-id", "a"])
        .exits(2)
        .complains(&["the client secret", "--client-secret-file"]);
    let login = ["oauth", "login", "--redirect-uri", "https://app.example.com/installed"];
    let run = setup.output(app_command(&setup, &login)).exits(2);
    run.complains(&["does not lead to this machine", "--listen ADDRESS"]);
}
