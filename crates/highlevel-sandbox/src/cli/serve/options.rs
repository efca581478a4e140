//! What `serve` takes.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use highlevel_sandbox::{
    Quirk, RateLimit, Sandbox, SandboxBuilder, Snapshot, Strictness, SuccessStatus, Window,
};
use lexopt::{Arg, Parser};

use super::super::arguments::{Stop, next, one_of, other, text};

pub(crate) const HELP: &str = "\
A local HighLevel to develop and test against.

Usage: highlevel-sandbox [serve] [options]
       highlevel-sandbox COMMAND --help

Commands that talk to a sandbox that runs:
  health               whether it runs
  trigger EVENT        send an example of a webhook event
  simulate WHAT        an inbound message, a call or a change of status

Options:
  --address ADDRESS    where to listen [default: 127.0.0.1:0, a free port]
  --webhook-url URL    where to send signed webhook events, a plain http URL [default: nowhere]
  --token TOKEN        the private integration token to accept [default: a new one]
  --seed FILE          what is to exist beside what always does, JSON or YAML; can be given several times
  --state FILE         keep what exists in a file, and go on from there the next time [default: forget it]
  --keep-messages N    how many messages are kept, the newest ones [default: 100000]
  --keep-bytes N       how much memory they may take, in bytes [default: 134217728, 128 MiB]
  --strictness lenient|documented
                       accept what the live API is known to accept, or insist on what the documentation requires
                       [default: lenient]
  --success-status 201|200
                       what a yes is: as the live API says it, or as it is documented [default: 201]
  --quirk NAME         do something odd that the live API has been seen to do; can be given several times:
                       wrong-provider-500, bad-token-500, custom-inbound-vanishes, early-status-403, empty-success
  --keep-requests N    how many requests the ledger keeps, the newest ones [default: 10000]
  --rate-limit         answer 429 to requests over the documented limits: 100 in 10 s, 200,000 in a day
                       [default: count them, refuse none]
  --rate-limit-window fixed|sliding
                       the same, with the 10 s at fixed times or always the last ones [default: sliding]
  --redirect-uri URI   a URI to which the OAuth page may send a code; can be given several times
                       [default: any URI of this machine]
  --public             let other machines connect, if the address is one that they can reach
  --admin-token TOKEN  the token that the admin API demands; needed with --public, with 16 characters or more. Other users
                       of this machine can read a command line: prefer --admin-token-file, or the environment variable
                       HIGHLEVEL_SANDBOX_ADMIN_TOKEN [default: none]
  --admin-token-file FILE
                       the same, read from the first line of a file
  --base-url URL       the URL under which clients reach the sandbox, for example https://sandbox.example behind a proxy
                       [default: the address]
  --webhook-allow HOST[:PORT]
                       with --public, deliver webhooks to this host even if it is this machine; can be given several
                       times [default: no loopback and no link-local address]
  --seed-rng NUMBER    generate the same ids, tokens, secrets and keys in every run, for tests [default: random ones]
  --until-stdin-closes
                       stop when standard input is closed, which it is when the parent process ends
  --json               print every line as a JSON object
  -h, --help           print this
  -V, --version        print the version

It prints what is needed to send a first message, then one line with `ready ` and all of it as JSON, then a line for
each request and each webhook. Ctrl-C or SIGTERM stops it.";

/// The environment variable with the admin token.
const ADMIN_TOKEN: &str = "HIGHLEVEL_SANDBOX_ADMIN_TOKEN";

/// What was chosen.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) address: Option<SocketAddr>,
    pub(crate) webhook_url: Option<String>,
    pub(crate) token: Option<String>,
    seeds: Vec<PathBuf>,
    pub(crate) state: Option<PathBuf>,
    keep_messages: Option<usize>,
    keep_bytes: Option<usize>,
    strictness: Option<Strictness>,
    success_status: Option<SuccessStatus>,
    quirks: Vec<Quirk>,
    keep_requests: Option<usize>,
    /// The window of the documented limits, if they are enforced.
    pub(crate) rate_limit: Option<Window>,
    redirect_uris: Vec<String>,
    public: bool,
    admin_token: Option<String>,
    admin_token_file: Option<PathBuf>,
    base_url: Option<String>,
    webhook_allow: Vec<String>,
    seed_rng: Option<u64>,
    pub(crate) until_stdin_closes: bool,
    pub(crate) json: bool,
}

