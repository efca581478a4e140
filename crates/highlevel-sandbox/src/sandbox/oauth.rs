//! Apps, installs and tokens.

use std::io;
use std::time::Duration;

use super::Sandbox;
use crate::model;
use crate::oauth::{InstallEvents, Registry, SandboxApp, TokenRequests, TokenResource};
use crate::sync::lock;

impl Sandbox {
    /// Returns the client ID of the default app. The part before the first `-` is [`app_id`](Self::app_id).
    pub fn client_id(&self) -> String {
        self.own_app(|app| app.client_id.clone())
    }

    /// Returns the client secret of the default app.
    pub fn client_secret(&self) -> String {
        self.own_app(|app| app.client_secret.clone())
    }

    /// Returns the company of [`location_id`](Self::location_id).
    pub fn company_id(&self) -> &str {
        model::COMPANY_ID
    }

    /// Adds an app, or replaces the app with the same client ID.
    ///
    /// # Errors
    ///
    /// Returns `InvalidInput` if its ID or secret is empty or not printable ASCII, or its webhook URL is not an `http`
    /// URL.
    pub fn add_app(&self, app: SandboxApp) -> io::Result<()> {
        self.state.put_app(app).map(drop)
    }

    /// Sets the automatic choice for authorization requests. `None` shows the selection page, which is the default.
    pub fn choose_on_authorize(&self, choice: impl Into<Option<TokenResource>>) {
        self.registry(|registry| registry.settings_mut().choose_on_authorize = choice.into());
    }

    /// Sets whether an installation on a company includes the locations that are created later. Defaults to `false`. The
    /// authorization page has a checkbox for it.
    pub fn install_to_future_locations(&self, include: bool) {
        self.registry(|registry| registry.settings_mut().install_to_future_locations = include);
    }

    /// Sets whether token responses use camelCase for all fields, as some documents do. By default they follow OAuth:
    /// `access_token`, but `userType`.
    pub fn use_camel_case_tokens(&self, camel_case: bool) {
        self.registry(|registry| registry.settings_mut().camel_case = camel_case);
    }

    /// Sets when `INSTALL` is sent for browser installs, and its delay in sandbox time. The delay also applies to
    /// [`install`](Self::install).
    pub fn install_events(&self, events: InstallEvents, delay: Duration) {
        self.registry(|registry| {
            registry.settings_mut().install_events = events;
            registry.settings_mut().install_event_delay_ms =
                u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        });
    }

    /// Installs the default app as from the marketplace: sends `INSTALL` and issues no code. Installing on a company
    /// includes its locations, with an event for the company and one for each location.
    ///
    /// # Errors
    ///
    /// Returns `NotFound` if there is no such location or company.
    pub fn install(&self, resource: &TokenResource) -> io::Result<()> {
        let _runtime = self.runtime.handle().enter();
        self.state.install_app(None, resource, Vec::new(), None)
    }

    /// Uninstalls the default app: revokes its tokens and sends `UNINSTALL`. Uninstalling from a company includes its
    /// locations, with an event for each.
    ///
    /// # Errors
    ///
    /// Returns `NotFound` if the app is not installed there.
    pub fn uninstall(&self, resource: &TokenResource) -> io::Result<()> {
        let _runtime = self.runtime.handle().enter();
        self.state.uninstall_app(None, resource, None)
    }

    /// Uninstalls the default app as [`uninstall`](Self::uninstall) does, with a reason in the event, for example
    /// `PAYMENT_FAILURE`.
    ///
    /// # Errors
    ///
    /// Returns `NotFound` if the app is not installed there, and `InvalidInput` if the reason is longer than 200 bytes.
    pub fn uninstall_with_reason(&self, resource: &TokenResource, reason: &str) -> io::Result<()> {
        let _runtime = self.runtime.handle().enter();
        self.state.uninstall_app(None, resource, Some(reason))
    }

    /// Issues tokens with these scopes to the default app, without a code, and returns the response that `/oauth/token`
    /// would have returned. Installs the app if necessary, without an event.
    ///
    /// # Errors
    ///
    /// Returns `NotFound` if there is no such location or company.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use highlevel_sandbox::{TokenResource, Sandbox};
    ///
    /// let sandbox = Sandbox::start().await?;
    /// let location = TokenResource::location(sandbox.location_id());
    /// let tokens = sandbox.issue_tokens(&location, ["conversations/message.write"])?;
    /// assert_eq!(tokens["expires_in"], 86399);
    /// assert!(tokens["refresh_token"].is_string());
    /// # Ok(())
    /// # }
    /// ```
    pub fn issue_tokens<S: Into<String>>(
        &self,
        resource: &TokenResource,
        scopes: impl IntoIterator<Item = S>,
    ) -> io::Result<serde_json::Value> {
        let scopes: Vec<String> = scopes.into_iter().map(Into::into).collect();
        self.state.issue_tokens(None, resource, &scopes)
    }

    /// Revokes an access token or a refresh token. Returns `true` if it existed.
    pub fn revoke_token(&self, token: &str) -> bool {
        self.registry(|registry| registry.revoke(token))
    }

    /// Revokes all tokens of a location or company, and returns their number.
    pub fn revoke_tokens(&self, resource: &TokenResource) -> usize {
        self.registry(|registry| registry.revoke_all(resource))
    }

    /// Expires an access token or a refresh token. Returns `true` if it existed.
    pub fn expire_token(&self, token: &str) -> bool {
        let now = self.state.clock.now();
        self.registry(|registry| registry.expire_token(token, now))
    }

    /// Expires all access tokens of a location or company, and returns their number.
    pub fn expire_access_tokens(&self, resource: &TokenResource) -> usize {
        let now = self.state.clock.now();
        self.registry(|registry| registry.expire(resource, now))
    }

    /// Sets whether a location is active. Token requests for an inactive location are rejected with 400 "Location is
    /// not active"; its refresh token stays valid.
    pub fn set_location_active(&self, location_id: &str, active: bool) {
        self.registry(|registry| registry.set_active(location_id, active));
    }

    /// Returns the counts of token requests over HTTP, per location and company.
    pub fn token_requests(&self) -> Vec<TokenRequests> {
        self.read(|registry| registry.requests().to_vec())
    }

    /// Returns the counts of token requests over HTTP for one location or company.
    pub fn token_requests_of(&self, resource: &TokenResource) -> TokenRequests {
        let found = |each: &&TokenRequests| each.resource.as_ref() == Some(resource);
        let nothing = || TokenRequests::of(Some(resource.clone()));
        self.read(|registry| registry.requests().iter().find(found).cloned().unwrap_or_else(nothing))
    }

    fn own_app(&self, read: impl FnOnce(&SandboxApp) -> String) -> String {
        self.read(|registry| registry.apps().first().map(read).unwrap_or_default())
    }

    fn read<T>(&self, read: impl FnOnce(&Registry) -> T) -> T {
        read(&lock(&self.state.credentials).oauth)
    }

    fn registry<T>(&self, act: impl FnOnce(&mut Registry) -> T) -> T {
        act(&mut self.state.credentials_mut().oauth)
    }
}
