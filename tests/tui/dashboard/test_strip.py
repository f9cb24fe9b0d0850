"""The pipeline strip shows every stage and queue at every width, and tells what is slow in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sp500tui.pipeline.core.snapshot import ConstituentsSnapshot, Health, QueueName, Snapshot, StageName
from sp500tui.tui.render.lines import Line, Role, width_of
from sp500tui.tui.shell.pipeline_strip import COLUMNS, columns, stage_at, strip_lines
from tests.support.tui.fake_pipeline import degraded, draining, empty, failed, queue, running


def drawn(snapshot: Snapshot, width: int, height: int, *, show_trouble: bool = False) -> list[str]:
    lines = strip_lines(snapshot, StageName.PRICE, width, height, show_trouble=show_trouble)
    return ["".join(span.text for span in line) for line in lines]


def column_of(lines: list[str], width: int, what: object) -> list[str]:
    column = next(each for each in columns(width) if each.what == what)
    return [line[column.left : column.left + column.width].strip() for line in lines[:-1]]


@given(st.integers(60, 320))
def test_columns_are_ordered_disjoint_and_inside(width: int) -> None:
    layout = columns(width)
    assert [column.what for column in layout] == list(COLUMNS)
    for left, right in pairwise(layout):
        assert left.left + left.width < right.left
    assert layout[-1].left + layout[-1].width <= width


@pytest.mark.parametrize("make", [running, degraded, empty, failed, draining])
@pytest.mark.parametrize(("width", "height"), [(60, 4), (80, 5), (80, 9), (116, 9), (196, 9), (116, 1)])
def test_it_fills_exactly_its_room(make: Callable[[], Snapshot], width: int, height: int) -> None:
    lines = strip_lines(make(), StageName.PRICE, width, height, show_trouble=True)
    assert [width_of(line) for line in lines] == [width] * height


def test_a_queue_tells_everything_about_itself() -> None:
    lines = drawn(running(), 116, 9)
    assert column_of(lines, 116, QueueName.TICKERS) == [
        "tickers",
        "╸─┼─────────",
        "50/2,048",
        "0.4 s old",
        "in 41.2/s",
        "out 38.0/s",
        "high 503",
        "▲ filling",
    ]
    assert column_of(drawn(running(), 196, 9), 196, QueueName.ROWS)[-1] == "▼ empty in 15 s"


def test_a_stage_tells_everything_about_itself() -> None:
    assert column_of(drawn(running(), 116, 9), 116, StageName.PRICE) == [
        "price ×8 !",
        "●●●●●○○○",
        "41.2/s",
        "p95 112 ms",
        "5/8 busy",
        "21.1k done",
        "3 failed",
        "2 restarts",
    ]


def test_narrow_columns_keep_units_and_trend() -> None:
    lines = drawn(running(), 80, 5)
    assert column_of(lines, 80, QueueName.TICKERS)[2] == "50/2,048 ▲"
    assert column_of(lines, 80, StageName.PRICE) == ["price ×8!", "●●●●●○○○", "41.2/s", "p95 112ms"]
    assert column_of(lines, 80, StageName.CONVERTER)[0] == "conv ×2"


def test_no_cell_loses_its_end_at_the_usual_widths() -> None:
    for width in (60, 80, 116, 196):
        for line in drawn(running(), width, 5)[:-1]:
            assert "…" not in line


def test_the_last_line_names_the_bottleneck_or_the_trouble() -> None:
    assert drawn(degraded(), 116, 9)[-1].startswith("bottleneck: price workers")
    assert drawn(degraded(), 116, 9, show_trouble=True)[-1].startswith(
        "! degraded, next attempt in 3 s: Yahoo Finance answers 429"
    )


@pytest.mark.parametrize(
    ("change", "signs"),
    [
        ({"size": 8, "alive": 8, "busy": 8}, "●●●●●●●●"),
        ({"size": 10, "alive": 8, "busy": 5}, "●●●●●○○○◌◌"),
        ({"size": 6, "alive": 8, "busy": 4}, "●●●●○○▽▽"),
        ({"size": 64, "alive": 64, "busy": 32}, "━━━━━━──────"),
        ({"paused": True}, "‖ paused"),
    ],
)
def test_the_pool_shows_who_is_busy_who_leaves_and_who_comes(change: dict[str, int], signs: str) -> None:
    snapshot = running()
    stages = tuple(
        replace(stage, **change) if stage.name is StageName.PRICE else stage  # type: ignore[arg-type]
        for stage in snapshot.stages
    )
    lines = drawn(replace(snapshot, stages=stages), 116, 9)
    assert column_of(lines, 116, StageName.PRICE)[1] == signs


@pytest.mark.parametrize(("ready", "role"), [(10, Role.ACCENT), (70, Role.WARN), (95, Role.BAD)])
def test_a_filling_queue_changes_its_role(ready: int, role: Role) -> None:
    rows = queue(QueueName.ROWS, ready, 100, ready, 1.0, 2.0, 1.0)
    snapshot = replace(running(), queues=(*running().queues[:2], rows))
    line: Line = strip_lines(snapshot, StageName.PRICE, 116, 9, show_trouble=False)[1]
    assert role in {span.role for span in line if "━" in span.text or "╸" in span.text}


def test_the_selected_stage_is_marked_by_more_than_colour() -> None:
    line = strip_lines(running(), StageName.WRITER, 116, 9, show_trouble=False)[0]
    assert [span.text.strip() for span in line if span.role is Role.SELECTED] == ["write ×2"]


def test_a_list_from_the_cache_is_marked() -> None:
    stale = replace(running(), constituents=ConstituentsSnapshot(Health.DEGRADED, "old list", 503, "cache"))
    assert column_of(drawn(stale, 116, 9), 116, StageName.SCRAPER)[1] == "! 503 listed"


@pytest.mark.parametrize(
    ("rows", "words"), [(None, "– rows"), (20_871, "20,871 rows"), (123_456_789, "123M rows")]
)
def test_rows_of_the_database(rows: int | None, words: str) -> None:
    snapshot = replace(running(), database=replace(running().database, rows_total=rows))
    assert column_of(drawn(snapshot, 116, 9), 116, None)[2] == words


def test_arrows_are_bright_only_where_something_flows() -> None:
    line = strip_lines(empty(), StageName.PRICE, 116, 9, show_trouble=False)[1]
    assert {span.role for span in line if "▶" in span.text} == {Role.DIM}


def test_clicks_find_stages_and_nothing_else() -> None:
    for column in columns(116):
        expected = column.what if isinstance(column.what, StageName) else None
        assert stage_at(column.left, 116) is expected
        assert stage_at(column.left + column.width - 1, 116) is expected
    assert stage_at(115, 116) is None
