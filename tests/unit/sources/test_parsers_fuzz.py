"""For any input the parsers raise only the project's own errors and return no NaN or infinite number."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sp500tui.errors import Sp500tuiError
from sp500tui.model import Resolution
from sp500tui.sources.wikipedia.table import parse_page
from sp500tui.sources.yahoo.charts import Chart, ChartRequest, parse_chart
from sp500tui.sources.yahoo.json_values import read_json
from sp500tui.sources.yahoo.parsing import FIELDS, FetchResult, parse_quotes
from sp500tui.sources.yahoo.trading_calendar import parse_trading_periods
from tests.support.market.recordings import FOLDERS
from tests.unit.sources.test_wikipedia_table import page, row
from tests.unit.sources.test_yahoo_parsing import body, line

NOW = datetime(2026, 5, 4, 15, 0, tzinfo=UTC)
ASKED = ("AAPL", "BRK.B", "OCDO.L", "TSLA")
PAIRS = (("USD", "DKK"), ("EUR", "USD"), ("DKK", "DKK"))
SEED = 500
T = TypeVar("T")

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(10**300, 10**301)
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(["AAPL", "BRK-B", "DKK=X", "USD", "NONE", "REGULAR", "PRE", "CLOSED", "1e5", "NaN"])
)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
)
entries = st.dictionaries(st.sampled_from([*FIELDS, "other"]), anything, max_size=8)


def check(result: FetchResult, asked: Sequence[str] = ASKED) -> None:
    """Check the invariants of every result."""
    found = [quote.symbol for quote in result.quotes]
    assert sorted([*found, *result.missing]) == sorted(asked)
    assert all(reason and reason.isprintable() and len(reason) < 200 for reason in result.missing.values())
    for quote in result.quotes:
        assert quote.price.is_finite()
        assert 0 < quote.price < 10**15
        assert quote.change is None or quote.change.is_finite()
        assert quote.percent_change is None or quote.percent_change.is_finite()
        assert quote.volume is None or 0 <= quote.volume < 2**63
        assert quote.quote_time <= NOW + timedelta(days=1)
        assert quote.currency.isascii()
        assert quote.currency.isalpha()
    for rate in result.rates:
        assert rate.rate.is_finite()
        assert rate.rate > 0


def survived(attempt: Callable[[], T]) -> T | None:
    """The result of a call; None if it raises an error of the project with a printable message."""
    try:
        return attempt()
    except Sp500tuiError as error:
        words = str(error)
    assert words.isprintable()
    assert len(words) < 300
    return None


def read(raw: bytes) -> None:
    """Parse the bytes as each kind of response."""
    answer = survived(lambda: read_json(raw))
    result = survived(lambda: parse_quotes(answer, ASKED, PAIRS, NOW))
    if result is not None:
        check(result)
    periods = survived(lambda: parse_trading_periods(answer))
    if periods is not None:
        periods.next_change(NOW)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(anything)
def test_any_json_is_parsed_or_refused(value: Any) -> None:
    for envelope in (
        value,
        {"quoteResponse": value},
        {"quoteResponse": {"result": value}},
        {"chart": {"result": value}},
    ):
        read(json.dumps(envelope).encode())


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(symbol=st.sampled_from(["AAPL", "BRK-B", "DKK=X", "TSLA"]), changes=entries)
def test_an_entry_with_any_field_replaced_is_parsed_or_refused(symbol: str, changes: dict[str, Any]) -> None:
    read(body({**line(symbol), **changes}, line("AAPL")))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_parsed_or_refused(raw: bytes) -> None:
    read(raw)


@given(st.decimals(min_value="0.000001", max_value="99999999", places=12))
def test_every_price_reaches_the_quote_with_its_digits(price: Decimal) -> None:
    raw = body(line()).replace(b"187.22", format(price, "f").encode())
    result = parse_quotes(read_json(raw), ["AAPL"], [], NOW)
    assert [format(quote.price, "f") for quote in result.quotes] == [format(price, "f")]


def mutations(raw: bytes, count: int, seed: int) -> list[bytes]:
    """Copies of a recording with bytes changed, removed, duplicated or inserted."""
    rng = random.Random(seed)
    tokens = [
        b"NaN",
        b"-Infinity",
        b"null",
        b"-1",
        b"1e999",
        b"{",
        b"]",
        b'"',
        b"\x00",
        b"\xff",
        b"<",
        b"0" * 400,
    ]
    made = []
    for _ in range(count):
        copy = bytearray(raw)
        for _ in range(rng.randint(1, 6)):
            at = rng.randrange(len(copy) + 1)
            kind = rng.randrange(4)
            if kind == 0:
                copy[at : at + rng.randint(1, 40)] = b""
            elif kind == 1:
                copy[at : at + rng.randint(0, 8)] = rng.choice(tokens)
            elif kind == 2:
                copy[at:at] = copy[max(0, at - 60) : at]
            else:
                del copy[rng.randrange(len(copy) + 1) :]
        made.append(bytes(copy))
    return made


@pytest.mark.parametrize("folder", FOLDERS)
def test_mutated_answers_are_parsed_or_refused(folder: Path) -> None:
    files = sorted((folder / "yahoo").glob("20*.json"))
    assert len(files) >= 10
    for file in files:
        answer = json.loads(file.read_bytes())["response"]["bodyJson"]
        for raw in mutations(json.dumps(answer).encode(), 150, SEED):
            read(raw)


def parse(raw: bytes, request: ChartRequest) -> Chart:
    return parse_chart(read_json(raw, parse_float=float), request, NOW)


def read_chart(raw: bytes, symbol: str) -> None:
    for resolution in (Resolution.MINUTE, Resolution.HALF_HOUR, Resolution.DAY):
        request = ChartRequest(symbol, resolution, NOW - timedelta(days=9000), NOW)
        chart = survived(partial(parse, raw, request))
        if chart is None:
            continue
        times = [bar.start_time for bar in chart.bars]
        assert times == sorted(set(times))
        assert not set(times) & set(chart.missing)
        for bar in chart.bars:
            prices = (bar.open, bar.high, bar.low, bar.close)
            assert all(price.is_finite() and 0 < price < 10**15 for price in prices)
            assert bar.volume is None or 0 <= bar.volume < 2**63
            assert request.start <= bar.start_time < request.end
            assert bar.currency is None or bar.currency.isascii()
        assert all(session.start_time < session.end_time for session in chart.sessions)


@pytest.mark.parametrize("folder", FOLDERS)
def test_mutated_charts_are_parsed_or_refused(folder: Path) -> None:
    files = sorted((folder / "yahoo").glob("20*chart*.json"))
    assert len(files) >= 5
    for file in files:
        answer = json.loads(file.read_bytes())["response"]["bodyJson"]
        symbol = answer["chart"]["result"][0]["meta"]["symbol"]
        for raw in mutations(json.dumps(answer).encode(), 40, SEED):
            read_chart(raw, symbol)


def read_page(html: bytes) -> None:
    found = survived(lambda: parse_page(html).constituents)
    if found is None:
        return
    assert 400 <= len(found) <= 600
    assert len({constituent.symbol for constituent in found}) == len(found)
    for constituent in found:
        texts = (constituent.symbol, constituent.name, constituent.sector, constituent.headquarters)
        assert all(text.isprintable() and len(text) <= 120 for text in texts)


@pytest.mark.parametrize("folder", FOLDERS)
def test_mutated_pages_are_parsed_or_refused(folder: Path) -> None:
    files = sorted((folder / "wikipedia").glob("*.html"))
    assert len(files) == 2
    for file in files:
        whole = file.read_bytes()
        start = whole.index(b'id="constituents"')
        # Only the table: the rest of the page only takes time.
        table = whole[whole.rindex(b"<table", 0, start) : whole.index(b"</table>", start) + 8]
        for html in mutations(table, 3, SEED):
            read_page(html)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.lists(st.text(max_size=20), min_size=0, max_size=9), max_size=20))
def test_any_cells_are_parsed_or_refused(cells: list[list[str]]) -> None:
    read_page(page([*cells, *(row(number) for number in range(10))]).encode("utf-8", "replace"))


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=300) | st.binary(max_size=300))
def test_any_page_is_parsed_or_refused(html: str | bytes) -> None:
    with pytest.raises(Sp500tuiError):
        parse_page(html)
    wrapped = html if isinstance(html, bytes) else html.encode("utf-8", "replace")
    read_page(b'<table id="constituents"><tr><th>' + wrapped + b"</th></tr></table>")
