"""The recorder of a run: in memory always, in files on request, and after a failure by itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sp500tui.config.paths import Paths
from sp500tui.config.settings import Settings
from sp500tui.errors import ConfigurationError
from sp500tui.logs.setup import NoLog
from sp500tui.pipeline.api import ShutdownLevel
from sp500tui.pipeline.core.ledger import Ledger
from sp500tui.pipeline.core.snapshot import Phase
from sp500tui.remote.recording.playback import Playback
from sp500tui.remote.recording.reader import Recording
from sp500tui.remote.recording.recorder import Recorder
from sp500tui.remote.recording.replay import ReplayedPipeline
from sp500tui.remote.run_services import RunServices
from tests.support.remote.recorded import FACTS
from tests.support.tui.fake_pipeline import FakePipeline, failed, running
from tests.support.waiting import Wait


class Living(FakePipeline):
    """A fake pipeline whose time is the present."""

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
    # and the data folder is free
    settings = settings.model_copy(update={"record": None})
    RunServices(Paths.of(settings), settings).close()
