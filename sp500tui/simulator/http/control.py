"""The control endpoint: health, statistics, faults and events at run time, protected by a token."""

from __future__ import annotations

import hmac
import json

from aiohttp import web

from sp500tui.errors import ConfigurationError
from sp500tui.simulator.events import Events
from sp500tui.simulator.faults import TOKEN_HEADER, Faults, FaultSampler, replace_old_names
from sp500tui.simulator.market.model import Market
from sp500tui.simulator.stats import Statistics

_LOCAL_NAMES = ("127.0.0.1", "localhost")
_MAX_BODY = 65_536


class Control:
    """Serves plain HTTP requests to the proxy's own port."""

    def __init__(
        self, market: Market, sampler: FaultSampler, statistics: Statistics, events: Events, token: str
    ) -> None:
        self._market = market
        self._sampler = sampler
        self._statistics = statistics
        self._events = events
        self._token = token

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """`GET /health`; with the token `GET /statistics`, and `GET` or `POST` of `/faults` and `/events`."""
        if request.host.rpartition(":")[0] not in _LOCAL_NAMES:
            return _json({"error": "the control endpoint accepts requests to 127.0.0.1 only"}, 403)
        if (request.method, request.path) == ("GET", "/health"):
            return _json(self._health())
        if not hmac.compare_digest(request.headers.get(TOKEN_HEADER, "").encode(), self._token.encode()):
            return _json({"error": f"send the token in the header {TOKEN_HEADER}"}, 403)
        if (request.method, request.path) == ("GET", "/statistics"):
            return _json(self._statistics.report())
        if (request.method, request.path) == ("GET", "/faults"):
            return _json(self._sampler.faults.as_json())
        if (request.method, request.path) == ("POST", "/faults"):
            return await self._set_faults(request)
        if (request.method, request.path) == ("GET", "/events"):
            return _json({"events": self._events.applied})
        if (request.method, request.path) == ("POST", "/events"):
            return await self._apply_event(request)
        return _json({"error": f"{request.method} {request.path} does not exist"}, 404)

    def _health(self) -> dict[str, object]:
        following, change = self._market.clock.next_change(self._market.clock.elapsed())
        return {
            "status": "ok",
            "market_state": self._market.state().value,
            "next_state": following.value,
            "next_change": change,
        }

    async def _set_faults(self, request: web.BaseRequest) -> web.Response:
        if (request.content_length or 0) > _MAX_BODY:
            return _json({"error": "the request body is too large"}, 413)
        try:
            values, warnings = replace_old_names(json.loads(await request.read()))
            faults = Faults.parse(values)
        except (ConfigurationError, ValueError) as error:
            return _json({"error": str(error)}, 400)
        self._sampler.set(faults)
        return _json(faults.as_json() | ({"warnings": warnings} if warnings else {}))

    async def _apply_event(self, request: web.BaseRequest) -> web.Response:
        if (request.content_length or 0) > _MAX_BODY:
            return _json({"error": "the request body is too large"}, 413)
        try:
            self._events.apply(json.loads(await request.read()))
        except (ConfigurationError, ValueError) as error:
            return _json({"error": str(error)}, 400)
        return _json({"events": self._events.applied})


def _json(body: object, status: int = 200) -> web.Response:
    return web.json_response(body, status=status)
