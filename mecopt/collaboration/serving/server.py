"""The desk behind HTTP: ``POST /decide`` and ``GET /health``.

A decision is asked for with a question as JSON (`mecopt.collaboration.serving.question`). What is
wrong with one is answered with status 400 and ``{"error": "..."}``, a body that is too large with
413, too many connections at once with 503. There is no authentication and no encryption: it is
meant for one machine or a network of trust.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from socket import SO_REUSEADDR, SOL_SOCKET, AddressFamily
from socket import socket as Socket
from typing import TYPE_CHECKING, Any

from mecopt import extras, strict_json
from mecopt.collaboration.serving.desk import Desk

if TYPE_CHECKING:
    import uvicorn
    from starlette.applications import Starlette

#: Largest body of a question in bytes, and how long it may take to come, s.
LARGEST, BODY_S = 2**18, 10.0
#: Most connections at a time, and how long an idle one stays open, s.
CONNECTIONS, IDLE_S = 256, 60
#: Threads hand over to each other after this long, s: the policy and the server share the work.
SWITCH_S = 5e-4


def application(desk: Desk) -> Starlette:
    """The ASGI application that answers for a desk.

    Raises
    ------
    ValueError
        If the ``serve`` extra is not installed.
    """
    with extras.needed("serve:", "serve"):
        from starlette.applications import Starlette
        from starlette.exceptions import HTTPException
        from starlette.requests import ClientDisconnect, Request
        from starlette.responses import JSONResponse
        from starlette.routing import Route

    async def body(request: Request) -> bytes:
        data = b""
        try:
            async with asyncio.timeout(BODY_S):
                async for part in request.stream():
                    data += part
                    if len(data) > LARGEST:
                        raise HTTPException(413, f"the body is larger than {LARGEST >> 10} KB")
        except (ClientDisconnect, TimeoutError):
            raise HTTPException(400, "the body did not come to its end in time") from None
        return data

    async def decide(request: Request) -> JSONResponse:
        try:
            asked = desk.ask(strict_json.parse(await body(request), finite=True))
        except ValueError as error:
            raise HTTPException(400, str(error)) from None
        option = asyncio.wrap_future(asked.option)
        option.add_done_callback(lambda done: done.cancelled() or done.exception())  # desk tells
        await asyncio.wait([option], timeout=desk.limits.timeout_s)
        return JSONResponse(desk.answer(asked))

    async def health(request: Request) -> JSONResponse:
        return JSONResponse(desk.state)

    async def refused(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        return JSONResponse({"error": error.detail}, error.status_code, error.headers)

    return Starlette(
        routes=[
            Route("/decide", decide, methods=["POST"]),
            Route("/health", health, methods=["GET"]),
        ],
        exception_handlers={HTTPException: refused},
    )


@dataclass(frozen=True)
class Listening:
    """A socket that listens; questions wait in it until `run`.

    Parameters
    ----------
    socket : socket
    """

    socket: Socket

    @property
    def url(self) -> str:
        """Address to ask."""
        host, port = self.socket.getsockname()[:2]
        return f"http://{f'[{host}]' if ':' in host else host}:{port}"

    def server(self, desk: Desk) -> uvicorn.Server:
        """The server of a desk that has not begun.

        Raises
        ------
        ValueError
            If the ``serve`` extra is not installed.
        """
        app: Any = application(desk)
        with extras.needed("serve:", "serve"):
            import uvicorn
        return uvicorn.Server(
            uvicorn.Config(
                app, log_level="warning", limit_concurrency=CONNECTIONS, timeout_keep_alive=IDLE_S
            )
        )

    def run(self, server: uvicorn.Server) -> None:
        """Have a server of `server` serve until interrupted."""
        sys.setswitchinterval(SWITCH_S)
        with suppress(KeyboardInterrupt):
            server.run([self.socket])


@contextmanager
def bound(host: str, port: int) -> Iterator[Listening]:
    """A socket on an address, closed at the end.

    Parameters
    ----------
    host : str
    port : int
        0 takes a free one.

    Raises
    ------
    ValueError
        If the port is out of range, or the address cannot be listened on.
    """
    if not host:
        raise ValueError("host: is empty; 0.0.0.0 listens on every address of this machine")
    if not 0 <= port < 2**16:
        raise ValueError(f"port = {port} must be between 0 and {2**16 - 1}")
    try:
        found = Socket(AddressFamily.AF_INET6 if ":" in host else AddressFamily.AF_INET)
        found.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
        found.bind((host, port))
        found.listen(CONNECTIONS)
    except OSError as error:
        raise ValueError(f"host, port: {host}:{port}: {error.strerror or error}") from None
    with found:
        yield Listening(found)
