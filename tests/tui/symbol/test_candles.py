"""Candles: their signs, the volume below them, the time axis with actions, and their text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from sp500tui.model import ActionKind, MarketState, Quote
from sp500tui.storage.history.candles import Candle, ChartAction, StoredCandles
from sp500tui.storage.history.periods import PERIODS, Period
from sp500tui.tui.render.lines import Line, Role
from sp500tui.tui.symbol.candle_plot import CandlePlot, candle_lines, candles_that_fit, time_labels
from sp500tui.tui.symbol.candle_series import (
    CandleSeries,
    LiveCandles,
    action_text,
    descriptions,
    direction,
    reading,
    summary,
)
from sp500tui.tui.terminal.ascii import as_ascii

OPENING = datetime(2026, 5, 4, 13, 30, tzinfo=UTC)
BY_NAME = {each.name: each for each in PERIODS}
MINUTE, DAY = BY_NAME["1-minute"], BY_NAME["daily"]


def text(lines: Sequence[Line]) -> list[str]:
    return ["".join(span.text for span in line) for line in lines]


def candle(first: float, high: float, low: float, last: float, volume: int | None = 100) -> Candle:
    return Candle(
        OPENING, Decimal(str(first)), Decimal(str(high)), Decimal(str(low)), Decimal(str(last)), volume
    )


def series(
    *candles: Candle, period: Period = MINUTE, actions: Sequence[ChartAction] = (), **more: object
) -> CandleSeries:
    """Consecutive candles."""
    placed = tuple(
        replace(each, start=period.start_of(OPENING + number * timedelta(seconds=period.seconds)))
        for number, each in enumerate(candles)
    )
    stored = StoredCandles("MMM", period, placed, tuple(actions), currency="USD", **more)  # type: ignore[arg-type]
    return CandleSeries.of(LiveCandles(stored), "USD", None)


def action(at: datetime, ratio: tuple[int, int] | None = (4, 1)) -> ChartAction:
    kind = ActionKind.SPLIT if ratio else ActionKind.DIVIDEND
    numbers = tuple(map(Decimal, ratio)) if ratio else (None, None)
    amount, currency = (None, None) if ratio else (Decimal("0.730"), "USD")
    return ChartAction(kind, at.date(), at, numbers[0], numbers[1], amount, currency)


def quote(price: str, at: datetime, volume: int | None = None, state: str = MarketState.REGULAR) -> Quote:
    return Quote("MMM", Decimal(price), None, None, "USD", at, state, volume, at)


class TestSigns:
    def drawn(self, one: Candle) -> str:
        """The column of a candle between two that span the axis, from top to bottom."""
        ends = candle(100, 110, 90, 100)
        made = series(ends, one, ends)
        plot = CandlePlot.of(made, 60, 14)
        assert plot is not None
        rows = text(candle_lines(made, 60, 14))[: plot.rows]
        return "".join(row[plot.left + plot.column(1)] for row in rows).replace("┈", " ")

    def test_rising_is_hollow_falling_is_filled_and_equal_is_a_stroke(self) -> None:
        rising, falling, flat = (
            self.drawn(candle(first, 110, 90, last)) for first, last in ((95, 105), (105, 95), (100, 100))
        )
        assert "║" in rising
        assert not set(rising) & set("█▀▄")
        assert "█" in falling
        assert not set(falling) & set("║╨╥")
        assert flat.count("┼") == 1
        # and the wicks extend to high and low
        for column in (rising, falling, flat):
            assert column[1] == column[-2] == "│"

    def test_directions_differ_in_ascii_and_without_colour(self) -> None:
        signs = [
            set(as_ascii(self.drawn(candle(first, 110, 90, last)))) for first, last in ((92, 108), (108, 92))
        ]
        assert "0" in signs[0]
        assert "#" in signs[1]
        assert not signs[0] & signs[1] - {"|", " "}

    def test_bodies_have_half_lines(self) -> None:
        columns = [self.drawn(candle(100 - number, 100, 92, 92)) for number in range(5)]
        assert len(set(columns)) > 2
        assert any(set(column) & set("▀▄") for column in columns)

    def test_roles_follow_the_direction(self) -> None:
        assert [direction(candle(100, 101, 99, last)) for last in (101, 99, 100)] == [
            Role.GOOD,
            Role.BAD,
            Role.LABEL,
        ]


class TestPlot:
    @given(
        st.lists(
            st.tuples(st.floats(0.01, 1e5), st.floats(0, 10), st.integers(0, 10**12) | st.none()),
            min_size=1,
            max_size=150,
        ),
        st.integers(20, 200),
        st.integers(1, 60),
        st.none() | st.integers(0, 149),
        st.sampled_from(PERIODS),
        st.none() | st.floats(0.01, 1e5),
    )
    @settings(deadline=None, max_examples=60)
    def test_every_line_is_exactly_as_wide_as_the_panel(
        self,
        prices: list[tuple[float, float, int | None]],
        width: int,
        height: int,
        mark: int | None,
        period: Period,
        level: float | None,
    ) -> None:
        made = series(
            *(candle(price, price + up, price / 2, price + up / 2, volume) for price, up, volume in prices),
            period=period,
            actions=[action(OPENING), action(OPENING + timedelta(days=3), None)],
        )
        lines = candle_lines(made, width, height, None if mark is None else min(mark, len(prices) - 1), level)
        assert len(lines) == height
        assert {cell_len(line) for line in text(lines)} == {width}

    def test_the_newest_candles_are_at_the_right_and_the_oldest_are_left_out(self) -> None:
        made = series(*(candle(number, number + 1, number, number + 1) for number in range(1, 200)))
        plot = CandlePlot.of(made, 60, 20)
        assert plot is not None
        assert (plot.pitch, plot.first + plot.number, plot.column(198)) == (1, 199, plot.width - 1)
        assert plot.number <= plot.width
        # few candles have a blank between them
        few = CandlePlot.of(series(*made.candles[:20]), 60, 20)
        assert few is not None
        assert few.pitch > 1
        assert candles_that_fit(60) == 25

    @given(st.integers(0, 100))
    def test_the_nearest_candle_is_the_one_under_the_pointer(self, cell: int) -> None:
        plot = CandlePlot.of(series(*[candle(1, 2, 1, 2)] * 10), 60, 20)
        assert plot is not None
        index = plot.nearest(cell)
        assert abs(plot.column(index) - max(plot.column(0), min(cell, plot.width - 1))) <= plot.pitch

    def test_volume_is_drawn_below_and_named_where_there_is_none(self) -> None:
        lines = text(candle_lines(series(candle(1, 2, 1, 2, 50), candle(2, 2, 1, 1, 100)), 60, 20))
        assert any(line.split("│")[0].strip() == "100" for line in lines)
        assert lines[-3].count("█") > lines[-6].count("█") > 0
        none = text(candle_lines(series(candle(1, 2, 1, 2, None), candle(2, 2, 1, 1, None)), 60, 20))
        assert any("no volume" in line for line in none)

    def test_the_previous_close_is_a_line_where_it_is_near(self) -> None:
        made = series(*[candle(100, 102, 99, 101)] * 9)
        assert "╌" in "".join(text(candle_lines(made, 60, 20, level=98.0)))
        assert "╌" not in "".join(text(candle_lines(made, 60, 20, level=50.0)))

    def test_actions_are_marked_on_the_axis(self) -> None:
        days = [candle(100, 102, 99, 101)] * 9
        made = series(
            *days,
            period=DAY,
            actions=[action(OPENING + timedelta(days=2)), action(OPENING + timedelta(days=5), None)],
        )
        axis = text(candle_lines(made, 60, 20))[-2]
        plot = CandlePlot.of(made, 60, 20)
        assert plot is not None
        assert (axis[plot.left + plot.column(2)], axis[plot.left + plot.column(5)]) == ("S", "D")
        assert axis.count("S") == axis.count("D") == 1

    @pytest.mark.parametrize(("width", "height"), [(15, 20), (60, 3)])
    def test_a_chart_that_is_too_small_shows_a_message(self, width: int, height: int) -> None:
        assert "too small" in text(candle_lines(series(candle(1, 2, 1, 2)), width, height))[0].replace(
            "…", "mall"
        )


class TestTimeLabels:
    @pytest.mark.parametrize(
        ("period", "number", "labels"),
        [
            ("1-minute", 30, ["13:30", "13:35", "13:40", "13:45", "13:50", "13:55"]),
            ("10-second", 30, ["13:30", "13:31", "13:32", "13:33", "13:34"]),
            ("1-hour", 100, ["May 4", "May 5", "May 6", "May 7", "May 8"]),
            ("daily", 5, ["May 4", "May 5", "May 6", "May 7", "May 8"]),
            ("daily", 120, ["May", "Jun", "Jul", "Aug"]),
            ("monthly", 10, ["May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec", "2027"]),
            ("monthly", 40, ["2026", "2027", "2028", "2029"]),
            ("yearly", 4, ["2026", "2027", "2028", "2029"]),
        ],
    )
    def test_name_what_begins(
        self, monkeypatch: pytest.MonkeyPatch, period: str, number: int, labels: list[str]
    ) -> None:
        made = series(*[candle(1, 2, 1, 2)] * number, period=BY_NAME[period])
        found = [label for _, label in time_labels(made, 0, number, 6)]
        assert found[: len(labels)] == labels
        assert len(found) <= 14


class TestWords:
    def test_a_candle_is_read_with_units_and_currency(self) -> None:
        made = series(
            candle(100, 103, 99, 102, 1_234_567), candle(102, 102, 100, 100, None), actions=[action(OPENING)]
        )
        first = text(reading(made, 0))
        assert first[0] == (
            "May 4 13:30   O 100.00  H 103.00  L 99.00  C 102.00 USD   ▲ +2.00 %   1,234,567 shares   "
            "split 4:1 on 2026-05-04  "
        )
        assert first[-1] == "May 4 13:30  C 102.00 USD"
        last = text(reading(made, 1))[0]
        assert "▼ −1.96 %" in last
        assert "volume n/a" in last
        assert last.endswith("latest")

    def test_days_are_those_of_the_exchange(self) -> None:
        made = series(candle(1, 2, 1, 2), period=DAY)
        assert made.time_text(made.candles[0].start) == "2026-05-04"

    def test_actions_are_described_as_text(self) -> None:
        assert action_text(action(OPENING, (3, 2))) == "split 3:2 on 2026-05-04"
        assert action_text(action(OPENING, None)) == "dividend 0.73 USD on 2026-05-04"

    def test_the_range_has_its_change_low_and_high(self) -> None:
        made = series(candle(100, 103, 99, 102), candle(102, 120, 80, 90))
        assert text(summary(made))[0] == "▼ −10.00 % over 2 min   low 80.00   high 120.00 USD"

    def test_the_title_names_resolution_origin_and_adjustment(self) -> None:
        made = series(
            candle(1, 2, 1, 2), origin={"1m": 390, "quotes": 1}, adjusted=True, actions=[action(OPENING)]
        )
        assert descriptions(made) == [
            "1 1-minute candle · 390 1m bars, 1 collected price · adjusted: split 4:1",
            "1 1-minute candle · adjusted: split 4:1",
            "1 1-minute candle · adjusted",
        ]
        plain = series(candle(1, 2, 1, 2), origin={"1m": 1})
        assert descriptions(plain) == ["1 1-minute candle · 1 1m bar", "1 1-minute candle"]

    def test_another_currency_multiplies_prices_and_not_volumes(self) -> None:
        made = series(candle(100, 103, 99, 102, 50))
        shown = CandleSeries.of(LiveCandles(made.stored), "DKK", Decimal("6.5"))
        assert (shown.candles[0].high, shown.candles[0].volume) == (Decimal("669.5"), 50)
        assert "C 663.00 DKK" in text(reading(shown, 0))[0]


class TestLive:
    def live(self, *, regular: bool = False) -> LiveCandles:
        return LiveCandles(replace(series(candle(100, 103, 99, 102, 50)).stored, regular=regular))

    def test_the_newest_price_continues_the_running_candle_and_begins_the_next(self) -> None:
        live = self.live()
        assert live.add(quote("105", OPENING + timedelta(seconds=20), 1000))
        assert live.candles == [candle(100, 105, 99, 105, 50)]
        assert live.add(quote("98", OPENING + timedelta(seconds=40), 1030))
        assert live.candles == [candle(100, 105, 98, 98, 80)]
        assert live.add(quote("99", OPENING + timedelta(seconds=65), 1040))
        assert live.candles[1] == replace(candle(99, 99, 99, 99, 10), start=OPENING + timedelta(minutes=1))

    def test_the_same_quote_twice_changes_nothing(self) -> None:
        live = self.live()
        latest = quote("105", OPENING + timedelta(seconds=20), 1000)
        assert live.add(latest)
        before = list(live.candles)
        assert not live.add(latest)
        assert live.candles == before

    def test_an_older_price_is_ignored(self) -> None:
        assert not self.live().add(quote("1", OPENING - timedelta(seconds=1)))

    def test_only_the_regular_session_updates_candles_of_the_regular_session(self) -> None:
        late = quote("1", OPENING + timedelta(minutes=1), None, MarketState.POST)
        assert not self.live(regular=True).add(late)
        assert self.live().add(late)

    def test_without_candles_there_is_nothing_to_continue(self) -> None:
        assert not LiveCandles(StoredCandles("MMM", MINUTE)).add(quote("1", OPENING))
