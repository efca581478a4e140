//! Equal messages that are sent to the same contact at the same time. The user of a message, which is no part of a
//! fingerprint, tells the test which request created it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use highlevel::{Client, Delivery, LocalRateLimiter, Sms};
use highlevel_sandbox::{Fault, FaultRule, FaultSchedule, FaultStage, RateLimit, Sandbox};
use tokio::task::JoinSet;

use super::{TEXT, builder, evaluate, put_contact};

/// Sends equal messages at the same time, and looks for those whose outcome is unknown. Returns the results: the name, and an
/// error if it is wrong.
async fn send_equal(
    client: &Client,
    sandbox: &Sandbox,
    contact: &str,
    count: usize,
) -> Vec<(&'static str, Option<String>)> {
    let mut running = JoinSet::new();
    for number in 0..count {
        let (client, contact) = (client.clone(), contact.to_owned());
        running.spawn(async move {
            let user = format!("user{number}");
            let message = Sms::to(contact.as_str()).text(TEXT).user(user.as_str());
            let error = match client.messages().send(message).await {
                Ok(_) => return None,
                Err(error) if error.delivery() == Delivery::Unknown => error,
                Err(error) => panic!("{error}"),
            };
            // Others may still be in progress.
            let found = error.find(&client).await;
            Some((user, found))
        });
    }
    let results = running.join_all().await;
    let messages = sandbox.messages();
    let created_by = |user: &str| -> BTreeSet<String> {
        let of = |message: &&highlevel_sandbox::Message| {
            message.contact_id == contact && message.request["userId"] == user
        };
        messages.iter().filter(of).map(|message| message.id.clone()).collect()
    };
    let evaluated = results.into_iter().flatten().map(|(user, found)| {
        let created = created_by(&user);
        match found {
            Ok(found) => {
                let (name, is_right) = evaluate(&found, &created);
                (
                    name,
                    (!is_right)
                        .then(|| format!("{contact}, {user}: {found:?}, but {created:?} were created")),
                )
            }
            Err(error) => ("failed", Some(format!("{contact}, {user}: {error}"))),
        }
    });
    evaluated.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn equal_messages_at_the_same_time_are_never_confused() {
    let (mut counts, mut wrong) = (BTreeMap::<&str, usize>::new(), Vec::new());
    let sandbox = Sandbox::start().await.expect("a sandbox");
    for round in 0..160 {
        let mut random = fastrand::Rng::with_seed(round);
        let contact = format!("contact{round}");
        put_contact(&sandbox, &contact);
        let client = builder(&sandbox).build().expect("a client");
        for stage in [FaultStage::Before, FaultStage::After] {
            let schedule = FaultSchedule::Random { probability: 0.25, seed: random.u64(..) };
            let fault = if random.bool() { Fault::RESET } else { Fault::UNAVAILABLE };
            let rule = FaultRule::new(fault).operation("sendMessage").stage(stage).schedule(schedule);
            sandbox.add_fault(rule).expect("a rule");
        }
        for (name, error) in send_equal(&client, &sandbox, &contact, random.usize(2..5)).await {
            *counts.entry(name).or_default() += 1;
            wrong.extend(error);
        }
        sandbox.clear_faults();
    }
    println!("{counts:?}");
    assert_eq!(wrong, Vec::<String>::new());
    for name in ["sent", "not found", "ambiguous"] {
        assert!(counts.get(name).is_some_and(|count| *count > 10), "{name}: {counts:?}");
    }
}

/// The reads count against the limits: no request exceeds those that the sandbox enforces.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reading_back_stays_within_the_rate_limits() {
    const BURST: u32 = 20;
    const INTERVAL: Duration = Duration::from_secs(1);
    // On a busy machine, requests arrive later than they were sent.
    const MARGIN: Duration = Duration::from_secs(2);
    let limit = RateLimit::documented().burst(BURST as usize).interval(INTERVAL);
    let sandbox = Sandbox::builder().rate_limit(limit).start().await.expect("a sandbox");
    let client = builder(&sandbox)
        .rate_limiter(LocalRateLimiter::with_limits(BURST, INTERVAL, 200_000).margin(MARGIN));
    let client = client.build().expect("a client");
    let rule = FaultRule::new(Fault::RESET).operation("sendMessage").stage(FaultStage::After);
    sandbox.add_fault(rule).expect("a rule");
    let mut running = JoinSet::new();
    for number in 0..15 {
        let contact = format!("contact{number}");
        put_contact(&sandbox, &contact);
        let client = client.clone();
        running.spawn(async move {
            let error =
                client.messages().send(Sms::to(contact.as_str()).text(TEXT)).await.expect_err("a reset");
            (contact, error.find(&client).await.expect("a result"))
        });
    }
    for (contact, found) in running.join_all().await {
        let (name, is_right) = evaluate(&found, &super::stored(&sandbox, &contact));
        assert!(is_right && name == "sent", "{contact}: {found:?}");
    }
    assert_eq!(sandbox.rate_limited(), 0);
    assert!(sandbox.requests().len() >= 45, "a message, a search and a list each");
}
