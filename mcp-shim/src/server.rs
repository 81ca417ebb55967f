//! The MCP server: who we are, which tools there are, and one call at a time
//! from the protocol to a tool. Both eras of the protocol are rmcp's business.

use awsso_proto::VERSION;
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CacheScope, CallToolRequestParams, CallToolResponse, DiscoverResult, Implementation,
        ListToolsResult, PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool,
    },
    service::RequestContext,
};
use tokio::sync::Semaphore;

use crate::{answer, call::Call, context::Context, daemon::Daemon, tools};

/// More commands at once from one client wait for their turn.
const COMMANDS_AT_ONCE: usize = 16;

/// The tools change with the binary only.
const TOOLS_FRESH_MS: u64 = 3_600_000;

/// Under 600 characters: it stands in every conversation.
const INSTRUCTIONS: &str = "\
AWS through IAM Identity Center (AWS SSO): log in, list accounts and roles, run AWS CLI commands, \
run shell commands on EC2 instances over SSM. Start with aws_sso_status; if a login is required, call \
aws_sso_login and let the person confirm it in the browser. Take accountId and roleName from \
aws_sso_ls_accounts; prefer a read-only role. Commands run without a shell: instead of pipes use the \
AWS CLI's --query. A failed answer says which tool to call next.";

pub(crate) struct Shim {
    pub daemon: Daemon,
    pub context: Context,
    /// A permit for each command that runs.
    pub commands: Semaphore,
}

impl Shim {
    pub(crate) fn new(daemon: Daemon, context: Context) -> Self {
        Self {
            daemon,
            context,
            commands: Semaphore::new(COMMANDS_AT_ONCE),
        }
    }
}

impl ServerHandler for Shim {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new("aws-sso", VERSION).with_title("AWS SSO"))
            .with_instructions(INSTRUCTIONS)
    }

    async fn discover(&self, _: RequestContext<RoleServer>) -> Result<DiscoverResult, ErrorData> {
        let versions = self.supported_protocol_versions().into_owned();
        Ok(DiscoverResult::from_server_info(versions, self.get_info())
            .with_ttl_ms(TOOLS_FRESH_MS)
            .with_cache_scope(CacheScope::Public))
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(tools::list())
            .with_ttl_ms(TOOLS_FRESH_MS)
            .with_cache_scope(CacheScope::Public))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        tools::list().into_iter().find(|tool| tool.name == name)
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let Some(tool) = self.get_tool(&request.name) else {
            return Err(ErrorData::invalid_params(
                format!("unknown tool: {}", request.name),
                None,
            ));
        };
        let call = Call::new(self, context);
        let arguments = request.arguments.unwrap_or_default();
        let answered = Box::pin(call.answered(tools::call(&call, &tool, arguments))).await;
        match &answered {
            Ok(_) => tracing::info!(tool = %tool.name, "answered"),
            Err(failure) => {
                tracing::info!(tool = %tool.name, reason = failure.reason.name(), "failed");
            }
        }
        Ok(answered
            .unwrap_or_else(|failure| answer::failure(&failure))
            .into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_instructions_are_short() {
        assert!(INSTRUCTIONS.len() < 600, "{}", INSTRUCTIONS.len());
    }
}
