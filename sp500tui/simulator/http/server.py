"""The demo market's server: a listener on the loopback interface and the simulated hosts behind it."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import ssl
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import trustme
from aiohttp import web

from sp500tui.errors import ConfigurationError
from sp500tui.simulator.events import Events
from sp500tui.simulator.faults import Faults, FaultSampler
from sp500tui.simulator.http.control import Control
from sp500tui.simulator.http.proxy import ProxyConnection
from sp500tui.simulator.http.responses import ResponseWriter
from sp500tui.simulator.market.clock import OPENING, DemoClock
from sp500tui.simulator.market.index import Index
from sp500tui.simulator.market.instruments import constituents, extras
from sp500tui.simulator.market.model import SWEEPS, Market
from sp500tui.simulator.stats import ServedQuotesLog, Statistics
from sp500tui.simulator.wikipedia import Wikipedia
from sp500tui.simulator.yahoo.routes import Yahoo
from sp500tui.simulator.yahoo.stream import Stream

_log = logging.getLogger(__name__)

HOST = "127.0.0.1"
_MAX_LINE = 1_048_576
"""Largest request line in bytes: enough for 50,000 symbols."""
_KEEPALIVE = 300.0
"""Seconds after which an idle connection is closed."""
_SHUTDOWN = 1.0
"""Seconds for open connections to finish."""


class Authority:
    """A certificate authority in memory that issues one certificate; its private key is never written to disk."""

    def __init__(self, hosts: Iterable[str]) -> None:
        authority = trustme.CA(organization_name="sp500tui demo market")
        self.certificate_pem: bytes = authority.cert_pem.bytes()
        """The CA certificate, which clients must trust; contains no key."""
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        """TLS context of the simulated hosts."""
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.set_alpn_protocols(["http/1.1"])
        authority.issue_cert(*hosts).configure_cert(self.context)


@dataclass(frozen=True, slots=True)
class MarketOptions:
    """Options of a demo market."""

    port: int = 0
    """0 selects a free port."""
    speed: float = 1.0
    """Speed of the trading day relative to real time."""
    seed: int | None = None
    """Seed of prices and faults; None selects a random one."""
    start_at: float = OPENING + 20
    """Seconds after midnight, New York, at which the market starts."""
    extra_symbols: int = 0
    """Number of invented shares in addition to the index."""
    ledger: Path | None = None
    faults: Faults = field(default_factory=Faults)


class MarketServer:
    """The server; it listens from `start` to `close`."""

    def __init__(self, options: MarketOptions) -> None:
        listings = constituents()
        seed = secrets.randbits(64) if options.seed is None else options.seed
        clock = DemoClock(options.speed, options.start_at)
        self.market = Market([*listings, *extras(options.extra_symbols)], clock, seed)
        self.statistics = Statistics()
        self.sampler = FaultSampler(options.faults, seed, self.statistics.fault)
        self.token = secrets.token_urlsafe(24)
        """Token of the control endpoint."""
        self.port = options.port
        self._ledger = None if options.ledger is None else ServedQuotesLog(options.ledger)
        responses = ResponseWriter(self.sampler, self.statistics, self._ledger)
        yahoo = Yahoo(self.market, self.sampler, responses, self.statistics)
        self.index = Index(listings)
        wikipedia = Wikipedia(self.index, self.sampler, responses, self.statistics)
        self.events = Events(self.market, self.index)
        control = Control(self.market, self.sampler, self.statistics, self.events, self.token)
        self._control = _web_server(control.serve)
        self._hosts = {
            "en.wikipedia.org": _web_server(wikipedia.page),
            "fc.yahoo.com": _web_server(yahoo.cookie),
            "query1.finance.yahoo.com": _web_server(yahoo.data),
            "query2.finance.yahoo.com": _web_server(yahoo.data),
            "guce.yahoo.com": _web_server(yahoo.consent),
            "consent.yahoo.com": _web_server(yahoo.consent),
            "finance.yahoo.com": _web_server(yahoo.page),
            "www.yahoo.com": _web_server(yahoo.page),
            "streamer.finance.yahoo.com": _web_server(Stream(self.market, self.statistics).serve),
        }
        self._authority = Authority(self._hosts)
        self._listener: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def certificate_pem(self) -> bytes:
        """The CA certificate, which clients must trust."""
        return self._authority.certificate_pem

    async def start(self) -> None:
        """Listen on the loopback interface.

        Raises:
            ConfigurationError: the port is in use or may not be used.
        """
        loop = asyncio.get_running_loop()
        try:
            self._listener = await loop.create_server(self._connection, HOST, self.port)
        except OSError as error:
            # asyncio repeats the address in `strerror`.
            reason = os.strerror(error.errno) if error.errno else error
            raise ConfigurationError(
                f"cannot listen on {HOST}:{self.port}: {reason}; choose another --port, or 0 for a free one"
            ) from error
        self.port = self._listener.sockets[0].getsockname()[1]
        self._track(asyncio.create_task(self._sweep()))

    async def close(self) -> None:
        """Stop listening and end all connections."""
        if self._listener is not None:
            self._listener.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(
            *(server.shutdown(_SHUTDOWN) for server in [self._control, *self._hosts.values()])
        )
        if self._ledger is not None:
            self._ledger.close()

    def _connection(self) -> ProxyConnection:
        return ProxyConnection(
            self._hosts, self._control, self._authority.context, self.statistics, self._track
        )

    def _track(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, ConnectionError):
            _log.error("a task of the simulated market failed", exc_info=error)

    async def _sweep(self) -> None:
        """Advance all instruments regularly; the first pass runs immediately, so that the first request is fast."""
        passes = 0
        while True:
            try:
                self.market.sweep()
            except Exception:  # noqa: BLE001
                # The next pass may succeed, and requests advance individual instruments in any case.
                _log.exception("advancing all instruments failed")
                passes = SWEEPS
            passes += 1
            await asyncio.sleep(1.0 if passes > SWEEPS else 0.0)


def _web_server(handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]) -> web.Server:
    return web.Server(handler, access_log=None, max_line_size=_MAX_LINE, keepalive_timeout=_KEEPALIVE)
