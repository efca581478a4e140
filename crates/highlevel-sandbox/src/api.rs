//! What the sandbox answers to a request, as a function of values: the request, what exists, new ids and the time.
//!
//! The checks run in this order: route, token, version, body, schema and rules, what exists. Before them comes the rate
//! limit, which is about all requests and not about this one; the caller checks it for [`account`].

mod authentication;
mod body;
mod existence;
mod message;
mod receipt;
mod refusal;
mod rules;
mod version;

use std::sync::Arc;

use http::{HeaderMap, StatusCode};
use serde_json::Value;

use crate::contract::Contract;
use crate::rate_limit::Account;
use crate::world::{Message, World};

pub(crate) use refusal::Refusal;

/// A request as it came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call<'a> {
    pub(crate) method: &'a str,
    /// The path, with the query if there is one.
    pub(crate) target: &'a str,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
}

impl<'a> Call<'a> {
    fn path(&self) -> &'a str {
        self.target.split_once('?').map_or(self.target, |(path, _)| path)
    }
}

/// What does not change while a sandbox runs.
#[derive(Clone)]
pub(crate) struct Rulebook {
    pub(crate) contract: &'static Contract,
    pub(crate) token: String,
    /// What the token belongs to.
    pub(crate) account: Arc<Account>,
    pub(crate) success: StatusCode,
}

/// What is new with each request.
#[derive(Clone, Debug)]
pub(crate) struct Fresh {
    /// RFC 3339, UTC, milliseconds.
    pub(crate) now: String,
    pub(crate) trace_id: String,
    pub(crate) message_id: String,
    pub(crate) email_message_id: String,
    pub(crate) conversation_id: String,
}

/// The answer, and the message if one was accepted.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Value,
    pub(crate) accepted: Option<Message>,
}

/// What an operation of the specification does here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    SendMessage,
    AddInboundMessage,
    AddOutboundCall,
}

/// The app and location that a request comes from. Without the right token it names none.
pub(crate) fn account<'a>(rulebook: &'a Rulebook, call: Call<'_>) -> Option<&'a Arc<Account>> {
    authentication::check(call.headers, &rulebook.token).ok().map(|()| &rulebook.account)
}

/// Decides what to answer. Changes nothing: an accepted message is the caller's to store.
pub(crate) fn answer(rulebook: &Rulebook, world: &World, call: Call<'_>, fresh: &Fresh) -> Answer {
    match accept(rulebook, world, call, fresh) {
        Ok((operation, message)) => Answer {
            status: rulebook.success,
            body: receipt::receipt(operation, &message),
            accepted: Some(message),
        },
        Err(refusal) => refusal.answer(&fresh.trace_id),
    }
}

fn accept(
    rulebook: &Rulebook,
    world: &World,
    call: Call<'_>,
    fresh: &Fresh,
) -> Result<(Operation, Message), Refusal> {
    let contract = rulebook.contract;
    let (operation, schema) =
        route(contract, call).ok_or_else(|| Refusal::no_route(call.method, call.target))?;
    authentication::check(call.headers, &rulebook.token)?;
    version::check(call.headers, &contract.allowed_values("ApiVersion"))?;
    let body = body::parse(call.headers, call.body)?;

    let mut violations = contract.validate(schema, &body);
    violations.extend(rules::violations(operation, &body, &violations));
    if !violations.is_empty() {
        return Err(Refusal::invalid(&violations));
    }
    let parties = existence::resolve(operation, world, &body)?;
    Ok((operation, message::compose(operation, world, parties, body, fresh)))
}

fn route<'a>(contract: &'a Contract, call: Call<'_>) -> Option<(Operation, &'a str)> {
    let operation = match contract.operation_id(call.method, call.path())? {
        "sendMessage" => Operation::SendMessage,
        "addInboundMessage" => Operation::AddInboundMessage,
        "addOutboundCall" => Operation::AddOutboundCall,
        _ => return None,
    };
    Some((operation, contract.request_schema(call.method, call.path())?))
}
