"""A client of a demo market server in the test process."""

from __future__ import annotations

import json
import logging
import ssl
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from sp500tui.simulator.faults import TOKEN_HEADER
from sp500tui.simulator.http.server import MarketOptions, MarketServer

QUOTE = "https://query1.finance.yahoo.com/v7/finance/quote"
CHART = "https://query2.finance.yahoo.com/v8/finance/chart/"
CRUMB = "https://query1.finance.yahoo.com/v1/test/getcrumb"
PAGE = "https://en.wikipedia.org/wiki/List_of_S%26P_500_companies"
HONEST = {"User-Agent": "sp500tui-tests/1.0 (+https://example.org)"}
SYMBOLS = "AAPL,MSFT,BRK-B"


class Client:
    """A client with a cookie jar, configured only with the proxy and its certificate authority."""

    def __init__(self, server: MarketServer, session: aiohttp.ClientSession) -> None:
        self.server = server
        self.session = session
        self.proxy = f"http://127.0.0.1:{server.port}"
        self.context = ssl.create_default_context(cadata=server.certificate_pem.decode())
        self.crumb = ""

    async def sign_in(self) -> None:
        await self.get("https://fc.yahoo.com/")
        self.crumb = (await self.get(CRUMB))[1].decode()

    async def get(self, url: str, **options: Any) -> tuple[aiohttp.ClientResponse, bytes]:
        options.setdefault("method", "GET")
        method = options.pop("method")
        async with self.session.request(
            method, url, proxy=self.proxy, ssl=self.context, **options
        ) as response:
            return response, await response.read()

    async def quotes(self, symbols: str = SYMBOLS, **more: str) -> tuple[int, Any]:
        response, body = await self.get(QUOTE, params={"symbols": symbols, "crumb": self.crumb, **more})
        return response.status, json.loads(body, parse_float=Decimal)

    async def control(
        self, method: str, path: str, body: str | None = None, **headers: str
    ) -> tuple[int, Any]:
        headers = {TOKEN_HEADER: self.server.token, **headers}
        async with self.session.request(method, self.proxy + path, data=body, headers=headers) as response:
            return response.status, await response.json()


@pytest.fixture
def ledger_path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.jsonl"


@pytest.fixture
async def client(ledger_path: Path, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Client]:
    """An authenticated client of a separate server; the test fails if the server logs an error."""
    server = MarketServer(MarketOptions(seed=7, ledger=ledger_path))
    await server.start()
    async with aiohttp.ClientSession() as session:
        client = Client(server, session)
        await client.sign_in()
        yield client
    await server.close()
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


def refusal(description: str) -> dict[str, Any]:
    return {"finance": {"result": None, "error": {"code": "Unauthorized", "description": description}}}
