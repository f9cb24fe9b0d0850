"""The cost of recording: processor time and size, and the time to show a moment of a long recording."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from unittest.mock import patch

from sp500tui.config.paths import Paths
from sp500tui.config.settings import Settings
from sp500tui.logs.setup import NoLog
from sp500tui.pipeline.core.snapshot import LivePrice
from sp500tui.pipeline.core.timing.second_sample import SecondSample
from sp500tui.pipeline.runtime.pipeline import Pipeline
from sp500tui.remote.recording.playback import Playback
from sp500tui.remote.recording.reader import Recording
from sp500tui.remote.recording.recorder import Recorder
from sp500tui.remote.recording.replay import ReplayedPipeline
from sp500tui.remote.wire import RunFacts
from tests.benchmarks.report.figures import FULL, Figure, Scale, Spread
from tests.benchmarks.rig import listed_symbols, public_folder, wait_until
from tests.support.remote.recorded import FACTS
from tests.support.tui.fake_pipeline import NOON, FakePipeline, live_price, second_sample

SHARE_OF_A_CORE = 1.0
"""Percent."""
MEGABYTES_AN_HOUR = 5.0
MILLISECONDS = 200.0
"""Processor time until any moment of 48 hours is shown."""
INTERVAL = 15.0
"""The live interval in seconds."""
_MINUTES, _QUICK_MINUTES = 10, 1
_FRAME = 600.0
"""Seconds of a frame of the file; its first block has the complete state."""
_HOURS, _QUICK_HOURS = 48, 4
_JUMPS = 20
_HEADER = 1_000
"""Maximum bytes of a file's header, and minimum bytes of its first block."""
_WORKERS = 17
_RUN = f"a headless run on the demo market in this process, 503 symbols every {INTERVAL:g} s, one moment a second"
_LONG = "one moment a second of 503 symbols that all change every 15 s, written by the recorder; the file is in memory"


def run(scale: Scale) -> list[Figure]:
    """The cost of a real run's recording, and the time to show moments of a long one."""
    full = scale.seconds >= FULL.seconds
    with public_folder() as folder:
        share, megabytes = record_run(folder, 60.0 * (_MINUTES if full else _QUICK_MINUTES))
    with public_folder() as folder:
        hours = _HOURS if full else _QUICK_HOURS
        path = long_recording(folder, hours)
        opening, jumps = shown_moments(path)
        size = path.stat().st_size / 1e6
    minutes = f"{_MINUTES} min" if full else f"{_QUICK_MINUTES} min, extrapolated to frames of ten"
    return [
        _figure("processor time of the recorder", "% of a core", [share], SHARE_OF_A_CORE, _RUN, minutes),
        _figure("size of a recording", "MB/h", [megabytes], MEGABYTES_AN_HOUR, _RUN, minutes),
        _figure(
            f"opening a recording of {hours} h at any moment",
            "ms of processor",
            opening,
            MILLISECONDS,
            _LONG,
            f"{size:,.0f} MB, `replay --at` without the start of the program",
        ),
        _figure(f"another moment of {hours} h", "ms of processor", jumps, MILLISECONDS, _LONG, "by a jump"),
    ]


def _figure(metric: str, unit: str, values: list[float], goal: float, equal: str, note: str) -> Figure:
    ours = Spread.of(values)
    return Figure(
        "record", metric, unit, ours, equal, goal=f"≤ {goal:g} {unit}", met=ours.max <= goal, note=note
    )


def record_run(folder: Path, seconds: float) -> tuple[float, float]:
    """Percent of a core and megabytes per hour of a run's recorder, from the second cycle on."""
    settings = Settings(demo=True, no_ui=True, interval=INTERVAL, data_dir=folder / "data")
    paths = Paths.of(settings)
    paths.prepare()
    pipeline, recordings = Pipeline(settings, paths), folder / "recordings"
    recorder = Recorder(pipeline, RunFacts.of(settings), NoLog(), folder=recordings)
    pipeline.start()
    try:
        wait_until(lambda: pipeline.snapshot().cycle.number >= 2, 120.0, "the second cycle")
        recorder.start()
        started = time.monotonic()
        wait_until(lambda: _size(recordings) > _HEADER, 60.0, "the first block")
        beginning = _size(recordings)
        time.sleep(seconds)
        used, passed = _cpu(recorder.thread.native_id), time.monotonic() - started
        recorder.close()
    finally:
        pipeline.stop()
        pipeline.join(60.0)
    return used / passed * 100, hourly_size(beginning, _size(recordings), passed) / 1e6


