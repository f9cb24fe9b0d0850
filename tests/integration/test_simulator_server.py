"""The demo market's server inside this process: proxy, endpoints, faults, ledger and control."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import ssl
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from sp500tui.domain import ConfigurationError
from sp500tui.simulator.faults import TOKEN_HEADER, Faults
from sp500tui.simulator.ledger import HandedOut, read_ledger
from sp500tui.simulator.server import MarketOptions, MarketServer

QUOTE = "https://query1.finance.yahoo.com/v7/finance/quote"
CHART = "https://query2.finance.yahoo.com/v8/finance/chart/"
CRUMB = "https://query1.finance.yahoo.com/v1/test/getcrumb"
PAGE = "https://en.wikipedia.org/wiki/List_of_S%26P_500_companies"
HONEST = {"User-Agent": "sp500tui-tests/1.0 (+https://example.org)"}
SYMBOLS = "AAPL,MSFT,BRK-B"


class Client:
    """A client with a cookie jar that knows the proxy and its authority, and nothing else."""

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
    """A signed-in client of a server of its own; nothing the test does may end in a logged error."""
    server = MarketServer(MarketOptions(seed=7, ledger=ledger_path))
    await server.start()
    async with aiohttp.ClientSession() as session:
        client = Client(server, session)
        await client.sign_in()
        yield client
    await server.close()
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_quotes_are_answered_by_symbol_and_unknown_ones_left_out(client: Client) -> None:
    # when a batch is asked for with a name that does not exist and a currency pair
    status, body = await client.quotes(SYMBOLS + ",NOPE1,USDDKK=X,MSFT")

    # then each known one is there once, the pair under Yahoo's own name
    assert status == 200
    assert body["quoteResponse"]["error"] is None
    assert [quote["symbol"] for quote in body["quoteResponse"]["result"]] == [
        "AAPL",
        "MSFT",
        "BRK-B",
        "DKK=X",
    ]


async def test_the_quote_times_are_now(client: Client) -> None:
    _, body = await client.quotes()
    ages = [time.time() - float(quote["regularMarketTime"]) for quote in body["quoteResponse"]["result"]]
    assert all(0 <= age < 30 for age in ages)


async def test_fields_and_formatted_are_honoured(client: Client) -> None:
    _, few = await client.quotes("AAPL", fields="currency", formatted="false")
    _, many = await client.quotes("AAPL", formatted="true")
    assert "longName" not in few["quoteResponse"]["result"][0]
    assert few["quoteResponse"]["result"][0]["currency"] == "USD"
    assert set(many["quoteResponse"]["result"][0]["regularMarketPrice"]) == {"raw", "fmt"}


async def test_a_wrong_crumb_and_a_missing_cookie_are_refused(client: Client) -> None:
    crumb, client.crumb = client.crumb, "wrong"
    assert await client.quotes() == (401, refusal("Invalid Crumb"))
    client.session.cookie_jar.clear()
    client.crumb = crumb
    assert await client.quotes() == (401, refusal("Invalid Cookie"))
    assert (await client.get(CRUMB))[0].status == 401


def refusal(description: str) -> dict[str, Any]:
    return {"finance": {"result": None, "error": {"code": "Unauthorized", "description": description}}}


async def test_a_request_without_symbols_is_bad(client: Client) -> None:
    status, body = await client.quotes("")
    assert status == 400
    assert body["finance"]["error"]["code"] == "Bad Request"


async def test_the_consent_chain_ends_with_a_cookie_and_a_crumb(client: Client) -> None:
    # given a client without any cookie
    client.session.cookie_jar.clear()

    # when it follows the way to the form and sends it back
    response, page = await client.get("https://guce.yahoo.com/consent")
    assert response.url.host == "consent.yahoo.com"
    inputs = re.findall(r'name="(\w+)" value="([^"]*)"', page.decode())
    form = {name: value for name, value in inputs if name != "reject"}
    done, _ = await client.get(str(response.url), method="POST", data=form)

    # then it arrives at Yahoo Finance with a cookie that earns a crumb
    assert str(done.url) == "https://finance.yahoo.com/"
    crumb, body = await client.get("https://query2.finance.yahoo.com/v1/test/getcrumb")
    assert crumb.status == 200
    client.crumb = body.decode()
    assert (await client.quotes())[0] == 200


async def test_a_consent_without_its_token_earns_nothing(client: Client) -> None:
    url = "https://consent.yahoo.com/v2/collectConsent?sessionId=3_cc-session_1"
    assert (await client.get(url, method="POST", data={"csrfToken": "guessed"}))[0].status == 400
    assert (await client.get("https://consent.yahoo.com/elsewhere"))[0].status == 404
    assert (await client.get("https://consent.yahoo.com/v2/collectConsent?sessionId=<b>"))[0].status == 404


async def test_charts_and_share_counts(client: Client) -> None:
    # given a chart, one of a pair with an escaped name, a dead one, an impossible one, and shares
    good = json.loads((await client.get(CHART + "AAPL", params={"range": "5d"}))[1])
    pair = json.loads((await client.get(CHART + "DKK%3DX"))[1])
    dead, body = await client.get(CHART + "NOPE1")
    impossible = (await client.get(CHART + "AAPL", params={"interval": "7m"}))[0]
    base = "https://query2.finance.yahoo.com/ws/fundamentals-timeseries/v1/finance/timeseries/"
    shares = json.loads((await client.get(base + "AAPL"))[1])["timeseries"]["result"][0]
    none = json.loads((await client.get(base + "NOPE1"))[1])["timeseries"]["result"][0]

    # then each is answered as Yahoo does
    assert len(good["chart"]["result"][0]["timestamp"]) == 5
    assert pair["chart"]["result"][0]["meta"]["symbol"] == "DKK=X"
    assert dead.status == 404
    assert json.loads(body)["chart"]["error"]["code"] == "Not Found"
    assert impossible.status == 422
    assert len(shares["shares_out"]) == len(shares["timestamp"]) == 2
    assert "shares_out" not in none


async def test_an_unknown_path_is_not_found(client: Client) -> None:
    assert (await client.get("https://query1.finance.yahoo.com/v1/elsewhere"))[0].status == 404
    assert (await client.get("https://en.wikipedia.org/wiki/Elsewhere", headers=HONEST))[0].status == 404
    assert (await client.get("https://streamer.finance.yahoo.com/"))[0].status == 426


async def test_wikipedia_answers_an_unchanged_page_with_304(client: Client) -> None:
    # given the page and its validators
    response, page = await client.get(PAGE, headers=HONEST)
    assert response.status == 200
    assert page.count(b"<tr>") > 503
    by_tag = {**HONEST, "If-None-Match": response.headers["ETag"]}
    by_date = {**HONEST, "If-Modified-Since": response.headers["Last-Modified"]}

    # then either of them is answered shortly, and another one with the page
    for headers in (by_tag, by_date):
        unchanged, nothing = await client.get(PAGE, headers=headers)
        assert (unchanged.status, nothing) == (304, b"")
        assert unchanged.headers["ETag"] == response.headers["ETag"]
    assert (await client.get(PAGE, headers={**HONEST, "If-None-Match": '"other"'}))[0].status == 200


@pytest.mark.parametrize("agent", ["", "python-requests/2.34.2", "curl/7.88.1", "Python/3.11 aiohttp/3.14"])
async def test_wikipedia_refuses_who_does_not_say_who_asks(client: Client, agent: str) -> None:
    response, body = await client.get(PAGE, headers={"User-Agent": agent})
    assert response.status == 403
    assert b"robot policy" in body


@pytest.mark.parametrize(("fault", "status"), [("down", 503), ("forbidden", 403), ("garbled", 200)])
async def test_wikipedia_can_fail(client: Client, fault: str, status: int) -> None:
    client.server.dice.set(Faults(wikipedia=fault))
    response, body = await client.get(PAGE, headers=HONEST)
    assert response.status == status
    assert b'id="constituents"' not in body


async def test_throttling_shows_with_and_without_retry_after(client: Client) -> None:
    client.server.dice.set(Faults(throttle=1))
    response, body = await client.get(QUOTE)
    assert (response.status, body) == (429, b"Edge: Too Many Requests")
    assert "Retry-After" not in response.headers
    client.server.dice.set(Faults(throttle=1, retry_after=7))
    assert (await client.get(CHART + "AAPL"))[0].headers["Retry-After"] == "7"


async def test_a_poisoned_crumb_and_an_expired_one(client: Client) -> None:
    client.server.dice.set(Faults(poisoned_crumb=1, invalid_crumb=1))
    response, body = await client.get(CRUMB)
    assert (response.status, body) == (429, b"Too Many Requests\r\n")
    assert await client.quotes() == (401, refusal("Invalid Crumb"))


async def test_server_errors_are_of_several_kinds(client: Client) -> None:
    client.server.dice.set(Faults(server_error=1))
    assert {(await client.get(QUOTE))[0].status for _ in range(30)} == {500, 502, 503}


async def test_html_and_garbage_come_with_status_200(client: Client) -> None:
    for fault, start in (("html", b"<!DOCTYPE html>"), ("garbage", b'{"quoteResponse"')):
        client.server.dice.set(Faults.parse({fault: 1}))
        response, body = await client.get(QUOTE, params={"symbols": SYMBOLS, "crumb": client.crumb})
        assert response.status == 200
        assert body.startswith(start)
        with pytest.raises(ValueError):
            json.loads(body)


@pytest.mark.parametrize("fault", ["drop", "half_body"])
async def test_a_cut_connection_is_seen_as_one(client: Client, fault: str, ledger_path: Path) -> None:
    # given connections that break
    client.server.dice.set(Faults.parse({fault: 1}))
    with pytest.raises(aiohttp.ClientError):
        await client.quotes()

    # then nothing counts as handed out, and the next request works again
    assert read_ledger(ledger_path) == []
    client.server.dice.set(Faults())
    assert (await client.quotes())[0] == 200


async def test_a_dripping_answer_takes_its_time_and_is_whole(client: Client, ledger_path: Path) -> None:
    client.server.dice.set(Faults(drip=1, drip_seconds=0.4))
    start = time.monotonic()
    status, body = await client.quotes()
    assert time.monotonic() - start >= 0.39
    assert status == 200
    assert len(body["quoteResponse"]["result"]) == len(read_ledger(ledger_path)) == 3


async def test_latency_delays_every_answer(client: Client) -> None:
    client.server.dice.set(Faults(latency=0.15))
    for request in (client.quotes(), client.get(PAGE, headers=HONEST), client.get(CRUMB)):
        start = time.monotonic()
        await request
        assert time.monotonic() - start >= 0.15


async def test_who_gave_up_waiting_was_handed_nothing(client: Client, ledger_path: Path) -> None:
    # given a client that waits for a shorter time than the answer takes
    client.server.dice.set(Faults(latency=0.3))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await client.quotes()

    # when a later one got its answer
    await client.quotes("NVDA")

    # then only that one is in the ledger
    assert {quote.symbol for quote in read_ledger(ledger_path)} == {"NVDA"}


async def test_a_nan_is_printed_as_json_does_not_know_it(client: Client) -> None:
    client.server.dice.set(Faults(nan_price=1))
    _, text = await client.get(QUOTE, params={"symbols": "AAPL", "crumb": client.crumb})
    assert b'"regularMarketPrice":NaN' in text


async def test_the_ledger_has_what_the_client_received(client: Client, ledger_path: Path) -> None:
    # given many answers, some of them with faulty quotes
    client.server.dice.set(Faults(missing_symbol=0.2, stale=0.2, null_price=0.2, other_symbols=0.5))
    asked = {"AAPL": "AAPL", "MSFT": "MSFT", "BRK-B": "BRK.B", "NVDA": "NVDA"}
    received = []
    for _ in range(25):
        _, body = await client.quotes(",".join(asked))
        for quote in body["quoteResponse"]["result"]:
            if quote["symbol"] in asked and quote["regularMarketPrice"] is not None:
                price = str(quote["regularMarketPrice"])
                received.append(HandedOut(asked[quote["symbol"]], quote["regularMarketTime"], price))

    # then the ledger says the same, in the same order, digit for digit
    assert len(received) > 20
    assert read_ledger(ledger_path) == received


async def test_faults_are_counted_and_limited(client: Client) -> None:
    client.server.dice.set(Faults(throttle=1, limits={"throttle": 2}))
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
    before = client.server.dice.faults
    status, answer = await client.control(
        "POST", "/faults", body.encode("utf-8", "surrogatepass").decode("latin-1")
    )
    assert status == 400
    assert answer["error"]
    assert client.server.dice.faults is before


async def test_the_control_endpoint_asks_for_the_token_and_the_right_address(client: Client) -> None:
    # given a page in a browser, which has no token, or a name that leads to this machine
    for method, path in (("GET", "/faults"), ("POST", "/faults"), ("GET", "/statistics")):
        assert (await client.control(method, path, **{TOKEN_HEADER: "guessed"}))[0] == 403
    assert (await client.control("GET", "/health", Host="rebound.example.org:80"))[0] == 403

    # then only the health is told without, and what does not exist is not found
    status, health = await client.control("GET", "/health", **{TOKEN_HEADER: ""})
    assert (status, health["market_state"], health["next_state"]) == (200, "REGULAR", "POST")
    assert health["next_change"] > time.time()
    assert (await client.control("GET", "/elsewhere"))[0] == 404
    assert (await client.control("POST", "/faults", " " * 70_000))[0] == 413


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        (b"CONNECT example.org:443 HTTP/1.1\r\n\r\n", b"403"),
        (b"CONNECT query1.finance.yahoo.com:80 HTTP/1.1\r\n\r\n", b"403"),
        (b"CONNECT 127.0.0.1:443 HTTP/1.1\r\n\r\n", b"403"),
        (b"GET http://en.wikipedia.org/ HTTP/1.1\r\n\r\n", b"403"),
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET /" + b"x" * 20_000, b"431"),
    ],
)
async def test_nothing_is_relayed_to_the_outside(client: Client, request_head: bytes, status: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", client.server.port)
    writer.write(request_head)
    answer = await asyncio.wait_for(reader.read(), 5)
    assert answer.startswith(b"HTTP/1.1 " + status)
    writer.close()
    assert client.server.tally.report()["refused"] == 1


async def test_who_does_not_trust_the_authority_gets_no_further(client: Client) -> None:
    with pytest.raises(aiohttp.ClientConnectorCertificateError):
        async with client.session.get(QUOTE, proxy=client.proxy, ssl=ssl.create_default_context()):
            pass
    deadline = time.monotonic() + 5
    while not client.server.tally.report()["tls_refused"] and time.monotonic() < deadline:
        await asyncio.sleep(0.01)
    assert client.server.tally.report()["tls_refused"] == 1


async def test_the_authority_has_no_key_to_lose(client: Client) -> None:
    pem = client.server.certificate_pem
    assert pem.count(b"BEGIN CERTIFICATE") == 1
    assert b"PRIVATE" not in pem


async def test_a_port_in_use_is_one_line(client: Client) -> None:
    server = MarketServer(MarketOptions(port=client.server.port))
    words = rf"^cannot listen on 127\.0\.0\.1:{client.server.port}: Address already in use; [^:]*--port"
    with pytest.raises(ConfigurationError, match=words):
        await server.start()
    await server.close()


async def test_the_stream_sends_what_was_subscribed_to(client: Client) -> None:
    # given a subscription to two shares, one of which is cancelled again
    url = "wss://streamer.finance.yahoo.com/?version=2"
    async with client.session.ws_connect(url, proxy=client.proxy, ssl=client.context) as socket:
        await socket.send_str("no JSON")
        await socket.send_str("[1]")
        await socket.send_str('{"subscribe": 1}')
        await socket.send_json({"subscribe": ["NVDA", "AAPL", "NOPE1"]})
        await socket.send_json({"unsubscribe": ["AAPL"]})

        # then its trades arrive as they happen
        frames = [await socket.receive_json(timeout=10) for _ in range(2)]
    assert {frame["type"] for frame in frames} == {"pricing"}
    assert all(frame["message"] for frame in frames)


async def test_the_older_stream_sends_bare_frames(client: Client) -> None:
    async with client.session.ws_connect(
        "wss://streamer.finance.yahoo.com/", proxy=client.proxy, ssl=client.context
    ) as socket:
        await socket.send_json({"subscribe": ["NVDA"]})
        assert re.fullmatch(r"[A-Za-z0-9+/=]+", await socket.receive_str(timeout=10))
