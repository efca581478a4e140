//! Credentials that are the same for each sandbox.

use super::SandboxBuilder;
use super::redacted::Redacted;

/// Credentials of a sandbox that are the same at each start. They are publicly known and protect nothing.
///
/// The values can be recognized as test values, and [`SandboxBuilder::test_credentials`] enables them.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct TestCredentials;

impl TestCredentials {
    /// The private integration token.
    pub const TOKEN: &str = "pit-00000000-0000-4000-8000-000000000000";
    /// The client secret of the default app.
    pub const CLIENT_SECRET: &str = "00000000-0000-4000-8000-000000000000";
    /// The public key of webhook signatures: base64 of a `SubjectPublicKeyInfo`, as `HighLevel` publishes its own.
    pub const WEBHOOK_PUBLIC_KEY: &str = "MCowBQYDK2VwAyEAogyL0UPaCJbb+XMFjju/dTfh0ajpUD0n8FPUaseoLrE=";
}

/// The secret of the Ed25519 key that belongs to [`TestCredentials::WEBHOOK_PUBLIC_KEY`].
const SIGNING_KEY: [u8; 32] = *b"highlevel-sandbox-test-key-only!";

impl SandboxBuilder {
    /// Sets the test credentials, if they are enabled, where no other value is configured. With a seed, all credentials
    /// are generated from it.
    pub(super) fn apply_test_credentials(&mut self) {
        if !self.test_credentials || self.seed.is_some() {
            return;
        }
        self.token.get_or_insert_with(|| Redacted(TestCredentials::TOKEN.to_owned()));
        self.signing_key.get_or_insert(Redacted(SIGNING_KEY));
        self.apps.client_secret.get_or_insert_with(|| Redacted(TestCredentials::CLIENT_SECRET.to_owned()));
    }
}
