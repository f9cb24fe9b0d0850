"""The address of a pipeline: the claim of a data folder, and the socket that belongs to it."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from sp500tui.config.settings import Settings
from sp500tui.errors import Sp500tuiError
from sp500tui.remote import address, server
from sp500tui.remote.address import Claim, NoAnswerError, NoPipelineError, PipelineRunsError
from sp500tui.remote.run_services import ControlSocket
from sp500tui.remote.session import (
    Session,
)
from sp500tui.storage.embedded.lock import FileLock
from tests.support.remote.control_socket import Serve, poll
from tests.support.tui.fake_pipeline import FakePipeline, running
from tests.support.waiting import Wait


def remove_folder(path: Path) -> None:
    shutil.rmtree(path.parent)


def replace_by_file(path: Path) -> None:
    path.unlink()
    path.write_text("in the way")


def replace_by_socket(path: Path) -> None:
    """Create the socket of a program that has ended."""
    path.unlink()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
        other.bind(os.fspath(path))


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
        runtime = Path("/tmp") / f"sp500tui-test-{os.getpid()}"  # deliberately short
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
        # when a command connects to it, then the error does not advise to start one
        with pytest.raises(NoAnswerError, match=rf"is starting or ending.*kill {os.getpid()}"):
            Session(data)
        with pytest.raises(PipelineRunsError, match=f"process {os.getpid()}"):
            Claim.take(data)
        claim.release()

    def test_a_command_that_reads_the_lock_keeps_no_pipeline_from_starting(
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

    @pytest.mark.parametrize("harm", [Path.unlink, remove_folder, replace_by_file, replace_by_socket])
    def test_a_socket_that_is_removed_or_replaced_is_created_again(
        self, data: Path, eventually: Wait, monkeypatch: pytest.MonkeyPatch, harm: Callable[[Path], None]
    ) -> None:
        # given a pipeline with a viewer
        monkeypatch.setattr(server, "_RENEWAL", 0.01)
        with ControlSocket(data, Settings()) as control:
            control.serve(FakePipeline(prices=()))
            with Session(data) as viewer:
                # when its socket or the socket's folder is removed, or something else is in its place
                harm(data / "run" / "control.sock")

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

    @pytest.mark.parametrize("harm", [replace_by_file, replace_by_socket])
    def test_a_pipeline_whose_socket_is_replaced_is_no_missing_one(
        self, data: Path, harm: Callable[[Path], None]
    ) -> None:
        claim = Claim.take(data)
        with claim.listen():
            harm(data / "run" / "control.sock")
            with pytest.raises(NoAnswerError, match="replaced"):
                Session(data)
        claim.release()

    def test_the_socket_of_a_pipeline_that_has_taken_the_folder_is_kept(self, data: Path) -> None:
        # given a pipeline whose lock and socket were removed, and another one that has started since
        before = Claim.take(data)
        with before.listen():
            shutil.rmtree(data / "run")
            after = Claim.take(data)
            with after.listen():
                # when the first one checks its socket, then that of the other one is kept
                with pytest.raises(PipelineRunsError):
                    before.renew()
                assert after.renew() is None
            # and the first one claims the folder again once the other has ended
            after.release()
            renewed = before.renew()
            assert renewed is not None
            with renewed, pytest.raises(PipelineRunsError):
                Claim.take(data)
        before.release()
        assert not (data / "run" / "control.sock").exists()

    def test_a_pipeline_that_ends_keeps_the_socket_of_another_one(self, data: Path) -> None:
        before = Claim.take(data)
        with before.listen():
            shutil.rmtree(data / "run")
            after = Claim.take(data)
            with after.listen():
                before.release()
                assert (data / "run" / "control.sock").exists()
            after.release()

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
