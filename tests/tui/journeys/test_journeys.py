"""The journeys: percentiles of the legs, the slowest quotes, and a window without any."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sp500tui.errors import Sp500tuiError
from sp500tui.pipeline.core.snapshot import LivePrice
from sp500tui.pipeline.core.timing.spans import SpanReport
from sp500tui.pipeline.journeys import LEGS, WHOLE, Journey, LegTimes, Moment
from sp500tui.tui.journeys.render import SLOWEST, SlowQuote, leg_lines, slow_lines, slowest
from sp500tui.tui.journeys.screen import JourneysScreen
from sp500tui.tui.messages import SymbolSelected
from sp500tui.tui.render.lines import Line, width_of
from sp500tui.tui.render.waterfall import waterfall_bar, waterfall_lines
from sp500tui.tui.symbol.quote_way import journey_of
from tests.support.parameters import sizes
from tests.support.tui.fake_pipeline import FakePipeline, seeded_prices
from tests.support.tui.timeline_scenes import NOW, ScenePipeline, killed_writer
from tests.tui.conftest import Drive

JOURNEY = Journey(
    1,
    {
        Moment.CYCLE: 10.0,
        Moment.TAKEN: 12.0,
        Moment.SENT: 12.0,
        Moment.ANSWERED: 16.0,
        Moment.CONVERTED: 16.001,
        Moment.COMMITTED: 20.0,
    },
)


def text(line: Line) -> str:
    return "".join(span.text for span in line)


def of_batches(prices: list[LivePrice], first: int) -> list[LivePrice]:
    """The prices with batches of five quotes each."""
    return [
        replace(price, row=replace(price.row, batch=first + number // 5))
        for number, price in enumerate(prices)
    ]


def scene() -> ScenePipeline:
    pipeline = killed_writer()
    pipeline.prices = of_batches(seeded_prices(), 6100)
    return pipeline


class TestWaterfall:
    @pytest.mark.parametrize("width", [40, 60, 200])
    def test_each_leg_has_a_line_and_its_bar_follows_the_one_before(self, width: int) -> None:
        lines = waterfall_lines(JOURNEY, width)
        assert [text(line)[:23].strip() for line in lines] == [
            "tickers queue",
            "request limit",
            "request",
            "conversion",
            "commit",
        ]
        assert "2.0 s" in text(lines[0])
        assert all(width_of(line) == width for line in lines)

    def test_without_room_for_all_the_longest_legs_are_shown(self) -> None:
        assert [text(line)[:23].strip() for line in waterfall_lines(JOURNEY, 60, 2)] == ["request", "commit"]

    @pytest.mark.parametrize("width", [1, 10, 60])
    def test_a_bar_is_as_long_as_its_share_of_the_longest(self, width: int) -> None:
        assert width_of(waterfall_bar(JOURNEY, width, 20.0)) == width
        filled = [span for span in waterfall_bar(JOURNEY, 60, 20.0) if "filled" in span.role]
        assert width_of(filled) == 30
        assert waterfall_bar(JOURNEY, 0, 0.0) == ()

    @pytest.mark.parametrize("width", range(5, 60))
    def test_each_leg_in_a_bar_has_its_name_or_its_letter(self, width: int) -> None:
        filled = [span for span in waterfall_bar(JOURNEY, width, 10.0) if "filled" in span.role]
        assert all(span.text[0].isalpha() for span in filled)


class TestTables:
    def test_the_letters_of_the_bars_are_explained_next_to_the_legs(self) -> None:
        legs = [LegTimes(name, 1.0, 100.0, 1) for name in (*LEGS.values(), WHOLE)]
        lines = [text(line) for line in leg_lines(legs, 60, 20)]
        letters = {line[0] for line in lines[1:-1]}
        assert letters == set("TLSCJWD")
        assert lines[-1].strip().startswith(WHOLE)
        assert all("1.0 s" in line and "1 min 40 s" in line for line in lines[1:])

    def test_a_quote_that_is_not_committed_took_longer_than_stated(self) -> None:
        waiting = Journey(2, {Moment.TAKEN: 1.0, Moment.SENT: 1.5})
        quotes = [SlowQuote("AAA", waiting), SlowQuote("BBB", JOURNEY)]
        heading, first, second = (text(line) for line in slow_lines(quotes, 30.0, 60))
        assert heading.split()[:4] == ["symbol", "took", "began", "ago"]
        assert first.split()[:5] == ["AAA", ">29.0", "s", "29.0", "s"]
        assert second.split()[:5] == ["BBB", "10.0", "s", "20.0", "s"]


def test_quotes_that_wait_are_as_slow_as_they_have_waited() -> None:
    waiting = Journey(2, {Moment.TAKEN: 1.0, Moment.SENT: 1.5})
    prices = of_batches(seeded_prices()[:10], 1)
    found = slowest(prices, {1: JOURNEY, 2: waiting}, 30.0)
    assert [quote.journey.batch for quote in found] == [2] * 5 + [1] * 5
    assert len(slowest(of_batches(seeded_prices(), 1), dict.fromkeys(range(200), JOURNEY), 30.0)) == SLOWEST
    assert slowest(prices, {}, 30.0) == []


@pytest.mark.parametrize("size", sizes((60, 16), (200, 60), (80, 24), keep=1))
async def test_the_legs_and_the_slowest_quotes_are_shown(drive: Drive, size: tuple[int, int]) -> None:
    async with drive(scene(), size=size) as driven:
        await driven.press("9")
        await driven.until(lambda: "requests of the last 30 s" in driven.text() or "p95" in driven.text())
        screen = driven.app.screen
        assert isinstance(screen, JourneysScreen)
        assert screen.reading is not None
        assert screen.reading.monotonic == NOW
        for words in ("tickers queue", "request limit", "cycle start to commit", "slowest quotes now"):
            assert words in driven.text()
        # the slowest quotes have a place in every window
        slow = screen.slow.lines_shown()
        assert sum(line in driven.text() for line in slow) >= 3


def test_the_longest_legs_are_shown_if_not_all_fit() -> None:
    legs = [LegTimes("a", 3.0, 3.0, 1), LegTimes("b", 1.0, 1.0, 1), LegTimes("c", 2.0, 2.0, 1)]
    legs.append(LegTimes(WHOLE, 6.0, 6.0, 1))
    lines = [text(line) for line in leg_lines(legs, 60, 4)]
    assert lines[0].startswith("longest 2 of 3 legs")
    assert [line.split()[0] for line in lines[1:]] == ["a", "c", WHOLE.split()[0]]
    assert text(leg_lines(legs, 60, 5)[0]).startswith("leg ")


class TestWayOfAQuote:
    async def test_the_symbol_screen_shows_the_journey_of_the_newest_quote(self, drive: Drive) -> None:
        pipeline = scene()
        async with drive(pipeline, size=(140, 55)) as driven:
            driven.app.post_message(SymbolSelected("ABBV"))
            await driven.until(lambda: "journey of its newest quote ·" in driven.text())
            for leg in ("request limit", "request", "commit"):
                assert leg in driven.text()

    async def test_a_quote_of_an_unknown_batch_has_none(self, drive: Drive) -> None:
        async with drive(FakePipeline(), size=(140, 45)) as driven:
            driven.app.post_message(SymbolSelected("AAPL"))
            await driven.until(lambda: "not known: it was fetched too long ago" in driven.text())

    def test_a_symbol_without_a_price_has_none(self) -> None:
        assert journey_of(scene(), "NONE") is None


async def test_without_journeys_the_reason_is_shown(drive: Drive) -> None:
    class Silent(FakePipeline):
        def spans(self, seconds: float) -> SpanReport:
            return replace(super().spans(seconds), workers=())

    async with drive(Silent()) as driven:
        await driven.press("9")
        await driven.until(lambda: "No quote was committed in the last 30 s" in driven.text())


async def test_a_failure_is_shown(drive: Drive) -> None:
    class Failing(FakePipeline):
        def spans(self, seconds: float) -> SpanReport:
            raise Sp500tuiError(f"no answer within {seconds:g} s")

    async with drive(Failing()) as driven:
        await driven.press("9")
        await driven.until(lambda: "no answer within 30 s" in driven.text())