pub(crate) fn read(parser: &mut Parser) -> Result<Options, Stop> {
    let mut options = Options::default();
    while let Some(argument) = next(parser)? {
        match argument {
            Arg::Long("address") => options.address = Some(address(&text(parser, "--address")?)?),
            Arg::Long("webhook-url") => options.webhook_url = Some(text(parser, "--webhook-url")?),
            Arg::Long("token") => options.token = Some(text(parser, "--token")?),
            Arg::Long("seed") => options.seeds.push(text(parser, "--seed")?.into()),
            Arg::Long("state") => options.state = Some(text(parser, "--state")?.into()),
            Arg::Long("keep-messages") => {
                options.keep_messages = Some(number(&text(parser, "--keep-messages")?)?);
            }
            Arg::Long("keep-bytes") => {
                options.keep_bytes = Some(number(&text(parser, "--keep-bytes")?)?);
            }
            Arg::Long("strictness") => {
                let values = [("lenient", Strictness::Lenient), ("documented", Strictness::Documented)];
                options.strictness = Some(one_of(parser, "--strictness", &values)?);
            }
            Arg::Long("success-status") => {
                let values = [("201", SuccessStatus::Created201), ("200", SuccessStatus::Ok200)];
                options.success_status = Some(one_of(parser, "--success-status", &values)?);
            }
            Arg::Long("quirk") => {
                options.quirks.push(text(parser, "--quirk")?.parse().map_err(Stop::Problem)?);
            }
            Arg::Long("keep-requests") => {
                options.keep_requests = Some(number(&text(parser, "--keep-requests")?)?);
            }
            Arg::Long("rate-limit") => {
                options.rate_limit.get_or_insert_default();
            }
            Arg::Long("rate-limit-window") => {
                let values = [("fixed", Window::Fixed), ("sliding", Window::Sliding)];
                options.rate_limit = Some(one_of(parser, "--rate-limit-window", &values)?);
            }
            Arg::Long("public") => options.public = true,
            Arg::Long("redirect-uri") => options.redirect_uris.push(text(parser, "--redirect-uri")?),
            Arg::Long("admin-token") => options.admin_token = Some(text(parser, "--admin-token")?),
            Arg::Long("admin-token-file") => {
                options.admin_token_file = Some(text(parser, "--admin-token-file")?.into());
            }
            Arg::Long("base-url") => options.base_url = Some(text(parser, "--base-url")?),
            Arg::Long("webhook-allow") => options.webhook_allow.push(text(parser, "--webhook-allow")?),
            Arg::Long("seed-rng") => {
                let number = text(parser, "--seed-rng")?;
                options.seed_rng = Some(number.parse().map_err(|_| {
                    Stop::Problem(format!("`{number}` is not a seed; one is a number from 0 to {}", u64::MAX))
                })?);
            }
            Arg::Long("until-stdin-closes") => options.until_stdin_closes = true,
            Arg::Long("json") => options.json = true,
            argument => return Err(other(argument)),
        }
    }
    Ok(options)
}

