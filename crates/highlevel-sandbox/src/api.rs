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

use http::{HeaderMap, StatusCode};
use serde_json::Value;

use crate::contract::Contract;
use crate::credentials::Grant;
use crate::world::{Message, World};

pub(crate) use authentication::authenticate;
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

/// By what a request is judged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rulebook {
    pub(crate) contract: &'static Contract,
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

/// Decides what to answer. Changes nothing: an accepted message is the caller's to store.
pub(crate) fn answer(
    rulebook: &Rulebook,
    world: &World,
    caller: &Result<Grant, Refusal>,
    call: Call<'_>,
    fresh: &Fresh,
) -> Answer {
    match accept(rulebook, world, caller, call, fresh) {
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
    caller: &Result<Grant, Refusal>,
    call: Call<'_>,
    fresh: &Fresh,
) -> Result<(Operation, Message), Refusal> {
    let contract = rulebook.contract;
    let (operation, schema) =
        route(contract, call).ok_or_else(|| Refusal::no_route(call.method, call.target))?;
    let grant = caller.as_ref().map_err(Clone::clone)?;
    authentication::authorize(grant, &contract.scopes(call.method, call.path()))?;
    version::check(call.headers, &contract.allowed_values("ApiVersion"))?;
    let body = body::parse(call.headers, call.body)?;

    let mut violations = contract.validate(schema, &body);
    violations.extend(rules::violations(operation, &body, &violations));
    if !violations.is_empty() {
        return Err(Refusal::invalid(&violations));
    }
    let location = &grant.account.location_id;
    let parties = existence::resolve(operation, world, location, &body)?;
    Ok((operation, message::compose(operation, world, location, parties, body, fresh)))
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
