"""A web server for viewers, on textual-serve, with its own checks and a page that loads nothing from other hosts."""

from __future__ import annotations

import asyncio
import errno
import logging
import shlex
import signal
from collections.abc import Awaitable, Callable, Sequence
from html import escape
from importlib.resources import files
from string import Template
from urllib.parse import urlsplit

from aiohttp import web
from textual_serve.server import Server

from sp500tui.config.whole_numbers import whole_number
from sp500tui.errors import ConfigurationError

_log = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"
ALL_ADDRESSES = "0.0.0.0"  # noqa: S104  # only with --public
_LOCAL_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})
_FONT_SIZES = (6, 48)
"""Smallest and largest font size."""
_FONT_SIZE = 16
_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "font-src 'self'; img-src 'self' data:; connect-src 'self' ws: wss:; frame-ancestors 'none'"
)
"""The browser blocks everything from other hosts."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def is_allowed(host: str, origin: str | None, *, public: bool) -> bool:
    """Whether a request may be answered, by its headers `Host` and `Origin`.

    A page of another origin must not open a session, and a name that was made to resolve to this machine (DNS
    rebinding) is not accepted.
    """
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    if not public and name not in _LOCAL_NAMES:
        return False
    return origin is None or urlsplit(origin).netloc == host


class ViewerServer(Server):
    """Serves the page, and starts a viewer for every session.

    Args:
        command: command line of a viewer.
        port: port, 0 for any.
        public: listen on all addresses instead of the loopback interface.
    """

    def __init__(self, command: Sequence[str], port: int, *, public: bool = False) -> None:
        self._public = public
        super().__init__(shlex.join(command), host=ALL_ADDRESSES if public else LOOPBACK, port=port)
        self._page = Template((files("sp500tui.remote.browser") / "page.html").read_text(encoding="utf-8"))

    async def run(self, started: Callable[[str], None]) -> signal.Signals:
        """Serve until a signal arrives, and return it; `started` is called with the URL.

        Raises:
            ConfigurationError: the port cannot be used.
        """
        application = await self._make_app()
        application.middlewares.append(self._check)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        try:
            site = web.TCPSite(runner, self.host, self.port)
            try:
                await site.start()
            except OSError as error:
                reason = (
                    "is in use" if error.errno == errno.EADDRINUSE else f"cannot be used: {error.strerror}"
                )
                raise ConfigurationError(f"port {self.port} {reason}; name another with --port N") from None
            started(f"http://{LOOPBACK if not self._public else self.host}:{_port_of(runner)}/")
            return await _signal()
        finally:
            await runner.cleanup()

    @web.middleware
    async def _check(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not is_allowed(request.host, request.headers.get("Origin"), public=self._public):
            raise web.HTTPForbidden(text="open this page by its own address\n")
        response = await handler(request)
        if not response.prepared:
            response.headers["Content-Security-Policy"] = _POLICY
            response.headers["X-Content-Type-Options"] = "nosniff"
            response.headers["Referrer-Policy"] = "no-referrer"
        return response

    async def handle_index(self, request: web.Request) -> web.StreamResponse:
        """The page; its session connects to the address by which it was opened."""
        scheme = "wss" if request.headers.get("X-Forwarded-Proto", request.scheme) == "https" else "ws"
        font_size = whole_number(request.query.get("fontsize", ""), *_FONT_SIZES) or _FONT_SIZE
        page = self._page.substitute(websocket=escape(f"{scheme}://{request.host}/ws"), font_size=font_size)
        return web.Response(text=page, content_type="text/html")

    async def on_startup(self, app: web.Application) -> None:
        """Nothing is printed here; see `run`."""


def _port_of(runner: web.AppRunner) -> int:
    return int(runner.addresses[0][1])


async def _signal() -> signal.Signals:
    """Wait for a signal that stops the program."""
    received: asyncio.Future[signal.Signals] = asyncio.get_running_loop().create_future()

    def stop(number: signal.Signals) -> None:
        if not received.done():
            received.set_result(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop, number)
    return await received
