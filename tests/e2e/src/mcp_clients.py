"""The Python clients of MCP, one call after the other, as an assistant makes them.

mcp_clients.py CLIENT ERA COMMAND|URL [TOKEN]: prints one JSON document a line.
"""

import asyncio
import json
import os
import sys

from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.types import ElicitResult
from mcp.shared._httpx_utils import create_mcp_http_client
import fastmcp
from fastmcp.client.transports import StdioTransport, StreamableHttpTransport


def say(**document):
    print(json.dumps(document), flush=True)


async def elicit(_context, params):
    if params.mode == "form":
        say(form=params.message, schema=params.requested_schema)
        return ElicitResult.model_validate_json(os.environ["ANSWER"])
    say(asked=params.url, message=params.message)
    return ElicitResult(action="accept")


async def fastmcp_elicit(_message, _type, params, context):
    return await elicit(context, params)


def connection(client, era, target, token):
    headers = {"Authorization": f"Bearer {token}"}
    is_url = target.startswith("http")
    if client == "fastmcp":
        if is_url:
            transport = StreamableHttpTransport(target, headers=headers)
        else:
            transport = StdioTransport(target, [], env=dict(os.environ))
        return fastmcp.Client(transport, mode=era, elicitation_handler=fastmcp_elicit)
    if is_url:
        server = streamable_http_client(
            target, http_client=create_mcp_http_client(headers=headers)
        )
    else:
        server = StdioServerParameters(command=target, env=dict(os.environ))
    return Client(server, mode=era, elicitation_callback=elicit)


async def main(client, era, target, token=""):
    async with connection(client, era, target, token) as server:
        tools = await server.list_tools()
        tools = getattr(tools, "tools", tools)
        say(tools=[tool.name for tool in tools])
        login = await server.call_tool("aws_sso_login", {})
        facts = getattr(login, "structured_content", None)
        say(login=facts)
        command = json.loads(os.environ["COMMAND"])
        # An error is an answer, too.
        quietly = {"raise_on_error": False} if client == "fastmcp" else {}
        run = await server.call_tool("aws_sso_exec_command", command, **quietly)
        say(output=run.content[0].text)


asyncio.run(main(*sys.argv[1:]))
