"""The official Python client over both transports: `client.py URL BINARY LOCATION`."""

import asyncio
import os
import sys

from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

TOOLS = ["list", "stat", "read", "glob", "grep", "search"]


async def check(name: str, target: object) -> None:
    async with Client(target) as client:
        tools = [tool.name for tool in (await client.list_tools()).tools]
        assert tools == TOOLS, tools
        found = await client.call_tool("grep", {"pattern": "SlowDown"})
        text = found.content[0].text
        assert not found.is_error and "/troubleshooting/slow-down.md" in text, text
        wrong = await client.call_tool("read", {"path": "/troubleshooting/slow-dwn.md"})
        assert wrong.is_error and "slow-down.md" in wrong.content[0].text, wrong
        read = await client.read_resource("r2vfs:///troubleshooting/slow-down.md")
        assert "SlowDown" in read.contents[0].text, read
    print(f"{name}: ok")


async def main() -> None:
    url, binary, location = sys.argv[1:]
    await check("http", f"{url}/mcp")
    parameters = StdioServerParameters(
        command=binary, args=["-b", os.path.abspath(location), "mcp"]
    )
    await check("stdio", stdio_client(parameters))


asyncio.run(main())
