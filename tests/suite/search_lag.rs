//! Reading back from the sandbox while its search index lags: a message that was accepted is never reported as missing.

use std::time::Duration;

use highlevel::{Client, ContactId, Delivery, Email, Error, Finding, Inbound, Sms};
use highlevel_sandbox::{Contact, Fault, FaultRule, FaultSchedule, FaultStage, Quirk, Sandbox};

const PHONE: &str = "+15035550177";

/// A kind of request.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Sms,
    Email,
    Inbound,
}

async fn send(kind: Kind, client: &Client, sandbox: &Sandbox, contact: &ContactId) -> Result<(), Error> {
    let messages = client.messages();
    match kind {
        Kind::Sms => messages.send(Sms::to(contact).text("Your table is ready")).await.map(drop),
        Kind::Email => {
            let email = Email::to(contact).subject("Ready").html("<p>Your table is ready</p>");
            messages.send(email).await.map(drop)
        }
        Kind::Inbound => {
            let provider = sandbox.conversation_provider_id();
            let message = Inbound::sms(provider).from_contact(contact).text("Your table is ready");
            messages.add_inbound(message).await.map(drop)
        }
    }
}

#[tokio::test]
async fn an_accepted_message_is_found_while_the_search_index_lags() {
    // The lag is longer than the test, so that nothing is indexed meanwhile.
    let sandbox = Sandbox::builder().quirk(Quirk::SearchIndexLag).search_lag(Duration::from_secs(86_400));
    let sandbox = sandbox.start().await.expect("a sandbox");
    let client =
        Client::builder().token(sandbox.token()).base_url(sandbox.base_url()).location(sandbox.location_id());
    let client = client.build().expect("a client");
    let mut cells = 0;
    for kind in [Kind::Sms, Kind::Email, Kind::Inbound] {
        for has_conversation in [false, true] {
            for stage in [FaultStage::Before, FaultStage::After] {
                let name = format!("{kind:?}, conversation: {has_conversation}, {stage:?}");
                let id = format!("c{cells}");
                let contact = Contact::new(&id).phone(PHONE).email("grace@example.com");
                sandbox.put_contact(contact).expect("a contact");
                let contact = ContactId::from(id.as_str());
                if has_conversation {
                    client.messages().send(Sms::to(&contact).text("Earlier")).await.expect("a receipt");
                }
                let before = sandbox.messages().len();
                let rule = FaultRule::new(Fault::RESET).stage(stage).schedule(FaultSchedule::First(1));
                let rule = sandbox.add_fault(rule).expect("a rule");
                let error = send(kind, &client, &sandbox, &contact).await.expect_err("the response is lost");
                sandbox.remove_fault(rule);
                assert_eq!(error.delivery(), Delivery::Unknown, "{name}: {error}");
                let created = sandbox.messages().into_iter().nth(before);
                let found = error.find(&client).await.unwrap_or_else(|error| panic!("{name}: {error}"));
                match (&found, created) {
                    (Finding::Sent(id), Some(message)) => assert_eq!(id.as_str(), message.id, "{name}"),
                    (Finding::NotFound(_), None) => {}
                    (found, created) => panic!("{name}: {found:?}, and the sandbox has {created:?}"),
                }
                cells += 1;
            }
        }
    }
    assert_eq!(cells, 12);
    let searches: Vec<_> =
        sandbox.requests().into_iter().filter(|request| request.path.contains("/search")).collect();
    assert_eq!(searches.len(), 12);
    let is_delayed = |quirk: Option<&str>| quirk == Some(Quirk::SearchIndexLag.name());
    assert!(searches.iter().all(|request| is_delayed(request.quirk)), "{searches:?}");
}
