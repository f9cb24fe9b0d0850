"""The control socket of a running pipeline: the responses to viewers and commands."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal

import pytest

from sp500tui import __version__
from sp500tui.errors import DatabaseError
from sp500tui.pipeline.api import ScaleResult, ShutdownLevel
from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.writer.framing import FrameDecoder
from sp500tui.remote import commands
from sp500tui.remote.address import NoPipelineError
from sp500tui.remote.commands import Poll
from sp500tui.remote.session import (
    CommandFailedError,
    Session,
)
from sp500tui.remote.wire import (
    MAX_ANSWER,
    PROTOCOL,
    Answer,
    Hello,
    Position,
    Update,
    decode,
    frame,
)
from tests.support.remote.control_socket import FACTS, Serve, poll
from tests.support.tui.fake_pipeline import FakePipeline, live_price, running
from tests.support.waiting import Wait


class TestAnswers:
    def test_a_viewer_reads_the_state_of_the_pipeline(self, serve: Serve) -> None:
        # given a pipeline served on a socket
        served = serve(FakePipeline())
        # when a viewer reads it
        with Session(served.data) as session:
            update = poll(session)
            again = poll(session, update.position)
        # then it gets everything once, and afterwards only updates
        assert session.welcome.run == FACTS
        assert session.welcome.pid == os.getpid()
        assert update.snapshot == running()
        assert update.constituents is not None
        assert (len(update.prices), len(update.constituents)) == (503, 503)
        assert again.snapshot == running()
        assert (again.prices, again.constituents, again.lines, again.events) == ((), None, (), ())

    def test_a_viewer_is_announced_when_it_begins_to_read(self, serve: Serve) -> None:
        announced: list[int] = []
        served = serve(on_viewer=lambda: announced.append(1))
        with Session(served.data) as command:
            command.execute(commands.Pause())
            poll(command, Position(prices=1 << 62))
        assert announced == []
        with Session(served.data) as viewer:
            poll(viewer, poll(viewer).position)
        assert announced == [1]

    def test_commands_are_carried_out(self, serve: Serve) -> None:
        served = serve()
        with Session(served.data) as session:
            result = session.call(commands.Scale(StageName.PRICE, 16), ScaleResult)
            session.execute(commands.Pause(StageName.WRITER))
            session.execute(commands.Resume(None))
            started = session.call(commands.RunCycle(), bool)
            session.execute(commands.Stop(ShutdownLevel.SPOOL))
        assert (result.old, result.new, started) == (8, 16, False)
        assert served.pipeline.calls == [
            ("scale", StageName.PRICE, 16),
            ("pause", StageName.WRITER),
            ("resume", None),
            ("run_cycle_now",),
            ("stop", ShutdownLevel.SPOOL),
        ]

    def test_a_viewer_without_steering_changes_nothing(self, serve: Serve) -> None:
        served = serve()
        with Session(served.data, steering=False) as session:
            for command in (commands.Scale(StageName.PRICE, 1), commands.Stop(), commands.SetFaults({})):
                with pytest.raises(CommandFailedError, match="read-only"):
                    session.execute(command)
            assert poll(session).snapshot == running()
        assert served.pipeline.calls == []

    def test_the_error_of_a_command_reaches_the_caller_with_its_exit_code(
        self, serve: Serve, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        served = serve()

        def fail(_seconds: float) -> bool:
            raise DatabaseError("the server does not stop")

        monkeypatch.setattr(served.pipeline, "stop_database", fail)
        with Session(served.data) as session:
            with pytest.raises(CommandFailedError, match="the server does not stop") as caught:
                session.call(commands.StopDatabase(1.0), bool)
            # and the connection can still be used
            assert poll(session).snapshot == running()
        assert caught.value.exit_code == 4

    def test_an_unexpected_error_is_one_line(self, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
        served = serve()
        monkeypatch.setattr(served.pipeline, "snapshot", lambda: 1 / 0)
        monkeypatch.setattr(served.pipeline, "run_cycle_now", lambda: 1 / 0)
        with Session(served.data) as session:
            with pytest.raises(CommandFailedError, match="its log has the reason"):
                poll(session)
            with pytest.raises(CommandFailedError, match="unexpected ZeroDivisionError"):
                session.call(commands.RunCycle(), bool)

    def test_a_value_that_cannot_be_sent_is_one_line_and_closes_nothing(
        self, serve: Serve, eventually: Wait
    ) -> None:
        # given a pipeline with a number that no message can contain
        served = serve()
        served.pipeline.now_shows = replace(running(), uptime=1 << 70)
        with Session(served.data) as session:
            # when it is read, then the reason is reported
            with pytest.raises(CommandFailedError, match="its log has the reason"):
                poll(session)
            # and the same connection gets the following updates
            served.pipeline.now_shows = running()

            def is_shown() -> bool:
                with suppress(CommandFailedError):
                    return poll(session).snapshot == running()
                return False

            eventually(is_shown)

    def test_a_command_that_takes_long_delays_neither_viewers_nor_other_commands(
        self, serve: Serve, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # given a command that waits
        served, released = serve(), threading.Event()
        begun = threading.Event()

        class Market:
            def faults(self) -> Mapping[str, object]:
                begun.set()
                released.wait(30)
                return {"latency": 0.5}

        monkeypatch.setattr(served.pipeline, "demo_market", Market())
        found: list[Mapping[str, object]] = []
        with Session(served.data) as slow, Session(served.data) as viewer:
            waiting = threading.Thread(
                target=lambda: found.append(slow.call(commands.ReadFaults(), dict[str, object]))
            )
            waiting.start()
            assert begun.wait(60)
            # when a viewer polls, then it is answered
            assert poll(viewer).has_demo_market
            assert not found
            released.set()
            waiting.join(10)
        assert found == [{"latency": 0.5}]

    def test_the_end_of_the_run_reaches_its_viewers(self, serve: Serve) -> None:
        served = serve()
        with Session(served.data) as session:
            first = poll(session)
            served.pipeline.stop(ShutdownLevel.KILL)
            closing = threading.Thread(target=served.close)
            closing.start()
            last = poll(session, first.position)
            closing.join(10)
        assert first.report is None
        assert last.report is not None
        assert last.report.stopped_early
        with pytest.raises(NoPipelineError):
            Session(served.data)

    def test_a_long_last_answer_is_sent_completely(self, serve: Serve) -> None:
        # given a viewer that does not read, to which more is sent than the socket can buffer
        prices = [live_price(f"S{number}", Decimal(number), 0.5, number) for number in range(1, 20_000)]
        served = serve(FakePipeline(prices=prices))
        with served.raw() as viewer:
            viewer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            viewer.sendall(frame(Hello(PROTOCOL, __version__, steering=False)))
            decoder = FrameDecoder(MAX_ANSWER)
            while (welcome := decoder.take()) is None:
                decoder.feed(viewer.recv(4096))
            served.pipeline.stop(ShutdownLevel.KILL)
            viewer.sendall(frame(Poll(Position())))
            assert viewer.recv(1, socket.MSG_PEEK)  # the answer has begun
            # when the run ends before the viewer reads
            closing = threading.Thread(target=served.close)
            closing.start()
            while (answer := decoder.take()) is None and (piece := viewer.recv(65_536)):
                decoder.feed(piece)
            closing.join(10)
        # then the answer is complete
        assert welcome is not None
        assert answer is not None
        update: Update = decode(decode(answer, Answer).value, Update)
        assert len(update.prices) == len(prices)
        assert update.report is not None
