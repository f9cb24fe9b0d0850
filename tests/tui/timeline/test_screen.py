"""The screen of the timeline: the cursor, zooming, freezing, following a batch, and writing a trace."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from sp500tui.errors import Sp500tuiError
from sp500tui.pipeline.core.timing.spans import Batches, Span, SpanReport
from sp500tui.tui.timeline.screen import ZOOMS, TimelineScreen
from tests.support.parameters import sizes
from tests.support.tui.fake_pipeline import NOON, FakePipeline
from tests.support.tui.timeline_scenes import killed_writer
from tests.support.tui.timeline_spans import PRICE, REPORT, SOURCE, many, worker
from tests.tui.conftest import Drive, Driven, notes


class Fake(FakePipeline):
    """A pipeline with the spans of two workers."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[float] = []
        self.failure = ""
        self.report = REPORT

    def spans(self, seconds: float) -> SpanReport:
        self.asked.append(seconds)
        if self.failure:
            raise Sp500tuiError(self.failure)
        return self.report


@asynccontextmanager
async def opened(drive: Drive, fake: Fake, **more: Any) -> AsyncIterator[tuple[Driven, TimelineScreen]]:
    async with drive(fake, **{"size": (120, 30), **more}) as driven:
        await driven.press("5")
        screen = driven.app.screen
        assert isinstance(screen, TimelineScreen)
        yield driven, screen


def shown(driven: Driven, words: str) -> Callable[[], bool]:
    """Whether the screen has these words."""
    return lambda: words in driven.text()


@pytest.mark.parametrize("size", sizes((60, 16), (200, 60), (80, 24)))
async def test_workers_queues_and_the_legend_are_shown(drive: Drive, size: tuple[int, int]) -> None:
    async with opened(drive, Fake(), size=size) as (driven, _):
        await driven.until(lambda: "Source" in driven.text() and "Database" in driven.text())
        for name in ("price-1", "writer-1", "W working", "timeline (live, 10 s)"):
            assert name in driven.text()


async def test_a_row_that_is_gone_and_what_is_marked_now_are_named(drive: Drive) -> None:
    fake = Fake()
    fake.report = many(price=3)
    async with opened(drive, fake) as (driven, _):
        await driven.until(lambda: "price-3" in driven.text())
        await driven.press("down", "down")
        assert "is marked now" not in driven.text()
        # when the marked worker has ended at the next read, then the last line reports it
        fake.report = many(price=2)
        await driven.until(lambda: "price-3 is gone; price-2 is marked now" in driven.text())
        # and a stage that is left with one worker is no loss
        await driven.press("up", "up")
        fake.report = many(price=1)
        await driven.until(lambda: "price ×2" not in driven.text())
        assert "price is gone" not in driven.text()


@pytest.mark.parametrize(("workers", "said"), [(12, "6 of 13 rows"), (2, "")])
async def test_rows_without_room_are_counted_in_the_title(drive: Drive, workers: int, said: str) -> None:
    fake = Fake()
    fake.report = many(price=workers)
    async with opened(drive, fake, size=(60, 16)) as (driven, _):
        await driven.until(lambda: "price-1" in driven.text())
        assert ("rows" in driven.text()) == bool(said)
        assert said in driven.text()


async def test_the_interpreter_lock_is_shown_in_a_window_of_24_lines(drive: Drive) -> None:
    async with drive(killed_writer(), size=(80, 24)) as driven:
        await driven.press("5")
        await driven.until(lambda: "GIL held" in driven.text())


async def test_the_cursor_freezes_the_view_and_names_the_span(drive: Drive) -> None:
    fake = Fake()
    async with opened(drive, fake) as (driven, _):
        await driven.until(lambda: "Database" in driven.text())
        await driven.press("down", "down", "left")
        await driven.until(lambda: "frozen" in driven.text() and "batches 6 to 8" in driven.text())
        await driven.until(lambda: 120.0 in fake.asked, "all that is kept")
        await driven.press("space")
        await driven.until(lambda: "live" in driven.text())


async def test_zooming_changes_the_time_of_the_screen_within_its_limits(drive: Drive) -> None:
    async with opened(drive, Fake()) as (driven, _):
        await driven.until(lambda: "Database" in driven.text())
        await driven.press("z")
        await driven.until(lambda: "(live, 5 s)" in driven.text())
        await driven.press(*["z"] * len(ZOOMS))
        await driven.until(lambda: "(live, 0.01 s)" in driven.text())
        await driven.press(*["Z"] * len(ZOOMS))
        await driven.until(lambda: "(live, 120 s)" in driven.text())


async def test_zooming_and_resizing_keep_the_moment_under_the_cursor(drive: Drive) -> None:
    async with opened(drive, Fake()) as (driven, screen):
        await driven.until(lambda: "Database" in driven.text())
        screen.move_to("price-1", 6.5)
        await driven.until(lambda: "batch 7" in driven.text())
        # when less and more time is shown than that of the span, at several sizes
        for keys, seconds in (("zzzz", "0.2 s"), ("ZZZZZ", "20 s"), ("zz", "5 s")):
            await driven.press(*keys)
            await driven.until(shown(driven, f"(frozen, {seconds})"))
            for size in ((80, 24), (120, 30)):
                await driven.pilot.resize_terminal(*size)
                await driven.pilot.pause()
                assert "batch 7" in driven.text(), (seconds, size)


