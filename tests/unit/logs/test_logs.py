"""Logs: one configuration, cleaned records, files that rotate and never raise, a ring that counts."""

from __future__ import annotations

import fcntl
import io
import json
import logging
import os
import stat
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sp500tui.errors import ConfigurationError
from sp500tui.logs import setup as logs
from sp500tui.logs.rotation import PrivateRotatingFileHandler
from sp500tui.logs.setup import LogLine, RingHandler, configure, current, log_uncaught, reemit

LOG = logging.getLogger("sp500tui.test")


@pytest.fixture(autouse=True)
def own_logging() -> Iterator[None]:
    """Restore handlers, levels and hooks."""
    root, hook = logging.getLogger(), threading.excepthook
    levels = root.level, logging.getLogger(logs.PACKAGE_LOGGER).level
    yield
    if (configuration := current()) is not None:
        configuration.close()
    root.setLevel(levels[0])
    logging.getLogger(logs.PACKAGE_LOGGER).setLevel(levels[1])
    logging.captureWarnings(capture=False)
    threading.excepthook = hook


def record(message: str, level: int = logging.INFO, **more: object) -> logging.LogRecord:
    made = logging.LogRecord("sp500tui.test", level, __file__, 1, message, None, None)
    made.__dict__.update(more)
    return made


def text_of(file: Path | None) -> str:
    assert file is not None
    return file.read_text()


def fail() -> None:
    raise ValueError("no route to postgresql://me:secret@host/x\x1b[2J")


def raised() -> ValueError:
    try:
        fail()
    except ValueError as error:
        return error
    raise AssertionError


