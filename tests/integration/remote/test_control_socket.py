"""The control socket of a running pipeline: permissions, answers, and clients that are slow, broken or hostile."""

from __future__ import annotations

import math
import os
import random
import shutil
import socket
import stat
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from sp500tui import __version__
from sp500tui.config.settings import Settings
from sp500tui.errors import DatabaseError, ExitCode, Sp500tuiError
from sp500tui.model import Resolution
from sp500tui.pipeline.api import ScaleResult, ShutdownLevel
from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.writer.framing import FrameDecoder
from sp500tui.remote import address, commands, server
from sp500tui.remote.address import Claim, NoAnswerError, NoPipelineError, PipelineRunsError
from sp500tui.remote.commands import Poll
from sp500tui.remote.control_socket import ControlSocket
from sp500tui.remote.session import (
    CommandFailedError,
    ForeignAnswerError,
    RefusedError,
    Session,
)
from sp500tui.remote.wire import (
    MAX_ANSWER,
    PROTOCOL,
    Answer,
    Hello,
    Position,
    ProtocolError,
    Update,
    Welcome,
    decode,
    frame,
)
from sp500tui.storage.embedded.lock import FileLock
from tests.support.remote.control_socket import FACTS, Serve
from tests.support.tui.fake_pipeline import FakePipeline, live_price, running
from tests.support.waiting import FakeClock, Wait


def poll(session: Session, position: Position | None = None) -> Update:
    return session.call(Poll(position or Position()), Update)


@contextmanager
def answering(data: Path, answer: Callable[[socket.socket], None]) -> Iterator[None]:
    """A listener in the place of a pipeline that answers one connection."""
    claim = Claim.take(data)
    listener = claim.listen()
    listener.setblocking(True)

    def accept() -> None:
        connection, _ = listener.accept()
        with connection:
            answer(connection)

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield
    finally:
        thread.join(10)
        listener.close()
        claim.release()


class TestAnswers:
    def test_a_viewer_reads_the_state_of_the_pipeline(self, serve: Serve) -> None:
        # given a pipeline behind a socket
        served = serve(FakePipeline())
        # when a viewer reads it
        with Session(served.data) as session:
            update = poll(session)
            again = poll(session, update.position)
        # then it gets everything once, and afterwards what is new
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
        # given a pipeline with a number that no message can hold
        served = serve()
        served.pipeline.now_shows = replace(running(), uptime=1 << 70)
        with Session(served.data) as session:
            # when it is read, then the reason is reported
            with pytest.raises(CommandFailedError, match="its log has the reason"):
                poll(session)
            # and the same connection shows what follows
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
            assert begun.wait(10)
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
        # given a viewer to which more is sent than the socket holds, and which has not read it
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