async def test_the_cursor_passes_every_cell_beyond_the_edge(drive: Drive) -> None:
    fake = Fake()
    spans = [Span(SOURCE, 80 + n / 2, 80.5 + n / 2, Batches(n, n)) for n in range(1, 40)]
    fake.report = SpanReport(NOON, 100.0, 1, (worker("price-1", *spans),))
    async with opened(drive, fake) as (driven, screen):
        await driven.until(lambda: "price-1" in driven.text())
        screen.move_to("price-1", 9.5)
        await driven.until(lambda: screen.is_complete)
        found = []
        for key in ["left"] * 12 + ["right"] * 12:
            await driven.press(key)
            (batch,) = re.findall(r" batch (\d+) ", driven.text())
            found.append(int(batch))
        assert max(abs(one - other) for one, other in pairwise(found)) == 1
        assert found[0] - found[11] == 2
        assert found[-1] == found[0]


async def test_a_view_that_is_frozen_stays_as_it_is_when_more_is_read(drive: Drive) -> None:
    class Growing(Fake):
        def spans(self, seconds: float) -> SpanReport:
            newer = worker("price-1", *PRICE.spans, Span(SOURCE, 100.0, 100.8, Batches(9, 9)))
            whole = SpanReport(NOON, 100.8, 1, (newer,))
            return whole if seconds == 120 else super().spans(seconds)

    async with opened(drive, Growing()) as (driven, screen):
        await driven.until(lambda: "price-1   idle" in driven.text())
        await driven.press("space")
        await driven.until(lambda: screen.is_complete)
        assert "price-1   idle" in driven.text()
        # and the newest is within reach
        await driven.press(*["right"] * 3)
        assert "batch 9" in driven.text()


async def test_a_recording_is_named_in_a_narrow_window_too(drive: Drive) -> None:
    fake = Fake()
    fake.report = replace(REPORT, by_second=True)
    async with opened(drive, fake, size=(60, 16)) as (driven, screen):
        await driven.until(lambda: "timeline (10 s, recorded by the second)" in driven.text())
        await driven.pilot.resize_terminal(120, 40)
        await driven.until(
            lambda: "the order within a second is not known)" in str(screen.chart.border_title)
        )


async def test_f_follows_the_batch_under_the_cursor_and_ends_it(drive: Drive) -> None:
    async with opened(drive, Fake()) as (driven, screen):
        await driven.until(lambda: "Database" in driven.text())
        await driven.press("f")
        await driven.until(lambda: "No batch under the cursor" in notes(driven.app))
        await driven.press("down", "down", "f")
        await driven.until(lambda: "batch 6" in driven.text() and "Source  " not in driven.text())
        assert screen.followed == 6
        await driven.press("f")
        await driven.until(lambda: "Source  " in driven.text())


class TestTrace:
    async def test_the_last_minute_is_written_where_exports_go(self, drive: Drive, tmp_path: Path) -> None:
        fake = Fake()
        async with opened(drive, fake) as (driven, _):
            await driven.until(lambda: "Database" in driven.text())
            await driven.press("t")
            await driven.until(lambda: "trace-20260514" in notes(driven.app))
            (file,) = tmp_path.glob("sp500tui-trace-*.json")
            assert f"events written to {file}" in notes(driven.app)
        assert 60.0 in fake.asked
        trace = json.loads(file.read_text())
        assert {"price-1", "writer-1"} <= {
            event["args"]["name"] for event in trace["traceEvents"] if event["name"] == "thread_name"
        }

    async def test_a_frozen_view_is_written_as_it_is(self, drive: Drive, tmp_path: Path) -> None:
        fake = Fake()
        async with opened(drive, fake) as (driven, screen):
            await driven.until(lambda: "Database" in driven.text())
            await driven.press("space")
            await driven.until(lambda: screen.is_complete)
            asked = len(fake.asked)
            await driven.press("t")
            await driven.until(lambda: "written to" in notes(driven.app))
            assert len(fake.asked) == asked
        (file,) = tmp_path.glob("sp500tui-trace-*.json")
        assert json.loads(file.read_text())["otherData"]["seconds"] == 120.0

    async def test_a_folder_that_cannot_be_written_is_named(self, drive: Drive, tmp_path: Path) -> None:
        async with opened(drive, Fake()) as (driven, _):
            driven.app.export_folder = tmp_path / "none"
            await driven.until(lambda: "Database" in driven.text())
            await driven.press("t")
            await driven.until(lambda: "none does not exist; create it" in notes(driven.app))


async def test_a_failure_is_shown_in_the_border(drive: Drive) -> None:
    fake = Fake()
    fake.failure = "the pipeline does not answer"
    async with opened(drive, fake) as (driven, _):
        await driven.until(lambda: "the pipeline does not answer" in driven.text())
