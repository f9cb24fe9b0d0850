"""The session under yfinance checks every response and limits the requests of one query."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from curl_cffi import CurlECode
from curl_cffi.requests import Response, Session
from curl_cffi.requests import exceptions as curl
from curl_cffi.requests.headers import Headers

from sp500tui.errors import ChartRefusedError, Refusal, SourceError, ThrottledError
from sp500tui.sources.throttle import CircuitState, Throttle
from sp500tui.sources.yahoo.session import ThrottledSession, connection_error_message, is_throttling
from tests.support.market.recordings import RECORDINGS

QUOTE = "https://query1.finance.yahoo.com/v7/finance/quote"
CRUMB = "https://query1.finance.yahoo.com/v1/test/getcrumb"
CHART = "https://query1.finance.yahoo.com/v8/finance/chart/ZQA"
COOKIE = "https://fc.yahoo.com"


def response(status: int = 200, content: bytes = b"{}", **headers: str) -> Response:
    made = Response()
    made.status_code, made.content = status, content
    made.headers = Headers({name.replace("_", "-"): value for name, value in headers.items()})
    return made


class Net:
    """A fake curl: returns prepared responses and records the requests."""

    def __init__(self) -> None:
        self.answer: Callable[[], Response] = response
        self.sent: list[dict[str, Any]] = []

    def __call__(self, _session: object, method: str, url: str, **options: Any) -> Response:
        self.sent.append({"method": method, "url": url, **options})
        return self.answer()


@pytest.fixture
def net(monkeypatch: pytest.MonkeyPatch) -> Net:
    stand_in = Net()
    monkeypatch.setattr(Session, "request", lambda *args, **options: stand_in(*args, **options))
    return stand_in


@pytest.fixture
def gate() -> Throttle:
    return Throttle(1000, burst=100, jitter=lambda: 1.0)


class Ticks:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def ticks() -> Ticks:
    return Ticks()


@pytest.fixture
def session(gate: Throttle, ticks: Ticks) -> Iterator[ThrottledSession]:
    made = ThrottledSession(
        gate,
        timeout=5,
        cancelled=lambda: False,
        now=lambda: datetime(2026, 5, 4, tzinfo=UTC),
        proxy="http://127.0.0.1:1",
        ca_file=None,
        monotonic=ticks,
    )
    made.start_query()
    yield made
    made.close()


def raising(error: Exception) -> Callable[[], Response]:
    def answer() -> Response:
        raise error

    return answer


def test_every_request_passes_the_gate_with_a_time_limit(
    net: Net, session: ThrottledSession, gate: Throttle
) -> None:
    session.get(QUOTE, timeout=30)
    session.post(QUOTE)
    assert gate.state().requests == 2
    assert all(0 < sent["timeout"] <= 5 for sent in net.sent)
    assert session.verify


@pytest.mark.parametrize(
    ("answer", "url", "wait"),
    [
        (response(429), QUOTE, 4),
        (response(429, Retry_After="40"), QUOTE, 40),
        (response(429, Retry_After="Mon, 04 May 2026 00:00:50 GMT"), QUOTE, 50),
        (response(503, Retry_After="20"), QUOTE, 20),
        (response(429), COOKIE, 4),
        (response(200, b"Too Many Requests\r\n"), CRUMB, 4),
        (response(200, b"Too Many Requests\r\n"), QUOTE, 4),
        (response(200, b"Edge: Too Many Requests"), COOKIE, 4),
        (response(200, b"too many requests", Retry_After="30"), QUOTE, 30),
        (response(200, b"<html><head><title>429 Too Many Requests</title></head></html>"), QUOTE, 4),
        (response(403, b"<!DOCTYPE html><h1>Access Denied</h1>"), QUOTE, 4),
        (response(403, b"Your request has been denied because of unusual traffic."), QUOTE, 4),
        (response(500, b"<html>Rate limit exceeded"), QUOTE, 4),
        (response(999, b"<html>Sorry, Unable to process request at this time -- error 999."), QUOTE, 4),
        (response(999, b""), CRUMB, 4),
        (response(200, b'{"finance":{"result":null,"error":{"code":"Too Many Requests"}}}'), QUOTE, 4),
        (response(401, b'{"finance":{"error":{"code":"x","description":"Rate-limit hit"}}}'), QUOTE, 4),
        (response(403, b'{"message":"Too many requests, slow down"}'), QUOTE, 4),
    ],
)
def test_a_request_to_slow_down_opens_the_circuit_and_yfinance_gets_no_second_try(
    net: Net, session: ThrottledSession, gate: Throttle, answer: Response, url: str, wait: float
) -> None:
    net.answer = lambda: answer
    with pytest.raises(ThrottledError) as caught:
        session.get(url)
    assert caught.value.retry_after == pytest.approx(wait, abs=0.5)
    with pytest.raises(ThrottledError):
        session.get(url)
    assert len(net.sent) == 1
    assert gate.state().circuit is CircuitState.OPEN
    assert session.crumb_suspect == (url == CRUMB)


def test_recorded_refusals_are_distinguished_from_other_errors() -> None:
    bodies = json.loads((RECORDINGS / "yahoo/error_bodies.json").read_text())
    refusals = {
        name
        for name, each in bodies.items()
        if is_throttling(
            each["status"],
            None,
            (each["body"] if isinstance(each["body"], str) else json.dumps(each["body"])).encode(),
        )
    }
    assert refusals == {"quote_429_json", "edge_429", "text_200", "page_999", "page_403"}


@pytest.mark.parametrize(
    "body",
    [
        b'{"quoteResponse":{"result":[{"symbol":"A","longName":"Too Many Requests Inc"}],"error":null}}',
        b'{"quoteResponse":{"result":[{"symbol":"A","longName":"Rate Limit Corp"}],"err',
        b'{"chart":{"result":[{"meta":{"longName":"Access Denied"}}],"error":null}}',
    ],
)
def test_a_company_named_like_a_refusal_is_not_a_refusal(
    net: Net, session: ThrottledSession, gate: Throttle, body: bytes
) -> None:
    net.answer = lambda: response(200, body)
    assert session.get(QUOTE).content == body
    assert gate.state().throttled == 0


def test_every_redirect_counts_as_a_request(net: Net, session: ThrottledSession, gate: Throttle) -> None:
    def redirected() -> Response:
        made = response()
        made.redirect_count = 5
        return made

    net.answer = redirected
    session.get(QUOTE)
    session.get(QUOTE)
    assert [sent["max_redirects"] for sent in net.sent] == [5, 5]
    assert gate.state().requests == 12
    with pytest.raises(SourceError, match="refuses every cookie and crumb"):
        session.get(QUOTE)


def test_the_last_requests_of_a_fetch_are_not_redirected_further(net: Net, session: ThrottledSession) -> None:
    for _ in range(10):
        session.get(QUOTE)
    net.answer = raising(curl.TooManyRedirects("47"))
    with pytest.raises(SourceError, match="redirects in a loop"):
        session.get(QUOTE)
    assert net.sent[-1]["max_redirects"] == 1


def test_consent_is_given_once_for_each_fetch(net: Net, session: ThrottledSession, gate: Throttle) -> None:
    form = "https://consent.yahoo.com/v2/collectConsent?sessionId=1"
    session.post(form)
    with pytest.raises(ThrottledError, match="requires cookie consent again after it was given"):
        session.post(form)
    assert len(net.sent) == 1
    assert gate.state().circuit is CircuitState.OPEN
    session.start_query()
    with pytest.raises(ThrottledError):
        session.get(QUOTE)


@pytest.mark.parametrize(
    ("status", "content", "words"),
    [
        (500, b"", "Yahoo Finance answered 500 (query1.finance.yahoo.com)"),
        (503, b"<html>", "Yahoo Finance answered 503 (query1.finance.yahoo.com)"),
        (
            404,
            b'{"chart":{"error":{"description":"No\\n data"}}}',
            "answered 404 (query1.finance.yahoo.com): No data",
        ),
        (400, b'{"finance":{"error":{"code":"Bad"}}}', "answered 400 (query1.finance.yahoo.com): Bad"),
    ],
)
def test_permanent_failures_are_not_retried(
    net: Net, session: ThrottledSession, status: int, content: bytes, words: str
) -> None:
    net.answer = lambda: response(status, content)
    with pytest.raises(SourceError) as caught:
        session.get(QUOTE)
    assert str(caught.value).endswith(words)


@pytest.mark.parametrize(
    ("name", "refusal"),
    [
        ("chart_404", Refusal.UNKNOWN_SYMBOL),
        ("chart_422_old", Refusal.WINDOW),
        ("chart_400_before", Refusal.NO_DATA),
    ],
)
def test_a_refused_chart_is_no_failure_of_the_service(
    net: Net, session: ThrottledSession, name: str, refusal: Refusal
) -> None:
    each = json.loads((RECORDINGS / "yahoo/error_bodies.json").read_text())[name]
    net.answer = lambda: response(each["status"], json.dumps(each["body"]).encode())
    with pytest.raises(ChartRefusedError, match=f"answered {each['status']}") as caught:
        session.get(CHART)
    assert caught.value.refusal is refusal
    assert caught.value.description == each["body"]["chart"]["error"]["description"]
    with pytest.raises(SourceError) as other:
        session.get(QUOTE)
    assert not isinstance(other.value, ChartRefusedError)


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (404, b"<html>"),
        (500, b'{"chart":{"error":{"code":"Internal Server Error"}}}'),
        (404, b"{}"),
        (422, b""),
    ],
)
def test_a_chart_service_that_fails_is_no_refusal(
    net: Net, session: ThrottledSession, status: int, content: bytes
) -> None:
    net.answer = lambda: response(status, content)
    with pytest.raises(SourceError) as caught:
        session.get(CHART)
    assert not isinstance(caught.value, ChartRefusedError)


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_goes_to_yfinance_which_makes_a_new_crumb(
    net: Net, session: ThrottledSession, status: int
) -> None:
    net.answer = lambda: response(status)
    assert session.get(QUOTE).status_code == status
    assert session.crumb_suspect


def test_the_cookie_may_come_with_any_status(net: Net, session: ThrottledSession) -> None:
    net.answer = lambda: response(404)
    assert session.get(COOKIE).status_code == 404
    net.answer = raising(curl.DNSError("blocked"))
    with pytest.raises(curl.DNSError):
        session.get(COOKIE)


@pytest.mark.parametrize(
    "error",
    [
        curl.ProxyError("CONNECT tunnel failed, response 403"),
        curl.TooManyRedirects("47"),
        curl.CertificateVerifyError("60"),
        curl.ReadTimeout("28"),
    ],
)
def test_a_blocked_cookie_host_makes_yfinance_use_its_other_strategy(
    net: Net, session: ThrottledSession, error: curl.RequestException
) -> None:
    net.answer = raising(error)
    with pytest.raises(curl.DNSError):
        session.get(COOKIE)


def test_a_proxy_that_refuses_the_credentials_ends_the_fetch_at_once(
    net: Net, session: ThrottledSession
) -> None:
    net.answer = raising(curl.ProxyError("CONNECT tunnel failed, response 407"))
    with pytest.raises(SourceError, match="the proxy refused the log-in"):
        session.get(COOKIE)
    net.answer = lambda: response(407, b"<html>Access Denied")
    with pytest.raises(SourceError, match="the proxy refused the log-in"):
        session.get(COOKIE)


def test_a_good_crumb_stays_as_it_is(net: Net, session: ThrottledSession) -> None:
    net.answer = lambda: response(200, b"aB3/x.Y-9_z")
    assert session.get(CRUMB).text == "aB3/x.Y-9_z"
    assert not session.crumb_suspect


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (200, b""),
        (200, b'<!DOCTYPE html>\n<html lang="zh">'),
        (200, b"two words"),
        (401, b'{"finance":{"error":{"code":"Unauthorized"}}}'),
        (403, b"Forbidden"),
        (200, b"x" * 65),
    ],
)
def test_an_invalid_crumb_is_replaced_by_a_page_that_yfinance_recognizes(
    net: Net, session: ThrottledSession, status: int, content: bytes
) -> None:
    net.answer = lambda: response(status, content)
    assert session.get(CRUMB).text == "<html>"
    assert session.crumb_suspect


def test_one_fetch_sends_at_most_twelve_requests(net: Net, session: ThrottledSession) -> None:
    for _ in range(12):
        session.get(QUOTE)
    with pytest.raises(SourceError, match="refuses every cookie and crumb"):
        session.get(QUOTE)
    assert len(net.sent) == 12
    session.start_query()
    session.get(QUOTE)


def test_one_fetch_takes_at_most_three_timeouts(net: Net, session: ThrottledSession, ticks: Ticks) -> None:
    ticks.now += 14
    session.get(QUOTE)
    assert net.sent[0]["timeout"] == pytest.approx(1)
    ticks.now += 2
    with pytest.raises(SourceError, match="did not answer the query within 15 s"):
        session.get(QUOTE)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            curl.ReadTimeout("28"),
            "Yahoo Finance did not answer within 5 s (a.b); check the network, or give --proxy",
        ),
        (
            curl.ConnectTimeout("28"),
            "Yahoo Finance did not answer within 5 s (a.b); check the network, or give --proxy",
        ),
        (curl.DNSError("6"), "Yahoo Finance: no address for a.b; check the network, or give --proxy"),
        (curl.ProxyError("7"), "Yahoo Finance: the proxy did not connect to a.b; check --proxy"),
        (
            curl.CertificateVerifyError("60"),
            "Yahoo Finance: the certificate of a.b is not trusted; behind a proxy give --ca-file or set SSL_CERT_FILE",
        ),
        (
            curl.ProxyError("Failed: CONNECT tunnel failed, response 407. See http://me:secret@proxy"),
            (
                "Yahoo Finance: the proxy refused the log-in (407); give a valid user and password "
                "in the URL of --proxy"
            ),
        ),
        (
            curl.ProxyError("CONNECT tunnel failed, response 451"),
            (
                "Yahoo Finance: the proxy refused to connect to a.b (451); ask for access, "
                "or give another with --proxy"
            ),
        ),
        (
            curl.TooManyRedirects("47"),
            "Yahoo Finance redirects in a loop (a.b); try again later",
        ),
        (curl.IncompleteRead("18"), "Yahoo Finance closed the connection mid-response (a.b)"),
        (
            curl.ConnectionError("56"),
            "Yahoo Finance: no connection to a.b; check the network, or give --proxy",
        ),
        (
            curl.RequestException(
                "Failed to perform, curl: (61) Unrecognized content encoding type. See https://curl.se/x for more.",
                CurlECode.BAD_CONTENT_ENCODING,
            ),
            "Yahoo Finance: the answer of a.b cannot be read (Unrecognized content encoding type); try again later",
        ),
        (
            curl.RequestException(
                "Failed to perform, curl: (4) Not built in. See https://curl.se/x", CurlECode.NOT_BUILT_IN
            ),
            "Yahoo Finance: no answer from a.b: Not built in",
        ),
        (
            curl.RequestException("odd \x1b[31m http://me:secret@proxy"),
            "Yahoo Finance: no answer from a.b: odd [31m http://me:***@proxy",
        ),
    ],
)
def test_failures_have_a_message_with_a_remedy(error: curl.RequestException, words: str) -> None:
    assert connection_error_message(error, "a.b", 5) == words


def test_a_failure_becomes_an_error_that_yfinance_does_not_swallow(
    net: Net, session: ThrottledSession
) -> None:
    net.answer = raising(curl.ReadTimeout("28"))
    with pytest.raises(SourceError, match="did not answer within 5 s"):
        session.get(QUOTE)
