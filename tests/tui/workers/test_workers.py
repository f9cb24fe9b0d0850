"""The workers panel: states, tasks, details, cursor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.snapshot import WorkerSnapshot, WorkerState
from sp500tui.tui.render.labels import WORKER_SIGNS, worker_state_label
from sp500tui.tui.render.lines import Line, Role, width_of
from sp500tui.tui.render.strips import Activity, activity_strip, time_axis
from sp500tui.tui.render.worker_lines import (
    detail_lines,
    header_line,
    name_width,
    worker_columns,
    worker_line,
)
from tests.support.parameters import sizes
from tests.support.tui.fake_cluster import watching
from tests.support.tui.fake_pipeline import FakePipeline, degraded, running, worker
from tests.support.tui.past_seconds import past_seconds
from tests.tui.conftest import Drive, Driven


def text_of(line: Line) -> str:
    return "".join(span.text for span in line)


def line_of(state: WorkerState, **more: object) -> str:
    width = 130
    doing = str(more.pop("doing", "50 symbols"))
    one = worker(StageName.PRICE, 3, state, doing, 6.1, **more)
    return text_of(worker_line(one, worker_columns(width, 8, strips=False), width))


@given(
    st.integers(40, 220),
    st.sampled_from(WorkerState),
    st.text(max_size=300),
    st.booleans(),
    st.integers(0, 20),
)
def test_a_line_is_exactly_as_wide_as_the_panel(
    width: int, state: WorkerState, words: str, strips: bool, nodes: int
) -> None:
    one = worker(StageName.WRITER, 3, state, words, 6.1, last_error=words, retry_in=3.0)
    columns = worker_columns(width, 8, nodes=nodes, strips=strips)
    assert (
        width_of(worker_line(one, columns, width, activity_strip([Activity(0.5)] * 99, columns.strip)))
        == width
    )
    assert width_of(header_line(columns, width)) == width


def test_columns_are_added_with_the_width() -> None:
    assert [name for name, _ in worker_columns(44, 11).figures] == []
    for width in (76, 109, 117):
        assert [name for name, _ in worker_columns(width, 11).figures] == ["rate", "p95 10 s"]
    assert [name for name, _ in worker_columns(120, 11).figures] == ["rate", "p95 10 s", "restarts"]
    assert [name for name, _ in worker_columns(200, 11).figures] == [
        "rate",
        "p95 10 s",
        "restarts",
        "pid",
        "last error",
    ]


@pytest.mark.parametrize(("width", "strip"), [(45, 12), (77, 27), (89, 39), (110, 60), (120, 60), (200, 60)])
def test_the_strip_gets_what_the_figures_leave(width: int, strip: int) -> None:
    columns = worker_columns(width, 11)
    assert columns.strip == strip
    assert time_axis(strip) in text_of(header_line(columns, width))


@pytest.mark.parametrize("nodes", range(20))
def test_a_strip_is_left_out_where_its_heading_does_not_fit(nodes: int) -> None:
    for width in range(30, 120):
        columns = worker_columns(width, 11, nodes=nodes)
        assert not columns.strip or "now" in text_of(header_line(columns, width))


def test_the_strip_shows_the_last_seconds_of_the_worker() -> None:
    seconds = [Activity(0.1), Activity(1.0), Activity(failed=1), Activity()]
    one = worker(StageName.PRICE, 3, WorkerState.IDLE, "")
    strip = activity_strip(seconds, 12)
    assert text_of(worker_line(one, worker_columns(45, 11), 45, strip)).endswith("░█✗·")


def test_header_and_lines_have_the_same_columns() -> None:
    one = worker(StageName.WRITER, 2, WorkerState.BUSY, "52 rows", 19.0, restarts=7)
    for width in (44, 76, 110, 150):
        columns = worker_columns(width, 11)
        line = text_of(worker_line(one, columns, width, activity_strip([Activity(0.3)] * 60, columns.strip)))
        heading = text_of(header_line(columns, width))
        axis = time_axis(columns.strip)
        assert line.rindex("▒") == heading.index(axis) + len(axis) - 1
        for title, figure in (("rate", "19.0/s"), ("restarts", " 7")):
            if title in heading:
                assert heading.index(title) + len(title) == line.index(figure) + len(figure)


@pytest.mark.parametrize("state", list(WorkerState))
def test_every_state_has_a_sign_and_a_label(state: WorkerState) -> None:
    sign, _ = WORKER_SIGNS[state]
    assert f" {sign} {worker_state_label(state)} " in line_of(state)
    assert len(worker_state_label(state)) <= 8


@pytest.mark.parametrize(
    ("state", "more", "words"),
    [
        (
            WorkerState.BACKOFF,
            {"retry_in": 12.0, "doing": "answered 429"},
            ("↻ retry", "in 12 s", "answered 429"),
        ),
        (WorkerState.DATABASE, {"state_seconds": 0.2}, ("● commit", "0.2 s", "50 symbols")),
        (WorkerState.DATABASE_DOWN, {"retry_in": 3.0}, ("◇ db down", "in 3 s", "50 symbols")),
        (WorkerState.LIMIT, {"state_seconds": 0.3}, ("◔ limit", "0.3 s", "50 symbols")),
        (WorkerState.SOURCE, {"state_seconds": 2.4}, ("● request", "2 s", "50 symbols")),
        (WorkerState.DRAINING, {"state_seconds": 5.0}, ("▽ draining", "5 s")),
        (WorkerState.HUNG, {"state_seconds": 75.0, "doing": ""}, ("✗ hung", "1 min")),
        (WorkerState.BLOCKED, {"state_seconds": 5.0}, ("◧ blocked", "5 s", "50 symbols")),
        (WorkerState.IDLE, {"doing": "", "state_seconds": 9.0}, ("○ idle", "9 s")),
        (WorkerState.BUSY, {"state_seconds": 9.8}, ("● busy", "10 s", "50 symbols")),
    ],
)
def test_states_have_their_time_or_a_countdown(
    state: WorkerState, more: dict[str, object], words: tuple[str, ...]
) -> None:
    assert " ".join(words) in " ".join(line_of(state, **more).split())


def test_a_wide_panel_has_errors_restarts_and_process_ids() -> None:
    one = worker(StageName.WRITER, 2, WorkerState.BUSY, "52 rows", 19.0, restarts=3, last_error="pipe broke")
    line = text_of(worker_line(one, worker_columns(140, 8), 140))
    assert "pipe broke" in line
    assert " 3 " in line
    assert "4202" in line
    thread = text_of(
        worker_line(worker(StageName.PRICE, 2, WorkerState.BUSY, "x"), worker_columns(140, 8), 140)
    )
    assert "t4302" in thread
    assert "none" in thread


def test_names_get_the_room_they_need() -> None:
    assert name_width(running().workers) == len("converter-1")
    assert name_width(()) == 8
    assert name_width([replace(running().workers[0], name="x" * 99)]) == 16


async def test_w_shows_the_workers_of_the_selected_stage(drive: Drive) -> None:
    async with drive() as driven:
        panel = driven.main.worker_list
        panel.focus()
        # when only the stage's workers are wanted
        await driven.press("w")
        assert {each.stage for each in panel.shown()} == {StageName.PRICE}
        assert "workers · price workers · 8" in driven.text()
        # then another stage shows its own
        await driven.press("right")
        assert {each.stage for each in panel.shown()} == {StageName.CONVERTER}
        await driven.press("w")
        assert len(panel.shown()) == len(running().workers)


@given(st.integers(20, 200), st.integers(1, 3), st.sampled_from(WorkerState), st.text(max_size=300))
def test_the_details_are_exactly_as_large_as_their_place(
    width: int, lines: int, state: WorkerState, words: str
) -> None:
    one = worker(StageName.PRICE, 3, state, words, 6.1, last_error=words)
    assert [width_of(line) for line in detail_lines(one, width, lines)] == [width] * lines


@pytest.mark.parametrize("size", sizes((80, 24), (200, 60), (120, 40), (160, 48), keep=1))
async def test_process_and_error_of_the_marked_worker_are_shown_at_every_size(
    drive: Drive, size: tuple[int, int]
) -> None:
    async with drive(FakePipeline(degraded()), size=size) as driven:
        # given a marked writer whose database is unavailable
        panel = driven.main.worker_list
        panel.focus()
        await driven.press("G", "k")
        # then its process and its error are there, and its line is not hidden by them
        await driven.until(lambda: "last error: connection refused" in driven.text(), "the error")
        assert "↳ pid 4201" in driven.text()
        assert "writer-1" in driven.text()
        # and of a thread both it and its process
        await driven.press("g")
        await driven.until(lambda: "↳ thread 4301 of pid 4100" in driven.text(), "the thread")
        assert "no errors" in driven.text()
        # and nothing of it once another panel has the keys
        driven.main.panel.table.focus()
        await driven.until(lambda: "↳" not in driven.text(), "the panel without details")


async def test_the_cursor_follows_keys_and_clicks_and_stays_in_view(drive: Drive) -> None:
    async with drive(size=(80, 24)) as driven:
        panel = driven.main.worker_list
        panel.focus()
        await driven.press("G")
        roles = {role for _, role in panel.line_cells(1)[1]}
        assert roles == {Role.SELECTED}
        assert panel.cursor == len(running().workers) - 1
        await driven.until(lambda: "writer-2" in driven.text(), "the last worker in view")
        await driven.press("home")
        await driven.until(lambda: "scraper " in driven.text(), "the first worker in view")
        await driven.pilot.click("#workers", offset=(5, 2))
        await driven.until(lambda: panel.cursor == 1)
        # and a click on the details below the workers does not move it
        await driven.pilot.click("#workers", offset=(5, 3))
        await driven.pilot.pause()
        assert panel.cursor == 1


async def test_without_the_focus_the_list_ends_with_its_last_worker(drive: Drive) -> None:
    async with drive(size=(80, 24)) as driven:
        # given the last worker in view above the details
        panel = driven.main.worker_list
        panel.focus()
        await driven.press("G")
        await driven.until(lambda: "↳" in driven.text(), "the details")
        # when another panel takes the focus and the details are hidden
        driven.main.panel.table.focus()
        # then no blank line is left below the last worker
        await driven.until(
            lambda: "writer-2" in panel.render_line(panel.line_count - 1).text, "the last worker"
        )


async def test_an_empty_list_shows_that_the_workers_are_starting(drive: Drive) -> None:
    async with drive(FakePipeline(replace(running(), workers=()))) as driven:
        assert "Starting workers" in driven.text()
        driven.main.worker_list.focus()
        await driven.press("y")
        assert driven.main.worker_list.row_text() == ""


async def test_an_empty_list_in_a_cluster_does_not_show_starting(drive: Drive) -> None:
    alone = replace(watching(), nodes=watching().nodes[:1], workers=())
    async with drive(FakePipeline(alone)) as driven:
        await driven.until(lambda: "no node runs workers" in driven.text())
        assert "Starting workers" not in driven.text()


async def test_an_empty_list_after_the_last_worker_does_not_show_starting(drive: Drive) -> None:
    async with drive() as driven:
        driven.show(replace(running(), workers=()))
        await driven.until(lambda: "no workers left" in driven.text())
        assert "Starting workers" not in driven.text()


async def test_only_changed_lines_are_painted(drive: Drive, monkeypatch: pytest.MonkeyPatch) -> None:
    async with drive() as driven:
        panel = driven.main.worker_list
        painted: list[int] = []
        cells = panel.line_cells

        def watched(y: int) -> tuple[str, Sequence[tuple[str, str]]]:
            painted.append(y)
            return cells(y)

        monkeypatch.setattr(panel, "line_cells", watched)
        workers = list(running().workers)
        workers[2] = replace(workers[2], state=WorkerState.LIMIT)
        driven.show(replace(running(), workers=tuple(workers)))
        await driven.until(lambda: "◔ limit" in driven.text())
        assert painted == [3]


TIMES = "retry blocked paused"
"""Titles of columns in the table of what each stage spent its time on."""


def with_past(workers: tuple[WorkerSnapshot, ...] = running().workers) -> FakePipeline:
    """A calm run whose last seconds are known."""
    pipeline = FakePipeline(replace(running(), workers=workers))
    pipeline.seconds = past_seconds(workers=running().workers)
    return pipeline


def line_numbers(driven: Driven, words: str) -> list[int]:
    return [number for number, line in enumerate(driven.text().splitlines()) if words in line]


async def test_a_large_panel_shows_what_each_stage_spent_its_time_on(drive: Drive) -> None:
    async with drive(with_past(), size=(200, 60)) as driven:
        await driven.until(lambda: TIMES in driven.text(), "the table")
        (titles,) = line_numbers(driven, TIMES)
        names = ("scraper", "price workers", "converters", "writers")
        # given a line for each stage below the titles
        lines = driven.text().splitlines()[titles + 1 :]
        for name, line in zip(names, lines, strict=False):
            assert line.startswith(f"│ {name} ")
            assert " %" in line
        # then they stay where they are while the details are shown
        driven.main.worker_list.focus()
        await driven.until(lambda: "↳" in driven.text(), "the details")
        assert line_numbers(driven, TIMES) == [titles]


@pytest.mark.parametrize("size", [(120, 40), (160, 60)])
async def test_a_panel_without_room_shows_no_times_of_stages(drive: Drive, size: tuple[int, int]) -> None:
    async with drive(with_past(), size=size) as driven:
        await driven.until(lambda: "db back" in driven.text(), "the last seconds")
        assert TIMES not in driven.text()


async def test_many_workers_have_priority_over_the_times_of_stages(drive: Drive) -> None:
    workers = tuple(worker(StageName.PRICE, number, WorkerState.IDLE, "", 0.0) for number in range(1, 40))
    async with drive(with_past(workers), size=(200, 60)) as driven:
        await driven.until(lambda: "db back" in driven.text(), "the last seconds")
        assert TIMES not in driven.text()
