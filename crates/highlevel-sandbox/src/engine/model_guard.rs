//! Locked access to the model.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, MutexGuard};

use crate::model::Model;

/// A guard of the model, for reading and changing it. Changes are not visible to holders of [`Engine::shared_model`]:
/// the model is copied on write.
pub(crate) struct ModelMut<'a>(pub(super) MutexGuard<'a, Arc<Model>>);

impl Deref for ModelMut<'_> {
    type Target = Model;

    fn deref(&self) -> &Model {
        &self.0
    }
}

impl DerefMut for ModelMut<'_> {
    fn deref_mut(&mut self) -> &mut Model {
        Arc::make_mut(&mut self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use crate::Sandbox;
    use crate::ledger::LedgerEvent;
    use crate::model::{CONTACT_ID, CONVERSATION_ID, Kind, LOCATION_ID, Record};

    /// Each step of a search stores a message, which would wait for ever if the search held a lock.
    #[tokio::test]
    async fn searches_hold_no_lock_between_their_steps() {
        let sandbox = Sandbox::start().await.unwrap();
        let engine = &*sandbox.state;
        let mut stored = 0;
        let mut store = || {
            stored += 1;
            let message = json!({
                "id": format!("m{stored}"), "contactId": CONTACT_ID, "conversationId": CONVERSATION_ID,
                "locationId": LOCATION_ID, "direction": "outbound", "channel": "SMS", "status": "pending",
                "dateAdded": "2026-01-31T09:30:00Z", "request": { "message": "Hello" },
            });
            for lock in [engine.model.try_lock().is_ok(), engine.credentials.try_lock().is_ok()] {
                assert!(lock, "a search holds a lock");
            }
            let message = Record::from_value(Kind::Message, message).unwrap();
            engine.put(&mut engine.model(), [message]).unwrap();
        };
        for _ in 0..3 {
            store();
        }
        let model = engine.shared_model();
        let found = model.messages().rev().inspect(|_| store()).count();
        assert_eq!((found, engine.model().messages().count()), (3, 6));

        for _ in 0..3 {
            engine.ledger.record(LedgerEvent::Request(Arc::default()));
        }
        let (found, _) = engine.ledger.collect(usize::MAX, |_| {
            store();
            engine.ledger.record(LedgerEvent::Request(Arc::default()));
            Some(())
        });
        assert_eq!((found.len(), engine.ledger.requests().len()), (3, 6));
    }
}