def hourly_size(beginning: int, size: int, seconds: float) -> float:
    """Bytes an hour of a recording of `size` bytes in `seconds`, of which `beginning` are the first block.

    The first block has everything known, which a frame of ten minutes has once; so less is counted of it in a shorter
    recording.
    """
    once = beginning * min(1.0, seconds / _FRAME)
    return (size - beginning + once) * 3600 / seconds


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir()) if folder.exists() else 0


def _cpu(thread: int) -> float:
    """Seconds of processor time of a thread, from proc(5): `schedstat`."""
    return int(Path(f"/proc/self/task/{thread}/schedstat").read_text().split()[0]) / 1e9


def long_recording(folder: Path, hours: int) -> Path:
    """A recorder's file of a run of that many hours, made by advancing the clock."""
    pipeline = FakePipeline(prices=())
    prices = [live_price(symbol, Decimal(100), 1.5, 0) for symbol in listed_symbols()]
    # Syncing 34,560 blocks to disk takes minutes and is irrelevant for showing them.
    with (
        patch.object(os, "fdatasync", lambda _: None),
        Recorder(pipeline, FACTS.run, NoLog(), folder=folder) as recorder,
    ):
        for second in range(hours * 3600):
            at = NOON + timedelta(seconds=second)
            pipeline.now_shows = replace(pipeline.now_shows, taken_at=at, uptime=float(second))
            pipeline.seconds = [*pipeline.seconds[-2:], _sample(second)]
            if second % int(INTERVAL) == 0:
                pipeline.prices = prices = [
                    _changed(price, (second + 1) * len(prices) + number)
                    for number, price in enumerate(prices)
                ]
            recorder.record()
    (path,) = folder.iterdir()
    return path


def _sample(second: int) -> SecondSample:
    """One second with as many workers as a demo."""
    sample = second_sample(second)
    worker = sample.workers[0]
    names = [f"price-{number}" for number in range(1, _WORKERS + 1)]
    return replace(sample, workers=tuple(replace(worker, name=name) for name in names))


def _changed(price: LivePrice, version: int) -> LivePrice:
    """The same symbol's next price."""
    quote = replace(price.row.quote, price=Decimal(version % 90_000) / 100)
    return replace(price, row=replace(price.row, quote=quote), version=version)


def shown_moments(path: Path) -> tuple[list[float], list[float]]:
    """Milliseconds of processor time to open a file at some moments, and to jump to others in an open file."""
    rng = random.Random(7)
    found = Recording.open(path)
    times = [rng.uniform(found.first, found.last) for _ in range(_JUMPS)]
    opening = [_milliseconds(lambda: _opened(path), at) for at in times]
    pipeline = _opened(path)
    return opening, [_milliseconds(lambda: pipeline, at) for at in reversed(times)]


def _opened(path: Path) -> ReplayedPipeline:
    recording = Recording.open(path)
    return ReplayedPipeline(recording, Playback(recording.first, recording.last))


def _show(pipeline: ReplayedPipeline, at: float) -> None:
    """Read everything that a dashboard reads at a moment."""
    pipeline.playback.seek(at)
    pipeline.snapshot()
    for read in (pipeline.prices_since, pipeline.since, pipeline.events_since, pipeline.seconds_since):
        read(0)


def _milliseconds(pipeline: Callable[[], ReplayedPipeline], at: float) -> float:
    before = time.thread_time()
    _show(pipeline(), at)
    return (time.thread_time() - before) * 1000
