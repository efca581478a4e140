//! `health`: checks that a sandbox is running.

use std::io;

use clap::Args;
use http::Method;

use super::admin_client::AdminClient;
use super::output;
use crate::shell::json_line;

#[derive(Debug, Args)]
pub(super) struct HealthArgs {
    #[command(flatten)]
    sandbox: AdminClient,
}

impl HealthArgs {
    pub(super) fn run(&self) -> io::Result<()> {
        let health = self.sandbox.call(Method::GET, "health", None)?;
        if health["server"] != "highlevel-sandbox" {
            let message =
                "the server responds, but it is not a sandbox; use the URL that the sandbox printed";
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        output::print(&json_line(&health))
    }
}