impl Options {
    /// A sandbox as it was chosen. Reads the seed files.
    pub(crate) fn builder(&self) -> io::Result<SandboxBuilder> {
        let mut builder = Sandbox::builder().public(self.public);
        if let Some(address) = self.address {
            builder = builder.address(address);
        }
        if let Some(url) = &self.webhook_url {
            builder = builder.webhook_url(url);
        }
        if let Some(token) = &self.token {
            builder = builder.token(token);
        }
        for path in &self.seeds {
            let named =
                |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
            builder = builder
                .seed(fs::read_to_string(path).and_then(|text| Snapshot::parse(&text)).map_err(named)?);
        }
        if let Some(path) = &self.state {
            builder = builder.state_file(path);
        }
        if let Some(messages) = self.keep_messages {
            builder = builder.keep_messages(messages);
        }
        if let Some(bytes) = self.keep_bytes {
            builder = builder.keep_bytes(bytes);
        }
        if let Some(strictness) = self.strictness {
            builder = builder.strictness(strictness);
        }
        if let Some(status) = self.success_status {
            builder = builder.success_status(status);
        }
        for quirk in &self.quirks {
            builder = builder.quirk(*quirk);
        }
        if let Some(requests) = self.keep_requests {
            builder = builder.keep_requests(requests);
        }
        if let Some(window) = self.rate_limit {
            builder = builder.rate_limit(RateLimit::documented().window(window));
        }
        if let Some(token) = self.admin_token()? {
            builder = builder.admin_token(token);
        }
        for uri in &self.redirect_uris {
            builder = builder.redirect_uri(uri);
        }
        if let Some(url) = &self.base_url {
            builder = builder.base_url(url);
        }
        for host in &self.webhook_allow {
            builder = builder.webhook_allow(host);
        }
        if let Some(seed) = self.seed_rng {
            builder = builder.seed_rng(seed);
        }
        Ok(builder)
    }

    /// The admin token: of the command line, of a file, or of the environment, in this order.
    fn admin_token(&self) -> io::Result<Option<String>> {
        if self.admin_token.is_some() {
            return Ok(self.admin_token.clone());
        }
        let Some(path) = &self.admin_token_file else {
            return Ok(std::env::var(ADMIN_TOKEN).ok().filter(|token| !token.is_empty()));
        };
        let named = |error: io::Error| {
            io::Error::new(
                error.kind(),
                format!("the admin token cannot be read from {}: {error}", path.display()),
            )
        };
        let content = fs::read_to_string(path).map_err(named)?;
        match content.lines().next().map(str::trim).filter(|token| !token.is_empty()) {
            Some(token) => Ok(Some(token.to_owned())),
            None => Err(named(io::Error::new(io::ErrorKind::InvalidData, "its first line is empty"))),
        }
    }
}

fn address(text: &str) -> Result<SocketAddr, Stop> {
    // `localhost` is what people write; which of its addresses comes first should not decide.
    let numeric = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    numeric.as_deref().unwrap_or(text).parse().map_err(|_| {
        Stop::Problem(format!(
            "`{text}` is not an address with a port; one looks like 127.0.0.1:8080, or 127.0.0.1:0 for a free port"
        ))
    })
}