class TestClaims:
    def test_socket_and_folder_are_private(self, serve: Serve, data: Path) -> None:
        serve()
        assert stat.S_IMODE((data / "run").stat().st_mode) == 0o700
        assert stat.S_IMODE((data / "run" / "control.sock").stat().st_mode) == 0o600

    def test_a_second_pipeline_is_refused(self, serve: Serve, data: Path) -> None:
        serve()
        with pytest.raises(PipelineRunsError, match=rf"process {os.getpid()}.*sp500tui attach.*--data-dir"):
            Claim.take(data)

    def test_a_socket_left_over_from_a_crash_is_replaced(self, serve: Serve, data: Path) -> None:
        # given the files of a pipeline that was killed: its socket exists, and nothing listens on it
        crashed = Claim.take(data)
        crashed.listen().close()
        crashed._lock.release()
        with pytest.raises(NoPipelineError, match="no pipeline runs on data folder"):
            Session(data)
        # when another one starts, then it can be reached
        serve()
        with Session(data) as session:
            assert poll(session).snapshot == running()

    def test_a_long_path_is_replaced_by_a_short_one(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        runtime = Path("/tmp") / f"sp500tui-test-{os.getpid()}"  # short on purpose
        runtime.mkdir(mode=0o700)
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
        data = tmp_path / ("long" * 30) / "live"
        claim = Claim.take(data)
        try:
            listener = claim.listen()
            (path,) = (runtime / "sp500tui").iterdir()
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            # another session finds it, whatever its own runtime folder is
            monkeypatch.delenv("XDG_RUNTIME_DIR")
            with pytest.raises(NoAnswerError):
                Session(data, timeout=0.01)
            listener.close()
        finally:
            claim.release()
            assert not list((runtime / "sp500tui").iterdir())
            (runtime / "sp500tui").rmdir()
            runtime.rmdir()

    def test_a_pipeline_that_does_not_listen_yet_is_no_missing_one(self, data: Path) -> None:
        # given a pipeline that has claimed the folder, in which another one ran before
        before = Claim.take(data)
        before.listen().close()
        before.release()
        claim = Claim.take(data)
        # when a command looks for it, then it is not told to start one
        with pytest.raises(NoAnswerError, match=rf"is starting or ending.*kill {os.getpid()}"):
            Session(data)
        with pytest.raises(PipelineRunsError, match=f"process {os.getpid()}"):
            Claim.take(data)
        claim.release()

    def test_a_command_that_looks_at_the_lock_keeps_no_pipeline_from_starting(
        self, data: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # given a command that holds the lock for an instant
        monkeypatch.setattr(address, "_PROBE_LIMIT", 30.0)
        Claim.take(data).release()
        lock = FileLock(data / "run" / "control.lock")
        assert lock.try_acquire_exclusive()
        releasing = threading.Timer(0.02, lock.release)
        releasing.start()
        # when a pipeline starts, then it waits for the command
        Claim.take(data).release()
        releasing.join()

    @pytest.mark.parametrize("removed", ["run/control.sock", "run"])
    def test_a_socket_that_is_removed_is_created_again(
        self, data: Path, eventually: Wait, monkeypatch: pytest.MonkeyPatch, removed: str
    ) -> None:
        # given a pipeline with a viewer
        monkeypatch.setattr(server, "_RENEWAL", 0.01)
        with ControlSocket(data, Settings()) as control:
            control.serve(FakePipeline(prices=()))
            with Session(data) as viewer:
                # when its socket is removed, or the folder of it
                path = data / removed
                shutil.rmtree(path) if path.is_dir() else path.unlink()

                def is_shown_to_another() -> bool:
                    with suppress(Sp500tuiError), Session(data) as other:
                        return poll(other).snapshot == running()
                    return False

                # then another viewer can attach, and the first one stays attached
                eventually(is_shown_to_another)
                assert poll(viewer).snapshot == running()
            # and the data folder is still claimed
            with pytest.raises(PipelineRunsError, match=f"process {os.getpid()}"):
                Claim.take(data)
        assert not (data / "run" / "control.sock").exists()

    def test_a_runtime_folder_that_cannot_be_used_is_passed_over(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # given a runtime folder in which this user has no folder, and a data folder with a long path
        (tmp_path / "runtime").mkdir()
        (tmp_path / "runtime" / "sp500tui").write_text("in the way")
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "runtime"))
        data = tmp_path / ("long" * 30) / "live"
        claim = Claim.take(data)
        try:
            with claim.listen(), pytest.raises(NoAnswerError, match="does not answer"):
                Session(data, timeout=0.01)
        finally:
            claim.release()

    def test_the_pipeline_of_the_other_market_is_named(self, serve: Serve, data: Path) -> None:
        serve()
        with pytest.raises(NoPipelineError, match=r"one runs on .*live: repeat the command without --demo"):
            Session(data.parent / "demo")

    def test_nodes_of_a_cluster_share_a_data_folder(self, serve: Serve, data: Path) -> None:
        serve()
        with ControlSocket(data, Settings(broker="redis://broker.example")) as control:
            control.serve(FakePipeline(prices=()))
        with pytest.raises(PipelineRunsError):
            ControlSocket(data, Settings())

    def test_a_folder_without_room_for_a_socket_costs_a_warning(
        self, data: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        data.mkdir()
        (data / "run").write_text("in the way")
        with ControlSocket(data, Settings()) as control:
            control.serve(FakePipeline(prices=()))
        assert "no viewer can attach to this pipeline" in caplog.text

    def test_it_is_closed_twice_without_harm(self, data: Path) -> None:
        control = ControlSocket(data, Settings())
        control.serve(FakePipeline(prices=()))
        control.close()
        control.close()
        assert not (data / "run" / "control.sock").exists()
        Claim.take(data).release()


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
        # given a viewer that asks for everything again and again, and reads nothing
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
            pytest.raises(ForeignAnswerError, match="is no sp500tui pipeline") as caught,
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
