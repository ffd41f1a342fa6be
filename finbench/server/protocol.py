"""HTTP/1.1 with every wait bounded: uvicorn's own protocol, with a time for headers and a place for newcomers.

uvicorn bounds what h11 holds of an unfinished header, and idle time between requests. It has no time for a header, for
a body that nobody reads or for an answer that the client does not take, and over its limit of connections it refuses
the newest, so that whoever opens many and sends nothing shuts all others out.
"""

import asyncio
import json
import sys
from dataclasses import dataclass, field
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol

from finbench.server.guard import SECURITY_HEADERS

HEADER_BYTES = 16_384
LINGER_SECONDS = 5.0  # for a last answer to be taken before the connection is cut


@dataclass
class Bounds:
    """What all connections share: how many there may be, and how long a client may take for what it owes.

    `header_seconds` counts from a connection's beginning, later from a header's first byte; `exchange_seconds` from a
    whole header to the answer's last byte, and must leave the service time to refuse by itself. `owing` holds the
    connections whose client owes something (a header, a body, taking the answer), the longest first: when all places
    are taken the first of them makes room.
    """

    connections: int = 1024
    header_seconds: float = 10.0
    exchange_seconds: float = 120.0
    open: set["BoundedProtocol"] = field(default_factory=set)
    owing: dict["BoundedProtocol", None] = field(default_factory=dict)


class BoundedProtocol(H11Protocol):
    """One connection."""

    def __init__(self, *args: Any, bounds: Bounds, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._bounds = bounds
        self._header_timer: asyncio.TimerHandle | None = None
        self._exchange_timer: asyncio.TimerHandle | None = None
        self._timed: Any = None  # the exchange for which it runs

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Take a place, if need be that of the client that has owed something longest."""
        super().connection_made(transport)
        bounds = self._bounds
        bounds.open.add(self)
        if len(bounds.open) > bounds.connections:
            if not bounds.owing:
                return self._refuse(503, "all connections are busy; try again in a moment", ("Retry-After", "1"))
            next(iter(bounds.owing))._cut()
        self._look()
        self._await_header()

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the place back."""
        self._forget()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read in pieces, so that a header that comes whole at once is bounded like one that does not."""
        for start in range(0, len(data), HEADER_BYTES):
            if self.transport.is_closing():
                return
            super().data_received(data[start : start + HEADER_BYTES])
        self._look()
        if not self._answering():
            self._await_header()

    def on_response_complete(self) -> None:
        """Start what follows; a request may have been sent ahead."""
        super().on_response_complete()
        self._look()

    def pause_writing(self) -> None:
        """Note that the client does not take what is sent."""
        super().pause_writing()
        self._look()

    def resume_writing(self) -> None:
        """Note that it does."""
        super().resume_writing()
        self._look()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP; h11 knows which status fits, and is asked in the midst of its error."""
        status = getattr(sys.exc_info()[1], "error_status_hint", 400)
        too_large = f"the header is too large; at most {HEADER_BYTES:,} bytes are read"
        self._refuse(status, too_large if status == 431 else msg)

    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _look(self) -> None:
        """Set timers and the place in the row of those who owe by where the exchange stands."""
        if self not in self._bounds.open or self.transport.is_closing():
            return
        if self._answering():
            self._stop("_header_timer")
            if self._timed is not self.cycle:
                self._stop("_exchange_timer")
                self._timed = self.cycle
                self._exchange_timer = self.loop.call_later(self._bounds.exchange_seconds, self._overdue)
        elif not self.transport.get_write_buffer_size():
            self._stop("_exchange_timer")
        if not self._answering() or self.cycle.more_body or self.flow.write_paused:
            self._bounds.owing.setdefault(self)
        else:
            self._bounds.owing.pop(self, None)

    def _await_header(self) -> None:
        if self._header_timer is None:
            self._header_timer = self.loop.call_later(self._bounds.header_seconds, self._too_slow)

    def _overdue(self) -> None:
        if self._answering() or self.transport.get_write_buffer_size():
            self._cut()

    def _too_slow(self) -> None:
        if not self.conn.trailing_data[0]:  # a browser opens connections ahead and may say nothing on them
            return self._cut()
        self._refuse(408, "the request's header did not arrive in time")

    def _refuse(self, status: int, detail: str, *headers: tuple[str, str]) -> None:
        """Send a last answer, if one can still be sent, and close."""
        if self.transport.is_closing():
            return
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return self._cut()
        body = json.dumps({"detail": detail}).encode()
        fields = [("Content-Type", "application/json"), ("Content-Length", str(len(body))), ("Connection", "close")]
        fields += [*SECURITY_HEADERS.items(), *headers]
        response = h11.Response(status_code=status, headers=fields, reason=STATUS_PHRASES[status])
        for event in (response, h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event))
        self.transport.close()
        self._stop("_header_timer")
        self._stop("_exchange_timer")
        self._exchange_timer = self.loop.call_later(LINGER_SECONDS, self._cut)

    def _cut(self) -> None:
        """End the connection now, whatever has not been sent."""
        self._forget()
        self.transport.abort()

    def _forget(self) -> None:
        self._bounds.open.discard(self)
        self._bounds.owing.pop(self, None)
        self._stop("_header_timer")
        self._stop("_exchange_timer")

    def _stop(self, name: str) -> None:
        timer: asyncio.TimerHandle | None = getattr(self, name)
        if timer is not None:
            timer.cancel()
            setattr(self, name, None)
