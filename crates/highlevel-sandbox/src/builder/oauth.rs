//! What can be chosen about apps.

use std::io;

use super::{Redacted, SandboxBuilder};
use crate::engine::Recalled;
use crate::identifiers::Identifiers;
use crate::oauth::SandboxApp;

/// The end of the client id of the sandbox's own app. The live ones have eight letters and digits there.
const CLIENT: &str = "sandbox0";

/// The sandbox's own app, but for its id, and the others.
#[derive(Clone, Debug, Default)]
pub(super) struct Apps {
    client_secret: Option<Redacted<String>>,
    redirect_uris: Vec<String>,
    others: Vec<SandboxApp>,
}

impl SandboxBuilder {
    /// What the sandbox's own app proves itself with. The default is a new secret.
    pub fn client_secret(mut self, secret: impl Into<String>) -> Self {
        self.apps.client_secret = Some(Redacted(secret.into()));
        self
    }

    /// Registers a place to which the browser may be sent with a code for the sandbox's own app. Without any, it
    /// is sent to this machine only: loopback addresses and `localhost`.
    pub fn redirect_uri(mut self, uri: impl Into<String>) -> Self {
        self.apps.redirect_uris.push(uri.into());
        self
    }

    /// Adds an app beside the sandbox's own.
    pub fn app(mut self, app: SandboxApp) -> Self {
        self.apps.others.push(app);
        self
    }
}

impl Apps {
    /// Without a secret of its own, the sandbox's own app has the one that it had before.
    pub(super) fn remember(&mut self, app_id: &str, recalled: &Recalled) {
        if self.client_secret.is_none() {
            let secret = recalled.client_secret(&format!("{app_id}-{CLIENT}"));
            self.client_secret = secret.map(|secret| Redacted(secret.to_owned()));
        }
    }

    /// The sandbox's own app, and the others.
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
