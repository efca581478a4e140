//! Arguments, the options that they become, and the errors of invalid ones.

use clap::Parser;

use super::super::super::tests::parse;
use super::*;

#[derive(Debug, Parser)]
#[command(args_override_self = true)]
struct Serve {
    #[command(flatten)]
    args: ServeArgs,
}

fn args(line: &str) -> Result<ServeArgs, String> {
    parse::<Serve>(line).map(|serve| serve.args)
}

/// Asserts that an option sets fields of the default arguments.
#[track_caller]
fn assert_sets(line: &str, set: impl FnOnce(&mut ServeArgs)) {
    let mut expected = ServeArgs::default();
    set(&mut expected);
    assert_eq!(args(line), Ok(expected), "{line}");
}

#[test]
fn arguments_become_options() {
    assert_sets("", |_| {});
    assert_sets("--address=127.0.0.1:8080", |args| args.address = "127.0.0.1:8080".parse().ok());
    assert_sets("--address localhost:81", |args| args.address = "127.0.0.1:81".parse().ok());
    assert_sets("--webhook-url http://a/hooks", |args| args.webhook_url = Some("http://a/hooks".to_owned()));
    assert_sets("--token -1", |args| args.token = Some("-1".to_owned()));
    assert_sets("--random-credentials", |args| args.random_credentials = true);
    assert_sets("--json --until-stdin-closes", |args| {
        args.json = true;
        args.until_stdin_closes = true;
    });
    assert_sets("--seed a.json --seed b.yaml", |args| {
        args.data.seeds = vec!["a.json".into(), "b.yaml".into()];
    });
    assert_sets("--state c", |args| args.data.state_file = Some("c".into()));
    assert_sets("--keep-messages 5 --keep-bytes 6 --keep-requests 7", |args| {
        args.data.keep_messages = Some(5);
        args.data.keep_bytes = Some(6);
        args.data.keep_requests = Some(7);
    });
    assert_sets("--seed-rng 7", |args| args.data.seed_rng = Some(7));
    assert_sets("--strictness documented --success-status 200", |args| {
        args.fidelity.strictness = Some(Strictness::Documented);
        args.fidelity.success_status = Some(SuccessStatus::Ok200);
    });
    assert_sets("--quirk empty-success --quirk bad-token-500", |args| {
        args.fidelity.quirks = vec![Quirk::EmptySuccess, Quirk::BadToken500];
    });
    assert_sets("--search-lag-ms 1500", |args| args.fidelity.search_lag_ms = Some(1_500));
    assert_sets("--public --admin-token t --admin-token-file f", |args| {
        args.access.public = true;
        args.access.admin_token = Some("t".to_owned());
        args.access.admin_token_file = Some("f".into());
    });
    assert_sets("--base-url https://a.example", |args| {
        args.access.base_url = Some("https://a.example".to_owned());
    });
    assert_sets("--webhook-allow b:1 --webhook-allow c", |args| {
        args.access.webhook_allow = vec!["b:1".to_owned(), "c".to_owned()];
    });
    assert_sets("--redirect-uri http://a/b", |args| {
        args.access.redirect_uris = vec!["http://a/b".to_owned()];
    });
}

#[test]
fn the_last_value_of_a_repeated_option_counts() {
    assert_sets("--token a --token b", |args| args.token = Some("b".to_owned()));
    assert_sets("--json --json", |args| args.json = true);
}

#[test]
fn limits_are_enforced_on_request_and_in_a_sliding_window_by_default() {
    for (line, expected) in [
        ("", None),
        ("--rate-limit", Some(BurstWindow::Sliding)),
        ("--rate-limit --rate-limit", Some(BurstWindow::Sliding)),
        ("--rate-limit-window fixed", Some(BurstWindow::Fixed)),
        ("--rate-limit --rate-limit-window=fixed", Some(BurstWindow::Fixed)),
        ("--rate-limit-window fixed --rate-limit", Some(BurstWindow::Fixed)),
        ("--rate-limit-window sliding", Some(BurstWindow::Sliding)),
    ] {
        assert_eq!(args(line).unwrap().fidelity.enforced_window(), expected, "{line}");
    }
}

