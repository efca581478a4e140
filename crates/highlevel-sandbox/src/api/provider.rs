//! Resolves the conversation provider of a request, and the access of its token.

use serde_json::Value;

use super::existence::not_found;
use super::{ApiConfig, ErrorResponse};
use crate::credentials::Grant;
use crate::fidelity::Refusal;
use crate::model::{ConversationProvider, Model, is_phone};
use crate::operation::Operation;

/// Returns the ID of the provider of a valid body: the one it names, or the default of the location for its type.
pub(super) fn resolve(
    operation: Operation,
    config: &ApiConfig,
    model: &Model,
    grant: &Grant,
    body: &Value,
) -> Result<Option<String>, ErrorResponse> {
    let location = &*grant.account.location_id;
    let channel = body.get("type").and_then(Value::as_str).unwrap_or_default();
    let Some(id) = named(body) else {
        let refusal = if is_phone(channel) {
            Some(Refusal::CallWithoutProvider)
        } else {
            let is_custom = operation == Operation::AddInboundMessage && channel == "Custom";
            is_custom.then_some(Refusal::CustomWithoutProvider)
        };
        return match refusal.filter(|refusal| config.settings.refuses(*refusal)) {
            Some(refusal) => Err(ErrorResponse::refused(refusal, "")),
            None => Ok(default_provider(model, location, channel).map(|provider| provider.id.clone())),
        };
    };
    let Some(provider) = find(model, location, id) else {
        let known = model.providers().filter(|each| each.location_id == location).map(|each| &*each.id);
        let not_found = not_found("conversationProviderId", "conversation provider", id, location, known);
        // An unknown provider is one that the token has no access to.
        return Err(if config.settings.refuses(Refusal::ForeignProvider) {
            ErrorResponse::refused(Refusal::ForeignProvider, id).note(not_found)
        } else {
            ErrorResponse::bad_request(&not_found)
        });
    };
    check_access(config, grant, provider)?;
    let is_recorded = operation != Operation::SendMessage;
    if is_recorded
        && provider.kind.is_some_and(|kind| !kind.adds(channel))
        && config.settings.refuses(Refusal::ProviderMismatch)
    {
        let kind = provider.kind.map_or("", |kind| kind.as_str());
        let note = format!("the provider {id} has the kind {kind}, which does not add {channel}");
        return Err(ErrorResponse::refused(Refusal::ProviderMismatch, "").note(note));
    }
    Ok(Some(id.to_owned()))
}

/// Returns `false` if a body names a provider that does not exist.
pub(super) fn exists(model: &Model, location: &str, body: &Value) -> bool {
    named(body).is_none_or(|id| find(model, location, id).is_some())
}

fn find<'a>(model: &'a Model, location: &str, id: &str) -> Option<&'a ConversationProvider> {
    model.provider(id).filter(|provider| provider.location_id == location)
}

/// Rejects a token that does not belong to the app of the provider.
pub(super) fn check_access(
    config: &ApiConfig,
    grant: &Grant,
    provider: &ConversationProvider,
) -> Result<(), ErrorResponse> {
    let refuses = |refusal| config.settings.refuses(refusal);
    if grant.is_private_integration && refuses(Refusal::PrivateIntegrationProvider) {
        return Err(ErrorResponse::refused(Refusal::PrivateIntegrationProvider, &provider.id));
    }
    let (owner, app) = (provider.app_id.as_ref().unwrap_or(&config.app_id), &grant.account.app_id);
    if owner != app && refuses(Refusal::ForeignProvider) {
        let note = format!("the provider belongs to the app {owner}, but the token to {app}");
        return Err(ErrorResponse::refused(Refusal::ForeignProvider, &provider.id).note(note));
    }
    Ok(())
}

/// Returns the provider that a body names. An empty ID names none.
pub(super) fn named(body: &Value) -> Option<&str> {
    body.get("conversationProviderId")?.as_str().filter(|id| !id.trim().is_empty())
}

fn default_provider<'a>(model: &'a Model, location: &str, channel: &str) -> Option<&'a ConversationProvider> {
    model.providers().find(|provider| {
        provider.is_default
            && provider.location_id == location
            && provider.kind.is_some_and(|kind| kind.replaces(channel))
    })
}