fn number(text: &str) -> Result<usize, Stop> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number
        .ok_or_else(|| Stop::Problem(format!("`{text}` is not a number that can be kept; one is 1 or more")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str) -> Result<Options, Stop> {
        read(&mut Parser::from_args(line.split_whitespace()))
    }

    #[test]
    fn arguments_become_options() {
        let some = |text: &str| Some(text.to_owned());
        let limited = |window| Options { rate_limit: Some(window), ..Options::default() };
        let cases = [
            ("", Options::default()),
            ("--keep-bytes 7", Options { keep_bytes: Some(7), ..Options::default() }),
            ("--token pit-1", Options { token: some("pit-1"), ..Options::default() }),
            (
                "--address=127.0.0.1:8080 --webhook-url http://localhost:3000/hooks",
                Options {
                    address: Some(SocketAddr::from(([127, 0, 0, 1], 8080))),
                    webhook_url: some("http://localhost:3000/hooks"),
                    ..Options::default()
                },
            ),
            (
                "--address localhost:81",
                Options { address: Some(SocketAddr::from(([127, 0, 0, 1], 81))), ..Options::default() },
            ),
            (
                "--seed a.json --seed b.yaml --state c --keep-messages 5",
                Options {
                    seeds: vec!["a.json".into(), "b.yaml".into()],
                    state: Some("c".into()),
                    keep_messages: Some(5),
                    ..Options::default()
                },
            ),
            (
                "--public --admin-token t --json",
                Options { public: true, admin_token: some("t"), json: true, ..Options::default() },
            ),
            (
                "--admin-token-file f --base-url https://a.example --webhook-allow b:1 --webhook-allow c",
                Options {
                    admin_token_file: Some("f".into()),
                    base_url: some("https://a.example"),
                    webhook_allow: vec!["b:1".to_owned(), "c".to_owned()],
                    ..Options::default()
                },
            ),
            (
                "--redirect-uri http://a/b --seed-rng 7 --until-stdin-closes",
                Options {
                    redirect_uris: vec!["http://a/b".to_owned()],
                    seed_rng: Some(7),
                    until_stdin_closes: true,
                    ..Options::default()
                },
            ),
            (
                "--strictness documented --success-status 200",
                Options {
                    strictness: Some(Strictness::Documented),
                    success_status: Some(SuccessStatus::Ok200),
                    ..Options::default()
                },
            ),
            ("--rate-limit", limited(Window::Sliding)),
            ("--rate-limit-window fixed", limited(Window::Fixed)),
            ("--rate-limit --rate-limit-window=fixed", limited(Window::Fixed)),
            ("--rate-limit-window fixed --rate-limit", limited(Window::Fixed)),
            ("--rate-limit-window sliding", limited(Window::Sliding)),
        ];
        for (line, expected) in cases {
            assert_eq!(check(line), Ok(expected), "{line}");
        }
        assert_eq!(check("-h"), Err(Stop::Help));
        assert_eq!(check("--version"), Err(Stop::Version));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let cases = [
            ("serve", "`serve` has no meaning here"),
            ("--adress 127.0.0.1:0", "there is no option --adress"),
            ("-x", "there is no option -x"),
            ("--token", "--token needs a value"),
            ("--rate-limit-window", "--rate-limit-window needs a value"),
            ("--rate-limit-window both", "--rate-limit-window is `both`, and can be `fixed` or `sliding`"),
            (
                "--quirk none",
                "there is no quirk `none`; there are wrong-provider-500, bad-token-500, custom-inbound-vanishes, early-status-403, empty-success",
            ),
            ("--seed-rng x", "`x` is not a seed; one is a number from 0 to 18446744073709551615"),
            ("--keep-messages 0", "`0` is not a number that can be kept; one is 1 or more"),
            (
                "--address 8080",
                "`8080` is not an address with a port; one looks like 127.0.0.1:8080, or 127.0.0.1:0 for a free port",
            ),
        ];
        for (line, expected) in cases {
            assert_eq!(check(line), Err(Stop::Problem(expected.to_owned())), "{line}");
        }
    }

    #[test]
    fn what_was_chosen_reaches_the_sandbox() {
        let options = check(
            "--address 127.0.0.1:81 --webhook-url http://localhost:3000/hooks --rate-limit-window fixed --state s \
             --keep-messages 5 --strictness documented --success-status 200 --quirk empty-success \
             --quirk bad-token-500 --keep-requests 6 --public --base-url http://a:1 --webhook-allow b \
             --redirect-uri http://c/d --seed-rng 7 --admin-token e",
        );
        let expected = Sandbox::builder()
            .address(SocketAddr::from(([127, 0, 0, 1], 81)))
            .webhook_url("http://localhost:3000/hooks")
            .rate_limit(RateLimit::documented().window(Window::Fixed))
            .state_file("s")
            .keep_messages(5)
            .quirk(Quirk::EmptySuccess)
            .quirk(Quirk::BadToken500)
            .keep_requests(6)
            .strictness(Strictness::Documented)
            .success_status(SuccessStatus::Ok200)
            .public(true)
            .base_url("http://a:1")
            .webhook_allow("b")
            .redirect_uri("http://c/d")
            .seed_rng(7)
            .admin_token("e");
        assert_eq!(format!("{:?}", options.unwrap().builder().unwrap()), format!("{expected:?}"));
    }
}
