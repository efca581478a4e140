//! Permits that were granted before the client asks for them, together with a claim.

use std::cell::RefCell;

use highlevel::limit::Permit;

tokio::task_local! {
    static PREPAID: RefCell<Option<(Box<str>, Permit)>>;
}

/// Runs a call of the client, whose first request uses this permit. A second request of the call waits for another one.
pub(crate) async fn with_permit<F: Future>(location: &str, permit: Permit, call: F) -> F::Output {
    PREPAID.scope(RefCell::new(Some((location.into(), permit))), call).await
}

/// Takes the permit of the current call, if it has one for the location.
pub(super) fn take(location: &str) -> Option<Permit> {
    let taken = PREPAID.try_with(|prepaid| prepaid.borrow_mut().take_if(|(name, _)| **name == *location));
    taken.ok().flatten().map(|(_, permit)| permit)
}
