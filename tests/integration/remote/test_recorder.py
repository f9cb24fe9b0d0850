"""The recorder of a run: always in memory, in files on request, and automatically after a failure."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from sp500tui.config.paths import Paths
from sp500tui.config.settings import Settings
from sp500tui.errors import ConfigurationError
from sp500tui.logs.setup import NoLog
from sp500tui.pipeline.api import ShutdownLevel
from sp500tui.pipeline.core.ledger import Ledger
from sp500tui.pipeline.core.snapshot import Phase
from sp500tui.remote.recording import blocks, stores
from sp500tui.remote.recording.playback import Playback
from sp500tui.remote.recording.reader import Recording
from sp500tui.remote.recording.recorder import Recorder
from sp500tui.remote.recording.replay import ReplayedPipeline
from sp500tui.remote.recording.stores import RecordingFolder
from sp500tui.remote.run_services import RunServices
from tests.support.remote.recorded import FACTS, START
from tests.support.tui.fake_pipeline import NOON, FakePipeline, failed, running
from tests.support.waiting import Wait


class Living(FakePipeline):
    """A fake pipeline with the current time."""

    def snapshot(self):  # type: ignore[no-untyped-def]
        return replace(self.now_shows, taken_at=datetime.now(UTC))


def last_of(path: Path) -> ReplayedPipeline:
    found = Recording.open(path)
    playback = Playback(found.first, found.last)
    playback.seek(found.last)
    return ReplayedPipeline(found, playback)


def test_a_run_is_recorded_to_its_last_moment(tmp_path: Path, eventually: Wait) -> None:
    pipeline = Living()
    recorder = Recorder(pipeline, FACTS.run, NoLog(), folder=tmp_path, interval=0.01)
    recorder.start()
    eventually(lambda: recorder.recent_recording() is not None)
    pipeline.now_shows = replace(running(), ledger=Ledger(503, 503))
    recorder.close()
    (path,) = tmp_path.iterdir()
    shown = last_of(path)
    assert shown.snapshot().ledger == Ledger(503, 503)
    assert len(shown.prices_since(0)[1]) == 503


def test_the_next_file_continues_where_the_last_one_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a recorder whose chunks last 10 s and whose files 20 s
    monkeypatch.setattr(blocks, "_CHUNK_SECONDS", 10.0)
    monkeypatch.setattr(stores, "_FILE_SECONDS", 20.0)
    # when a minute is recorded
    record_seconds(tmp_path, 60)
    # then it is in several files without a gap
    found = sorted(map(Recording.open, tmp_path.iterdir()), key=lambda each: each.first)
    assert len(found) > 1
    assert (found[0].first, found[-1].last) == (START, START + 59)
    assert all(after.first - before.last == 1 for before, after in pairwise(found))


def test_a_disk_that_was_full_leaves_no_empty_files_and_is_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # given a disk that is full from the first to the fifth minute
    write = os.write

    def limited(descriptor: int, data: bytes) -> int:
        if 60 <= clock[0] < 300:
            raise OSError(28, "No space left on device")
        return write(descriptor, data)

    clock = [0]
    monkeypatch.setattr(os, "write", limited)
    # when seven minutes are recorded
    record_seconds(tmp_path, 420, clock)
    # then only the time in which the disk was full is missing, and at most a minute more
    before, after = sorted(map(Recording.open, tmp_path.iterdir()), key=lambda each: each.first)
    assert (before.first, after.last) == (START, START + 419)
    assert before.last >= START + 50
    assert after.first <= START + 300 + 75
    assert caplog.text.count("is interrupted: No space left on device") <= 5


def record_seconds(folder: Path, seconds: int, clock: list[int] | None = None) -> None:
    """Record a pipeline second by second; `clock` is set to the second."""
    clock = clock if clock is not None else [0]
    pipeline = FakePipeline(prices=())
    with Recorder(pipeline, FACTS.run, NoLog(), folder=folder) as recorder:
        for second in range(seconds):
            clock[0] = second
            pipeline.now_shows = replace(running(), taken_at=NOON + timedelta(seconds=second))
            recorder.record()


def test_a_disk_that_does_not_answer_delays_neither_looking_back_nor_the_end(
    tmp_path: Path, eventually: Wait, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # given a recorder that waits for its disk
    writing, released = threading.Event(), threading.Event()

    def hang(*_: object) -> None:
        writing.set()
        released.wait(60)

    monkeypatch.setattr(RecordingFolder, "append", hang)
    monkeypatch.setattr("sp500tui.remote.recording.recorder._LINGER", 0.01)
    recorder = Recorder(Living(prices=()), FACTS.run, NoLog(), folder=tmp_path, interval=0.01)
    recorder.start()
    eventually(lambda: recorder.recent_recording() is not None)
    eventually(writing.is_set)
    # when the last minutes are read and the run ends, then neither waits for it
    assert recorder.recent_recording() is not None
    recorder.close()
    assert "the end of the recording is missing" in caplog.text
    released.set()
    recorder.thread.join(10)


def test_an_error_of_the_pipeline_costs_moments_only(
    tmp_path: Path, eventually: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = Living(prices=())
    recorder = Recorder(pipeline, FACTS.run, NoLog(), interval=0.01)
    with monkeypatch.context() as patched:
        patched.setattr(pipeline, "snapshot", lambda: 1 / 0)
        recorder.start()
        eventually(lambda: recorder.thread.failures)
    eventually(lambda: recorder.recent_recording() is not None)
    recorder.close()


@pytest.mark.parametrize("fails", [True, False])
def test_a_run_that_fails_leaves_a_recording(tmp_path: Path, fails: bool) -> None:
    pipeline = Living(failed() if fails else running(), prices=())
    with Recorder(pipeline, FACTS.run, NoLog(), failures=tmp_path / "recordings") as recorder:
        recorder.record()
    found = list(tmp_path.glob("recordings/failed-*.sp5"))
    assert len(found) == fails
    if fails:
        assert last_of(found[0]).snapshot().phase is Phase.FAILED


def test_a_run_that_is_recorded_anyway_leaves_one_recording(tmp_path: Path) -> None:
    pipeline = Living(failed(), prices=())
    with Recorder(
        pipeline, FACTS.run, NoLog(), folder=tmp_path / "all", failures=tmp_path / "failures"
    ) as recorder:
        recorder.record()
    assert len(list(tmp_path.rglob("*.sp5"))) == 1


def test_services_accompany_a_run(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, record=tmp_path / "recordings")
    paths = Paths.of(settings)
    pipeline = Living(prices=())
    with RunServices(paths, settings) as services:
        services.begin(pipeline)
        assert (paths.data / "run" / "control.sock").exists()
        pipeline.stop(ShutdownLevel.KILL)
    assert not (paths.data / "run" / "control.sock").exists()
    (path,) = (tmp_path / "recordings").iterdir()
    assert last_of(path).snapshot().phase is Phase.STOPPED


def test_a_folder_that_cannot_be_used_is_named_before_the_run(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    settings = Settings(data_dir=tmp_path, record=tmp_path / "file")
    with pytest.raises(
        ConfigurationError, match=r"folder of recordings .*; name another with --record FOLDER"
    ):
        RunServices(Paths.of(settings), settings)
    # and the data folder is unlocked
    settings = settings.model_copy(update={"record": None})
    RunServices(Paths.of(settings), settings).close()
