"""How an answer leaves: late, cut, dripping, refused or whole, and into the ledger only when it was sent whole."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from aiohttp import web

from sp500tui.simulator.fault_sampler import FaultSampler
from sp500tui.simulator.served_quotes import Ledger, ServedQuote
from sp500tui.simulator.tally import Tally

JSON = "application/json;charset=utf-8"
HTML = "text/html;charset=utf-8"
TEXT = "text/plain;charset=utf-8"
_DRIPS = 20
_SERVER_ERRORS = (500, 502, 503)
_MAINTENANCE = b"""<!DOCTYPE html>
<html lang="en-us"><head><title>Yahoo</title></head>
<body><h1>Thank you for your patience.</h1><p>Our engineers are working to resolve the issue.</p></body></html>
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a client is to receive."""

    body: bytes
    content_type: str = JSON
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    quotes: tuple[ServedQuote, ...] = ()
    """The quotes in the body that go into the ledger once it is sent."""


class Delivery:
    """Sends answers, with the faults of the moment."""

    def __init__(self, rng: FaultSampler, tally: Tally, ledger: Ledger | None) -> None:
        self._rng = rng
        self._tally = tally
        self._ledger = ledger

    async def send(self, request: web.BaseRequest, make: Callable[[], Answer]) -> web.StreamResponse:
        """Send what `make` returns; nothing goes wrong but latency."""
        await self._wait()
        return await self._send_whole(request, make())

    async def send_data(self, request: web.BaseRequest, make: Callable[[], Answer]) -> web.StreamResponse:
        """Send what `make` returns, unless a fault comes between."""
        await self._wait()
        if self._rng.happens("drop"):
            return _cut(request, web.StreamResponse())
        answer = self._refusal() or make()
        if answer.status == 200 and self._rng.happens("html"):
            answer = Answer(_MAINTENANCE, HTML)
        elif answer.status == 200 and self._rng.happens("garbage"):
            answer = Answer(answer.body[: len(answer.body) // 2] + b'\x00{"]')
        if self._rng.happens("half_body"):
            return await self._send_half(request, answer)
        if self._rng.happens("drip"):
            return await self._send_drops(request, answer)
        return await self._send_whole(request, answer)

    async def _wait(self) -> None:
        delay = self._rng.delay()
        if delay:
            await asyncio.sleep(delay)

    def _refusal(self) -> Answer | None:
        if self._rng.happens("throttle"):
            seconds = self._rng.faults.retry_after
            headers = {} if seconds is None else {"Retry-After": f"{seconds:.0f}"}
            return Answer(b"Edge: Too Many Requests", TEXT, 429, headers)
        if self._rng.happens("throttle_text"):
            return Answer(b"Edge: Too Many Requests", TEXT)
        if self._rng.happens("server_error"):
            status = _SERVER_ERRORS[self._rng.pick(len(_SERVER_ERRORS))]
            return Answer(_MAINTENANCE, HTML, status)
        return None

    async def _send_whole(self, request: web.BaseRequest, answer: Answer) -> web.StreamResponse:
        response = web.Response(body=answer.body, status=answer.status, headers=_headers(answer))
        self._tally.status(answer.status)
        await response.prepare(request)
        await response.write_eof()
        self._serve(answer)
        return response

    async def _send_half(self, request: web.BaseRequest, answer: Answer) -> web.StreamResponse:
        response = await self._begin(request, answer)
        await response.write(answer.body[: len(answer.body) // 2])
        return _cut(request, response)

    async def _send_drops(self, request: web.BaseRequest, answer: Answer) -> web.StreamResponse:
        response = await self._begin(request, answer)
        size = max(1, -(-len(answer.body) // _DRIPS))
        for start in range(0, len(answer.body), size):
            await asyncio.sleep(self._rng.faults.drip_seconds / _DRIPS)
            await response.write(answer.body[start : start + size])
        await response.write_eof()
        self._serve(answer)
        return response

    async def _begin(self, request: web.BaseRequest, answer: Answer) -> web.StreamResponse:
        response = web.StreamResponse(status=answer.status, headers=_headers(answer))
        response.content_length = len(answer.body)
        self._tally.status(answer.status)
        await response.prepare(request)
        return response

    def _serve(self, answer: Answer) -> None:
        self._tally.count("quotes", len(answer.quotes))
        if self._ledger is not None and answer.quotes:
            self._ledger.add(answer.quotes)


def _headers(answer: Answer) -> dict[str, str]:
    return {"Content-Type": answer.content_type, **answer.headers}


def _cut(request: web.BaseRequest, response: web.StreamResponse) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.close()
    return response
