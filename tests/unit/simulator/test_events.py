"""Splits, dividends, renames and changes of the index in the demo market."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bs4 import BeautifulSoup

from sp500tui.errors import ConfigurationError
from sp500tui.model import ActionKind, Resolution
from sp500tui.simulator.events import EVENTS, Events
from sp500tui.simulator.faults import Faults
from sp500tui.simulator.market.calendar import NEW_YORK
from sp500tui.simulator.market.index import Index
from sp500tui.simulator.market.instruments import constituents
from sp500tui.simulator.market.model import Market
from sp500tui.simulator.wikipedia import constituents_page
from sp500tui.simulator.yahoo.charts import ChartError, chart
from sp500tui.sources.yahoo.charts import Chart, ChartRequest, parse_chart
from sp500tui.sources.yahoo.json_values import read_json
from tests.unit.simulator.test_clock import SettableTime
from tests.unit.simulator.test_market import SOME, known, new_market

DAY = 86_400


class Scene:
    """A market of a few shares with its index, and the events of both."""

    def __init__(self) -> None:
        self.time = SettableTime()
        self.market: Market = new_market(self.time)
        self.index = Index(SOME)
        self.events = Events(self.market, self.index)

    def pass_days(self, days: int) -> None:
        for _ in range(days * 4):
            self.time.now += DAY / 4
            known(self.market, "MMM")

    def chart(self, symbol: str, resolution: Resolution = Resolution.DAY, days: int = 20) -> Chart:
        """The chart as received and parsed by a client."""
        now = datetime.fromtimestamp(self.time.now, UTC)
        request = ChartRequest(symbol, resolution, now - timedelta(days=days), now)
        query = {
            "interval": resolution.value,
            "period1": str(int(request.start.timestamp())),
            "period2": str(int(request.end.timestamp())),
            "events": "div,splits,capitalGains",
        }
        answer = chart(self.market, symbol.replace(".", "-"), query, Faults())
        body = json.dumps({"chart": {"result": [answer.result], "error": None}}).encode()
        return parse_chart(read_json(body, parse_float=float), request, now)


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.mark.parametrize("resolution", [Resolution.MINUTE, Resolution.DAY])
def test_a_split_divides_the_bars_before_it_and_is_an_event(scene: Scene, resolution: Resolution) -> None:
    # given two days of bars, and the quote on the second
    scene.pass_days(1)
    before = scene.chart("MMM", resolution, days=5)
    price = known(scene.market, "MMM").today.price

    # when a split of four new shares for one takes effect on the next day
    scene.events.apply({"kind": "split", "symbol": "MMM", "numerator": 4, "denominator": 1})
    assert known(scene.market, "MMM").today.price == price
    scene.pass_days(1)
    after = scene.chart("MMM", resolution, days=6)

    # then the same bars have a quarter of the price and four times the volume
    known_before = {bar.start_time: bar for bar in before.bars}
    same = [(known_before[bar.start_time], bar) for bar in after.bars if bar.start_time in known_before]
    assert len(same) == len(before.bars)
    for old, new in same:
        assert float(new.close) == pytest.approx(float(old.close) / 4, rel=1e-6)
        assert new.volume == pytest.approx(4 * (old.volume or 0), abs=2)
    # and the quote and the next bars continue from there
    assert known(scene.market, "MMM").today.price == pytest.approx(price / 4, rel=0.2)
    (split,) = [action for action in after.actions if action.kind is ActionKind.SPLIT]
    assert f"{split.numerator}:{split.denominator}" == "4:1"
    newest = max(session.start_time for session in after.sessions if session.kind == "REGULAR")
    assert split.effective_date == newest.astimezone(NEW_YORK).date()


def test_a_dividend_is_an_event_of_the_next_day(scene: Scene) -> None:
    scene.events.apply({"kind": "dividend", "symbol": "MMM", "amount": 0.73})
    scene.pass_days(1)
    payments = [action for action in scene.chart("MMM", days=3).actions if action.kind is ActionKind.DIVIDEND]
    assert [str(payment.amount) for payment in payments] == ["0.73"]
    assert payments[0].currency == "USD"


def test_shares_have_dividends_and_splits_in_their_past() -> None:
    # given five years of charts of many shares
    scene = Scene()
    scene.market = new_market(scene.time, listings=constituents()[:40])
    charts = [scene.chart(symbol.replace("-", "."), days=1_800) for symbol in scene.market.symbols()]

    # then most pay four times a year, and some were split
    paying = [
        chart for chart in charts if any(action.kind is ActionKind.DIVIDEND for action in chart.actions)
    ]
    assert 0.6 < len(paying) / len(charts) < 0.95
    assert all(17 <= len(chart.actions) <= 22 for chart in paying)
    assert any(action.kind is ActionKind.SPLIT for chart in charts for action in chart.actions)
    # and each takes effect on a day with a bar
    for one in charts:
        assert {action.effective_date for action in one.actions} <= {
            bar.start_time.date() for bar in one.bars
        }


def test_a_renamed_share_keeps_its_history(scene: Scene) -> None:
    before = scene.chart("MMM")
    scene.events.apply({"kind": "rename", "symbol": "MMM", "new_symbol": "MMMX"})
    after = scene.chart("MMMX")
    assert [(bar.start_time, bar.close) for bar in after.bars] == [
        (bar.start_time, bar.close) for bar in before.bars
    ]
    with pytest.raises(ChartError, match="may be delisted"):
        scene.chart("MMM")
    listed = {listing.symbol: listing.cik for listing in scene.index.listings}
    assert listed["MMMX"] == SOME[0].cik
    assert "MMM" not in listed


def test_a_change_of_the_index_is_on_the_page(scene: Scene) -> None:
    scene.events.apply({"kind": "change", "added": "NEWCO", "removed": "MMM"})
    page = BeautifulSoup(constituents_page(scene.index.listings, scene.index.changes), "lxml")
    symbols = [row.find("td").get_text(strip=True) for row in page.select("#constituents tr")[1:]]  # type: ignore[union-attr]
    assert "NEWCO" in symbols
    assert "MMM" not in symbols
    newest = [cell.get_text(strip=True) for cell in page.select("#changes tr")[2].find_all("td")]
    assert newest[1:5] == ["NEWCO", "Newcomer Newco", "MMM", "3M"]
    # and both are traded
    assert known(scene.market, "NEWCO").today.price > 0
    assert known(scene.market, "MMM").today.price > 0


@pytest.mark.parametrize("kind", EVENTS)
def test_the_examples_can_be_applied(scene: Scene, kind: str) -> None:
    scene.events.apply(json.loads(EVENTS[kind]))
    assert [event["kind"] for event in scene.events.applied] == [kind]


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ({}, "unknown event; use one such as"),
        ([], "unknown event"),
        ({"kind": "merger"}, "unknown event"),
        ({"kind": "split", "symbol": "MMM"}, "event split: numerator"),
        ({"kind": "split", "symbol": "MMM", "numerator": 0, "denominator": 1}, "the ratio 0:1 is not"),
        ({"kind": "split", "symbol": "MMM", "numerator": 1.5, "denominator": 1}, "the ratio 1.5:1 is not"),
        ({"kind": "split", "symbol": "NOPE", "numerator": 2, "denominator": 1}, "NOPE is not listed"),
        ({"kind": "dividend", "symbol": "MMM", "amount": -1}, "the amount -1 is not above zero"),
        ({"kind": "rename", "symbol": "MMM", "new_symbol": "AOS"}, "AOS is already listed"),
        ({"kind": "rename", "symbol": "MMM", "new_symbol": "m m"}, "'m m' is not a symbol"),
        ({"kind": "change"}, "neither an added nor a removed symbol"),
        ({"kind": "change", "removed": "NOPE"}, "NOPE is not in the index"),
        ({"kind": "change", "added": "MMM"}, "MMM is already listed"),
    ],
)
def test_an_impossible_event_is_refused_and_changes_nothing(scene: Scene, event: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        scene.events.apply(event)
    assert scene.events.applied == []
    assert scene.index.version == 0
