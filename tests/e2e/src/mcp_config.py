"""What stands in the settings of MCP clients, read by other parsers than ours, and started by another client.

mcp_config.py FORM SERVERS FILE …: for each three of them prints one JSON document a line, with the entry `awsso` and its tools.
FORM is json, jsonc (as JavaScript reads it), toml, or mcpb: an unpacked bundle's manifest.
"""

import asyncio
import json
import os
import subprocess
import sys
import tomllib

from mcp import Client
from mcp.client.stdio import StdioServerParameters

EVALUATE = "process.stdout.write(JSON.stringify(eval('(' + require('fs').readFileSync(process.argv[1], 'utf8').replace(/^\\uFEFF/, '') + '\\n)')))"


def read(form, path):
    if form == "toml":
        with open(path, "rb") as file:
            return tomllib.load(file)
    if form == "jsonc":
        node = [os.environ["NODE"], "--eval", EVALUATE, path]
        return json.loads(subprocess.run(node, check=True, capture_output=True).stdout)
    with open(path, encoding="utf-8-sig") as file:
        return json.load(file)


def entry_of_bundle(manifest, path):
    """As a host that follows the specification of bundles fills it in; a person has filled in nothing."""
    text = json.dumps(manifest["server"]["mcp_config"])
    text = text.replace("${__dirname}", os.path.dirname(path))
    for name, option in manifest["user_config"].items():
        text = text.replace("${user_config.%s}" % name, option["default"])
    return json.loads(text)


async def main(arguments):
    for form, servers, path in zip(*[iter(arguments)] * 3):
        document = read(form, path)
        if form == "mcpb":
            entry = entry_of_bundle(document, path)
        else:
            entry = document[servers]["awsso"]
        env = {**os.environ, **entry.get("env", {})}
        server = StdioServerParameters(command=entry["command"], args=entry["args"], env=env)
        async with Client(server) as client:
            tools = (await client.list_tools()).tools
            seen = {"entry": entry, "tools": [tool.name for tool in tools]}
            if form == "mcpb":
                # Only a daemon can answer: the one that lies beside the server.
                status = await client.call_tool("aws_sso_status", {})
                seen["status"] = status.structured_content
        print(json.dumps(seen), flush=True)


asyncio.run(main(sys.argv[1:]))
