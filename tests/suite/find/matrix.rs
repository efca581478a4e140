//! Each fault of the sandbox at each kind of request. The contact has an equal message with a receipt already.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use highlevel::{Delivery, Error, MessageId};
use highlevel_sandbox::{Fault, FaultRule, FaultSchedule, FaultStage, Sandbox};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::{Kind, TEST_TIMEOUT, builder, evaluate, put_contact, stored};

/// The timeout of an attempt with a fault that sends no response.
const FAULT_TIMEOUT: Duration = Duration::from_secs(2);
/// The faults that send no response in time.
const STALLING: [Fault; 5] = [
    Fault::SILENCE,
    Fault::STALLED_STATUS_LINE,
    Fault::STALLED_HEADERS,
    Fault::STALLED_BODY,
    Fault::SLOW_TRICKLE,
];
/// Faults that are possible before a request is read.
const CONNECTION_FAULTS: [Fault; 4] = [Fault::RESET, Fault::CLOSE, Fault::SILENCE, Fault::GARBAGE];
const STAGES: [FaultStage; 3] = [FaultStage::Head, FaultStage::Before, FaultStage::After];

/// The cells of a fault at a stage, and the errors.
#[derive(Default)]
struct Row {
    cells: Vec<String>,
    wrong: Vec<String>,
}

async fn run(fault: &Fault, stage: FaultStage) -> Row {
    let sandbox = Sandbox::start().await.expect("a sandbox");
    let mut row = Row::default();
    for kind in Kind::ALL {
        let contact = format!("{kind:?}");
        put_contact(&sandbox, &contact);
        let client = builder(&sandbox).build().expect("a client");
        // A fault before a request is read needs a request that opens a connection.
        let closing =
            FaultRule::new(Fault::status(201).header("connection", "close")).stage(FaultStage::After);
        let closing = sandbox.add_fault(closing).expect("a rule");
        let before = kind.send(&client, &sandbox, &contact, "first").await.expect("a receipt");
        sandbox.remove_fault(closing);
        let is_stalling = STALLING.contains(fault);
        let rule = FaultRule::new(fault.clone()).stage(stage).schedule(FaultSchedule::First(1));
        let rule = sandbox.add_fault(rule).expect("a rule");
        let faulty =
            client.clone().with_attempt_timeout(if is_stalling { FAULT_TIMEOUT } else { TEST_TIMEOUT });
        let result = kind.send(&faulty, &sandbox, &contact, "second").await;
        await_trigger(&sandbox, rule, is_stalling && stage == FaultStage::After, &contact).await;
        sandbox.remove_fault(rule);
        let name = format!("{}, {}, {}", fault.name(), stage.as_str(), kind.name());
        row.cells.push(match result {
            Ok(_) => "Ok".to_owned(),
            Err(error) => match error.delivery() {
                Delivery::Unknown | Delivery::Accepted => {
                    let found = find(&error, &client, &sandbox, &contact, &before).await;
                    found.unwrap_or_else(|error| {
                        row.wrong.push(format!("{name}: {error}"));
                        "wrong".to_owned()
                    })
                }
                delivery => format!("{delivery:?}"),
            },
        });
    }
    row
}

/// Waits until the rule was triggered, and a message is stored that the client no longer waits for.
async fn await_trigger(sandbox: &Sandbox, rule: u64, is_late: bool, contact: &str) {
    let is_triggered = || sandbox.faults().iter().any(|active| active.id == rule && active.hits == 1);
    let is_stored = || !is_late || stored(sandbox, contact).len() == 2;
    let wait = async {
        while !(is_triggered() && is_stored()) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(TEST_TIMEOUT, wait).await.expect("the fault is triggered");
}

/// Looks for the message of a request that failed. Returns the name of the cell, or a wrong result.
async fn find(
    error: &Error,
    client: &highlevel::Client,
    sandbox: &Sandbox,
    contact: &str,
    before: &MessageId,
) -> Result<String, String> {
    let created: BTreeSet<String> =
        stored(sandbox, contact).into_iter().filter(|id| id != before.as_str()).collect();
    let found = error.find(client).await.map_err(|error| format!("find: {error}"))?;
    let (name, is_right) = evaluate(&found, &created);
    if is_right && name != "ambiguous" {
        Ok(name.to_owned())
    } else {
        Err(format!("{found:?}, but {created:?} were created: {error}"))
    }
}

fn table(rows: &BTreeMap<usize, (String, Row)>) -> String {
    let mut text = String::from(
        "The outcome of a request with a fault of the sandbox. If it is unknown: the message that `Error::find` reads back.\n\
         Each conversation has an equal message with a receipt. All results agree with the ledger of the sandbox.\n\n",
    );
    let mut line = |name: &str, cells: &[String]| {
        let mut line = format!("{name:<42}");
        for cell in cells {
            let _ = write!(line, "{cell:<16}");
        }
        let _ = writeln!(text, "{}", line.trim_end());
    };
    line("", &Kind::ALL.map(|kind| kind.name().to_owned()));
    for (name, row) in rows.values() {
        // A connection that is reset at once may be closed before or after the request was written.
        if !name.ends_with(FaultStage::Connect.as_str()) {
            line(name, &row.cells);
        }
    }
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn results_agree_with_the_ledger_under_all_faults() {
    let mut running = JoinSet::new();
    // All at once would overload a small machine, which would then miss the timeouts.
    let slots = Arc::new(Semaphore::new(16));
    let faults = Fault::all().filter(|fault| **fault != Fault::NONE).cloned();
    let request_faults = faults.flat_map(|fault| STAGES.map(|stage| (fault.clone(), stage)));
    let connection_faults = CONNECTION_FAULTS.map(|fault| (fault, FaultStage::Connect));
    for (index, (fault, stage)) in connection_faults.into_iter().chain(request_faults).enumerate() {
        let slots = Arc::clone(&slots);
        running.spawn(async move {
            let _slot = slots.acquire_owned().await.expect("never closed");
            (index, (format!("{}, {}", fault.name(), stage.as_str()), run(&fault, stage).await))
        });
    }
    let rows: BTreeMap<usize, (String, Row)> = running.join_all().await.into_iter().collect();
    let wrong: Vec<&String> = rows.values().flat_map(|(_, row)| &row.wrong).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    crate::snapshots::check("find-matrix", &table(&rows));
}
