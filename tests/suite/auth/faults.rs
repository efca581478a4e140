//! Refreshes whose responses are lost, with all faults of the sandbox.

use std::sync::Arc;
use std::time::Duration;

use highlevel::{Delivery, ErrorKind};
use highlevel_sandbox::{Extent, Fault, FaultRule, FaultStage};

use super::setup::{SECOND, Setup, send};

fn lost(fault: Fault, times: usize) -> FaultRule {
    FaultRule::sequence(vec![fault; times]).path("/oauth/token").stage(FaultStage::After)
}

#[tokio::test]
async fn a_refresh_is_retried_while_highlevel_repeats_the_response() {
    for fault in [
        Fault::RESET,
        Fault::CLOSE,
        Fault::RESET.sending(Extent::Body(40)),
        Fault::CLOSE.sending(Extent::Head),
        Fault::status(502),
        Fault::status(500),
        Fault::raw("this is not HTTP\r\n\r\n"),
    ] {
        let setup = Setup::new().await;
        let (_, client) = setup.installed().await;
        setup.expire();
        setup.sandbox.add_fault(lost(fault.clone(), 2)).expect("a rule");
        send(&client, setup.sandbox.contact_id(), "t")
            .await
            .unwrap_or_else(|error| panic!("{fault:?}: {error}"));
        let requests = setup.token_requests(&setup.location());
        assert_eq!((requests.rotated, requests.repeated, requests.refused), (1, 2, 0), "{fault:?}");
        // The stored tokens are those of the repeated response: they can be refreshed.
        setup.expire();
        send(&client, setup.sandbox.contact_id(), "u").await.expect("a receipt");
        assert_eq!(setup.texts(), ["t", "u"]);
    }
}

#[tokio::test]
async fn a_refresh_is_not_retried_after_thirty_seconds() {
    for (late, repeated) in [(0, 1), (25, 1), (30, 0), (31, 0), (86_400, 0)] {
        let setup = Setup::new().await;
        setup.installed().await;
        setup.expire();
        setup.sandbox.set_clock_speed(0.0);
        // The clock of the app, which advances while the response is on its way.
        let (sandbox, location) = (Arc::clone(&setup.sandbox), setup.location());
        let clock = move || {
            let is_issued = sandbox.token_requests_of(&location).rotated == 1;
            sandbox.now() + if is_issued { late * SECOND } else { Duration::ZERO }
        };
        let app = setup.builder().clock(clock).build().expect("an app");
        let client = app.location(setup.sandbox.location_id());
        setup.sandbox.add_fault(lost(Fault::RESET, 1)).expect("a rule");
        let result = send(&client, setup.sandbox.contact_id(), "t").await;
        let requests = setup.token_requests(&setup.location());
        assert_eq!(
            (requests.rotated, requests.repeated, requests.refused),
            (1, repeated, 0),
            "after {late} s"
        );
        if repeated == 1 {
            result.expect("a receipt");
            continue;
        }
        let error = result.expect_err("lost");
        assert_eq!((error.kind(), error.delivery()), (ErrorKind::Connection, Delivery::NotSent));
        // Only another request shows that the refresh token was used.
        setup.sandbox.advance_clock(31 * SECOND);
        let error = send(&client, setup.sandbox.contact_id(), "t").await.expect_err("rejected");
        assert_eq!(error.kind(), ErrorKind::NeedsAuthorization);
        assert_eq!(setup.token_requests(&setup.location()).refused, 1);
    }
}

#[tokio::test]
async fn temporary_failures_are_retried() {
    let setup = Setup::new().await;
    let (_, client) = setup.installed().await;
    setup.expire();
    let faults = [Fault::status(503), Fault::TOO_MANY_REQUESTS, Fault::CLOSE];
    let rule = FaultRule::sequence(faults).path("/oauth/token").stage(FaultStage::Before);
    setup.sandbox.add_fault(rule).expect("a rule");
    send(&client, setup.sandbox.contact_id(), "t").await.expect("a receipt");
    let requests = setup.token_requests(&setup.location());
    assert_eq!((requests.rotated, requests.repeated, requests.refused), (1, 0, 0));
}