class TestConfiguration:
    def test_records_reach_files_console_and_ring_by_level(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        # given
        made = configure(folder=tmp_path)

        # when three levels are logged
        LOG.debug("a detail")
        LOG.info("a %s", "fact")
        LOG.warning("a warning")

        # then INFO and above are in the file, the console and the ring; warnings in the errors too
        app, errors = text_of(made.app_log), text_of(made.errors_log)
        assert [line.split(": ", 1)[1] for line in app.splitlines()] == ["a fact", "a warning"]
        assert errors.endswith("a warning\n")
        assert "a fact" not in errors
        assert "a fact" in capsys.readouterr().err
        assert [line.message for line in made.ring.since(0)[1]] == ["a fact", "a warning"]

    def test_files_and_their_folder_are_accessible_to_the_owner_only(self, tmp_path: Path) -> None:
        made = configure(folder=tmp_path / "logs")
        for path, mode in ((tmp_path / "logs", 0o700), (made.app_log, 0o600), (made.errors_log, 0o600)):
            assert path is not None
            assert stat.S_IMODE(path.stat().st_mode) == mode

    def test_a_second_configuration_replaces_the_first(self, tmp_path: Path) -> None:
        first = configure(folder=tmp_path / "one", console=False)
        second = configure(folder=tmp_path / "two", console=False)
        LOG.info("hello")

        assert current() == second
        assert text_of(first.app_log) == ""
        assert text_of(second.app_log).count("hello") == 1

    def test_without_console_nothing_is_printed(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        configure(folder=tmp_path, console=False)
        LOG.error("over the dashboard")
        captured = capsys.readouterr()
        assert captured.err + captured.out == ""

    def test_a_quiet_console_shows_warnings_only(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        configure(folder=tmp_path, console_level="WARNING")
        LOG.info("a fact")
        LOG.warning("a warning")
        LOG.warning("reported elsewhere", extra={"files_only": True})
        assert capsys.readouterr().err.splitlines()[0].endswith("a warning")

    def test_a_named_file_takes_everything(self, tmp_path: Path) -> None:
        made = configure(log_file=tmp_path / "run.log", console=False)
        LOG.error("x")
        assert made.app_log == tmp_path / "run.log"
        assert made.errors_log == tmp_path / "run.errors.log"
        assert "x" in text_of(made.app_log)

    def test_a_place_that_cannot_be_written_is_refused_with_the_remedy(self, tmp_path: Path) -> None:
        (tmp_path / "taken").write_text("")
        with pytest.raises(ConfigurationError, match="--log-file FILE"):
            configure(folder=tmp_path / "taken" / "logs")
        with pytest.raises(ConfigurationError, match="--log-file FILE"):
            configure(log_file=tmp_path / "taken" / "x.log")

    def test_a_pipe_that_no_program_reads_is_refused(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(
            ConfigurationError, match="is a pipe or a socket that no program reads; name another"
        ):
            configure(log_file=tmp_path / "pipe")

    def test_a_pipe_that_is_full_costs_records_and_no_time(self, tmp_path: Path) -> None:
        # given a pipe whose reader does not read
        os.mkfifo(tmp_path / "pipe")
        reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
        try:
            log = PrivateRotatingFileHandler(tmp_path / "pipe")
            # when more is logged than a pipe can buffer, then logging does not block
            for _ in range(300):
                log.handle(record("x" * 1_000))
            assert log.lost > 0
            log.close()
        finally:
            os.close(reader)

    def test_a_pipe_has_no_second_file_for_errors(self, tmp_path: Path) -> None:
        # given a log that is a pipe, in a folder that its user may not write to
        os.mkfifo(tmp_path / "pipe")
        reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
        try:
            made = configure(log_file=tmp_path / "pipe", console=False)
            LOG.warning("a warning")
            # then everything is written to it, and to no other file
            assert (made.app_log, made.errors_log) == (tmp_path / "pipe", None)
            assert os.read(reader, 1_000).endswith(b"a warning\n")
            assert [each.name for each in tmp_path.iterdir()] == ["pipe"]
        finally:
            os.close(reader)

    def test_a_standard_stream_that_leads_to_a_file_is_not_rotated(self, tmp_path: Path) -> None:
        # given a descriptor of a file
        with (tmp_path / "output").open("wb") as output:
            made = configure(log_file=Path(f"/dev/fd/{output.fileno()}"), console=False)
            # when more is logged than the maximum size of a log file
            for _ in range(6):
                LOG.warning("x" * (1 << 20))
            made.close()
        # then there is one file
        assert [each.name for each in tmp_path.iterdir()] == ["output"]
        assert (tmp_path / "output").stat().st_size > 6 << 20

    def test_a_failed_configuration_keeps_the_previous_one(self, tmp_path: Path) -> None:
        former = configure(folder=tmp_path, console=False)
        (tmp_path / "x.errors.log").mkdir()
        with pytest.raises(ConfigurationError, match=r"log file .*x\.errors\.log cannot be opened"):
            configure(log_file=tmp_path / "x.log")
        assert current() == former

    def test_without_a_log_folder_records_go_only_to_the_console_and_the_ring(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        made = configure()
        LOG.info("a fact")
        assert (made.app_log, made.errors_log) == (None, None)
        assert "a fact" in capsys.readouterr().err
        assert [line.message for line in made.ring.since(0)[1]] == ["a fact"]

    def test_json_lines_carry_every_field(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        made = configure(folder=tmp_path, log_format="json")
        LOG.error("bad", exc_info=raised(), extra={"worker": "price-3"})
        line = json.loads(text_of(made.app_log))
        assert (line["level"], line["worker"], line["logger"], line["message"]) == (
            "ERROR",
            "price-3",
            "sp500tui.test",
            "bad",
        )
        assert line["time"].endswith("Z")
        assert "ValueError" in line["exception"]
        assert json.loads(capsys.readouterr().err)["message"] == "bad"

    @pytest.mark.parametrize("log_format", ["text", "json"])
    def test_without_files_a_complete_console_shows_tracebacks(
        self, capsys: pytest.CaptureFixture[str], log_format: str
    ) -> None:
        configure(complete_console=True, log_format=log_format)
        LOG.error("the report line", extra={"files_only": True})
        LOG.critical("broken", exc_info=raised(), extra={"files_only": True})
        shown = capsys.readouterr().err
        assert "the report line" not in shown
        assert "broken" in shown
        assert "ValueError: no route to postgresql://me:***@host/x" in shown

    def test_warnings_of_libraries_go_to_the_files_only(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        made = configure(folder=tmp_path)
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            logging.captureWarnings(capture=False)
            logging.captureWarnings(capture=True)
            warnings.warn("old spelling", stacklevel=1)
        assert "old spelling" in text_of(made.errors_log)
        assert "old spelling" not in capsys.readouterr().err


class TestCleaning:
    def test_no_password_and_no_control_character_is_logged(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        # given
        made = configure(folder=tmp_path)

        # when text from outside and a traceback with a password are logged
        LOG.error(
            "%s\n%s", "postgresql://me:secret@host/x password=secret", "\x1b[2J\u202e", exc_info=raised()
        )

        # then the message is one clean line everywhere, and the traceback is readable, in the files only
        text, shown = text_of(made.app_log), capsys.readouterr().err
        for each in (text, shown, made.ring.since(0)[1][0].message):
            assert "secret" not in each
            assert "\x1b" not in each
            assert "\u202e" not in each
        assert text.splitlines()[1] == "    Traceback (most recent call last):"
        assert "Traceback" not in shown
        assert shown.count("\n") == 1

    def test_a_record_whose_arguments_do_not_fit_is_logged_all_the_same(self, tmp_path: Path) -> None:
        made = configure(folder=tmp_path, console=False)
        bad = record("%d of %d")
        bad.args = ("x",)
        made.root_handler.handle(bad)
        assert "unreadable log record" in text_of(made.app_log)

    def test_the_worker_is_the_thread(self, tmp_path: Path) -> None:
        made = configure(folder=tmp_path, console=False)
        thread = threading.Thread(target=LOG.info, args=("from a thread",), name="price-7")
        thread.start()
        thread.join()
        LOG.info("from the main thread")
        assert [line.worker for line in made.ring.since(0)[1]] == ["price-7", "main"]

    def test_an_exception_that_ends_a_thread_is_logged_not_printed(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        made = configure(folder=tmp_path, console=False)
        log_uncaught()

        thread = threading.Thread(target=fail, name="converter-1")
        thread.start()
        thread.join()
        assert "converter-1 ended by ValueError" in text_of(made.errors_log)
        assert "Traceback" in text_of(made.errors_log)
        assert capsys.readouterr().err == ""


class TestOtherProcesses:
    def test_a_record_passes_through_the_pipe_unchanged(self, tmp_path: Path) -> None:
        # given a record of a writer's process, as plain values
        message: dict[str, str | int | float] = {
            "name": "sp500tui.writer",
            "level": logging.INFO,
            "message": "stored 12 rows",
            "created": 1_700_000_000.25,
            "worker": "writer-2",
            "exception": "ValueError: no number",
        }

        # when the parent logs it
        made = configure(folder=tmp_path, console=False)
        reemit(message)

        # then time, worker and text are the writer's
        line = made.ring.since(0)[1][0]
        assert (line.worker, line.message, line.level) == ("writer-2", "stored 12 rows", logging.INFO)
        assert line.time.timestamp() == pytest.approx(1_700_000_000.25)
        assert "ValueError" in text_of(made.app_log)

    def test_a_level_that_is_off_stays_off(self, tmp_path: Path) -> None:
        made = configure(folder=tmp_path, console=False, level="ERROR")
        reemit({"name": "sp500tui", "level": logging.INFO, "message": "chatter", "created": 0.0})
        assert made.ring.since(0)[1] == ()


class TestRing:
    @given(st.integers(1, 20), st.lists(st.integers(0, 15), max_size=8))
    def test_a_reader_gets_every_line_once_or_the_number_that_it_missed(
        self, capacity: int, bursts: list[int]
    ) -> None:
        ring, seq, missed, written = RingHandler(capacity), 0, 0, 0
        seen: list[LogLine] = []
        for burst in bursts:
            for _ in range(burst):
                written += 1
                ring.handle(record(str(written)))
            seq, lines, dropped = ring.since(seq)
            seen += lines
            missed += dropped
            assert len(lines) == min(burst, capacity)
        assert len(seen) + missed == written == seq
        assert [line.seq for line in seen] == sorted({line.seq for line in seen})
        assert all(line.message == str(line.seq) for line in seen)

    def test_a_line_is_immutable_and_in_utc(self) -> None:
        ring = RingHandler()
        ring.handle(record("x"))
        line = ring.since(0)[1][0]
        assert isinstance(line, LogLine)
        assert line.time.utcoffset() is not None
        with pytest.raises(AttributeError):
            line.message = "y"  # type: ignore[misc]


class TestRotation:
    def filled(
        self, path: Path, count: int, limit: int = 5 << 20, keep: int = 3
    ) -> PrivateRotatingFileHandler:
        log = PrivateRotatingFileHandler(path, limit=limit, keep=keep)
        for number in range(count):
            log.handle(record(f"line {number:04d}"))
        return log

    def test_the_file_and_its_rotated_files_are_bounded(self, tmp_path: Path) -> None:
        path = tmp_path / "app.log"
        self.filled(path, 100, limit=200, keep=2).close()
        assert sorted(each.name for each in tmp_path.iterdir()) == ["app.log", "app.log.1", "app.log.2"]
        assert all(each.stat().st_size <= 200 for each in tmp_path.iterdir())
        assert path.read_text().endswith("line 0099\n")

    def test_of_a_link_the_file_is_rotated(self, tmp_path: Path) -> None:
        # given a symbolic link such as /dev/stderr
        (tmp_path / "logs").mkdir()
        link = tmp_path / "link"
        link.symlink_to(tmp_path / "logs" / "app.log")
        # when its file is rotated
        self.filled(link, 100, limit=200, keep=2).close()
        # then it is still a link
        assert link.is_symlink()
        assert sorted(each.name for each in tmp_path.iterdir()) == ["link", "logs"]
        assert sorted(each.name for each in (tmp_path / "logs").iterdir()) == [
            "app.log",
            "app.log.1",
            "app.log.2",
        ]

    @pytest.mark.parametrize("call", [(Path, "replace"), (fcntl, "flock")], ids=["rename", "lock"])
    def test_a_file_that_cannot_be_rotated_grows_on(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: tuple[Any, str]
    ) -> None:
        """Such as a single file mounted into a container, or one in another user's folder."""

        def busy(*_: object) -> None:
            raise OSError(16, "Device or resource busy")

        path, shown = tmp_path / "app.log", list[str]()
        monkeypatch.setattr(*call, busy)
        log = PrivateRotatingFileHandler(path, limit=200, on_failure=shown.append)
        for number in range(40):
            log.handle(record(f"line {number:04d}"))
        log.close()
        assert [line[-4:] for line in path.read_text().splitlines()] == [f"{n:04d}" for n in range(40)]
        assert shown[0] == (
            f"log file {path} cannot be rotated (Device or resource busy): it grows beyond 200 bytes"
        )

    @pytest.mark.processes
    def test_two_programs_share_a_file_without_losing_a_line(self, tmp_path: Path) -> None:
        # given two processes that write to the same file concurrently
        program = (
            "import logging, sys; from pathlib import Path\n"
            "from sp500tui.logs.rotation import PrivateRotatingFileHandler\n"
            "log = PrivateRotatingFileHandler(Path(sys.argv[1]), limit=20_000, keep=50)\n"
            "for n in range(2000):\n"
            "    log.handle(logging.LogRecord('x', 20, '', 0, f'{sys.argv[2]}-{n}', None, None))\n"
        )
        path = tmp_path / "app.log"
        both = [subprocess.Popen([sys.executable, "-c", program, str(path), name]) for name in "ab"]
        assert [each.wait(60) for each in both] == [0, 0]

        # then every line of both is in the file once
        lines = [line for each in tmp_path.iterdir() for line in each.read_text().splitlines()]
        assert sorted(lines) == sorted(f"{name}-{number}" for name in "ab" for number in range(2000))

    def test_a_deleted_file_is_created_again(self, tmp_path: Path) -> None:
        log = self.filled(tmp_path / "app.log", 1)
        (tmp_path / "app.log").unlink()
        for number in range(100):
            log.handle(record(f"line {number}"))
        log.close()
        assert "line 99" in (tmp_path / "app.log").read_text()

    def test_a_full_disk_is_reported_once_and_lost_records_are_counted(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        # given a disk that is full for a while
        made = configure(folder=tmp_path)
        full = True
        write = os.write

        def full_disk(descriptor: int, data: bytes) -> int:
            if full:
                raise OSError(28, "No space left on device")
            return write(descriptor, data)

        monkeypatch.setattr(os, "write", full_disk)

        # when workers continue to log
        for number in range(5):
            LOG.info("line %d", number)
        full = False
        LOG.info("there is room again")

        # then nothing is raised, the error is reported once, and the gap is marked in the file
        shown = capsys.readouterr().err
        assert shown.count("No space left on device") == 1
        assert "5 log records before this one were lost" in text_of(made.app_log)
        assert "there is room again" in text_of(made.app_log)

    def test_a_disk_that_fills_up_within_a_line_loses_only_that_line(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # given a log in JSON, and a disk that accepts ten bytes of a line, then nothing, then everything
        made = configure(folder=tmp_path, log_format="json", console=False)
        write = os.write
        room = [10]

        def nearly_full(descriptor: int, data: bytes) -> int:
            if not room:
                return write(descriptor, data)
            if not room[0]:
                raise OSError(28, "No space left on device")
            return write(descriptor, data[: room[0]])

        LOG.info("before")
        monkeypatch.setattr(os, "write", nearly_full)
        LOG.info("torn")
        room[0] = 0
        LOG.info("lost")
        room.clear()
        LOG.info("after")

        # then every line except the truncated one is a record, and one of them has the number of lost records
        before, torn, *rest = text_of(made.app_log).splitlines()
        assert json.loads(before)["message"] == "before"
        assert len(torn) == 10
        assert [json.loads(line)["message"] for line in rest] == [
            "2 log records before this one were lost",
            "after",
        ]
        assert all(set(json.loads(line)) == {"time", "level", "worker", "logger", "message"} for line in rest)

    def test_a_closed_stderr_is_ignored(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        made = configure(folder=tmp_path)
        closed = io.StringIO()
        closed.close()
        monkeypatch.setattr(sys, "stderr", closed)
        LOG.info("one")
        monkeypatch.setattr(sys, "stderr", None)
        LOG.info("two")
        assert text_of(made.app_log).count("\n") == 2


@pytest.mark.parametrize("path", ["/", "."])
def test_a_folder_in_the_place_of_the_log_file_is_refused_with_the_remedy(path: str) -> None:
    with pytest.raises(ConfigurationError, match="is a folder; name a file with --log-file FILE"):
        configure(log_file=Path(path), console=False)
