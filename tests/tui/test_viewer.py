"""The dashboard of a pipeline in another process: `q` closes it, and another key stops the pipeline."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from sp500tui.config.keys import STEERING
from sp500tui.config.settings import Settings
from sp500tui.errors import Sp500tuiError
from sp500tui.pipeline.api import ScaleResult, ShutdownLevel
from sp500tui.pipeline.core.events import EventKind, PipelineEvent
from sp500tui.pipeline.core.snapshot import Phase
from sp500tui.remote.commands import READ_ONLY
from sp500tui.remote.wire import RunFacts
from sp500tui.tui.viewer import ViewerApp
from tests.support.remote.control_socket import FACTS
from tests.support.tui.fake_cluster import three_nodes
from tests.support.tui.fake_pipeline import NOON, FakePipeline, failed
from tests.tui.conftest import CannedLog, Driven, until_shown

View = Callable[..., AbstractAsyncContextManager[Driven]]


@pytest.fixture
def view(log: CannedLog, tmp_path: Path) -> View:
    """Runs a viewer over a fake pipeline until it shows its first snapshot."""

    @asynccontextmanager
    async def opened(pipeline: FakePipeline, *, refusal: str = "", **settings: Any) -> AsyncIterator[Driven]:
        app = ViewerApp(
            lambda: pipeline,
            Settings(demo=True, data_dir=tmp_path, **settings),
            log=log,
            state_file=tmp_path / "dashboard.json",
            export_folder=tmp_path,
            clock=lambda: NOON,
            refusal=refusal,
        )
        async with app.run_test(size=(120, 40)) as pilot:
            await until_shown(pilot)
            yield Driven(app, pilot, pipeline)

    return opened


async def test_q_closes_the_viewer_and_not_the_pipeline(view: View) -> None:
    pipeline = FakePipeline()
    async with view(pipeline) as viewer:
        assert "q leave" in viewer.text()
        await viewer.press("q")
        assert viewer.result == 0
    assert pipeline.calls == [("start",)]


async def test_stopping_the_pipeline_is_confirmed_before_each_step(view: View) -> None:
    pipeline = FakePipeline()

    def steps() -> list[object]:
        return [call[1] for call in pipeline.calls if call[0] == "stop"]

    async with view(pipeline) as viewer:
        # given the question
        await viewer.press("Q")
        assert "Stop the pipeline for everyone, storing what was" in viewer.text()
        assert steps() == []
        # when it is confirmed, then the pipeline drains, and the viewer stays
        await viewer.press("y")
        assert steps() == [ShutdownLevel.DRAIN]
        assert viewer.said.startswith("draining")
        assert viewer.result is None
        # and each of the next steps is confirmed again
        await viewer.press("Q", "y")
        assert steps() == [ShutdownLevel.DRAIN, ShutdownLevel.SPOOL]
        await viewer.press("Q")
        assert len(steps()) == 2
        await viewer.press("y")
        assert steps()[-1] is ShutdownLevel.KILL
        # until there is nothing to stop
        await viewer.until(lambda: viewer.app.snapshot.phase is Phase.STOPPED)
        await viewer.press("Q")
        assert viewer.said == "The pipeline has ended; press q to leave"


async def test_in_a_cluster_the_confirmation_and_its_effect_concern_the_node(view: View) -> None:
    async with view(FakePipeline(three_nodes())) as viewer:
        await viewer.press("Q")
        assert "Stop this node of the cluster" in viewer.text()
        await viewer.press("y")
        assert viewer.said.startswith("The node leaves the cluster")


async def test_the_exit_code_after_the_end_is_that_of_the_run(view: View) -> None:
    pipeline = FakePipeline(failed())
    pipeline.step = ShutdownLevel.KILL  # it has ended
    async with view(pipeline) as viewer:
        await viewer.press("q")
        assert viewer.result == 1


async def test_a_command_that_fails_is_a_message(view: View, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = FakePipeline()

    def refuse(*_: object) -> ScaleResult:
        raise Sp500tuiError("this viewer is read-only: it was started without steering")

    monkeypatch.setattr(pipeline, "scale", refuse)
    monkeypatch.setattr(pipeline, "stop", refuse)
    async with view(pipeline) as viewer:
        await viewer.press("+")
        assert viewer.said == "this viewer is read-only: it was started without steering"
        await viewer.press("Q", "y")
        assert viewer.said == "this viewer is read-only: it was started without steering"
        assert viewer.result is None


class TestReadOnly:
    """A viewer that may not control the pipeline."""

    async def test_no_key_that_steers_is_offered(self, view: View) -> None:
        async with view(FakePipeline(), refusal=READ_ONLY) as viewer:
            # the key bar and the title of the pipeline
            keys = viewer.text().splitlines()[-1]
            assert keys.split()[0] == "read-only"
            assert "q leave" in keys
            for words in ("scale", "pause", "tour", "stop pipeline", "+ −"):
                assert words not in viewer.text().replace("pause view", "").replace(" paused", ""), words
            # and neither the help sheet nor the palette
            assert STEERING.isdisjoint({command.binding.id for command in viewer.app.commands()})
            await viewer.press("ctrl+p", *"pause")
            await viewer.until(lambda: "Pause view" in viewer.text(), "the matches of the palette")
            assert "Pause stage" not in viewer.text()

    async def test_a_key_that_steers_shows_why_it_does_nothing(self, view: View) -> None:
        pipeline = FakePipeline()
        async with view(pipeline, refusal=READ_ONLY) as viewer:
            for key in ("+", "-", "=", "p", "P", "r", "[", "]", "Q", "ctrl+t"):
                viewer.main.strip.show_message("")
                await viewer.press(key)
                assert viewer.said == READ_ONLY, key
                assert viewer.app.screen is viewer.main, key
        assert pipeline.calls == [("start",)]

    async def test_the_keys_of_the_other_screens_are_not_offered_either(self, view: View) -> None:
        async with view(FakePipeline(), refusal=READ_ONLY) as viewer:
            await viewer.press("3")
            await viewer.until(lambda: "esc" in viewer.text().splitlines()[-1], "the keys of the screen")
            keys = viewer.text().splitlines()[-1]
            assert "strength" not in keys
            assert "clear all" not in keys


async def test_errors_from_before_the_viewer_came_are_not_notified(view: View) -> None:
    pipeline = FakePipeline()
    async with view(pipeline) as viewer:
        # given an error of ten minutes ago and one of now
        for age, text in ((600, "an old failure"), (1, "a new failure")):
            at = NOON - timedelta(seconds=age)
            pipeline.listeners[0](PipelineEvent(EventKind.SOURCE_FAILED, text, 40, at))
        await viewer.until(lambda: len(viewer.app.events) == 2)
        # then the new one is notified, and both are listed
        assert viewer.said == "✗ a new failure"


async def test_its_keys_can_be_remapped(view: View) -> None:
    pipeline = FakePipeline()
    async with view(pipeline, keymap={"pipeline.stop": "f9"}) as viewer:
        await viewer.press("f9")
        assert "Stop the pipeline" in viewer.text()


def test_settings_of_the_run_replace_the_viewers() -> None:
    own = Settings(theme="nord", currency="EUR", refresh_rate=8, demo=False)
    shown = RunFacts(True, "DKK", 5.0, "redis://:***@host/0").applied_to(own)
    assert (shown.demo, shown.currency, shown.drain_timeout, shown.broker) == (
        True,
        "DKK",
        5.0,
        "redis://:***@host/0",
    )
    assert (shown.theme, shown.refresh_rate) == ("nord", 8)
    assert FACTS.applied_to(own).broker is None
