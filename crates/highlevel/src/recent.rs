//! The latest requests that create messages, so that one message is not attributed to two of them.

use std::collections::{HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use tokio::sync::Notify;

use crate::{ContactId, ConversationId, Fingerprint, MessageId, ObservedMessage};

/// The number of receipts that are retained, 24 bytes each: more than one location is permitted in 20 minutes.
const MAX_RECEIPTS: usize = 16_384;
/// The number of requests with an unknown outcome that are retained.
const MAX_UNRESOLVED: usize = 1_024;

/// The latest requests of the clients of one builder that create messages.
#[derive(Debug, Default)]
pub(crate) struct RecentRequests {
    requests: Mutex<Requests>,
    /// Notified when a request has ended.
    ended: Notify,
}

#[derive(Debug, Default)]
struct Requests {
    /// The number of the next request.
    next: u64,
    in_progress: Vec<(u64, Addressee)>,
    /// The hashes of the ids in receipts, the oldest first.
    receipts: VecDeque<(SystemTime, u64)>,
    /// The requests that may have been done, without a receipt, the oldest first.
    unresolved: VecDeque<Fingerprint>,
    /// The time of the latest entry that was evicted.
    evicted: Option<SystemTime>,
}

/// The contact and conversation that a request names, as hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Addressee {
    contact: Option<u64>,
    conversation: Option<u64>,
}

impl Addressee {
    pub(crate) fn new(contact: Option<&ContactId>, conversation: Option<&ConversationId>) -> Self {
        Self { contact: contact.map(hash), conversation: conversation.map(hash) }
    }

    /// Returns `true` if a message may be one of the addressee.
    fn may_be_of(self, message: &ObservedMessage) -> bool {
        let differs = |sent: Option<u64>, observed: Option<u64>| sent.zip(observed).map(|(a, b)| a != b);
        let contact = differs(self.contact, message.contact_id().map(hash));
        // The stored id of a conversation that was merged into another one is out of date.
        !contact.or_else(|| differs(self.conversation, message.conversation_id().map(hash))).unwrap_or(false)
    }
}

impl RecentRequests {
    /// Records that a request was started. Returns its number.
    pub(crate) fn start(&self, addressee: Addressee) -> u64 {
        let mut requests = self.lock();
        let number = requests.next;
        requests.next += 1;
        requests.in_progress.push((number, addressee));
        number
    }

