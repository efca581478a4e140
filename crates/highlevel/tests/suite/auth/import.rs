//! Tokens of another SDK.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use highlevel::auth::TokenSet;
use highlevel::auth::store::Resource;
use highlevel::{CompanyId, Delivery, ErrorKind, LocationId};
use secrecy::ExposeSecret;

use super::mock::{COMPANY, DAY, MockHighLevel, SECOND, send};
use super::spy_store::SpyStore;

fn location(id: &str) -> Resource {
    Resource::Location(id.to_owned().into())
}

/// Returns the tokens of a location that another program has obtained.
async fn of_another_program(mock: &MockHighLevel) -> TokenSet {
    let other = mock.builder().store(highlevel::auth::store::MemoryStore::new()).build().expect("an app");
    let tokens = other.exchange(MockHighLevel::code("loc1")).await.expect("tokens");
    TokenSet::new(tokens.access_token.expose_secret())
        .with_refresh_token(tokens.refresh_token.expect("a refresh token").expose_secret())
        .with_expiry(mock.clock.now() + Duration::from_secs(DAY))
        .with_company_id(COMPANY)
}

#[tokio::test]
async fn imported_tokens_are_used_and_refreshed() {
    let mock = MockHighLevel::new().await;
    let tokens = of_another_program(&mock).await;
    let app = mock.app();
    let stored = app.import(location("loc1"), tokens.clone()).await.expect("stored");
    assert_eq!(stored.location_id.as_ref().map(LocationId::as_str), Some("loc1"));
    let client = app.location("loc1");
    send(&client).await.expect("a receipt");
    assert_eq!(mock.refreshes(), 0);
    mock.expire();
    send(&client).await.expect("a receipt");
    assert_eq!(mock.refreshes(), 1);
    // An import at each start of a program does not restore used tokens.
    let stored = mock.app().import(location("loc1"), tokens).await.expect("stored");
    assert_eq!(stored.access_token.expose_secret(), "access-5ec2e75ec2e7-2");
    send(&mock.app().location("loc1")).await.expect("a receipt");
    assert_eq!(mock.refreshes(), 1);
}

#[tokio::test]
async fn imported_tokens_that_have_expired_are_refreshed_with_the_first_call() {
    let mock = MockHighLevel::new().await;
    let tokens = of_another_program(&mock).await.with_expiry(mock.clock.now() - SECOND);
    let app = mock.app();
    app.import(location("loc1"), tokens).await.expect("stored");
    send(&app.location("loc1")).await.expect("a receipt");
    assert_eq!((mock.refreshes(), mock.bearers()), (1, vec!["Bearer access-5ec2e75ec2e7-2".to_owned()]));
}

#[tokio::test]
async fn tokens_of_a_later_installation_are_not_replaced() {
    let mock = MockHighLevel::new().await;
    let old = of_another_program(&mock).await;
    mock.clock.advance(SECOND);
    let (app, client) = mock.installed("loc1").await;
    let stored = app.import(location("loc1"), old).await.expect("the stored tokens");
    assert_eq!(stored.access_token.expose_secret(), "access-5ec2e75ec2e7-2");
    send(&client).await.expect("a receipt");
}

#[tokio::test]
async fn tokens_of_another_resource_are_not_imported() {
    let mock = MockHighLevel::new().await;
    let app = mock.app();
    let tokens = || TokenSet::new("access").with_refresh_token("refresh");
    let company = |id: &str| Resource::Company(id.to_owned().into());
    for (resource, tokens) in [
        (location("loc1"), tokens().with_location_id("loc2")),
        (company(COMPANY), tokens().with_location_id("loc1")),
        (company(COMPANY), tokens().with_company_id("another")),
        (location("loc1"), TokenSet::new("")),
        (location("loc1"), TokenSet::new("Bearer access")),
    ] {
        let error = app.import(resource, tokens).await.expect_err("invalid");
        assert_eq!(
            (error.kind(), error.delivery()),
            (ErrorKind::InvalidRequest, Delivery::NotSent),
            "{error}"
        );
    }
    app.import(company(COMPANY), tokens()).await.expect("stored");
    let stored = mock.stored_for(company(COMPANY)).await.expect("tokens");
    assert_eq!(stored.company_id.as_ref().map(CompanyId::as_str), Some(COMPANY));
}

#[tokio::test]
async fn imported_tokens_stay_in_memory_until_the_store_saves_them() {
    let mock = MockHighLevel::new().await;
    let tokens = of_another_program(&mock).await;
    let is_down = Arc::new(AtomicBool::new(true));
    let app = mock.builder().store(SpyStore::not_saving(&mock.store, &is_down)).build().expect("an app");
    app.import(location("loc1"), tokens).await.expect_err("not stored");
    is_down.store(false, Ordering::SeqCst);
    app.flush().await;
    assert!(mock.stored("loc1").await.is_some());
}
