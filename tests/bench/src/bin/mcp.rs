//! The least that an MCP server can be: rmcp on stdio with one tool, which answers with a constant.

use rmcp::{
    ServerHandler, ServiceExt as _, handler::server::router::tool::ToolRouter, tool, tool_handler,
    tool_router, transport::io::stdio_pipes,
};

struct Bare {
    tool_router: ToolRouter<Self>,
}

#[tool_router]
impl Bare {
    #[tool(name = "aws_sso_status", description = "Answers with a constant.")]
    fn status() -> String {
        "active".to_owned()
    }
}

#[tool_handler(router = self.tool_router)]
impl ServerHandler for Bare {}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let bare = Bare {
        tool_router: Bare::tool_router(),
    };
    bare.serve(stdio_pipes()).await?.waiting().await?;
    Ok(())
}
