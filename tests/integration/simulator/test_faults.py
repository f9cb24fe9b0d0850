"""The faults of the demo market's server, set inside this process, and their effect on its ledger."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import aiohttp
import pytest

from sp500tui.simulator.faults import Faults
from sp500tui.simulator.stats import ServedQuote, read_served_quotes
from tests.support.market.client import CHART, CRUMB, HONEST, PAGE, QUOTE, SYMBOLS, Client, refusal


@pytest.mark.parametrize(("fault", "status"), [("down", 503), ("forbidden", 403), ("garbled", 200)])
async def test_faults_of_the_page_are_served(client: Client, fault: str, status: int) -> None:
    client.server.sampler.set(Faults(wikipedia=fault))
    response, body = await client.get(PAGE, headers=HONEST)
    assert response.status == status
    assert b'id="constituents"' not in body


async def test_throttling_has_a_retry_after_if_configured(client: Client) -> None:
    client.server.sampler.set(Faults(throttle=1))
    response, body = await client.get(QUOTE)
    assert (response.status, body) == (429, b"Edge: Too Many Requests")
    assert "Retry-After" not in response.headers
    client.server.sampler.set(Faults(throttle=1, retry_after=7))
    assert (await client.get(CHART + "AAPL"))[0].headers["Retry-After"] == "7"


async def test_a_corrupt_crumb_and_an_expired_one(client: Client) -> None:
    client.server.sampler.set(Faults(corrupt_crumb=1, invalid_crumb=1))
    response, body = await client.get(CRUMB)
    assert (response.status, body) == (429, b"Too Many Requests\r\n")
    assert await client.quotes() == (401, refusal("Invalid Crumb"))


async def test_server_errors_are_of_several_kinds(client: Client) -> None:
    client.server.sampler.set(Faults(server_error=1))
    assert {(await client.get(QUOTE))[0].status for _ in range(30)} == {500, 502, 503}


async def test_html_and_garbage_come_with_status_200(client: Client) -> None:
    for fault, start in (("html", b"<!DOCTYPE html>"), ("garbage", b'{"quoteResponse"')):
        client.server.sampler.set(Faults.parse({fault: 1}))
        response, body = await client.get(QUOTE, params={"symbols": SYMBOLS, "crumb": client.crumb})
        assert response.status == 200
        assert body.startswith(start)
        with pytest.raises(ValueError):
            json.loads(body)


@pytest.mark.parametrize("fault", ["drop", "truncated_body"])
async def test_a_dropped_connection_is_a_connection_error(
    client: Client, fault: str, ledger_path: Path
) -> None:
    # given connections that break
    client.server.sampler.set(Faults.parse({fault: 1}))
    with pytest.raises(aiohttp.ClientError):
        await client.quotes()

    # then nothing counts as served, and the next request succeeds
    assert read_served_quotes(ledger_path) == []
    client.server.sampler.set(Faults())
    assert (await client.quotes())[0] == 200


async def test_a_slow_body_is_complete(client: Client, ledger_path: Path) -> None:
    client.server.sampler.set(Faults(slow_body=1, slow_body_seconds=0.4))
    start = time.monotonic()
    status, body = await client.quotes()
    assert time.monotonic() - start >= 0.39
    assert status == 200
    assert len(body["quoteResponse"]["result"]) == len(read_served_quotes(ledger_path)) == 3


async def test_latency_delays_every_answer(client: Client) -> None:
    client.server.sampler.set(Faults(latency=0.15))
    for request in (client.quotes(), client.get(PAGE, headers=HONEST), client.get(CRUMB)):
        start = time.monotonic()
        await request
        assert time.monotonic() - start >= 0.15


async def test_a_client_that_timed_out_was_served_nothing(client: Client, ledger_path: Path) -> None:
    # given a client whose time-out is shorter than the response time
    client.server.sampler.set(Faults(latency=0.3))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await client.quotes()

    # when a later one has received its response
    await client.quotes("NVDA")

    # then only that one is in the ledger
    assert {quote.symbol for quote in read_served_quotes(ledger_path)} == {"NVDA"}


async def test_a_nan_is_printed_as_the_bare_word(client: Client) -> None:
    client.server.sampler.set(Faults(nan_price=1))
    _, text = await client.get(QUOTE, params={"symbols": "AAPL", "crumb": client.crumb})
    assert b'"regularMarketPrice":NaN' in text


async def test_the_ledger_has_what_the_client_received(client: Client, ledger_path: Path) -> None:
    # given many answers, some of them with faulty quotes
    client.server.sampler.set(Faults(missing_symbol=0.2, stale=0.2, null_price=0.2, unrequested_symbols=0.5))
    asked = {"AAPL": "AAPL", "MSFT": "MSFT", "BRK-B": "BRK.B", "NVDA": "NVDA"}
    received = []
    for _ in range(25):
        _, body = await client.quotes(",".join(asked))
        for quote in body["quoteResponse"]["result"]:
            if quote["symbol"] in asked and quote["regularMarketPrice"] is not None:
                price = str(quote["regularMarketPrice"])
                received.append(ServedQuote(asked[quote["symbol"]], quote["regularMarketTime"], price))

    # then the ledger has the same, in the same order, digit for digit
    assert len(received) > 20
    assert read_served_quotes(ledger_path) == received


async def test_faults_are_counted_and_limited(client: Client) -> None:
    client.server.sampler.set(Faults(throttle=1, limits={"throttle": 2}))
    statuses = [(await client.get(QUOTE))[0].status for _ in range(3)]
    assert statuses == [429, 429, 401]
    _, report = await client.control("GET", "/statistics")
    assert report["faults"] == {"throttle": 2}
    assert report["statuses"]["429"] == 2
    assert report["requests"]["quote"] == 3
    assert report["connections"] >= 2


async def test_faults_can_be_set_read_and_cleared_at_run_time(client: Client) -> None:
    assert (await client.control("POST", "/faults", '{"throttle": 1}'))[0] == 200
    assert (await client.control("GET", "/faults"))[1]["throttle"] == 1
    assert (await client.get(QUOTE))[0].status == 429
    assert (await client.control("POST", "/faults", "{}"))[0] == 200
    assert (await client.quotes())[0] == 200


@pytest.mark.parametrize("body", ["", "[]", "{", '{"thottle": 1}', '{"throttle": 2}', '"x"', "\ud800"])
async def test_impossible_faults_change_nothing(client: Client, body: str) -> None:
    before = client.server.sampler.faults
    status, answer = await client.control(
        "POST", "/faults", body.encode("utf-8", "surrogatepass").decode("latin-1")
    )
    assert status == 400
    assert answer["error"]
    assert client.server.sampler.faults is before
