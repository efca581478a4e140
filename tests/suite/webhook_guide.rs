//! The tables of `docs/webhooks.md` match the code.

use std::collections::BTreeSet;

use highlevel::webhook::CallOutcome;
use highlevel::wire::types::{CallStatus, EventMessageStatus};

const GUIDE: &str = include_str!("../../docs/webhooks.md");

/// Returns the cells of a table, without its first two lines.
fn table(header: &str) -> Vec<Vec<&'static str>> {
    let (_, rest) = GUIDE.split_once(header).unwrap_or_else(|| panic!("no table {header}"));
    let rows: Vec<Vec<&str>> = rest
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    assert!(!rows.is_empty(), "{header}");
    rows
}

/// Returns the quoted names of a cell.
fn names(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// The type of a request, the three names of its channel in events, and the name of the content.
pub(crate) type ChannelRow = [String; 5];

/// Returns the rows of the table of channels.
pub(crate) fn channels() -> BTreeSet<ChannelRow> {
    let header =
        "| `type` of the request | `messageType` | `messageTypeId` | `messageTypeString` | `Content` |";
    let rows = table(header).into_iter().map(|cells| {
        let name = |cell: &str| names(cell).first().map_or(cell, |name| name).replace("unknown", "");
        let request = names(cells[0]).first().copied().unwrap_or("Call");
        [request.to_owned(), name(cells[1]), name(cells[2]), name(cells[3]), name(cells[4])]
    });
    rows.collect()
}

/// Returns the names of the variants in the first column of a table.
pub(crate) fn variants(header: &str) -> BTreeSet<String> {
    table(header).iter().flat_map(|cells| names(cells[0])).map(str::to_owned).collect()
}

/// Returns the variant for the name of a status.
fn outcome_named(status: &str) -> CallOutcome {
    match status {
        "pending" => CallOutcome::Pending,
        "busy" => CallOutcome::Busy,
        "no-answer" => CallOutcome::NoAnswer,
        "failed" => CallOutcome::Failed,
        "canceled" => CallOutcome::Canceled,
        "voicemail" => CallOutcome::Voicemail,
        other => panic!("{other}"),
    }
}

#[test]
fn the_outcomes_of_calls_match_the_table() {
    let rows = table("| `callStatus` | `status` | `CallOutcome` |");
    let not_taken = names(rows[4][0]);
    let fits = |cell: &str, value: Option<&str>| match value {
        None => cell.contains("missing") || cell == "any",
        Some(value) => {
            let others = cell.contains("other names above") && not_taken.contains(&value);
            cell == "any" || names(cell).contains(&value) || others
        }
    };
    let values = [
        None,
        Some("completed"),
        Some("answered"),
        Some("voicemail"),
        Some("pending"),
        Some("busy"),
        Some("no-answer"),
        Some("failed"),
        Some("canceled"),
        Some("delivered"),
        Some("ringing"),
    ];
    let mut used = BTreeSet::new();
    for call_status in values {
        for status in values {
            let row = rows.iter().position(|cells| fits(cells[0], call_status) && fits(cells[1], status));
            // The last row is for all other combinations.
            let row = row.unwrap_or(rows.len() - 1);
            used.insert(row);
            let expected = match names(rows[row][2]).first() {
                Some(name) => (*name).to_owned(),
                None => {
                    format!("{:?}", outcome_named(call_status.or(status).unwrap_or_default()))
                }
            };
            let outcome = CallOutcome::of(
                status.map(EventMessageStatus::from).as_ref(),
                call_status.map(CallStatus::from).as_ref(),
            );
            // An `answered` call has no row for `status` alone, because no event has it.
            if (call_status, status) != (None, Some("answered")) {
                assert_eq!(format!("{outcome:?}"), expected, "callStatus {call_status:?}, status {status:?}");
            }
        }
    }
    assert_eq!(used, (0..rows.len()).collect(), "each row applies to some combination");
}
