"""The demo market's server inside this process: proxy, endpoints, faults, ledger and control."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import time

import aiohttp
import pytest

from sp500tui.errors import ConfigurationError
from sp500tui.simulator.faults import TOKEN_HEADER
from sp500tui.simulator.http.server import MarketOptions, MarketServer
from tests.support.market.client import CHART, CRUMB, HONEST, PAGE, QUOTE, SYMBOLS, Client, refusal


async def test_quotes_are_answered_by_symbol_and_unknown_ones_left_out(client: Client) -> None:
    # when a batch is requested with a name that does not exist and a currency pair
    status, body = await client.quotes(SYMBOLS + ",NOPE1,USDDKK=X,MSFT")

    # then each known one is included once, the pair under Yahoo's name
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


async def test_a_request_without_symbols_is_bad(client: Client) -> None:
    status, body = await client.quotes("")
    assert status == 400
    assert body["finance"]["error"]["code"] == "Bad Request"


async def test_the_consent_chain_ends_with_a_cookie_and_a_crumb(client: Client) -> None:
    # given a client without any cookie
    client.session.cookie_jar.clear()

    # when it follows the redirects to the form and submits it
    response, page = await client.get("https://guce.yahoo.com/consent")
    assert response.url.host == "consent.yahoo.com"
    inputs = re.findall(r'name="(\w+)" value="([^"]*)"', page.decode())
    form = {name: value for name, value in inputs if name != "reject"}
    done, _ = await client.get(str(response.url), method="POST", data=form)

    # then it is redirected to Yahoo Finance with a cookie that is valid for a crumb
    assert str(done.url) == "https://finance.yahoo.com/"
    crumb, body = await client.get("https://query2.finance.yahoo.com/v1/test/getcrumb")
    assert crumb.status == 200
    client.crumb = body.decode()
    assert (await client.quotes())[0] == 200


async def test_a_consent_without_its_token_is_refused(client: Client) -> None:
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

    # then each response is like Yahoo's
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

    # then each of them gets a 304 without a body, and a different one the page
    for headers in (by_tag, by_date):
        unchanged, nothing = await client.get(PAGE, headers=headers)
        assert (unchanged.status, nothing) == (304, b"")
        assert unchanged.headers["ETag"] == response.headers["ETag"]
    assert (await client.get(PAGE, headers={**HONEST, "If-None-Match": '"other"'}))[0].status == 200


@pytest.mark.parametrize("agent", ["", "python-requests/2.34.2", "curl/7.88.1", "Python/3.11 aiohttp/3.14"])
async def test_a_request_without_a_user_agent_is_refused(client: Client, agent: str) -> None:
    response, body = await client.get(PAGE, headers={"User-Agent": agent})
    assert response.status == 403
    assert b"robot policy" in body


async def test_the_control_endpoint_requires_the_token_and_the_right_address(client: Client) -> None:
    # given a page in a browser, which has no token, or a name that resolves to this machine
    for method, path in (("GET", "/faults"), ("POST", "/faults"), ("GET", "/statistics")):
        assert (await client.control(method, path, **{TOKEN_HEADER: "guessed"}))[0] == 403
    assert (await client.control("GET", "/health", Host="rebound.example.org:80"))[0] == 403

    # then only the health endpoint responds without a token, and unknown paths are not found
    status, health = await client.control("GET", "/health", **{TOKEN_HEADER: ""})
    assert (status, health["market_state"], health["next_state"]) == (200, "REGULAR", "POST")
    assert health["next_change"] > time.time()
    assert (await client.control("GET", "/elsewhere"))[0] == 404
    _, faults = await client.control("POST", "/faults", '{"drip": 0.5}')
    assert (faults["slow_body"], faults["warnings"]) == (
        0.5,
        ["the fault drip is now named slow_body; use the new name"],
    )
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
    answer = await asyncio.wait_for(reader.read(), 30)
    assert answer.startswith(b"HTTP/1.1 " + status)
    writer.close()
    assert client.server.statistics.report()["refused"] == 1


async def test_a_client_that_does_not_trust_the_authority_is_refused(client: Client) -> None:
    with pytest.raises(aiohttp.ClientConnectorCertificateError):
        async with client.session.get(QUOTE, proxy=client.proxy, ssl=ssl.create_default_context()):
            pass
    deadline = time.monotonic() + 30
    while not client.server.statistics.report()["tls_refused"] and time.monotonic() < deadline:
        await asyncio.sleep(0.01)
    assert client.server.statistics.report()["tls_refused"] == 1


async def test_the_certificate_file_holds_no_private_key(client: Client) -> None:
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

        # then its trades arrive when they occur
        frames = [await socket.receive_json(timeout=10) for _ in range(2)]
    assert {frame["type"] for frame in frames} == {"pricing"}
    assert all(frame["message"] for frame in frames)


async def test_the_older_stream_sends_bare_frames(client: Client) -> None:
    async with client.session.ws_connect(
        "wss://streamer.finance.yahoo.com/", proxy=client.proxy, ssl=client.context
    ) as socket:
        await socket.send_json({"subscribe": ["NVDA"]})
        assert re.fullmatch(r"[A-Za-z0-9+/=]+", await socket.receive_str(timeout=10))
