"""A pipeline reached through a socket has the interface of a local one, also when the connection is lost."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from sp500tui.logs.setup import LogLine
from sp500tui.pipeline.api import PipelineControl, ShutdownLevel
from sp500tui.pipeline.core.events import EventKind, PipelineEvent
from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.snapshot import Phase
from sp500tui.remote.address import NoPipelineError
from sp500tui.remote.client import RemotePipeline
from sp500tui.remote.session import CommandFailedError
from tests.support.remote.control_socket import Serve, Served
from tests.support.tui.fake_pipeline import NOON, FakePipeline, listed, live_price, running, second_sample
from tests.support.waiting import Wait

Attach = Callable[..., RemotePipeline]


@pytest.fixture
def attach() -> Iterator[Attach]:
    """Attaches viewers that poll often; they are detached at the end of the test."""
    viewers: list[RemotePipeline] = []

    def start(served: Served, **options: bool) -> RemotePipeline:
        viewers.append(RemotePipeline(served.data, rate=200.0, **options))
        viewers[-1].start()
        return viewers[-1]

    yield start
    for viewer in viewers:
        viewer.close()


class CannedLog:
    def __init__(self) -> None:
        self.lines = [LogLine(number, NOON, 20, "main", f"line {number}") for number in range(1, 4)]

    def since(self, seq: int) -> tuple[int, list[LogLine], int]:
        return len(self.lines), self.lines[seq:], 0


def event(message: str, level: int = logging.INFO) -> PipelineEvent:
    return PipelineEvent(EventKind.SCALED, message, level, datetime.now(UTC), StageName.PRICE)


def test_it_answers_as_the_pipeline_does(serve: Serve, attach: Attach, eventually: Wait) -> None:
    # given a pipeline and a viewer
    served = serve(FakePipeline(), log=CannedLog())
    served.pipeline.database_url = "postgresql://me:secret@host/x"
    viewer: PipelineControl = attach(served)
    # then all readable values are the same
    assert viewer.snapshot() == running()
    assert list(viewer.constituents()) == listed()
    assert viewer.prices_since(0) == served.pipeline.prices_since(0)
    assert viewer.prices_since(500) == served.pipeline.prices_since(500)
    assert viewer.price_of("BRK.B") == served.pipeline.price_of("BRK.B")
    assert viewer.price_of("NONE") is None
    assert viewer.seconds_since(0) == (0, [])
    assert viewer.spans(60.0) == served.pipeline.spans(60.0)
    assert viewer.demo_market is None
    assert not viewer.join(0)
    # and follows its changes
    newer = live_price("AAPL", Decimal("188.01"), 1.9, 504)
    served.pipeline.prices.append(newer)
    served.pipeline.now_shows = replace(running(), uptime=700.0)
    eventually(lambda: viewer.snapshot().uptime == 700.0)
    assert viewer.prices_since(503) == (504, [newer])
    samples = [second_sample(number) for number in (1, 2, 3)]
    served.pipeline.seconds = samples
    eventually(lambda: viewer.seconds_since(0) == (3, samples))
    assert viewer.seconds_since(2) == (3, samples[2:])
    eventually(lambda: viewer.database_url == "postgresql://me:secret@host/x")


def test_log_lines_and_events_arrive_once(serve: Serve, attach: Attach, eventually: Wait) -> None:
    # given a pipeline with a log and an event from before
    log = CannedLog()
    served = serve(log=log)
    served.pipeline.events = [replace(event("price workers 8 → 9"), number=1)]
    viewer = attach(served)
    heard: list[str] = []
    viewer.subscribe(lambda each: heard.append(each.message))
    # when more of both arrive
    log.lines.append(LogLine(4, NOON, 30, "price-3", "slow"))
    served.pipeline.events = [*served.pipeline.events, replace(event("price workers 9 → 10"), number=2)]
    # then the viewer has each once, in order
    eventually(lambda: len(heard) == 2)
    eventually(lambda: len(viewer.mirror.since(0)[1]) == 4)
    assert heard == ["price workers 8 → 9", "price workers 9 → 10"]
    assert [each.message for each in viewer.events_since(1)[1]] == ["price workers 9 → 10"]
    assert viewer.mirror.since(2) == (4, tuple(log.lines[2:]), 0)


def test_the_names_of_the_workers_of_a_price_arrive_later(
    serve: Serve, attach: Attach, eventually: Wait
) -> None:
    # given a price that is not written yet
    served = serve()
    price = live_price("AAPL", Decimal("187.22"), 1.5, 1)
    served.pipeline.prices = [replace(price, written_by="")]
    viewer = attach(served)
    eventually(lambda: viewer.price_of("AAPL"))
    # when a writer has committed it, then the viewer gets the writer's name
    served.pipeline.prices = [price]
    eventually(lambda: viewer.price_of("AAPL") == price)


def test_every_command_reaches_the_pipeline(
    serve: Serve, attach: Attach, monkeypatch: pytest.MonkeyPatch, eventually: Wait
) -> None:
    served = serve()
    faults: dict[str, object] = {}

    class Market:
        def faults(self) -> Mapping[str, object]:
            return dict(faults)

        def set_faults(self, **given: object) -> None:
            faults.update(given)

        def statistics(self) -> Mapping[str, object]:
            return {"requests": 7, "faults": {"latency": 2}}

    monkeypatch.setattr(served.pipeline, "demo_market", Market())
    viewer = attach(served)
    assert viewer.scale(StageName.PRICE, 9).new == 9
    assert viewer.scale_node("host", StageName.WRITER, 3).new == 3
    viewer.pause()
    viewer.resume(StageName.WRITER)
    assert viewer.run_cycle_now() is False
    assert viewer.set_interval(5.0) == 5.0
    assert viewer.kill_worker("writer-1") is True
    assert viewer.stop_database(10.0) is True
    eventually(lambda: viewer.demo_market)
    market = viewer.demo_market
    assert market is not None
    market.set_faults(latency=0.5, missing=["AAPL"])
    assert market.faults() == {"latency": 0.5, "missing": ["AAPL"]}
    assert market.statistics() == {"requests": 7, "faults": {"latency": 2}}
    viewer.stop(ShutdownLevel.DRAIN)
    assert [call[0] for call in served.pipeline.calls] == [
        "scale",
        "scale_node",
        "pause",
        "resume",
        "run_cycle_now",
        "set_interval",
        "kill_worker",
        "stop_database",
        "stop",
    ]


def test_a_viewer_without_steering_reads_and_does_not_change(serve: Serve, attach: Attach) -> None:
    served = serve()
    viewer = attach(served, steering=False)
    with pytest.raises(CommandFailedError, match="read-only"):
        viewer.pause()
    assert viewer.snapshot() == running()
    assert served.pipeline.calls == []


def test_leaving_does_not_affect_the_pipeline(serve: Serve, attach: Attach, eventually: Wait) -> None:
    served = serve()
    first, second = attach(served), attach(served)
    first.close()
    served.pipeline.now_shows = replace(running(), uptime=700.0)
    eventually(lambda: second.snapshot().uptime == 700.0)
    assert served.pipeline.calls == []


def test_the_end_of_the_run_ends_the_viewer(serve: Serve, attach: Attach) -> None:
    served = serve()
    viewer = attach(served)
    served.pipeline.stop(ShutdownLevel.KILL)
    served.close()
    assert viewer.join(60)
    assert viewer.snapshot().phase is Phase.STOPPED
    assert viewer.outcome().stopped_early


def test_a_closed_connection_is_opened_again(serve: Serve, attach: Attach, eventually: Wait) -> None:
    # given a viewer whose connection is closed, as after it was suspended for a minute
    served = serve()
    viewer = attach(served)
    viewer._session.abort()
    # then it continues with a new one
    served.pipeline.now_shows = replace(running(), uptime=700.0)
    eventually(lambda: viewer.snapshot().uptime == 700.0)
    assert not viewer.join(0)


def test_a_pipeline_that_was_killed_is_named(serve: Serve, attach: Attach, data: Path) -> None:
    # given a pipeline that ends silently: its socket is closed, nothing was reported
    served = serve()
    viewer = attach(served)
    served.server.thread.stop()
    served.server.close()
    # when a process ends, its lock is released too
    served.claim.release()
    # then the viewer shows why there is nothing new
    assert viewer.join(60)
    assert viewer.snapshot().phase is Phase.FAILED
    assert f"the pipeline (process {os.getpid()}) ended without a report" in viewer.snapshot().failure
    assert viewer.outcome().failure


def test_a_restarted_pipeline_is_another_one(serve: Serve, attach: Attach) -> None:
    served = serve()
    viewer = attach(served)
    served.server.close()
    served.claim.release()
    serve()
    assert viewer.join(60)
    assert viewer.snapshot().phase is Phase.FAILED


def test_there_must_be_a_pipeline(data: Path) -> None:
    with pytest.raises(NoPipelineError, match=r"start sp500tui, or name the folder .* --data-dir DIR"):
        RemotePipeline(data)
