//! Apps, where they are installed, and their tokens.

use std::io;
use std::time::Duration;

use super::Sandbox;
use crate::model;
use crate::oauth::{InstallEvents, Registry, SandboxApp, TokenRequests, TokenResource};
use crate::sync::lock;

impl Sandbox {
    /// The client id of the sandbox's own app. The part before the first `-` is [`app_id`](Self::app_id).
    pub fn client_id(&self) -> String {
        self.own_app(|app| app.client_id.clone())
    }

    /// The client secret of the sandbox's own app.
    pub fn client_secret(&self) -> String {
        self.own_app(|app| app.client_secret.clone())
    }

    /// The company that [`location_id`](Self::location_id) belongs to.
    pub fn company_id(&self) -> &str {
        model::COMPANY_ID
    }

    /// Adds an app, in place of the one with the same client id.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when its id or secret is empty or not printable ASCII, or its webhook URL is not an `http` URL.
    pub fn add_app(&self, app: SandboxApp) -> io::Result<()> {
        self.state.put_app(app).map(drop)
    }

    /// What is chosen from now on when a browser asks for authorisation; `None` shows the page that asks, as at first.
    pub fn choose_on_authorize(&self, choice: impl Into<Option<TokenResource>>) {
        self.registry(|registry| registry.settings_mut().choose_on_authorize = choice.into());
    }

    /// Whether answers with tokens are in camelCase throughout, as some of the documents have them. At first they are
    /// as OAuth has them: `access_token`, but `userType`.
    pub fn answer_tokens_in_camel_case(&self, camel_case: bool) {
        self.registry(|registry| registry.settings_mut().camel_case = camel_case);
    }

    /// When `INSTALL` events of apps are sent that are installed in the browser, and how much later by the sandbox's
    /// clock. The delay also holds for [`install`](Self::install).
    pub fn install_events(&self, events: InstallEvents, delay: Duration) {
        self.registry(|registry| {
            registry.settings_mut().install_events = events;
            registry.settings_mut().install_event_delay_ms =
                u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        });
    }

    /// Installs the sandbox's own app, as somebody does in the marketplace: the `INSTALL` event is sent, and there is no
    /// code. On a company, it is installed on all its locations, with an event for the company and one for each.
    ///
    /// # Errors
    ///
    /// `NotFound` when there is no such location or company.
    pub fn install(&self, resource: &TokenResource) -> io::Result<()> {
        let _runtime = self.runtime.handle().enter();
        self.state.install_app(None, resource, Vec::new())
    }

    /// Removes the sandbox's own app: its tokens are revoked, and the `UNINSTALL` event is sent. With a company, the app
    /// is removed from the company's locations too, with an event for each.
    ///
    /// # Errors
    ///
    /// `NotFound` when it is not installed there.
    pub fn uninstall(&self, resource: &TokenResource) -> io::Result<()> {
        let _runtime = self.runtime.handle().enter();
        self.state.uninstall_app(None, resource)
    }

    /// Gives the sandbox's own app tokens without a code, with these scopes. Answers what `/oauth/token` would have. The
    /// app is installed there if it was not, without an event.
    ///
    /// # Errors
    ///
    /// `NotFound` when there is no such location or company.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use highlevel_sandbox::{TokenResource, Sandbox};
    ///
    /// let sandbox = Sandbox::start().await?;
    /// let location = TokenResource::location(sandbox.location_id());
    /// let tokens = sandbox.give_tokens(&location, ["conversations/message.write"])?;
    /// assert_eq!(tokens["expires_in"], 86399);
    /// assert!(tokens["refresh_token"].is_string());
    /// # Ok(())
    /// # }
    /// ```
    pub fn give_tokens<S: Into<String>>(
        &self,
        resource: &TokenResource,
        scopes: impl IntoIterator<Item = S>,
    ) -> io::Result<serde_json::Value> {
        let scopes: Vec<String> = scopes.into_iter().map(Into::into).collect();
        self.state.give_tokens(None, resource, &scopes)
    }

    /// Stops honouring a token, be it an access token or a refresh token. Whether it was one.
    pub fn revoke_token(&self, token: &str) -> bool {
        self.registry(|registry| registry.revoke(token))
    }

    /// Stops honouring all tokens for a location or company. How many there were.
    pub fn revoke_tokens(&self, resource: &TokenResource) -> usize {
        self.registry(|registry| registry.revoke_all(resource))
    }

    /// Makes a token too old, be it an access token or a refresh token. Whether it was one.
    pub fn expire_token(&self, token: &str) -> bool {
        let now = self.state.clock.now();
        self.registry(|registry| registry.expire_token(token, now))
    }

    /// Makes all access tokens for a location or company too old. How many there were.
    pub fn expire_access_tokens(&self, resource: &TokenResource) -> usize {
        let now = self.state.clock.now();
        self.registry(|registry| registry.expire(resource, now))
    }

    /// Whether a location is active. For one that is not, no tokens are given, with 400 "Location is not active"; the
    /// refresh token stays good.
    pub fn set_location_active(&self, location_id: &str, active: bool) {
        self.registry(|registry| registry.set_active(location_id, active));
    }

    /// How often tokens were asked for over HTTP, for each location and company.
    pub fn token_requests(&self) -> Vec<TokenRequests> {
        self.read(|registry| registry.requests().to_vec())
    }

    /// How often tokens for one location or company were asked for over HTTP.
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
