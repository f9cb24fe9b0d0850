"""Yahoo Finance through the real yfinance session, with a proxy to the demo market."""

from __future__ import annotations

import logging
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sp500tui.errors import ChartRefusedError, SourceError, ThrottledError
from sp500tui.model import MarketState, Resolution
from sp500tui.simulator.process import DemoMarket
from sp500tui.sources.request_phase import RequestPhase
from sp500tui.sources.throttle import CircuitState, Throttle
from sp500tui.sources.wikipedia.cache import bundled_constituents
from sp500tui.sources.yahoo.charts import ChartRequest
from sp500tui.sources.yahoo.client import YahooFinance
from sp500tui.sources.yahoo.parsing import OMITTED

SYMBOLS = [constituent.symbol for constituent in bundled_constituents()]
MAKE = Callable[..., YahooFinance]


class Clock:
    """Real time, which tests can speed up."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def throttle(clock: Clock) -> Throttle:
    return Throttle(100, burst=100, clock=clock)


@pytest.fixture
def make(demo_market: DemoMarket, throttle: Throttle, tmp_path: Path) -> Iterator[MAKE]:
    made: list[YahooFinance] = []

    def source(**options: Any) -> YahooFinance:
        usual: dict[str, Any] = {
            "proxy": demo_market.proxy_url,
            "ca_file": demo_market.ca_file,
            "timeout": 30.0,
            "cache_dir": tmp_path / "cache",
        }
        made.append(YahooFinance(throttle, **{**usual, **options}))
        return made[-1]

    yield source
    for one in made:
        one.close()


@pytest.fixture
def yahoo(make: MAKE) -> YahooFinance:
    return make()


def counts(market: DemoMarket) -> dict[str, int]:
    requests = market.statistics()["requests"]
    assert isinstance(requests, dict)
    return requests


def since(before: dict[str, int], market: DemoMarket) -> dict[str, int]:
    return {
        name: count - before.get(name, 0)
        for name, count in counts(market).items()
        if count > before.get(name, 0)
    }


def test_the_whole_index_costs_eleven_requests_a_cookie_and_a_crumb(
    yahoo: YahooFinance, demo_market: DemoMarket, throttle: Throttle
) -> None:
    before = counts(demo_market)
    results = [yahoo.fetch(SYMBOLS[at : at + 50], [("USD", "DKK")]) for at in range(0, len(SYMBOLS), 50)]
    quotes = [quote for result in results for quote in result.quotes]
    assert [quote.symbol for quote in quotes] == SYMBOLS
    assert all(quote.currency == "USD" and quote.price > 0 for quote in quotes)
    assert {result.rates[0].target for result in results} == {"DKK"}
    assert not any(result.missing for result in results)
    assert since(before, demo_market) == {"cookie": 1, "crumb": 1, "quote": 11}
    state = throttle.state()
    assert (state.requests, state.failed, state.throttled, state.circuit) == (13, 0, 0, CircuitState.CLOSED)


def test_unknown_symbols_are_named_and_a_currency_against_itself_costs_nothing(
    yahoo: YahooFinance, demo_market: DemoMarket
) -> None:
    result = yahoo.fetch(["BRK.B", "NOPE1"], [("USD", "DKK"), ("DKK", "DKK")])
    assert [quote.symbol for quote in result.quotes] == ["BRK.B"]
    assert result.missing == {"NOPE1": OMITTED}
    assert [(rate.base, rate.target) for rate in result.rates] == [("USD", "DKK"), ("DKK", "DKK")]
    before = counts(demo_market)
    assert yahoo.fetch([], [("USD", "USD")]).rates[0].rate == 1
    assert since(before, demo_market) == {}


def test_the_trading_day_is_known(yahoo: YahooFinance) -> None:
    periods = yahoo.trading_periods()
    assert periods.pre[0] < periods.regular[0] < periods.post[0] < periods.post[1]
    assert periods.next_change(periods.regular[0]) == (MarketState.POST, periods.regular[1])
    with pytest.raises(SourceError, match="404"):
        yahoo.trading_periods("NOPE1")


def test_a_chart_costs_one_request(yahoo: YahooFinance, demo_market: DemoMarket) -> None:
    yahoo.fetch(["AAPL"])
    before = counts(demo_market)
    now = datetime.now(UTC)
    chart = yahoo.chart(ChartRequest("BRK.B", Resolution.DAY, now - timedelta(days=30), now))
    assert {bar.symbol for bar in chart.bars} == {"BRK.B"}
    assert len(chart.bars) >= 15
    assert chart.currency == "USD"
    assert chart.seconds > 0
    assert since(before, demo_market) == {"chart": 1}


def test_a_refused_chart_has_a_reason_and_leaves_the_circuit_closed(
    yahoo: YahooFinance, demo_market: DemoMarket, throttle: Throttle
) -> None:
    yahoo.fetch(["AAPL"])
    before = counts(demo_market)
    now = datetime.now(UTC)
    # a symbol that Yahoo does not have, more often than failures are tolerated
    for _ in range(5):
        with pytest.raises(ChartRefusedError, match=r"no chart of NOPE1: 1d bars from .* may be delisted"):
            yahoo.chart(ChartRequest("NOPE1", Resolution.DAY, now - timedelta(days=30), now))
    assert since(before, demo_market) == {"chart": 5}
    assert (throttle.state().circuit, throttle.state().failed) == (CircuitState.CLOSED, 0)
    # and a window beyond the limits costs no request
    with pytest.raises(ChartRefusedError, match="keeps them for 30 days"):
        yahoo.chart(ChartRequest("AAPL", Resolution.MINUTE, now - timedelta(days=40), now))
    assert since(before, demo_market) == {"chart": 5}


FAULTS = {
    "server error": ({"server_error": 1.0}, "answered 50"),
    "dropped": ({"drop": 1.0}, "no connection to"),
    "half a body": ({"truncated_body": 1.0}, "closed the connection mid-response"),
    "slow": ({"slow_body": 1.0, "slow_body_seconds": 20.0}, "did not answer within 0.5 s"),
    "late": ({"latency": 3.0}, "did not answer within 0.5 s"),
    "web page": ({"html": 1.0}, "answered a web page instead"),
    "garbage": ({"garbage": 1.0}, "invalid or truncated JSON"),
    "crumb refused": ({"invalid_crumb": 1.0}, "401 (cookie and crumb refused): Invalid Crumb"),
}


@pytest.mark.parametrize(("faults", "words"), FAULTS.values(), ids=FAULTS.keys())
def test_a_failing_source_has_a_reason_opens_the_circuit_and_recovers(
    make: MAKE, demo_market: DemoMarket, throttle: Throttle, clock: Clock, faults: dict[str, Any], words: str
) -> None:
    yahoo = make()
    yahoo.fetch(["AAPL"])
    # Only for late responses: the others need a time-out that is met on a busy machine.
    failing = make(timeout=0.5) if "within 0.5 s" in words else yahoo
    demo_market.set_faults(**faults)
    for _ in range(3):
        with pytest.raises(SourceError) as caught:
            failing.fetch(["AAPL", "MSFT"])
        assert words in str(caught.value)
        assert not isinstance(caught.value, ThrottledError)
    before = counts(demo_market)
    with pytest.raises(ThrottledError) as held_back:
        yahoo.fetch(["AAPL"])
    assert str(held_back.value).startswith(f"{caught.value}; next attempt in ")
    assert since(before, demo_market) == {}
    assert throttle.state().message == str(caught.value)
    demo_market.clear_faults()
    clock.ahead += 2
    assert yahoo.fetch(["AAPL"]).quotes
    assert throttle.state().circuit is CircuitState.CLOSED


@pytest.mark.parametrize(("retry_after", "wait"), [(None, 4.0), (9.0, 9.0)])
def test_a_429_costs_one_request_and_is_waited_for(
    yahoo: YahooFinance,
    demo_market: DemoMarket,
    throttle: Throttle,
    clock: Clock,
    retry_after: float | None,
    wait: float,
) -> None:
    yahoo.fetch(["AAPL"])
    demo_market.set_faults(throttle=1.0, retry_after=retry_after)
    before = counts(demo_market)
    for _ in range(5):
        with pytest.raises(ThrottledError) as caught:
            yahoo.fetch(["AAPL"])
        assert 0 < caught.value.retry_after <= wait
    assert since(before, demo_market) == {"quote": 1}
    demo_market.clear_faults()
    clock.ahead += wait
    assert yahoo.fetch(["AAPL"]).quotes
    assert since(before, demo_market) == {"quote": 2}
    assert throttle.state().throttled == 1


def test_too_many_requests_as_text_with_status_200_is_throttling(
    yahoo: YahooFinance, demo_market: DemoMarket, throttle: Throttle, clock: Clock
) -> None:
    yahoo.fetch(["AAPL"])
    demo_market.set_faults(throttle_text=1.0)
    before = counts(demo_market)
    for _ in range(5):
        with pytest.raises(ThrottledError):
            yahoo.fetch(["AAPL"])
    assert since(before, demo_market) == {"quote": 1}
    assert throttle.state().throttled == 1
    demo_market.clear_faults()
    clock.ahead += 5
    assert yahoo.fetch(["AAPL"]).quotes


def test_consent_that_is_never_accepted_fails_one_fetch_and_counts_as_throttled(
    yahoo: YahooFinance, demo_market: DemoMarket, throttle: Throttle, clock: Clock
) -> None:
    yahoo.fetch(["AAPL"])
    demo_market.set_faults(consent_loop=1.0)
    before = counts(demo_market)
    for _ in range(5):
        with pytest.raises(ThrottledError, match="requires cookie consent again after it was given"):
            yahoo.fetch(["AAPL"])
    sent = since(before, demo_market)
    assert sent["quote"] == 2
    assert sum(sent.values()) <= 12
    assert throttle.state().requests >= sum(sent.values())
    demo_market.clear_faults()
    clock.ahead += 5
    assert yahoo.fetch(["AAPL"]).quotes


def test_consent_that_is_accepted_leads_to_the_answer(yahoo: YahooFinance, demo_market: DemoMarket) -> None:
    demo_market.set_faults(consent_loop=1.0, limits={"consent_loop": 1})
    before = counts(demo_market)
    assert yahoo.fetch(["AAPL"]).quotes
    assert since(before, demo_market)["quote"] == 2


@pytest.mark.parametrize(
    ("session", "state", "warnings"), [("overnight", "OVERNIGHT", 0), ("new", "LATE_NIGHT", 1)]
)
def test_an_overnight_or_unknown_session_costs_no_price_and_is_reported_once(
    yahoo: YahooFinance,
    demo_market: DemoMarket,
    caplog: pytest.LogCaptureFixture,
    session: str,
    state: str,
    warnings: int,
) -> None:
    # given the prices of the regular session
    regular = {quote.symbol: quote for quote in yahoo.fetch(SYMBOLS[:40]).quotes}
    # when every quote names another session
    demo_market.set_faults(session=session)
    results = [yahoo.fetch(SYMBOLS[:40]) for _ in range(3)]
    # then every symbol has a price, no older than before, and the name is reported once
    for result in results:
        assert {quote.market_state for quote in result.quotes} == {state}
        assert not result.missing
        assert all(quote.quote_time >= regular[quote.symbol].quote_time for quote in result.quotes)
    reported = [text for text in caplog.messages if "unknown market session" in text]
    assert len(reported) == warnings
    # and overnight prices are new trades
    if session == "overnight":
        assert all(quote.quote_time > regular[quote.symbol].quote_time for quote in results[0].quotes)


def test_a_corrupt_crumb_is_never_sent(yahoo: YahooFinance, demo_market: DemoMarket, clock: Clock) -> None:
    demo_market.set_faults(corrupt_crumb=1.0)
    before = counts(demo_market)
    with pytest.raises(ThrottledError):
        yahoo.fetch(["AAPL"])
    assert "quote" not in since(before, demo_market)
    demo_market.clear_faults()
    clock.ahead += 5
    assert yahoo.fetch(["AAPL"]).quotes


def test_an_expired_crumb_is_replaced_within_the_same_fetch(
    yahoo: YahooFinance, demo_market: DemoMarket
) -> None:
    yahoo.fetch(["AAPL"])
    demo_market.set_faults(invalid_crumb=1.0, limits={"invalid_crumb": 1})
    assert yahoo.fetch(["AAPL"]).quotes


def test_in_a_storm_all_threads_together_send_a_few_requests(
    yahoo: YahooFinance, demo_market: DemoMarket, clock: Clock
) -> None:
    yahoo.open()
    demo_market.set_faults(throttle=1.0)
    before = counts(demo_market)
    ending = threading.Event()

    def worker() -> None:
        while not ending.is_set():
            with suppress(ThrottledError):
                yahoo.fetch(["AAPL", "MSFT"])
            ending.wait(0.005)

    threads = [threading.Thread(target=worker) for _ in range(8)]
    for thread in threads:
        thread.start()
    for _ in range(55):
        # One second of the storm passes in a twentieth of a second.
        ending.wait(0.05)
        clock.ahead += 0.95
    sent = since(before, demo_market)
    ending.set()
    for thread in threads:
        thread.join(10)
    assert sent["quote"] <= 8 + 5
    assert sum(sent.values()) <= 20


def test_invalid_quotes_are_dropped(yahoo: YahooFinance, demo_market: DemoMarket) -> None:
    for faults in ({"nan_price": 0.5}, {"null_price": 0.5}, {"negative_price": 0.5}, {"missing_symbol": 0.5}):
        demo_market.set_faults(**faults)
        result = yahoo.fetch(SYMBOLS[:40])
        assert len(result.quotes) + len(result.missing) == 40
        assert all(quote.price > 0 for quote in result.quotes)
        assert result.missing
    demo_market.set_faults(empty=1.0)
    assert len(yahoo.fetch(SYMBOLS[:40]).missing) == 40


def test_unrequested_symbols_are_ignored_and_reported_once(
    yahoo: YahooFinance, demo_market: DemoMarket, caplog: pytest.LogCaptureFixture
) -> None:
    demo_market.set_faults(unrequested_symbols=1.0)
    result = yahoo.fetch(SYMBOLS[:5])
    assert (len(result.quotes), len(result.missing)) == (4, 1)
    assert "returned symbols that were not requested" in caplog.text
    yahoo._warn_unrequested(frozenset({"XYZ"}))
    caplog.clear()
    yahoo._warn_unrequested(frozenset({"XYZ"}))
    assert caplog.text == ""


@pytest.mark.parametrize("kind", ["missing", "zero"])
def test_a_rate_is_right_or_absent(yahoo: YahooFinance, demo_market: DemoMarket, kind: str) -> None:
    demo_market.set_faults(fx=kind)
    result = yahoo.fetch(["AAPL"], [("USD", "DKK")])
    assert len(result.quotes) == 1
    assert result.rates == ()
    assert result.missing == {}


def test_a_session_put_in_place_of_ours_is_replaced(yahoo: YahooFinance, throttle: Throttle) -> None:
    from curl_cffi.requests import Session
    from yfinance.data import YfData

    yahoo.fetch(["AAPL"])
    YfData(session=Session())
    requests = throttle.state().requests
    assert yahoo.fetch(["AAPL"]).quotes
    assert throttle.state().requests > requests


def test_any_exception_of_yfinance_becomes_one_line(
    yahoo: YahooFinance, throttle: Throttle, monkeypatch: pytest.MonkeyPatch
) -> None:
    yahoo.open()

    def stumble(*args: object, **options: object) -> None:
        raise KeyError("currentTradingPeriod\n")

    monkeypatch.setattr(yahoo._data, "get", stumble)
    with pytest.raises(SourceError) as caught:
        yahoo.fetch(["AAPL"])
    assert str(caught.value).startswith("Yahoo Finance: yfinance failed with KeyError: ")
    assert throttle.state().failed == 1


def test_a_redirection_to_another_site_is_no_consent(
    yahoo: YahooFinance, throttle: Throttle, monkeypatch: pytest.MonkeyPatch
) -> None:
    yahoo.open()
    portal = SimpleNamespace(
        url="https://login.example/portal?from=yahoo.com", status_code=200, content=b"<html>"
    )
    monkeypatch.setattr(yahoo._data, "get", lambda *_, **__: portal)
    with pytest.raises(
        SourceError, match=r"redirected to login\.example; log in to the network there"
    ) as caught:
        yahoo.fetch(["AAPL"])
    assert not isinstance(caught.value, ThrottledError)
    assert (throttle.state().failed, throttle.state().throttled) == (1, 0)


def test_a_status_that_is_no_refusal_is_not_blamed_on_the_cookie(
    yahoo: YahooFinance, monkeypatch: pytest.MonkeyPatch
) -> None:
    yahoo.open()
    url = "https://query1.finance.yahoo.com/v7/finance/quote"
    monkeypatch.setattr(
        yahoo._data, "get", lambda *_, **__: SimpleNamespace(url=url, status_code=204, content=b"")
    )
    with pytest.raises(SourceError, match=r"answered 204 \(query1.finance.yahoo.com\)"):
        yahoo.fetch(["AAPL"])


def test_opening_is_done_once_by_many_threads_in_a_private_folder(
    yahoo: YahooFinance, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    dead = cache / f"yfinance-{2**22 + 1}-x"
    odd = cache / "yfinance-odd"
    alive = cache / f"yfinance-{os.getppid()}-x"
    for left in (dead, odd, alive):
        left.mkdir()
    threads = [threading.Thread(target=yahoo.open) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    yahoo.fetch(["AAPL"])
    (own,) = cache.glob(f"yfinance-{os.getpid()}-*")
    assert stat.S_IMODE(own.stat().st_mode) == 0o700
    assert (own / "cookies.db").exists()
    assert (dead.exists(), odd.exists(), alive.exists()) == (False, False, True)
    yahoo.close()
    assert not own.exists()
    with pytest.raises(SourceError, match="the run is ending"):
        yahoo.fetch(["AAPL"])


def test_closing_ends_waits_for_the_throttle(make: MAKE, demo_market: DemoMarket, tmp_path: Path) -> None:
    slow = Throttle(0.05, burst=3)
    yahoo = YahooFinance(
        slow,
        proxy=demo_market.proxy_url,
        ca_file=demo_market.ca_file,
        timeout=30,
        cache_dir=tmp_path / "cache",
    )
    yahoo.fetch(["AAPL"])
    outcome: list[Exception] = []
    waits = threading.Event()

    def on_phase(phase: RequestPhase) -> None:
        if phase is RequestPhase.LIMIT:
            waits.set()

    def wait() -> None:
        try:
            yahoo.fetch(["AAPL"], on_phase=on_phase)
        except SourceError as error:
            outcome.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    assert waits.wait(30)
    yahoo.close()
    thread.join(30)
    assert [type(error) for error in outcome] == [ThrottledError]


def test_a_cache_folder_that_cannot_be_used_is_named(make: MAKE, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SourceError, match=r"cache folder .*file cannot be used"):
        make(cache_dir=tmp_path / "file").open()


def test_certificates_are_verified(make: MAKE) -> None:
    with pytest.raises(
        SourceError, match=r"the certificate of .* is not trusted; behind a proxy give --ca-file"
    ):
        make(ca_file=None).fetch(["AAPL"])


def test_an_unreachable_proxy_is_reported_without_its_password(
    make: MAKE, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG), pytest.raises(SourceError) as caught:
        make(proxy="http://me:secret@127.0.0.1:1").fetch(["AAPL"])
    assert "no connection to" in str(caught.value) or "proxy" in str(caught.value)
    assert "secret" not in str(caught.value) + caplog.text


def test_the_configured_proxy_wins_over_the_environment(make: MAKE, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "*")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    assert make().fetch(["AAPL"]).quotes
