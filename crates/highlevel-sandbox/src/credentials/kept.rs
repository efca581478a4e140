//! Credentials as files and snapshots have them.

use serde::{Deserialize, Serialize};

use super::{Credentials, Grant};
use crate::oauth::Registry;

/// All credentials, or, in a seed, some.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct KeptCredentials {
    private_integrations: Vec<PrivateIntegration>,
    /// Apps, where they are installed, and their tokens. A seed may leave it out.
    #[serde(skip_serializing_if = "Option::is_none")]
    oauth: Option<Registry>,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PrivateIntegration {
    token: String,
    location_id: String,
    /// The sandbox's own app, unless it is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    app_id: Option<String>,
}

impl Credentials {
    pub(crate) fn keep(&self) -> KeptCredentials {
        let each = |(token, grant): (&String, &Grant)| PrivateIntegration {
            token: token.clone(),
            location_id: grant.account.location_id.clone(),
            app_id: Some(grant.account.app_id.clone()),
        };
        let mut private_integrations: Vec<_> = self.private.iter().map(each).collect();
        private_integrations.sort();
        KeptCredentials { private_integrations, oauth: Some(self.oauth.clone()) }
    }

    /// Adds what a seed has. What it says of apps takes the place of all that was known of apps.
    pub(crate) fn add(&mut self, seed: KeptCredentials) {
        if let Some(oauth) = seed.oauth {
            self.oauth = oauth;
        }
        let own_app = self.oauth.apps().first().map(|app| app.app_id.clone()).unwrap_or_default();
        for PrivateIntegration { token, location_id, app_id } in seed.private_integrations {
            let app_id = app_id.as_deref().unwrap_or(&own_app);
            self.grant(&token, Grant::private_integration(app_id, &location_id));
        }
    }

    /// Becomes what was kept.
    pub(crate) fn restore(&mut self, kept: KeptCredentials) {
        self.private.clear();
        self.add(kept);
    }
}

impl KeptCredentials {
    /// The part of it whose names are wanted: `oauth`, and `token` with each token.
    pub(crate) fn only(mut self, mut is_wanted: impl FnMut(String) -> bool) -> Self {
        self.oauth = self.oauth.filter(|_| is_wanted("oauth".to_owned()));
        self.private_integrations.retain(|each| is_wanted(format!("token {}", each.token)));
        self
    }

    /// The secret of an app, by its client id.
    pub(crate) fn client_secret(&self, client_id: &str) -> Option<&str> {
        Some(&self.oauth.as_ref()?.app(client_id)?.client_secret)
    }
}

impl std::fmt::Debug for KeptCredentials {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("[redacted]")
    }
}