#[test]
fn invalid_arguments_are_named() {
    for (line, expected) in [
        ("serve", "unexpected argument 'serve' found"),
        ("--adress 127.0.0.1:0", "a similar argument exists: '--address'"),
        ("-x", "unexpected argument '-x' found"),
        ("--token", "a value is required for '--token <TOKEN>' but none was supplied"),
        ("--rate-limit-window", "a value is required for '--rate-limit-window <WINDOW>'"),
        (
            "--rate-limit-window both",
            "invalid value 'both' for '--rate-limit-window <WINDOW>'\n  [possible values: sliding, fixed]",
        ),
        (
            "--quirk none",
            "[possible values: wrong-provider-500, bad-token-500, custom-inbound-vanishes, early-status-403, \
             empty-success, ",
        ),
        ("--without-refusal no-contant", "a similar value exists: 'no-content'"),
        ("--quirk empty-sucess", "a similar value exists: 'empty-success'"),
        (
            "--seed-rng x",
            "invalid value 'x' for '--seed-rng <NUMBER>': expected a whole number from 0 to 18446744073709551615",
        ),
        (
            "--search-lag-ms 1.5",
            "invalid value '1.5' for '--search-lag-ms <N>': expected whole milliseconds from 0 to 4294967295",
        ),
        (
            "--keep-messages 0",
            "invalid value '0' for '--keep-messages <N>': expected a whole number of 1 or more",
        ),
        (
            "--address 8080",
            "invalid value '8080' for '--address <ADDRESS>': expected an address with a port, for example \
             127.0.0.1:8080, or 127.0.0.1:0 for a free port",
        ),
    ] {
        let error = args(line).unwrap_err();
        assert!(error.contains(expected), "{line}: {error}");
    }
}

#[test]
fn all_options_reach_the_builder() {
    let args = args(
        "--address 127.0.0.1:81 --webhook-url http://localhost:3000/hooks --rate-limit-window fixed --state s \
         --keep-messages 5 --strictness documented --success-status 200 --quirk empty-success \
         --quirk bad-token-500 --search-lag-ms 9 --without-refusal no-phone --keep-requests 6 --public --base-url http://a:1 --webhook-allow b \
         --redirect-uri http://c/d --seed-rng 7 --admin-token e",
    );
    let expected = Sandbox::builder()
        .address(SocketAddr::from(([127, 0, 0, 1], 81)))
        .webhook_url("http://localhost:3000/hooks")
        .rate_limit(RateLimit::documented().window(BurstWindow::Fixed))
        .state_file("s")
        .keep_messages(5)
        .quirk(Quirk::EmptySuccess)
        .quirk(Quirk::BadToken500)
        .search_lag(std::time::Duration::from_millis(9))
        .without_refusal(Refusal::NoPhone)
        .keep_requests(6)
        .strictness(Strictness::Documented)
        .success_status(SuccessStatus::Ok200)
        .public(true)
        .base_url("http://a:1")
        .webhook_allow("b")
        .redirect_uri("http://c/d")
        .seed_rng(7)
        .admin_token("e");
    assert_eq!(format!("{:?}", args.unwrap().builder().unwrap()), format!("{expected:?}"));
}

#[test]
fn the_default_address_is_fixed() {
    let builder = |line| format!("{:?}", args(line).unwrap().builder().unwrap());
    assert!(builder("").contains("address: 127.0.0.1:4010, or_free_port: true"), "{}", builder(""));
    for line in ["--address 127.0.0.1:4010", "--address 127.0.0.1:0"] {
        assert!(builder(line).contains("or_free_port: false"), "{line}");
    }
}
