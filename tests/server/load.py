"""A client for many requests: a few connections that are kept, next to no work of its own."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from urllib.parse import urlsplit

CONNECTIONS = 32


def ask_all(url: str, count: int, text_of: Callable[[int], str], connections: int = CONNECTIONS) -> Counter[int]:
    """Post `count` texts, each number once; return how often which status was answered."""
    return asyncio.run(_ask_all(url, count, text_of, connections))


async def _ask_all(url: str, count: int, text_of: Callable[[int], str], connections: int) -> Counter[int]:
    numbers, statuses = iter(range(count)), Counter[int]()
    host, port = urlsplit(url).hostname, urlsplit(url).port

    async def one_connection() -> None:
        reader, writer = await asyncio.open_connection(host, port)
        for number in numbers:
            body = json.dumps({"text": text_of(number)}).encode()
            head = f"POST /analyze HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n"
            writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            header = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            await reader.readexactly(int(header.split("content-length: ")[1].split("\r\n")[0]))
            statuses[int(header.split()[1])] += 1
        writer.close()

    await asyncio.wait_for(asyncio.gather(*(one_connection() for _ in range(connections))), 3000)
    return statuses
