"""Strips: one cell a second, each value with a distinct sign, always exactly as wide as requested."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sp500tui.tui.render.lines import Line, Role, width_of
from sp500tui.tui.render.strips import (
    Activity,
    Mark,
    activity_sign,
    activity_strip,
    depth_sign,
    depth_strip,
    event_strip,
    time_axis,
    worker_signs,
)

SHARES = st.floats(0, 1)
ACTIVITIES = st.none() | st.builds(Activity, SHARES, SHARES, SHARES, SHARES, st.integers(0, 2))


def text_of(line: Line) -> str:
    return "".join(span.text for span in line)


@pytest.mark.parametrize(
    ("activity", "sign"),
    [
        (Activity(), "·"),
        (Activity(busy=0.02), "░"),
        (Activity(busy=0.3), "▒"),
        (Activity(busy=0.6), "▓"),
        (Activity(busy=0.9), "█"),
        (Activity(busy=1.0), "█"),
        (Activity(busy=0.4, waiting=0.6), "◔"),
        (Activity(busy=0.6, waiting=0.4), "▓"),
        (Activity(blocked=0.7), "◧"),
        (Activity(paused=1.0), "‖"),
        (Activity(busy=0.3, database_down=0.7), "◇"),
        (Activity(busy=0.7, database_down=0.3), "▓"),
        (Activity(failed=1, database_down=0.9), "✗"),
        (Activity(busy=1.0, failed=1), "✗"),
    ],
)
def test_every_second_has_one_sign(activity: Activity, sign: str) -> None:
    assert activity_sign(activity)[0] == sign


def test_only_failures_and_waits_have_a_colour_of_their_own() -> None:
    assert activity_sign(Activity(failed=1))[1] is Role.BAD
    assert activity_sign(Activity(blocked=1.0))[1] is Role.WARN
    # the request limit is a setting: waiting for it is not a problem
    assert activity_sign(Activity(waiting=1.0))[1] is Role.LABEL
    assert activity_sign(Activity(database_down=1.0))[1] is Role.BAD
    assert {activity_sign(Activity(busy=share / 10))[1] for share in range(11)} == {Role.ACCENT}


@pytest.mark.parametrize(
    ("depth", "full", "sign"),
    [
        (0, 100, "·"),
        (1, 100, "▁"),
        (25, 100, "▅"),
        (24, 100, "▄"),
        (100, 100, "█"),
        (900, 100, "█"),
        (3, 0, "█"),
    ],
)
def test_depths_are_eighths_of_the_square_root(depth: float, full: float, sign: str) -> None:
    assert depth_sign(depth, full) == sign


@given(st.floats(0, 5_000), st.floats(0, 5_000))
def test_a_deeper_queue_is_never_drawn_lower(one: float, other: float) -> None:
    order = "·▁▂▃▄▅▆▇█"
    low, high = sorted((one, other))
    assert order.index(depth_sign(low, 4096)) <= order.index(depth_sign(high, 4096))


@given(st.lists(ACTIVITIES, max_size=90), st.integers(0, 80))
def test_a_strip_has_exactly_its_width_and_the_newest_second_at_its_end(
    seconds: list[Activity | None], width: int
) -> None:
    line = activity_strip(seconds, width)
    assert width_of(line) == width
    if width and seconds:
        newest = seconds[-1]
        assert text_of(line)[-1] == (" " if newest is None else activity_sign(newest)[0])


@given(st.lists(st.none() | st.floats(0, 9_000), max_size=90), st.integers(0, 80))
def test_so_has_a_strip_of_depths(depths: list[float | None], width: int) -> None:
    assert width_of(depth_strip(depths, 4096, width)) == width


def test_seconds_without_a_sample_are_blank_and_idle_ones_are_not() -> None:
    assert text_of(activity_strip([None, Activity(), Activity(0.9)], 5)) == "   ·█"
    assert text_of(depth_strip([None, 0, 4096], 4096, 5)) == "   ·█"


def test_cells_of_one_role_are_one_span() -> None:
    line = activity_strip([Activity(0.1), Activity(0.9), Activity(failed=1), Activity()], 4)
    assert [span.text for span in line] == ["░█", "✗", "·"]


@pytest.mark.parametrize(
    ("width", "axis"),
    [
        (61, "−60 s                         −30 s                       now"),
        (31, "−30 s                       now"),
        (30, "−29 s                      now"),
        (11, "−10 s   now"),
        (10, "       now"),
        (2, "ow"),
        (0, ""),
    ],
)
def test_the_axis_labels_each_half_minute_or_the_first_cell_of_a_short_strip(width: int, axis: str) -> None:
    assert time_axis(width) == axis


@given(st.integers(3, 200))
def test_the_axis_is_as_long_as_the_strip_below_it(width: int) -> None:
    axis = time_axis(width)
    assert len(axis) == width
    for ago in range(30, width, 30):
        assert axis[width - 1 - ago] == "−"


class TestEvents:
    def test_signs_are_at_their_seconds_with_their_text(self) -> None:
        marks = [Mark(18, "▼", "db down", Role.BAD), Mark(8, "▲", "db back", Role.GOOD)]
        assert text_of(event_strip(marks, 20)) == " ▼ db down ▲ db back"

    def test_labels_without_room_are_left_out_and_signs_are_not(self) -> None:
        marks = [Mark(18, "✗", "writer-1 died", Role.BAD), Mark(10, "▼", "db down", Role.BAD)]
        assert text_of(event_strip(marks, 20)) == " ✗       ▼ db down  "
        assert text_of(event_strip([Mark(3, "✗", "writer-1 died", Role.BAD)], 10)) == "      ✗   "

    def test_labels_may_extend_beyond_the_strip(self) -> None:
        assert text_of(event_strip([Mark(0, "✗", "writer-1 died", Role.BAD)], 3, 20)).rstrip() == (
            "  ✗ writer-1 died"
        )

    def test_a_repeated_label_is_written_once(self) -> None:
        marks = [Mark(ago, "!", "behind", Role.WARN) for ago in (19, 10, 3)]
        assert text_of(event_strip(marks, 20)) == "! behind !      !   "

    def test_the_most_severe_event_of_a_second_is_shown(self) -> None:
        marks = [Mark(5, "✗", "died", Role.BAD), Mark(5, "±", "scaled", Role.ACCENT)]
        assert text_of(event_strip(marks, 12)).strip() == "✗ died"
        assert text_of(event_strip(marks[::-1], 12)).strip() == "✗ died"

    @given(
        st.lists(
            st.builds(Mark, st.integers(0, 300), st.just("✗"), st.text("ab ", max_size=9), st.just(Role.BAD))
        ),
        st.integers(0, 150),
        st.integers(0, 40),
    )
    def test_the_line_is_always_exactly_as_wide(self, marks: list[Mark], width: int, room: int) -> None:
        assert width_of(event_strip(marks, width, room)) == width + room


class TestWorkers:
    COUNTS = ((5, "●", Role.GOOD), (0, "◔", Role.WARN), (15, "○", Role.DIM))

    @pytest.mark.parametrize(
        ("width", "signs"),
        [(20, "●" * 5 + "○" * 15), (19, "5● 15○"), (6, "5● 15○"), (5, "5●15○"), (4, "15○…")],
    )
    def test_a_sign_each_or_numbers_with_signs(self, width: int, signs: str) -> None:
        assert text_of(worker_signs(self.COUNTS, width)) == signs

    def test_no_worker_is_no_sign(self) -> None:
        assert worker_signs((), 5) == ()
