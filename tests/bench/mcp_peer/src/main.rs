//! The peer of `familiar bench plugin`: the same echo tool as an MCP server over stdio, as rmcp makes it.

use rmcp::handler::server::router::tool::ToolRouter;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::{CallToolResult, ContentBlock, JsonObject, ServerCapabilities, ServerConfig};
use rmcp::transport::stdio;
use rmcp::{ErrorData, ServerHandler, ServiceExt, tool, tool_handler, tool_router};

#[derive(Clone)]
struct Echo {
    tool_router: ToolRouter<Echo>,
}

#[tool_router]
impl Echo {
    #[tool(description = "Reads its JSON and writes it back")]
    async fn echo(&self, Parameters(value): Parameters<JsonObject>) -> Result<CallToolResult, ErrorData> {
        let text = serde_json::Value::Object(value).to_string();
        Ok(CallToolResult::success(vec![ContentBlock::text(text)]))
    }
}

#[tool_handler(router = self.tool_router)]
impl ServerHandler for Echo {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let echo = Echo { tool_router: Echo::tool_router() };
    echo.serve(stdio()).await?.waiting().await?;
    Ok(())
}