    /// Records that a request has ended: with the ids in its receipt, or unresolved with its fingerprint, or with neither if
    /// it was not done.
    pub(crate) fn end<'a>(
        &self,
        number: u64,
        receipt: impl Iterator<Item = &'a MessageId>,
        unresolved: Option<Fingerprint>,
    ) {
        let mut requests = self.lock();
        if let Some(index) = requests.in_progress.iter().position(|(started, _)| *started == number) {
            requests.in_progress.swap_remove(index);
        }
        let now = SystemTime::now();
        for id in receipt {
            if requests.receipts.len() == MAX_RECEIPTS {
                let evicted = requests.receipts.pop_front().map(|(recorded, _)| recorded);
                requests.evicted = requests.evicted.max(evicted);
            }
            requests.receipts.push_back((now, hash(id)));
        }
        if let Some(fingerprint) = unresolved {
            if requests.unresolved.len() == MAX_UNRESOLVED {
                let evicted = requests.unresolved.pop_front().map(|fingerprint| fingerprint.attempted());
                requests.evicted = requests.evicted.max(evicted);
            }
            requests.unresolved.push_back(fingerprint);
        }
        drop(requests);
        self.ended.notify_waiters();
    }

    /// Waits until the requests that are in progress now and may have created one of the messages have ended.
    pub(crate) async fn wait_for_others(&self, messages: &[ObservedMessage]) {
        let mut others: HashSet<u64> = {
            let requests = self.lock();
            let others = requests
                .in_progress
                .iter()
                .filter(|(_, addressee)| messages.iter().any(|message| addressee.may_be_of(message)));
            others.map(|(number, _)| *number).collect()
        };
        while !others.is_empty() {
            let mut ended = std::pin::pin!(self.ended.notified());
            // A request that ends from here on notifies this call.
            ended.as_mut().enable();
            {
                let requests = self.lock();
                let running: HashSet<u64> = requests.in_progress.iter().map(|(number, _)| *number).collect();
                others.retain(|number| running.contains(number));
            }
            if !others.is_empty() {
                ended.await;
            }
        }
    }

    /// Returns the ids of those messages that have a receipt.
    pub(crate) fn with_receipt(&self, messages: &[ObservedMessage]) -> Vec<MessageId> {
        let requests = self.lock();
        let ids = messages.iter().filter_map(ObservedMessage::message_id);
        ids.filter(|id| {
            let hash = hash(*id);
            requests.receipts.iter().any(|(_, receipt)| *receipt == hash)
        })
        .cloned()
        .collect()
    }

    /// Returns `true` if the message of a request could as well be that of another request, which has no receipt, or which
    /// was evicted.
    pub(crate) fn may_be_of_another(&self, fingerprint: &Fingerprint, messages: &[&ObservedMessage]) -> bool {
        let requests = self.lock();
        if requests.evicted.is_some_and(|evicted| evicted >= fingerprint.earliest()) {
            return true;
        }
        let mut is_own_skipped = false;
        requests.unresolved.iter().any(|other| {
            if !is_own_skipped && other == fingerprint {
                is_own_skipped = true;
                return false;
            }
            messages.iter().any(|message| fingerprint.has_rival(other, message))
        })
    }

    fn lock(&self) -> MutexGuard<'_, Requests> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn hash(id: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::iter::empty;
    use std::task::Poll;
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::Sms;

    const TEXT: &str = "Your table is ready";

    fn fingerprint(attempted: SystemTime) -> Fingerprint {
        Fingerprint::of(&Sms::to("c1").text(TEXT), attempted)
    }

    fn message(id: &str, contact: &str) -> ObservedMessage {
        ObservedMessage::from(
            &json!({ "id": id, "contactId": contact, "conversationId": "v1", "direction": "outbound",
            "messageType": "TYPE_SMS", "body": TEXT, "dateAdded": "2026-01-31T09:30:00.500Z" }),
        )
    }

    fn addressee(contact: &str) -> Addressee {
        Addressee::new(Some(&ContactId::from(contact)), None)
    }

    /// 2026-01-31T09:30:00Z
    fn attempted() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_769_851_800)
    }

    #[test]
    fn messages_with_a_receipt_are_known() {
        let recent = RecentRequests::default();
        let number = recent.start(addressee("c1"));
        recent.end(number, [MessageId::from("m1")].iter(), None);
        let messages = [message("m1", "c1"), message("m2", "c1")];
        assert_eq!(recent.with_receipt(&messages), [MessageId::from("m1")]);
    }

    #[test]
    fn an_equal_request_without_a_receipt_is_a_rival() {
        let recent = RecentRequests::default();
        let (own, message) = (fingerprint(attempted()), message("m1", "c1"));
        recent.end(recent.start(addressee("c1")), empty(), Some(own.clone()));
        assert!(!recent.may_be_of_another(&own, &[&message]), "the request is not its own rival");
        let other = Fingerprint::of(&Sms::to("c1").text("Something else"), attempted());
        recent.end(recent.start(addressee("c1")), empty(), Some(other));
        assert!(!recent.may_be_of_another(&own, &[&message]), "another text");
        // Two requests can start at the same reading of the clock.
        recent.end(recent.start(addressee("c1")), empty(), Some(own.clone()));
        assert!(recent.may_be_of_another(&own, &[&message]));
    }

    #[test]
    fn evicted_receipts_prove_nothing() {
        let recent = RecentRequests::default();
        let (own, message) = (fingerprint(SystemTime::now()), message("m1", "c1"));
        let record = |id: usize| {
            let id = MessageId::from(format!("x{id}"));
            recent.end(recent.start(addressee("c2")), std::iter::once(&id), None);
        };
        (0..MAX_RECEIPTS).for_each(record);
        assert!(!recent.may_be_of_another(&own, &[&message]));
        record(MAX_RECEIPTS);
        assert!(recent.may_be_of_another(&own, &[&message]));
        let later = fingerprint(SystemTime::now() + Duration::from_secs(3600));
        assert!(!recent.may_be_of_another(&later, &[&message]));
        assert_eq!(recent.lock().receipts.len(), MAX_RECEIPTS);
    }

    #[tokio::test]
    async fn requests_in_progress_to_the_same_contact_are_awaited() {
        let recent = RecentRequests::default();
        let messages = [message("m1", "c1")];
        recent.start(addressee("c2"));
        recent.wait_for_others(&messages).await;

        let same = recent.start(addressee("c1"));
        let conversation = recent.start(Addressee::new(None, Some(&ConversationId::from("v1"))));
        let waiting = recent.wait_for_others(&messages);
        let mut waiting = std::pin::pin!(waiting);
        for number in [same, conversation] {
            let poll = poll_fn(|context| Poll::Ready(waiting.as_mut().poll(context).is_pending()));
            assert!(poll.await);
            recent.end(number, empty(), None);
        }
        waiting.await;
    }
}
