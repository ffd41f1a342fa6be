"""What every request passes: a limit of its body's bytes, its declared kind, and the headers that bind a browser."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from fastapi import Request, Response
from starlette.datastructures import Headers
from starlette.responses import JSONResponse

# No script, style, picture or connection but our own; nobody may frame the page.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
# Swagger UI styles its elements in place.
DOCS_POLICY = POLICY.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")

BODY_SECONDS = 20.0  # for each part of a body: who sends slower holds a connection for nothing

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


async def security_headers(request: Request, following: Callable[[Request], Awaitable[Response]]) -> Response:
    """Add the headers."""
    response = await following(request)
    response.headers["Content-Security-Policy"] = DOCS_POLICY if request.url.path == "/docs" else POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    return response


class BodyLimit:
    """Refuses too large a body, declared or not, before it is read whole, and one that is not declared as JSON."""

    def __init__(self, app: Any, limit: int) -> None:
        self._app, self._limit = app, limit

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 413 or 415."""
        if scope["type"] != "http" or scope["method"] != "POST":
            return await self._app(scope, receive, send)
        headers = Headers(scope=scope)
        if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            refusal = JSONResponse({"detail": "send JSON, with content-type: application/json"}, 415)
            return await refusal(scope, receive, send)
        declared = headers.get("content-length", "0")
        body = b"" if not declared.isdigit() or int(declared) <= self._limit else None
        while body is not None:
            try:
                message = await asyncio.wait_for(receive(), BODY_SECONDS)
            except TimeoutError:
                refusal = JSONResponse({"detail": "the body did not arrive in time"}, 408)
                return await refusal(scope, receive, send)
            if message["type"] == "http.disconnect":
                return None
            body += message.get("body", b"")
            if len(body) > self._limit:
                body = None
            elif not message.get("more_body"):
                break
        if body is None:
            refusal = JSONResponse({"detail": f"the body is too large; at most {self._limit:,} bytes are read"}, 413)
            return await refusal(scope, receive, send)
        whole = [{"type": "http.request", "body": body, "more_body": False}]

        async def replay() -> Message:
            return whole.pop() if whole else await receive()

        return await self._app(scope, replay, send)
