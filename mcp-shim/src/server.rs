//! The MCP server: who we are, which tools there are, and one call at a time
//! from the protocol to a tool. Both eras of the protocol are rmcp's business.

use std::time::Instant;

use awsso_proto::VERSION;
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CacheScope, CallToolRequestParams, CallToolResponse, CompleteRequestParams, CompleteResult,
        DiscoverResult, GetPromptRequestParams, GetPromptResponse, Implementation,
        ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult, ListToolsResult,
        PaginatedRequestParams, ReadResourceRequestParams, ReadResourceResponse,
        ServerCapabilities, ServerConfig, Tool,
    },
    service::RequestContext,
};

use crate::{
    answer, call::Call, context::Context, daemon::Daemon, elicit::form::Seal, prompts, resources,
    tools, turns::Turns,
};

/// The tools change with the binary only.
const TOOLS_FRESH_MS: u64 = 3_600_000;

/// Under 600 characters: it stands in every conversation.
const INSTRUCTIONS: &str = "\
AWS through IAM Identity Center (AWS SSO). Start with aws_sso_status; if a login is required, call \
aws_sso_login and let the person confirm it. Take accountId and roleName from aws_sso_ls_accounts. Read with \
aws_sso_read_command. Commands run without a shell: cut results down with filter (jq) or --query. Several \
accounts, regions or instances are one call. A cut answer is read on by aws_sso_output with its outputId; a \
command that takes long goes on, and aws_sso_job waits for its jobId. A failed answer says what to call next.";

pub(crate) struct Shim {
    pub daemon: Daemon,
    pub context: Context,
    pub turns: Turns,
    pub seal: Seal,
}

impl Shim {
    pub(crate) fn new(daemon: Daemon, context: Context) -> Self {
        Self {
            daemon,
            context,
            turns: Turns::new(),
            seal: Seal::new(),
        }
    }
}

impl ServerHandler for Shim {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_resources()
            .enable_prompts()
            .enable_completions()
            .build();
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new("aws-sso", VERSION).with_title("AWS SSO"))
            .with_instructions(INSTRUCTIONS)
    }

    async fn discover(&self, _: RequestContext<RoleServer>) -> Result<DiscoverResult, ErrorData> {
        let versions = self.supported_protocol_versions().into_owned();
        Ok(DiscoverResult::from_server_info(versions, self.get_info())
            .with_ttl_ms(TOOLS_FRESH_MS)
            .with_cache_scope(CacheScope::Public))
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        Ok(resources::list())
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Ok(resources::templates())
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let call = Call::new(self, context);
        let read = Box::pin(resources::read(&call, &request.uri)).await;
        read.map(ReadResourceResponse::Complete)
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        Ok(prompts::list())
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        let prompt = prompts::get(&request.name, request.arguments.as_ref());
        prompt.map(GetPromptResponse::Complete)
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        let call = Call::new(self, context);
        Ok(Box::pin(prompts::complete(&call, &request)).await)
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        tracing::debug!("asked for the tools");
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
        tracing::debug!(tool = %tool.name, "called");
        let called = Instant::now();
        let call = Call::of(self, &request, context);
        let arguments = request.arguments.unwrap_or_default();
        let answered = Box::pin(call.answered(tools::call(&call, &tool, arguments))).await;
        tracing::debug!(tool = %tool.name, after = ?called.elapsed(), "ended");
        match &answered {
            Ok(_) => tracing::info!(tool = %tool.name, "answered"),
            Err(failure) => {
                tracing::info!(tool = %tool.name, reason = failure.reason.name(), "failed");
            }
        }
        Ok(answered.unwrap_or_else(|failure| answer::failure(&failure).into()))
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
