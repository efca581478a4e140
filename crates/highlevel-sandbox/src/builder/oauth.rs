//! The configuration of apps.

use std::io;

use super::redacted::Redacted;
use crate::engine::LoadedState;
use crate::identifiers::Identifiers;
use crate::oauth::SandboxApp;

/// The suffix of the default app's client ID. The live ones have eight letters and digits there.
const CLIENT: &str = "sandbox0";

/// The default app, without its ID, and further apps.
#[derive(Clone, Debug, Default)]
pub(super) struct Apps {
    pub(super) client_secret: Option<Redacted<String>>,
    pub(super) redirect_uris: Vec<String>,
    pub(super) others: Vec<SandboxApp>,
}

impl Apps {
    /// Restores the previous secret of the default app unless one is configured.
    pub(super) fn remember(&mut self, app_id: &str, loaded: &LoadedState) {
        if self.client_secret.is_none() {
            let secret = loaded.client_secret(&format!("{app_id}-{CLIENT}"));
            self.client_secret = secret.map(|secret| Redacted(secret.to_owned()));
        }
    }

    /// Returns the default app and the others.
    pub(super) fn into_apps(
        self,
        app_id: &str,
        identifiers: &Identifiers,
    ) -> io::Result<(SandboxApp, Vec<SandboxApp>)> {
        let secret = self.client_secret.map_or_else(|| identifiers.uuid(), |secret| secret.0);
        let own = SandboxApp::new(format!("{app_id}-{CLIENT}"), secret).app_id(app_id);
        let own = self.redirect_uris.into_iter().fold(own, SandboxApp::redirect_uri);
        let others = self.others.into_iter().map(SandboxApp::checked).collect::<io::Result<_>>()?;
        Ok((own.checked()?, others))
    }
}
