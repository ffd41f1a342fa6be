"""What every request passes: whose name it asks for, how much it sends, and the headers that bind a browser."""

import asyncio
import ipaddress
import re
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import JSONResponse

# No script, style, picture or connection but our own; nobody may frame the page.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
# Swagger UI styles its elements in place.
DOCS_POLICY = POLICY.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")
SECURITY_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
# As they go out: putting them in one by one takes longer than the rest of this layer.
SECURED = {name.lower().encode(): value.encode() for name, value in SECURITY_HEADERS.items()}
DOCS_SECURED = {**SECURED, b"content-security-policy": DOCS_POLICY.encode()}

MAX_HEADERS = 100
BODY_SECONDS = 20.0  # for a whole body: who sends slower holds a connection for nothing
HELD_BODIES = 64  # bodies of the largest size that may be held at once, by all requests together
LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
HOST = re.compile(r"(?:\[(?P<v6>[0-9a-f:.]+)\]|(?P<name>[a-z0-9_.-]+))(?::[0-9]{1,5})?", re.ASCII)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Guard:
    """The outermost layer: refuses a foreign `Host` and too many headers, and puts the security headers on all answers.

    A page of another site can have its own name resolve to this machine (DNS rebinding); the browser then takes the
    service for that site, and only the name in `Host` tells. `names` are those that are answered, beside the address
    at which a connection came in; ports are not compared, for a tunnel changes them.
    """

    def __init__(self, app: Any, names: Collection[str]) -> None:
        self._app = app
        self._names = {_canonical(name.lower()) for name in names}

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 400, 421 or 431."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)

        async def secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                others = [(name, value) for name, value in message.get("headers", ()) if name.lower() not in SECURED]
                message["headers"] = [*others, *(DOCS_SECURED if scope["path"] == "/docs" else SECURED).items()]
            await send(message)

        refusal = self._refusal(scope)
        await (refusal or self._app)(scope, receive, secured)

    def _refusal(self, scope: Message) -> JSONResponse | None:
        if len(scope["headers"]) > MAX_HEADERS:
            return JSONResponse({"detail": f"too many headers; at most {MAX_HEADERS} are read"}, 431)
        given = Headers(scope=scope).get("host", "")
        asked = host_name(given)
        if asked is None:
            return JSONResponse({"detail": "the header Host names no host"}, 400)
        address = (scope.get("server") or ("",))[0]
        if asked in self._names or asked == _canonical(address):
            return None
        detail = f"this server does not answer for {asked!r}; start it with --allowed-host {asked} if it should"
        return JSONResponse({"detail": detail}, 421)


def host_name(header: str) -> str | None:
    """Return the name in a `Host` header, without port and in lower case, None if it is not well-formed."""
    found = HOST.fullmatch(header.lower())
    return _canonical((found["v6"] or found["name"]).removesuffix(".")) if found else None


def _canonical(name: str) -> str:
    """Return an address as it is always written, an IPv4 one in IPv6's clothes as IPv4; other names as they are."""
    try:
        address = ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return name
    return str(getattr(address, "ipv4_mapped", None) or address)


class BodyLimit:
    """Refuses too large a body, declared or not, before it is read whole, and one that is not declared as JSON.

    It bounds what all requests together hold too, so that many bodies of the largest size do not fill the memory.
    """

    def __init__(self, app: Any, limit: int) -> None:
        self._app, self._limit, self._held = app, limit, 0

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 408, 413, 415 or 503."""
        if scope["type"] != "http" or scope["method"] != "POST":
            return await self._app(scope, receive, send)
        headers = Headers(scope=scope)
        if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return await _refuse(415, "send JSON, with content-type: application/json")(scope, receive, send)
        body = bytearray()
        try:
            refusal = await self._read(headers.get("content-length", "0"), receive, body)
            if refusal is not None:
                return await refusal(scope, receive, send)
            whole = [{"type": "http.request", "body": bytes(body), "more_body": False}]

            async def replay() -> Message:
                return whole.pop() if whole else await receive()

            await self._app(scope, replay, send)
        finally:
            self._held -= len(body)

    async def _read(self, declared: str, receive: Receive, body: bytearray) -> JSONResponse | None:
        """Read a request's body into `body`; return the refusal if it cannot be had."""
        if declared.isdigit() and int(declared) > self._limit:
            return self._too_large()
        try:
            async with asyncio.timeout(BODY_SECONDS):
                while True:
                    message = await receive()
                    part = message.get("body", b"")
                    body += part
                    self._held += len(part)
                    if message["type"] == "http.disconnect":
                        return _refuse(408, "the client has gone")
                    if len(body) > self._limit:
                        return self._too_large()
                    if self._held > self._limit * HELD_BODIES:
                        again = {"Retry-After": "1"}
                        return _refuse(503, "too many requests are being read; try again in a moment", again)
                    if not message.get("more_body"):
                        return None
        except TimeoutError:
            return _refuse(408, "the body did not arrive in time")

    def _too_large(self) -> JSONResponse:
        return _refuse(413, f"the body is too large; at most {self._limit:,} bytes are read")


def _refuse(status: int, detail: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"detail": detail}, status, headers)
