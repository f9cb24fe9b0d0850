"""The simulated Yahoo Finance: quotes, charts, share counts, cookie, consent and crumb."""

from __future__ import annotations

import json
from urllib.parse import unquote

from aiohttp import web

from sp500tui.simulator.faults import FaultSampler
from sp500tui.simulator.http.responses import HTML, TEXT, Answer, ResponseWriter
from sp500tui.simulator.market.model import Market
from sp500tui.simulator.stats import Statistics
from sp500tui.simulator.yahoo.auth import Sessions, consent_page
from sp500tui.simulator.yahoo.charts import ChartError, chart
from sp500tui.simulator.yahoo.quotes import OVERNIGHT_FIELDS
from sp500tui.simulator.yahoo.rendering import QuoteRenderer

CHART = "/v8/finance/chart/"
SHARES = "/ws/fundamentals-timeseries/v1/finance/timeseries/"
_HALF_YEAR = 15_778_800


class Yahoo:
    """Serves all hosts of Yahoo except the stream."""

    def __init__(
        self, market: Market, sampler: FaultSampler, responses: ResponseWriter, statistics: Statistics
    ) -> None:
        self._market = market
        self._sampler = sampler
        self._responses = responses
        self._statistics = statistics
        self._sessions = Sessions()
        self._renderer = QuoteRenderer(market, sampler)

    async def data(self, request: web.BaseRequest) -> web.StreamResponse:
        """query1 and query2.finance.yahoo.com."""
        path = request.path
        if path == "/v7/finance/quote":
            self._statistics.request("quote")
            return await self._responses.send_data(request, lambda: self._quotes(request))
        if path.startswith(CHART):
            self._statistics.request("chart")
            return await self._responses.send_data(request, lambda: self._chart(request))
        if path.startswith(SHARES):
            self._statistics.request("shares")
            return await self._responses.send_data(request, lambda: self._shares(request))
        if path == "/v1/test/getcrumb":
            self._statistics.request("crumb")
            return await self._responses.send(request, lambda: self._crumb(request))
        self._statistics.request("unknown")
        return await self._responses.send(request, lambda: _refusal(404, "Not Found", "HTTP 404 Not Found"))

    async def cookie(self, request: web.BaseRequest) -> web.StreamResponse:
        """fc.yahoo.com: a 404 page with a cookie."""
        self._statistics.request("cookie")
        headers = {"Set-Cookie": self._sessions.new_cookie()}
        return await self._responses.send(request, lambda: Answer(b"Not found\n", HTML, 404, headers))

    async def consent(self, request: web.BaseRequest) -> web.StreamResponse:
        """guce.yahoo.com and consent.yahoo.com: the consent form and the cookie after its submission."""
        self._statistics.request("consent")
        form = await request.post() if request.method == "POST" else {}
        return await self._responses.send(
            request, lambda: self._consent_step(request, str(form.get("csrfToken", "")))
        )

    async def page(self, request: web.BaseRequest) -> web.StreamResponse:
        """finance.yahoo.com and www.yahoo.com: the target of the consent redirects."""
        self._statistics.request("page")
        body = b'<!DOCTYPE html>\n<html lang="en"><head><title>Yahoo Finance</title></head><body></body></html>\n'
        return await self._responses.send(request, lambda: Answer(body, HTML))

    def _consent_step(self, request: web.BaseRequest, token: str) -> Answer:
        session = request.query.get("sessionId", "")
        if request.path == "/consent":
            session, _ = self._sessions.new_consent()
            return _redirect(f"https://consent.yahoo.com/v2/collectConsent?sessionId={session}")
        if request.path == "/copyConsent":
            return _redirect("https://finance.yahoo.com/", self._sessions.new_cookie())
        if request.path != "/v2/collectConsent" or not session.replace("_", "").replace("-", "").isalnum():
            return Answer(b"Not found\n", HTML, 404)
        expected = self._sessions.consent_token(session)
        if request.method != "POST":
            return Answer(consent_page(session, expected).encode(), HTML)
        if token != expected:
            return Answer(b"Bad request\n", HTML, 400)
        return _redirect(f"https://guce.yahoo.com/copyConsent?sessionId={session}")

    def _crumb(self, request: web.BaseRequest) -> Answer:
        if self._sampler.occurs("corrupt_crumb"):
            return Answer(b"Too Many Requests\r\n", TEXT, 429)
        cookie = self._sessions.cookie_of(request.headers.get("Cookie", ""))
        if cookie is None:
            return _refusal(401, "Unauthorized", "Invalid Cookie")
        return Answer(self._sessions.crumb_for(cookie).encode(), TEXT)

    def _reject_unauthorized(self, request: web.BaseRequest) -> Answer | None:
        cookie = self._sessions.cookie_of(request.headers.get("Cookie", ""))
        if cookie is None:
            return _refusal(401, "Unauthorized", "Invalid Cookie")
        expected = self._sessions.crumb_for(cookie)
        if request.query.get("crumb") != expected or self._sampler.occurs("invalid_crumb"):
            return _refusal(401, "Unauthorized", "Invalid Crumb")
        return None

    def _quotes(self, request: web.BaseRequest) -> Answer:
        rejection = self._reject_unauthorized(request)
        if rejection is not None:
            return rejection
        if self._sampler.occurs("consent_loop"):
            return _redirect("https://guce.yahoo.com/consent")
        symbols = [word for word in request.query.get("symbols", "").upper().split(",") if word]
        if not symbols:
            return _refusal(400, "Bad Request", 'Missing value for the "symbols" argument')
        wanted = frozenset(word for word in request.query.get("fields", "").split(",") if word)
        if request.query.get("overnightPrice") != "true":
            wanted -= OVERNIGHT_FIELDS
        formatted = request.query.get("formatted") == "true"
        rendered = self._renderer.render(list(dict.fromkeys(symbols)), wanted, formatted)
        body = '{"quoteResponse":{"result":[' + ",".join(rendered.fragments) + '],"error":null}}'
        headers = {"Cache-Control": "public, max-age=1, stale-while-revalidate=9"}
        return Answer(body.encode(), headers=headers, quotes=rendered.quotes)

    def _chart(self, request: web.BaseRequest) -> Answer:
        symbol = unquote(request.path.removeprefix(CHART)).upper()
        try:
            made = chart(self._market, symbol, request.query, self._sampler.faults)
        except ChartError as error:
            failure = {"result": None, "error": {"code": error.code, "description": str(error)}}
            return Answer(json.dumps({"chart": failure}).encode(), status=error.status)
        for name in made.faults:
            self._sampler.affected(name)
        body = json.dumps({"chart": {"result": [made.result], "error": None}}, separators=(",", ":"))
        return Answer(body.encode(), headers={"Cache-Control": "public, max-age=10"}, chart=made.served)

    def _shares(self, request: web.BaseRequest) -> Answer:
        symbol = unquote(request.path.removeprefix(SHARES)).upper()
        instrument = self._market.instrument(symbol)
        result: dict[str, object] = {"meta": {"symbol": [symbol], "type": ["shares_out"]}}
        if instrument is not None:
            now = instrument.today.start
            result["timestamp"] = [now - _HALF_YEAR, now]
            result["shares_out"] = [instrument.listing.shares] * 2
        return Answer(json.dumps({"timeseries": {"result": [result], "error": None}}).encode())


def _refusal(status: int, code: str, description: str) -> Answer:
    error = {"finance": {"result": None, "error": {"code": code, "description": description}}}
    return Answer(json.dumps(error, separators=(",", ":")).encode(), status=status)


def _redirect(target: str, cookie: str | None = None) -> Answer:
    headers = {"Location": target} if cookie is None else {"Location": target, "Set-Cookie": cookie}
    return Answer(b"", HTML, 302, headers)
