"""Clients and servers that are slow, broken, hostile or of another version."""

from __future__ import annotations

import math
import os
import random
import socket
import struct
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from sp500tui import __version__
from sp500tui.errors import ExitCode
from sp500tui.model import Resolution
from sp500tui.remote import address, commands, server
from sp500tui.remote.address import Claim, NoAnswerError, NoPipelineError
from sp500tui.remote.commands import Poll
from sp500tui.remote.session import (
    ForeignAnswerError,
    RefusedError,
    Session,
)
from sp500tui.remote.wire import (
    PROTOCOL,
    Answer,
    Hello,
    Position,
    ProtocolError,
    Welcome,
    frame,
)
from tests.support.remote.control_socket import FACTS, Serve, answering, poll
from tests.support.tui.fake_pipeline import FakePipeline, live_price, running
from tests.support.waiting import FakeClock, Wait


class TestBadInput:
    def test_another_version_is_refused_in_one_line(self, serve: Serve) -> None:
        served = serve()
        with served.raw() as connection:
            connection.sendall(frame(Hello(PROTOCOL + 1, "9.9")))
            answer = connection.recv(4096)
            assert connection.recv(1) == b""
        assert f"protocol {PROTOCOL}, the other side sp500tui 9.9".encode() in answer

    def test_another_user_is_refused(self, serve: Serve) -> None:
        served = serve(user_of=lambda _: os.geteuid() + 1)
        with pytest.raises(RefusedError, match="belongs to another user"):
            Session(served.data)

    @pytest.mark.parametrize(
        "garbage",
        [
            b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
            struct.pack("!I", 2**32 - 1),
            struct.pack("!i", 1 << 30) + b"x" * 1000,
            struct.pack("!i", 3) + b"\xc1\xc1\xc1",
            frame(Poll(Position())),
            random.Random(1).randbytes(5000),
        ],
        ids=["http", "largest size", "endless", "no message", "a poll before the greeting", "noise"],
    )
    def test_garbage_closes_its_own_connection_only(self, serve: Serve, garbage: bytes) -> None:
        # given a viewer
        served = serve()
        with Session(served.data) as viewer, served.raw() as connection:
            # when another connection sends garbage, then that one is closed
            connection.sendall(garbage)
            connection.shutdown(1)
            assert connection.recv(100) == b""
            # and the viewer is answered as before
            assert poll(viewer).snapshot == running()

    @pytest.mark.parametrize(
        "command",
        [
            commands.Heal(Resolution.MINUTE, datetime(2026, 5, 14), datetime(2026, 5, 15)),
            commands.Check(Resolution.DAY, datetime(2026, 5, 14), datetime(2026, 5, 15)),
            commands.SetInterval(math.nan),
            commands.SetInterval(-1.0),
            commands.StopDatabase(math.inf),
            commands.ReadSpans(math.nan),
        ],
    )
    def test_a_command_with_an_impossible_value_is_garbage(
        self, serve: Serve, command: commands.Command
    ) -> None:
        served = serve()
        with Session(served.data) as session, pytest.raises(NoAnswerError, match="closed the connection"):
            session.execute(command)
        assert served.pipeline.calls == []

    def test_one_byte_at_a_time_is_enough(self, serve: Serve) -> None:
        served = serve()
        with served.raw() as connection:
            for byte in frame(Hello(PROTOCOL, __version__)):
                connection.sendall(bytes([byte]))
            assert b"welcome" in connection.recv(4096)

    def test_requests_sent_at_once_are_answered_in_their_order(self, serve: Serve) -> None:
        served = serve()
        with served.raw() as connection:
            connection.sendall(
                frame(Hello(PROTOCOL, __version__))
                + frame(commands.SetInterval(0.5))
                + frame(commands.SetInterval(2.0)) * 5_000
            )
            connection.shutdown(1)
            received = b""
            while piece := connection.recv(1 << 16):
                received += piece
        assert received.count(b"answer") == 5_001

    def test_a_connection_without_progress_is_closed(self, serve: Serve, eventually: Wait) -> None:
        clock = FakeClock()
        served = serve(clock=clock)
        with served.raw() as silent:
            silent.setblocking(False)

            def is_closed() -> bool:
                clock.now += server.QUIET_LIMIT + 1
                try:
                    return silent.recv(1) == b""
                except BlockingIOError:
                    return False

            eventually(is_closed)
        with Session(served.data) as viewer:
            assert poll(viewer).snapshot == running()

    def test_a_connection_that_sends_a_byte_now_and_then_is_closed(
        self, serve: Serve, eventually: Wait
    ) -> None:
        clock = FakeClock()
        served = serve(clock=clock)
        with served.raw() as slow:
            slow.setblocking(False)

            def is_closed() -> bool:
                clock.now += server.QUIET_LIMIT / 4
                try:
                    slow.sendall(b"\0")
                    return slow.recv(1) == b""
                except BlockingIOError:
                    return False
                except OSError:
                    return True

            eventually(is_closed)
        with Session(served.data) as viewer:
            assert poll(viewer).snapshot == running()

    def test_the_number_of_connections_is_limited(
        self, serve: Serve, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(server, "MAX_CONNECTIONS", 3)
        served = serve()
        sessions = [Session(served.data) for _ in range(3)]
        with pytest.raises(RefusedError, match="3 viewers and commands are connected already"):
            Session(served.data)
        for session in sessions:
            assert poll(session).snapshot == running()
            session.close()

    def test_a_viewer_that_does_not_read_holds_one_answer(self, serve: Serve) -> None:
        # given a viewer that requests everything repeatedly, and reads nothing
        served = serve(FakePipeline())
        everything = frame(Poll(Position()))
        with served.raw() as stopped, Session(served.data) as viewer:
            stopped.setblocking(False)
            stopped.sendall(frame(Hello(PROTOCOL, __version__)) + everything * 50)
            # when another one polls, then it is answered, and the state it gets is the newest
            changed = replace(running(), uptime=700.0)
            served.pipeline.now_shows = changed
            served.pipeline.prices = [live_price("AAPL", Decimal("187.22"), 1.5, 504)]
            assert poll(viewer, Position(prices=503)).prices == tuple(served.pipeline.prices)

    def test_more_connections_than_the_system_queues_are_no_missing_pipeline(
        self, data: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # given a pipeline that is stopped while many viewers try to connect
        monkeypatch.setattr(address, "_BACKLOG", 0)
        claim = Claim.take(data)
        with claim.listen(), ExitStack() as waiting:
            for _ in range(3):
                connection = waiting.enter_context(socket.socket(socket.AF_UNIX))
                connection.setblocking(False)
                with suppress(BlockingIOError):
                    connection.connect(str(data / "run" / "control.sock"))
            # when one more does, then it is reported as a pipeline that does not answer
            with pytest.raises(NoAnswerError, match="does not answer; it may be stopped or overloaded"):
                Session(data, timeout=0.05)
        claim.release()

    @pytest.mark.parametrize(
        "content",
        ["", "[]", "{}", '{"pid": 1e999, "socket": "x"}', '{"pid": 1, "socket": "\\ud800"}', "[" * 100_000],
    )
    def test_a_damaged_lock_file_is_a_folder_without_a_pipeline(self, data: Path, content: str) -> None:
        Claim.take(data).release()
        (data / "run" / "control.lock").write_text(content)
        with pytest.raises(NoPipelineError, match="no pipeline runs on data folder"):
            Session(data)
        Claim.take(data).release()

    @pytest.mark.parametrize("sent", [b"220 mail.example ESMTP\r\n" * 10, b"\xff" * 16, frame("hello")])
    def test_something_else_on_the_socket_is_no_pipeline(self, data: Path, sent: bytes) -> None:
        def answer(connection: socket.socket) -> None:
            connection.recv(4096)
            connection.sendall(sent)

        with (
            answering(data, answer),
            pytest.raises(ForeignAnswerError, match="is not an sp500tui pipeline") as caught,
        ):
            Session(data)
        assert caught.value.exit_code is ExitCode.USAGE
        assert "frame of -" not in str(caught.value)

    def test_values_of_another_version_are_named(self, data: Path) -> None:
        # given a pipeline of a later version whose values this one cannot read
        def answer(connection: socket.socket) -> None:
            connection.recv(4096)
            connection.sendall(frame(Welcome(PROTOCOL, "9.9", 1, datetime.now(UTC), FACTS)))
            connection.recv(4096)
            connection.sendall(frame(Answer(msgspec.Raw(b"\x80"))))

        with (
            answering(data, answer),
            Session(data) as session,
            pytest.raises(ProtocolError, match=r"is sp500tui 9\.9.*same version"),
        ):
            poll(session)
