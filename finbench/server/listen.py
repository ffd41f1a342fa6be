"""Where the service listens: its socket, the names that it answers to, and the bounds of what clients may hold."""

import contextlib
import ipaddress
import socket
from collections.abc import Collection
from functools import partial
from typing import Any

import uvicorn

from finbench.errors import FinbenchError
from finbench.server.guard import BODY_SECONDS, LOCAL_NAMES, host_name
from finbench.server.protocol import HEADER_BYTES, BoundedProtocol, Bounds

CONNECTIONS = 1024
FILES_EACH = 2  # a connection is one, and a file of the page that is being sent on it another
BACKLOG = 128  # connections that wait to be accepted
# asyncio accepts a whole backlog at one go, and thrice before the first of it comes under our bounds; the rest are
# files of the process itself: weights, libraries, pipes.
RESERVED_FILES = 3 * (BACKLOG + 1) + 128
KEEP_ALIVE_SECONDS = 10
TAKING_SECONDS = 30.0  # for a client to take its answer


def names_of(host: str, named: Collection[str]) -> set[str]:
    """Return the names that a server on this address answers to: its own, and those that are `named`.

    The address at which a connection came in is among them always (see `Guard`).

    Raises:
        FinbenchError: what is named is no name of a host.

    """
    for name in named:
        if host_name(name if name.count(":") < 2 or name.startswith("[") else f"[{name}]") is None:
            raise FinbenchError(f"--allowed-host {name} is no host's name: give one such as finbench.example.com.")
    names = {host, *(str(host_name(name) or name) for name in named)}
    if is_loopback(host):
        return names | LOCAL_NAMES
    with contextlib.suppress(ValueError):
        if ipaddress.ip_address(host).is_unspecified:  # every address of this machine
            return (names - {host}) | LOCAL_NAMES | {socket.gethostname(), socket.getfqdn()}
    return names


def is_loopback(host: str) -> bool:
    """Return whether an address is reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def listener(app: Any, host: str, port: int, answer_seconds: float) -> uvicorn.Server:
    """Return a server for the app that holds no more than it can; `answer_seconds` is the app's own limit."""
    connections = _connections()
    bounds = Bounds(connections, exchange_seconds=BODY_SECONDS + answer_seconds + TAKING_SECONDS)
    return uvicorn.Server(
        uvicorn.Config(
            app,
            host,
            port,
            http=partial(BoundedProtocol, bounds=bounds),
            ws="none",
            h11_max_incomplete_event_size=HEADER_BYTES,
            backlog=BACKLOG,
            log_level="error",  # a warning for every malformed request would fill a disk
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=int(answer_seconds) + 5,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
        )
    )


def bound(server: uvicorn.Server) -> socket.socket:
    """Return the server's socket, at which connections wait from now on: whoever reads the address may use it."""
    found = server.config.bind_socket()
    found.listen(BACKLOG)
    return found


def _connections() -> int:
    """Return how many connections may be open, with the limit of open files raised for them where that is allowed."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return CONNECTIONS
    wanted = CONNECTIONS * FILES_EACH + RESERVED_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
            resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if soft == resource.RLIM_INFINITY:
        return CONNECTIONS
    return max(16, min(CONNECTIONS, (soft - RESERVED_FILES) // FILES_EACH))
