//! Finds the message of a request among the messages that were observed.

use std::collections::{BTreeMap, BTreeSet};

use super::fingerprint::Fingerprint;
use super::fit::Fit;
use super::observed::ObservedMessage;
use crate::MessageId;

/// The result of looking for the message of a request.
///
/// The three results are all there are, so that a `match` without a wildcard covers them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reconciliation {
    /// The request was done: this is its message, and no other message could be.
    Sent(MessageId),
    /// No message could be that of the request. It may still arrive: an event can take minutes.
    NotFound,
    /// A message could be that of the request, but it is not proven, or there are several. These are the ids that are
    /// known.
    Ambiguous(Vec<MessageId>),
}

impl Fingerprint {
    /// Looks for the message of the request among events of webhooks, or messages that were read back.
    ///
    /// Returns [`Sent`](Reconciliation::Sent) only if the message is proven to be that of the request, and no other
    /// message could be. The proof of a request with an `altId` is that id, which HighLevel returns when a single
    /// message is read back. The proof of any other request is that the message has
    ///
    /// - the contact or conversation, the direction and the channel of the request,
    /// - a date from the time of the attempt to 15 minutes later, or the date that the request gave it,
    /// - its text (the HTML, if both were sent) or its attachments, or both phone numbers if it is a call,
    /// - and everything else that the request named: subject, recipients, copies, numbers, attachments.
    ///
    /// A message that lacks one of these, for example an email that was read back without its body, or that is dated
    /// up to 2 minutes before the attempt, is possible but not proven. If a message equal to this one was sent by
    /// another request, the messages cannot be distinguished:
    /// [exclude](Self::reconcile_excluding) the ids that are known to belong to other requests.
    ///
    /// ```
    /// # fn example(error: highlevel::Error, events: Vec<highlevel::wire::types::OutboundMessage>) {
    /// use highlevel::Reconciliation;
    ///
    /// if let Some(fingerprint) = error.fingerprint() {
    ///     match fingerprint.reconcile(&events) {
    ///         Reconciliation::Sent(id) => println!("it was sent: {id}"),
    ///         Reconciliation::NotFound => println!("no sign of it yet"),
    ///         Reconciliation::Ambiguous(ids) => println!("a person has to look: {ids:?}"),
    ///     }
    /// }
    /// # }
    /// ```
    pub fn reconcile(
        &self,
        observed: impl IntoIterator<Item = impl Into<ObservedMessage>>,
    ) -> Reconciliation {
        self.reconcile_excluding(observed, std::iter::empty::<MessageId>())
    }

    /// Looks for the message of the request, except among messages that are known to belong to other requests: ids from
    /// receipts, or from earlier reconciliations.
    pub fn reconcile_excluding(
        &self,
        observed: impl IntoIterator<Item = impl Into<ObservedMessage>>,
        known: impl IntoIterator<Item = impl Into<MessageId>>,
    ) -> Reconciliation {
        let known: BTreeSet<MessageId> = known.into_iter().map(Into::into).collect();
        let mut fits: BTreeMap<Option<MessageId>, BTreeSet<Fit>> = BTreeMap::new();
        for message in observed.into_iter().map(Into::into) {
            let fit = self.fit(&message);
            if message.message.as_ref().is_none_or(|id| !known.contains(id)) {
                // One message can be observed several times: as an event, after a change of status, read back.
                fits.entry(message.message).or_default().insert(fit);
            }
        }
        let mut candidates: Vec<(Option<MessageId>, Fit)> = fits
            .into_iter()
            .map(|(id, fits)| (id.clone(), if id.is_some() { combine(&fits) } else { highest(&fits) }))
            .filter(|(_, fit)| *fit != Fit::Excluded)
            .collect();
        if candidates.iter().any(|(_, fit)| *fit == Fit::Exact) {
            candidates.retain(|(_, fit)| *fit == Fit::Exact);
        }
        match &*candidates {
            [] => Reconciliation::NotFound,
            [(Some(id), Fit::Proven | Fit::Exact)] => Reconciliation::Sent(id.clone()),
            _ => Reconciliation::Ambiguous(candidates.into_iter().filter_map(|(id, _)| id).collect()),
        }
    }
}

/// Combines the observations of one message. Observations that contradict each other prove nothing.
fn combine(fits: &BTreeSet<Fit>) -> Fit {
    match highest(fits) {
        highest if !fits.contains(&Fit::Excluded) => highest,
        Fit::Proven | Fit::Exact => Fit::Possible,
        _ => Fit::Excluded,
    }
}

fn highest(fits: &BTreeSet<Fit>) -> Fit {
    fits.last().copied().unwrap_or(Fit::Excluded)
}
