"""The chart: axis labels, the plotted line, gaps, ranges and the mark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from sp500tui.storage.reads import PricePoint
from sp500tui.tui.render.lines import Line, Role
from sp500tui.tui.symbol.candle_plot import volume_lines
from sp500tui.tui.symbol.chart import Day
from sp500tui.tui.symbol.chart_series import (
    ChartRange,
    head_line,
    line_reading,
    line_summary,
    samples_of,
    series_role,
    tab_at,
    traded_volumes,
)
from sp500tui.tui.symbol.plot import BrailleCanvas, Plot, Sample, chart_lines, time_ticks, value_axis
from tests.support.tui.canned_reader import walk
from tests.support.tui.fake_pipeline import NOON

START = NOON.timestamp()


def text(lines: Sequence[Line]) -> list[str]:
    return ["".join(span.text for span in line) for line in lines]


def rising(count: int = 60, step: float = 10.0) -> list[Sample]:
    return [Sample(START + number * step, 100.0 + number) for number in range(count)]


class TestValueAxis:
    @pytest.mark.parametrize(
        ("low", "high", "most", "labels"),
        [
            (186.1, 190.9, 5, ["186", "188", "190"]),
            (0.11, 0.19, 3, ["0.125", "0.150", "0.175"]),
            (151.2, 153.8, 2, ["152", "153"]),
            (0.0, 1000.0, 4, ["0", "500", "1,000"]),
            (100.0, 100.3, 3, ["100.00", "100.20"]),
            (0.00011, 0.00019, 3, ["0.000125", "0.000150", "0.000175"]),
        ],
    )
    def test_labels_are_round_numbers(self, low: float, high: float, most: int, labels: list[str]) -> None:
        axis = value_axis(low, high, most)
        assert [axis.label(tick) for tick in axis.ticks] == labels

    def test_a_constant_price_has_a_range(self) -> None:
        axis = value_axis(50.0, 50.0, 3)
        assert axis.low < 50 < axis.high
        assert axis.ticks

    @given(
        st.floats(1e-3, 1e6),
        st.floats(0, 1e6),
        st.integers(2, 12),
    )
    @settings(deadline=None)
    def test_labels_lie_within_the_axis_in_order_and_are_not_too_many(
        self, low: float, spread: float, most: int
    ) -> None:
        axis = value_axis(low, low + spread, most)
        assert axis.low <= low
        assert axis.high >= low + spread
        assert all(axis.low <= tick <= axis.high for tick in axis.ticks)
        assert list(axis.ticks) == sorted(set(axis.ticks))
        assert 2 <= len(axis.ticks) <= most + 1
        assert len({axis.label(tick) for tick in axis.ticks}) == len(axis.ticks)


class TestTimeTicks:
    def test_an_hour_has_round_minutes(self) -> None:
        assert [label for _, label in time_ticks(START, START + 3600, 5)] == [
            "18:00",
            "18:15",
            "18:30",
            "18:45",
        ]

    def test_seconds_are_shown_for_short_ranges(self) -> None:
        assert [label for _, label in time_ticks(START, START + 60, 2)] == ["17:46:00", "17:46:30"]

    def test_midnight_is_shown_as_a_date(self) -> None:
        labels = [label for _, label in time_ticks(START, START + 86_400, 5)]
        assert "May 15" in labels

    def test_long_ranges_show_years(self) -> None:
        ten_years = time_ticks(0, 10 * 365.25 * 86_400, 6)
        assert len(ten_years) <= 6
        assert ten_years[-1][1].isdigit()

    @pytest.mark.parametrize(("end", "most"), [(START, 5), (START + 10, 0)])
    def test_an_empty_axis_has_no_labels(self, end: float, most: int) -> None:
        assert time_ticks(START, end, most) == []

    @given(st.floats(1, 4e8), st.integers(1, 20))
    @settings(deadline=None)
    def test_labels_lie_within_the_axis_and_are_not_too_many(self, length: float, most: int) -> None:
        ticks = time_ticks(START, START + length, most)
        assert len(ticks) <= most
        assert all(START <= format_time <= START + length for format_time, _ in ticks)


class TestBraille:
    def test_every_dot_has_its_bit(self) -> None:
        canvas = BrailleCanvas(1, 1)
        for x in range(2):
            for y in range(4):
                canvas.dot(x, y)
        assert canvas.text(0) == "⣿"

    def test_dots_outside_are_left_out(self) -> None:
        canvas = BrailleCanvas(2, 1)
        canvas.dot(-1, 0)
        canvas.dot(4, 0)
        canvas.dot(0, 4)
        assert canvas.text(0) == "  "

    def test_a_line_is_continuous(self) -> None:
        canvas = BrailleCanvas(5, 2)
        canvas.line(0, 7, 9, 0)
        assert " " not in canvas.text(0)[3:]
        assert " " not in canvas.text(1)[:2]


class TestChart:
    def test_a_rising_price_goes_from_the_lower_left_to_the_upper_right(self) -> None:
        lines = text(chart_lines(rising(), 60, 12, Role.GOOD))
        places = [[place for place, sign in enumerate(line) if "⠀" < sign <= "⣿"] for line in lines[:10]]
        assert all(places)
        assert [min(row) for row in places] == sorted((min(row) for row in places), reverse=True)
        assert max(places[0]) == 59
        assert "17:50" in lines[-1]

    def test_the_axis_of_a_price_below_a_cent_shows_its_digits(self) -> None:
        samples = [Sample(START + number, 0.00012 + number * 1e-6) for number in range(60)]
        labels = [
            line.split("┤")[0].strip()
            for line in text(chart_lines(samples, 60, 12, Role.GOOD))
            if "┤" in line
        ]
        assert labels == ["0.000175", "0.000150", "0.000125"]

    def test_a_gap_in_trading_is_not_connected(self) -> None:
        # given trades every ten seconds with a gap of an hour
        samples = rising(20) + [replace(sample, at=sample.at + 3600) for sample in rising(20)]
        # when drawn
        lines = text(chart_lines(samples, 80, 12, Role.GOOD))
        # then there is no line in the middle
        assert all(set(line[30:60]) <= set(" ┈") for line in lines[:10])

    def test_the_mark_is_a_line_through_its_sample(self) -> None:
        samples = rising()
        plot = Plot.of(samples, 60, 12)
        assert plot is not None
        lines = chart_lines(samples, 60, 12, Role.GOOD, mark=30)
        cell = plot.left + plot.column(samples[30].at) // 2
        assert sum(line[cell] == "│" for line in text(lines)[:10]) >= 8

    @pytest.mark.parametrize(("width", "height"), [(15, 10), (60, 3), (60, 4)])
    def test_a_plot_that_is_too_small_is_a_text(self, width: int, height: int) -> None:
        assert "too small" in text(chart_lines(rising(), width, height, Role.GOOD))[0]

    def test_without_samples_there_are_no_lines(self) -> None:
        assert text(chart_lines([], 10, 10, Role.GOOD)) == [" " * 10]
        assert chart_lines([], 10, 0, Role.GOOD) == []

    @given(
        st.lists(st.tuples(st.floats(0, 1e7), st.floats(0.01, 1e5)), min_size=1, max_size=50),
        st.integers(40, 160),
        st.integers(8, 40),
        st.integers(0, 49),
    )
    @settings(deadline=None, max_examples=60)
    def test_every_line_is_exactly_as_wide_as_the_panel(
        self, points: list[tuple[float, float]], width: int, height: int, mark: int
    ) -> None:
        samples = [Sample(at, value) for at, value in sorted(points)]
        lines = chart_lines(samples, width, height, Role.GOOD, min(mark, len(samples) - 1))
        assert len(lines) == height
        assert {cell_len(line) for line in text(lines)} == {width}

    @given(st.integers(0, 100))
    def test_the_nearest_sample_is_the_one_under_the_pointer(self, cell: int) -> None:
        samples = rising(10)
        plot = Plot.of(samples, 60, 12)
        assert plot is not None
        index = plot.nearest(samples, cell)
        assert abs(plot.column(samples[index].at) // 2 - min(cell, plot.width - 1)) <= plot.width // 9


class TestCurve:
    def test_points_without_a_converted_price_are_left_out(self) -> None:
        points = walk("NVDA", 1)
        points[0] = replace(points[0], converted_price=None)
        assert len(samples_of(points, converted=True)) == len(points) - 1
        assert len(samples_of(points, converted=False)) == len(points)
        assert samples_of(points, converted=True)[0].value == float(points[1].converted_price or 0)

    @pytest.mark.parametrize(
        ("values", "role"),
        [
            ((1.0,), Role.ACCENT),
            ((1.0, 2.0), Role.GOOD),
            ((2.0, 1.0), Role.BAD),
            ((1.0, 2.0, 1.0), Role.ACCENT),
        ],
    )
    def test_the_curve_has_the_colour_of_its_direction(self, values: tuple[float, ...], role: Role) -> None:
        assert series_role([Sample(float(at), value) for at, value in enumerate(values)]) is role

    def test_ranges_follow_each_other_in_a_ring(self) -> None:
        tabs = [ChartRange.HOUR.step(number).tab for number in range(8)]
        assert tabs == ["1h", "1d", "5d", "1m", "6m", "1y", "max", "1h"]
        assert ChartRange.HOUR.step(-1) is ChartRange.ALL

    def test_a_range_has_a_start(self) -> None:
        assert ChartRange.HOUR.since(NOON) == NOON - timedelta(hours=1)
        assert ChartRange.DAY.since(NOON) == datetime(2026, 5, 14, 4, tzinfo=UTC)
        assert ChartRange.DAYS.since(NOON) == datetime(2026, 5, 8, 4, tzinfo=UTC)
        assert ChartRange.ALL.since(NOON) == datetime(1970, 1, 1, tzinfo=UTC)

    def test_tabs_are_where_they_are_drawn(self) -> None:
        line = text([head_line(ChartRange.HOUR, [], 40)])[0]
        for chosen in ChartRange:
            place = line.index(f" {chosen.tab} ")
            assert tab_at(place) is chosen
        assert tab_at(39) is None

    def test_the_head_shows_the_statistics_that_fit(self) -> None:
        samples = [Sample(START, 100.0), Sample(START + 600, 110.0), Sample(START + 1200, 105.0)]
        texts = line_summary(samples, "USD")
        wide = text([head_line(ChartRange.HOUR, texts, 110)])[0]
        assert "+5.00 % over 20 min" in wide
        assert "low 100.00   high 110.00 USD" in wide
        assert "3 points" in wide
        narrow = text([head_line(ChartRange.HOUR, texts, 60)])[0]
        assert "+5.00 % over 20 min" in narrow
        assert "low" not in narrow

    def test_the_mark_is_read_with_its_time(self) -> None:
        samples = [Sample(START, 100.0), Sample(START + 600, 110.0)]
        long, _, short = text(line_reading(samples, "USD", 1))
        assert long == "2026-05-14 17:56:00   110.00 USD   +10.00 % since start of chart"
        assert short == "17:56:00   110.00 USD"

    @given(st.integers(18, 120), st.decimals(Decimal("0.0001"), Decimal("99999"), places=4))
    @settings(deadline=None)
    def test_the_head_is_exactly_as_wide_as_the_panel(self, width: int, price: Decimal) -> None:
        samples = [Sample(START, float(price)), Sample(START + 5, 1.0)]
        for texts in (line_summary(samples, "USD"), line_reading(samples, "USD", 0), []):
            assert cell_len(text([head_line(ChartRange.ALL, texts, width)])[0]) == width

    def test_the_volume_of_a_cell_is_the_difference_of_the_counts(self) -> None:
        # given counts of a session, a quote without one, and the next session
        counts = (100, 150, None, 400, 20, 30)
        points = [
            PricePoint(NOON + timedelta(seconds=number), Decimal(1), None, volume, "REGULAR")
            for number, volume in enumerate(counts)
        ]
        volumes = traded_volumes(points, lambda at: int(at - START) // 2, 3)
        assert volumes == [50, 250, 30]
        assert text(volume_lines(volumes, 2, 8)) == ["   250 │ █ ", "shares │▃█▂"]
        assert text(volume_lines([0] * 12, 2, 8)) == ["       │ no volume  ", "       │            "]

    @pytest.mark.parametrize("value", [0.5, 9.0, 950.0])
    def test_the_axis_has_room_for_the_volume_and_its_unit(self, value: float) -> None:
        samples = [Sample(START + number, value * (1 + number / 200)) for number in range(20)]
        plot = Plot.of(samples, 60, 12)
        assert plot is not None
        first, second = text(volume_lines([412_000] * plot.width, 2, plot.left))
        assert (first.split("│")[0].strip(), second.split("│")[0].strip()) == ("412k", "shares")


def test_ranges_of_different_length_draw_different_pictures() -> None:
    # GIVEN prices of three minutes
    samples = [Sample(1_000_000.0 + second, 100.0 + second / 60) for second in range(180)]
    end = samples[-1].at

    # WHEN they are drawn over an hour, a day and their own span
    pictures = [
        text(chart_lines(samples, 80, 12, Role.GOOD, since=since))
        for since in (end - 3600, end - 86_400, None)
    ]

    # THEN each has a different time axis, and the line is at the right end of the longer ones
    assert len({tuple(picture) for picture in pictures}) == 3
    assert all(line[40:60].strip("┈ ") == "" for line in pictures[1][:10])


def test_the_previous_close_is_a_line_where_it_is_near() -> None:
    samples = [Sample(float(second), 100.0 + second / 100) for second in range(100)]

    near = "".join(text(chart_lines(samples, 80, 14, Role.GOOD, level=99.5)))
    far = "".join(text(chart_lines(samples, 80, 14, Role.GOOD, level=50.0)))

    assert "╌" in near
    assert "╌" not in far


@pytest.mark.parametrize(
    ("converted", "rate", "level"), [(False, None, 99.0), (True, Decimal("6.5"), 643.5), (True, None, None)]
)
def test_the_previous_close_is_in_the_currency_shown(
    converted: bool, rate: Decimal | None, level: float | None
) -> None:
    assert Day("+1.00", 99.0, rate).level(converted=converted) == level
