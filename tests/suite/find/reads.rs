//! Faults of the requests that read back. The result is right, or an error, or for a person; never wrong.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use highlevel_sandbox::{Fault, FaultRule, FaultSchedule, FaultStage, Quirk, Sandbox};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::{Kind, TEST_TIMEOUT, builder, evaluate, put_contact, stored};

/// The timeout of an attempt and of a call. Faults that send no response last longer. A read that times out on a busy machine
/// is an error.
const TIMEOUTS: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(1)];
/// The operations that read back.
const READS: [&str; 5] = ["searchConversations", "listMessages", "getMessage", "getEmail", "exportMessages"];

/// Returns the faults: those of the sandbox, and responses that succeed without their content.
fn faults() -> Vec<Fault> {
    let empty = ["{}", "[]", "null", r#"{"messages":{}}"#, r#"{"messages":null}"#, r#"{"traceId":"t"}"#];
    let bodies = empty.map(|body| Fault::status(200).body("application/json", body));
    Fault::all().filter(|fault| **fault != Fault::NONE).cloned().chain(bodies).collect()
}

/// Sends requests whose responses are lost, or which are lost themselves, and looks for them with a fault at all reads, or at
/// the first one. Returns the results.
async fn run(fault: Fault) -> Vec<(&'static str, Option<String>)> {
    let sandbox = Sandbox::start().await.expect("a sandbox");
    let mut results = Vec::new();
    for (number, read) in READS.into_iter().enumerate() {
        for kind in [Kind::Sms, Kind::Email, Kind::InboundWithAltId] {
            for stage in [FaultStage::Before, FaultStage::After] {
                for schedule in [FaultSchedule::First(1), FaultSchedule::Always] {
                    let contact = format!("{number}{kind:?}{}{schedule:?}", stage.as_str());
                    put_contact(&sandbox, &contact);
                    let client = builder(&sandbox).build().expect("a client");
                    let lost = FaultRule::new(Fault::RESET).stage(stage).schedule(FaultSchedule::First(1));
                    let lost = sandbox.add_fault(lost).expect("a rule");
                    let error = kind.send(&client, &sandbox, &contact, &contact).await.expect_err("a reset");
                    sandbox.remove_fault(lost);
                    let created = stored(&sandbox, &contact);
                    assert_eq!(created.len(), usize::from(stage == FaultStage::After), "{error}");

                    let rule = FaultRule::new(fault.clone()).operation(read).schedule(schedule);
                    let rule = sandbox.add_fault(rule.stage(FaultStage::After)).expect("a rule");
                    let found = error
                        .find(&client.with_attempt_timeout(TIMEOUTS[0]).with_call_timeout(TIMEOUTS[1]))
                        .await;
                    sandbox.remove_fault(rule);
                    results.push(match found {
                        Err(_) => ("error", None),
                        Ok(found) => {
                            let (name, is_right) = evaluate(&found, &created);
                            let text =
                                || format!("{}, {read}, {contact}: {found:?}, but {created:?}", fault.name());
                            (name, (!is_right).then(text))
                        }
                    });
                }
            }
        }
    }
    results
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_of_the_reads_lead_to_no_wrong_result() {
    let mut running = JoinSet::new();
    let slots = Arc::new(Semaphore::new(24));
    for fault in faults() {
        let slots = Arc::clone(&slots);
        running.spawn(async move {
            let _slot = slots.acquire_owned().await.expect("never closed");
            run(fault).await
        });
    }
    let (mut counts, mut wrong) = (BTreeMap::<&str, usize>::new(), Vec::new());
    for (name, error) in running.join_all().await.into_iter().flatten() {
        *counts.entry(name).or_default() += 1;
        wrong.extend(error);
    }
    println!("{counts:?}");
    assert_eq!(wrong, Vec::<String>::new());
    for name in ["sent", "not found", "error"] {
        assert!(counts.get(name).is_some_and(|count| *count > 50), "{name}: {counts:?}");
    }
}

/// The search does not have the conversation of the first message yet, so that the messages of the contact are exported.
#[tokio::test]
async fn a_search_index_that_lags_hides_no_message() {
    let sandbox = Sandbox::builder().quirk(Quirk::SearchIndexLag).search_lag(2 * TEST_TIMEOUT);
    let sandbox = sandbox.start().await.expect("a sandbox");
    for kind in Kind::ALL {
        for stage in [FaultStage::Before, FaultStage::After] {
            let contact = format!("{kind:?}{}", stage.as_str());
            put_contact(&sandbox, &contact);
            let client = builder(&sandbox).build().expect("a client");
            let rule = FaultRule::new(Fault::RESET).stage(stage).schedule(FaultSchedule::First(1));
            let rule = sandbox.add_fault(rule).expect("a rule");
            let error = kind.send(&client, &sandbox, &contact, "a1").await.expect_err("a reset");
            sandbox.remove_fault(rule);
            let found = error.find(&client).await.expect("a result");
            let expected = if stage == FaultStage::After { "sent" } else { "not found" };
            assert_eq!(
                evaluate(&found, &stored(&sandbox, &contact)),
                (expected, true),
                "{contact}: {found:?}"
            );
        }
    }
    let exports = sandbox.requests().iter().filter(|request| request.path.contains("/export?")).count();
    assert_eq!(exports, 2 * Kind::ALL.len());
}
