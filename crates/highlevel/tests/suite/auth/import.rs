//! Tokens of another SDK.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use highlevel::auth::TokenSet;
use highlevel::auth::store::Resource;
use highlevel::{CompanyId, Delivery, ErrorKind, LocationId};
use secrecy::ExposeSecret;

use super::spy::Spy;
use super::world::{COMPANY, DAY, SECOND, World, send};

fn location(id: &str) -> Resource {
    Resource::Location(id.to_owned().into())
}

/// The tokens of a location as another program has them in its own file.
async fn of_another_program(world: &World) -> TokenSet {
    let other = world.builder().store(highlevel::auth::store::MemoryStore::new()).build().expect("an app");
    let tokens = other.exchange(World::code("loc1")).await.expect("tokens");
    TokenSet::new(tokens.access_token.expose_secret())
        .with_refresh_token(tokens.refresh_token.expect("a refresh token").expose_secret())
        .with_expiry(world.clock.now() + Duration::from_secs(DAY))
        .with_company_id(COMPANY)
}

#[tokio::test]
async fn imported_tokens_are_used_and_refreshed() {
    let world = World::new().await;
    let tokens = of_another_program(&world).await;
    let app = world.app();
    let stored = app.import(location("loc1"), tokens.clone()).await.expect("stored");
    assert_eq!(stored.location_id.as_ref().map(LocationId::as_str), Some("loc1"));
    let client = app.location("loc1");
    send(&client).await.expect("a receipt");
    assert_eq!(world.refreshes(), 0);
    world.expire();
    send(&client).await.expect("a receipt");
    assert_eq!(world.refreshes(), 1);
    // A program that imports at each start does not put used tokens back.
    let stored = world.app().import(location("loc1"), tokens).await.expect("stored");
    assert_eq!(stored.access_token.expose_secret(), "access-5ec2e75ec2e7-2");
    send(&world.app().location("loc1")).await.expect("a receipt");
    assert_eq!(world.refreshes(), 1);
}

#[tokio::test]
async fn imported_tokens_that_have_expired_are_refreshed_with_the_first_call() {
    let world = World::new().await;
    let tokens = of_another_program(&world).await.with_expiry(world.clock.now() - SECOND);
    let app = world.app();
    app.import(location("loc1"), tokens).await.expect("stored");
    send(&app.location("loc1")).await.expect("a receipt");
    assert_eq!((world.refreshes(), world.bearers()), (1, vec!["Bearer access-5ec2e75ec2e7-2".to_owned()]));
}

#[tokio::test]
async fn tokens_of_a_later_installation_are_not_replaced() {
    let world = World::new().await;
    let old = of_another_program(&world).await;
    world.clock.advance(SECOND);
    let (app, client) = world.installed("loc1").await;
    let stored = app.import(location("loc1"), old).await.expect("those that are there");
    assert_eq!(stored.access_token.expose_secret(), "access-5ec2e75ec2e7-2");
    send(&client).await.expect("a receipt");
}

#[tokio::test]
async fn tokens_of_another_resource_are_not_imported() {
    let world = World::new().await;
    let app = world.app();
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
    let stored = world.stored_for(company(COMPANY)).await.expect("tokens");
    assert_eq!(stored.company_id.as_ref().map(CompanyId::as_str), Some(COMPANY));
}

#[tokio::test]
async fn imported_tokens_that_the_store_does_not_take_stay_in_memory() {
    let world = World::new().await;
    let tokens = of_another_program(&world).await;
    let is_down = Arc::new(AtomicBool::new(true));
    let app = world.builder().store(Spy::taking_nothing(&world.store, &is_down)).build().expect("an app");
    app.import(location("loc1"), tokens).await.expect_err("not stored");
    is_down.store(false, Ordering::SeqCst);
    app.flush().await;
    assert!(world.stored("loc1").await.is_some());
}
