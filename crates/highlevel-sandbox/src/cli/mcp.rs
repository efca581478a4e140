//! `mcp`: a server of the Model Context Protocol on standard input and output, for coding agents. Its tools call the admin
//! API of a running sandbox.

mod explanation;
mod tools;

use std::io;

use clap::Args;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, Implementation, ListToolsResult,
    PaginatedRequestParams, ServerCapabilities, ServerConfig,
};
use rmcp::service::RequestContext;
use rmcp::transport::stdio;
use rmcp::{ErrorData, RoleServer, ServerHandler, ServiceExt};

use super::admin_client::AdminClient;
use tools::ToolCall;

/// Sent to the agent when it connects.
const INSTRUCTIONS: &str = "\
A local HighLevel (GoHighLevel) for development. Programs under test send requests to it and receive its webhooks. Use \
these tools to look at what a program did, to play the contact, and to break requests. Start with sandbox_status. After \
a request failed, call explain_rejection. Nothing leaves this machine.";

#[derive(Debug, Args)]
pub(super) struct McpArgs {
    #[command(flatten)]
    sandbox: AdminClient,
}

impl McpArgs {
    /// Serves until the client closes standard input. The sandbox does not have to run yet.
    pub(super) fn run(self) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let result = runtime.block_on(async {
            let service =
                McpServer { sandbox: self.sandbox }.serve(stdio()).await.map_err(io::Error::other)?;
            service.waiting().await.map(|_| ()).map_err(io::Error::other)
        });
        // A read of standard input cannot be cancelled.
        runtime.shutdown_background();
        result
    }
}

struct McpServer {
    sandbox: AdminClient,
}

impl ServerHandler for McpServer {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new("highlevel-sandbox", env!("CARGO_PKG_VERSION")))
            .with_instructions(INSTRUCTIONS)
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(tools::all()))
    }

    /// Calls a tool. Errors are results that the agent reads, with the fix.
    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let call = ToolCall::parse(&request.name, &request.arguments.unwrap_or_default());
        let result = match call {
            Ok(call) => call.run(&self.sandbox).await,
            Err(error) => Err(error),
        };
        Ok(match result {
            Ok(value) => CallToolResult::success(vec![ContentBlock::text(format!("{value:#}"))]),
            Err(error) => CallToolResult::error(vec![ContentBlock::text(error.to_string())]),
        }
        .into())
    }
}
