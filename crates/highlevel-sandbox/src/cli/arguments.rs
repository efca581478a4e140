//! The command line.

use std::ffi::OsString;
use std::net::SocketAddr;

use highlevel_sandbox::{RateLimit, Sandbox, SandboxBuilder, Window};
use lexopt::{Arg, Parser, ValueExt};

pub(crate) const HELP: &str = "\
A local HighLevel to develop and test against.

Usage: highlevel-sandbox [serve] [options]

Options:
  --address ADDRESS    where to listen, a loopback address [default: 127.0.0.1:0, a free port]
  --webhook-url URL    where to send signed webhook events, a plain http URL [default: nowhere]
  --token TOKEN        the token to accept [default: a new one]
  --rate-limit         answer 429 to requests over the documented limits: 100 in 10 s, 200,000 in a day
                       [default: count them, refuse none]
  --rate-limit-window fixed|sliding
                       the same, with the 10 s at fixed times or always the last ones [default: sliding]
  -h, --help           print this
  -V, --version        print the version

It prints what is needed to send a first message, then a line for each request and each webhook.
Nothing is kept: what it was sent is gone when it stops. Ctrl-C stops it.";

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Serve(Options),
    Help,
    Version,
}

/// What was chosen.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) address: Option<SocketAddr>,
    pub(crate) webhook_url: Option<String>,
    pub(crate) token: Option<String>,
    /// The window of the documented limits, if they are enforced.
    pub(crate) rate_limit: Option<Window>,
}

impl Options {
    pub(crate) fn builder(&self) -> SandboxBuilder {
        let mut builder = Sandbox::builder();
        if let Some(address) = self.address {
            builder = builder.address(address);
        }
        if let Some(url) = &self.webhook_url {
            builder = builder.webhook_url(url);
        }
        if let Some(token) = &self.token {
            builder = builder.token(token);
        }
        if let Some(window) = self.rate_limit {
            builder = builder.rate_limit(RateLimit::documented().window(window));
        }
        builder
    }
}

/// Reads the arguments, without the name of the program.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, String> {
    let mut parser = Parser::from_args(arguments);
    read(&mut parser).map_err(|problem| {
        format!("error: {problem}\n\nRun `highlevel-sandbox --help` to see what it takes.")
    })
}

fn read(parser: &mut Parser) -> Result<Command, String> {
    let mut options = Options::default();
    let mut first = true;
    while let Some(argument) = parser.next().map_err(|error| error.to_string())? {
        match argument {
            Arg::Long("address") => options.address = Some(address(&text(parser, "--address")?)?),
            Arg::Long("webhook-url") => options.webhook_url = Some(text(parser, "--webhook-url")?),
            Arg::Long("token") => options.token = Some(text(parser, "--token")?),
            Arg::Long("rate-limit") => {
                options.rate_limit.get_or_insert_default();
            }
            Arg::Long("rate-limit-window") => {
                options.rate_limit = Some(window(&text(parser, "--rate-limit-window")?)?);
            }
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help),
            Arg::Short('V') | Arg::Long("version") => return Ok(Command::Version),
            Arg::Value(word) if first && word == "serve" => {}
            Arg::Value(word) => {
                return Err(format!("there is no command `{}`; there is `serve`", word.to_string_lossy()));
            }
            Arg::Short(letter) => return Err(format!("there is no option -{letter}")),
            Arg::Long(name) => return Err(format!("there is no option --{name}")),
        }
        first = false;
    }
    Ok(Command::Serve(options))
}

fn text(parser: &mut Parser, option: &str) -> Result<String, String> {
    let value = parser.value().map_err(|_| format!("{option} needs a value"))?;
    value.string().map_err(|_| format!("the value of {option} is not UTF-8"))
}

fn address(text: &str) -> Result<SocketAddr, String> {
    // `localhost` is what people write; which of its addresses comes first should not decide.
    let numeric = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    numeric.as_deref().unwrap_or(text).parse().map_err(|_| {
        format!("`{text}` is not an address with a port; one looks like 127.0.0.1:8080, or 127.0.0.1:0 for a free port")
    })
}

fn window(text: &str) -> Result<Window, String> {
    match text {
        "fixed" => Ok(Window::Fixed),
        "sliding" => Ok(Window::Sliding),
        _ => Err(format!("`{text}` is not a window; there are `fixed` and `sliding`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str) -> Result<Command, String> {
        read(&mut Parser::from_args(line.split_whitespace()))
    }

    #[test]
    fn arguments_become_options() {
        let some = |text: &str| Some(text.to_owned());
        let limited = |window| Options { rate_limit: Some(window), ..Options::default() };
        let cases = [
            ("", Options::default()),
            ("serve", Options::default()),
            ("--token pit-1", Options { token: some("pit-1"), ..Options::default() }),
            (
                "serve --address=127.0.0.1:8080 --webhook-url http://localhost:3000/hooks",
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
            ("--rate-limit", limited(Window::Sliding)),
            ("--rate-limit-window fixed", limited(Window::Fixed)),
            ("--rate-limit --rate-limit-window=fixed", limited(Window::Fixed)),
            ("--rate-limit-window fixed --rate-limit", limited(Window::Fixed)),
            ("--rate-limit-window sliding", limited(Window::Sliding)),
        ];
        for (line, expected) in cases {
            assert_eq!(check(line), Ok(Command::Serve(expected)), "{line}");
        }
        assert_eq!(check("serve -h"), Ok(Command::Help));
        assert_eq!(check("--version"), Ok(Command::Version));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let cases = [
            ("run", "there is no command `run`; there is `serve`"),
            ("serve serve", "there is no command `serve`; there is `serve`"),
            ("--adress 127.0.0.1:0", "there is no option --adress"),
            ("-x", "there is no option -x"),
            ("--token", "--token needs a value"),
            ("--rate-limit-window", "--rate-limit-window needs a value"),
            ("--rate-limit-window both", "`both` is not a window; there are `fixed` and `sliding`"),
            (
                "--address 8080",
                "`8080` is not an address with a port; one looks like 127.0.0.1:8080, or 127.0.0.1:0 for a free port",
            ),
        ];
        for (line, expected) in cases {
            assert_eq!(check(line), Err(expected.to_owned()), "{line}");
        }
    }

    #[test]
    fn the_limits_reach_the_sandbox() {
        let Ok(Command::Serve(options)) = check("--rate-limit-window fixed") else { unreachable!() };
        let expected = Sandbox::builder().rate_limit(RateLimit::documented().window(Window::Fixed));
        assert_eq!(format!("{:?}", options.builder()), format!("{expected:?}"));
    }
}
