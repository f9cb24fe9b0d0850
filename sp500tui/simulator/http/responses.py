"""Sends responses with the active faults; quotes and bars are logged as served once a response was sent completely."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from aiohttp import web

from sp500tui.simulator.faults import FaultSampler
from sp500tui.simulator.stats import ServedChart, ServedQuote, ServedQuotesLog, Statistics

JSON = "application/json;charset=utf-8"
HTML = "text/html;charset=utf-8"
TEXT = "text/plain;charset=utf-8"
_CHUNKS = 20
_SERVER_ERRORS = (500, 502, 503)
_MAINTENANCE = b"""<!DOCTYPE html>
<html lang="en-us"><head><title>Yahoo</title></head>
<body><h1>Thank you for your patience.</h1><p>Our engineers are working to resolve the issue.</p></body></html>
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """A response before faults are applied."""

    body: bytes
    content_type: str = JSON
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    quotes: tuple[ServedQuote, ...] = ()
    """The quotes in the body, logged as served once it is sent."""
    chart: ServedChart | None = None
    """The bars in the body, logged like the quotes."""


class ResponseWriter:
    """Sends responses, with the active faults."""

    def __init__(self, sampler: FaultSampler, statistics: Statistics, ledger: ServedQuotesLog | None) -> None:
        self._sampler = sampler
        self._statistics = statistics
        self._ledger = ledger

    async def send(self, request: web.BaseRequest, make: Callable[[], Answer]) -> web.StreamResponse:
        """Send the answer of `make`; latency is the only fault applied."""
        await self._wait()
        return await self._send_complete(request, make())

    async def send_data(self, request: web.BaseRequest, make: Callable[[], Answer]) -> web.StreamResponse:
        """Send the answer of `make`, subject to all faults."""
        await self._wait()
        if self._sampler.occurs("drop"):
            return _close(request, web.StreamResponse())
        answer = self._error_answer() or make()
        if answer.status == 200 and self._sampler.occurs("html"):
            answer = Answer(_MAINTENANCE, HTML)
        elif answer.status == 200 and self._sampler.occurs("garbage"):
            answer = Answer(answer.body[: len(answer.body) // 2] + b'\x00{"]')
        if self._sampler.occurs("truncated_body"):
            return await self._send_truncated(request, answer)
        if self._sampler.occurs("slow_body"):
            return await self._send_slowly(request, answer)
        return await self._send_complete(request, answer)

    async def _wait(self) -> None:
        delay = self._sampler.delay()
        if delay:
            await asyncio.sleep(delay)

    def _error_answer(self) -> Answer | None:
        if self._sampler.occurs("throttle"):
            seconds = self._sampler.faults.retry_after
            headers = {} if seconds is None else {"Retry-After": f"{seconds:.0f}"}
            return Answer(b"Edge: Too Many Requests", TEXT, 429, headers)
        if self._sampler.occurs("throttle_text"):
            return Answer(b"Edge: Too Many Requests", TEXT)
        if self._sampler.occurs("server_error"):
            status = _SERVER_ERRORS[self._sampler.pick(len(_SERVER_ERRORS))]
            return Answer(_MAINTENANCE, HTML, status)
        return None

    async def _send_complete(self, request: web.BaseRequest, answer: Answer) -> web.StreamResponse:
        response = web.Response(body=answer.body, status=answer.status, headers=_headers(answer))
        self._statistics.status(answer.status)
        await response.prepare(request)
        await response.write_eof()
        self._record_served(answer)
        return response

    async def _send_truncated(self, request: web.BaseRequest, answer: Answer) -> web.StreamResponse:
        response = await self._begin(request, answer)
        await response.write(answer.body[: len(answer.body) // 2])
        return _close(request, response)

    async def _send_slowly(self, request: web.BaseRequest, answer: Answer) -> web.StreamResponse:
        response = await self._begin(request, answer)
        size = max(1, -(-len(answer.body) // _CHUNKS))
        for start in range(0, len(answer.body), size):
            await asyncio.sleep(self._sampler.faults.slow_body_seconds / _CHUNKS)
            await response.write(answer.body[start : start + size])
        await response.write_eof()
        self._record_served(answer)
        return response

    async def _begin(self, request: web.BaseRequest, answer: Answer) -> web.StreamResponse:
        response = web.StreamResponse(status=answer.status, headers=_headers(answer))
        response.content_length = len(answer.body)
        self._statistics.status(answer.status)
        await response.prepare(request)
        return response

    def _record_served(self, answer: Answer) -> None:
        self._statistics.count("quotes", len(answer.quotes))
        if self._ledger is not None and answer.quotes:
            self._ledger.add(answer.quotes)
        if answer.chart is not None:
            self._statistics.count("bars", len(answer.chart.bars))
            if self._ledger is not None:
                self._ledger.add_chart(answer.chart)


def _headers(answer: Answer) -> dict[str, str]:
    return {"Content-Type": answer.content_type, **answer.headers}


def _close(request: web.BaseRequest, response: web.StreamResponse) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.close()
    return response
