"""The headless front end: shutdown levels by signal, and the summary of every outcome."""

from __future__ import annotations

import io
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from signal import SIGHUP, SIGINT, SIGTERM

import pytest
from rich.console import Console

from sp500tui.config.loader import Configuration
from sp500tui.config.options import BY_FIELD
from sp500tui.config.paths import Paths
from sp500tui.config.settings import Settings
from sp500tui.errors import DatabaseError, ExitCode, SourceError, Sp500tuiError
from sp500tui.headless import runner as headless
from sp500tui.headless.live_view import (
    display,
    eta,
    format_missing,
    headline,
    queue_line,
    stage_line,
    summary,
)
from sp500tui.headless.runner import report_stopped, run_headless
from sp500tui.logs import setup as logs
from sp500tui.pipeline.api import ShutdownLevel
from sp500tui.pipeline.core.ledger import Ledger
from sp500tui.pipeline.core.snapshot import DatabaseSnapshot, Health, Latency
from sp500tui.pipeline.report import RunReport
from sp500tui.pipeline.runtime.self_pipe import SelfPipe
from tests.support.pipeline.fake_run import FakeRun, a_queue, a_snapshot, a_stage, with_ledger


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Logs and data are in a folder of the test, and no handler remains."""
    for name in ("CACHE", "CONFIG", "DATA", "STATE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path))
    hook = threading.excepthook
    yield
    if (configuration := logs.current()) is not None:
        configuration.close()
    threading.excepthook = hook
    logging.captureWarnings(capture=False)


class Terminal(io.StringIO):
    """A stream that reports to be a terminal."""

    def isatty(self) -> bool:
        return True


def configured(tmp_path: Path, *notes: str, **settings: object) -> Configuration:
    settings = {"database": "postgresql://host/x"} | settings
    made = Settings(data_dir=tmp_path / "data", **settings)  # type: ignore[arg-type]
    return Configuration(made, dict.fromkeys(BY_FIELD), tmp_path / "config.toml", notes)  # type: ignore[arg-type]


def run(tmp_path: Path, pipeline: FakeRun, *notes: str, **settings: object) -> int:
    return run_headless(configured(tmp_path, *notes, **settings), lambda *_: nullcontext(pipeline))


def sends(*numbers: signal.Signals) -> Callable[[FakeRun], None]:
    """Sends each signal to this process once the previous step was taken."""

    def send(pipeline: FakeRun) -> None:
        def one_after_the_other() -> None:
            for count, number in enumerate(numbers):
                while len(pipeline.steps) < count:
                    threading.Event().wait(0.005)
                os.kill(os.getpid(), number)

        threading.Thread(target=one_after_the_other).start()

    return send


class TestBeforeThePipeline:
    """Building the pipeline may wait, for example for a password from a pipe."""

    @pytest.mark.parametrize(("number", "code"), [(SIGINT, 130), (SIGTERM, 143), (SIGHUP, 143)])
    def test_a_signal_ends_the_run_at_once_with_its_report(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], number: signal.Signals, code: int
    ) -> None:
        def build(*_: object) -> AbstractContextManager[FakeRun]:
            signal.raise_signal(number)
            raise AssertionError("the signal was queued")

        assert run_headless(configured(tmp_path, json_output=True), build) == code
        assert json.loads(capsys.readouterr().out)["outcome"] == "interrupted"

    def test_a_run_that_was_stopped_while_the_program_was_loaded_has_a_report(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert report_stopped(configured(tmp_path, json_output=True), SIGTERM) == 143
        assert json.loads(capsys.readouterr().out)["outcome"] == "interrupted"


class TestEnd:
    def test_a_clean_run_ends_with_one_line_on_stdout(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run(tmp_path, FakeRun()) == ExitCode.OK

        captured = capsys.readouterr()
        assert captured.out.startswith("completed after 12.5 s and 2 cycles: fetched 503 = stored 500")
        assert captured.out.count("\n") == 1
        assert "started; process" in captured.err

    def test_with_json_exactly_one_object_is_on_stdout(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        code = run(tmp_path, FakeRun(a_snapshot(missing=["NOPE1"])), json_output=True)

        captured = capsys.readouterr()
        assert code == ExitCode.INCOMPLETE
        assert json.loads(captured.out)["quotes"]["missing"] == ["NOPE1"]
        assert "without a price: NOPE1" in captured.err

    def test_without_any_price_the_reason_is_printed_instead_of_every_symbol(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        nothing = a_snapshot(Ledger(), missing=["A", "B"])
        code = run(tmp_path, FakeRun(nothing, failure=SourceError("no prices available: no network")))

        errors = capsys.readouterr().err
        assert code == ExitCode.NO_SOURCE
        assert "sp500tui: no prices available: no network" in errors
        assert "without a price" not in errors

    def test_warnings_of_the_configuration_are_logged(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        run(tmp_path, FakeRun(when_started=sends(SIGTERM), ends_at=ShutdownLevel.DRAIN), "a note")
        assert "a note" in capsys.readouterr().err

    def test_a_failed_run_gives_the_reason_and_still_prints_the_object(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        code = run(tmp_path, FakeRun(failure=DatabaseError("refused\x1b[2J")), json_output=True)

        captured = capsys.readouterr()
        assert code == ExitCode.DATABASE
        assert json.loads(captured.out)["outcome"] == "failed"
        assert r"sp500tui: refused\x1b[2J" in captured.err

    def test_a_pipeline_that_cannot_be_built_ends_in_a_report(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def build(*_: object) -> AbstractContextManager[FakeRun]:
            raise DatabaseError("no server at that address")

        configuration = configured(tmp_path, json_output=True, database="postgresql://me:secret@host/x")
        assert run_headless(configuration, build) == ExitCode.DATABASE

        content = json.loads(capsys.readouterr().out)
        assert content["outcome"] == "failed"
        assert content["database"] == {
            "url": "postgresql://me:***@host/x",
            "embedded": False,
            "rows_total": None,
        }

    def test_a_data_folder_that_cannot_be_created_is_a_configuration_error(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "data").write_text("in the way")
        assert run(tmp_path, FakeRun()) == ExitCode.USAGE
        assert "--data-dir DIR" in capsys.readouterr().err

    def test_an_unexpected_error_is_one_line_with_its_traceback_in_the_log(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def build(*_: object) -> AbstractContextManager[FakeRun]:
            raise RuntimeError("never thought of")

        assert run_headless(configured(tmp_path, json_output=True), build) == ExitCode.INCOMPLETE

        captured = capsys.readouterr()
        configuration = logs.current()
        assert configuration is not None
        assert json.loads(captured.out)["outcome"] == "failed"
        assert "Traceback" not in captured.err
        assert f"RuntimeError: never thought of; details in {configuration.errors_log}" in captured.err
        assert configuration.errors_log is not None
        assert "Traceback" in configuration.errors_log.read_text()

    def test_a_report_to_a_closed_pipe_fails_the_run(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        reading, writing = os.pipe()
        os.close(reading)
        with os.fdopen(writing, "w") as stdout:
            monkeypatch.setattr(sys, "stdout", stdout)
            assert run(tmp_path, FakeRun(), json_output=True) == ExitCode.INCOMPLETE
        monkeypatch.setattr(sys, "stdout", None)
        assert run(tmp_path, FakeRun()) == ExitCode.INCOMPLETE


class TestStopLadder:
    @pytest.mark.parametrize(
        ("numbers", "code"),
        [
            ((SIGINT,), ExitCode.SIGINT),
            ((SIGTERM,), ExitCode.SIGTERM),
            ((SIGHUP,), ExitCode.SIGTERM),
            ((SIGINT, SIGTERM), ExitCode.SIGINT),
            ((SIGTERM, SIGINT, SIGHUP), ExitCode.SIGTERM),
        ],
    )
    def test_every_signal_raises_the_shutdown_level_and_the_first_gives_the_exit_code(
        self,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
        numbers: tuple[signal.Signals, ...],
        code: ExitCode,
    ) -> None:
        # given a pipeline that ends with the last of these signals
        last = ShutdownLevel(len(numbers))
        pipeline = FakeRun(ends_at=last, when_started=sends(*numbers))

        # when they arrive
        result = run(tmp_path, pipeline, json_output=True)

        # then each takes one step, announced with the effect of the next one, and the end is reported
        captured = capsys.readouterr()
        assert result == code
        assert pipeline.steps == [ShutdownLevel(step) for step in range(1, last + 1)]
        assert f"{numbers[0].name}: draining" in captured.err
        assert ("spooling" in captured.err) == (last >= ShutdownLevel.SPOOL)
        assert json.loads(captured.out)["outcome"] == "interrupted"

    def test_a_pipeline_that_does_not_end_when_killed_is_abandoned(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        class Left(BaseException):
            pass

        def leave(code: int) -> None:
            raise Left(code)

        monkeypatch.setattr(headless, "KILL_LIMIT", 0.01)
        monkeypatch.setattr(os, "_exit", leave)
        pipeline = FakeRun(ends_at=ShutdownLevel.KILL, when_started=sends(SIGINT, SIGINT, SIGINT))
        monkeypatch.setattr(pipeline, "stop", pipeline.steps.append)

        with pytest.raises(Left, match="130"):
            run(tmp_path, pipeline, json_output=True)
        pipeline.over.set()
        assert json.loads(capsys.readouterr().out)["outcome"] == "interrupted"

    def test_an_error_of_the_front_end_drains_the_pipeline(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        # given a terminal that cannot be drawn on
        def broken(_: object) -> None:
            raise LookupError("unknown encoding")

        monkeypatch.setattr("sp500tui.headless.live_view.display", broken)
        monkeypatch.setattr(sys, "stderr", Terminal())
        monkeypatch.setenv("TERM", "xterm")
        # when a run is followed there
        pipeline = FakeRun(ends_at=ShutdownLevel.DRAIN)
        code = run(tmp_path, pipeline, json_output=True)
        # then the run is drained and reported as failed
        assert code == ExitCode.INCOMPLETE
        assert pipeline.steps == [ShutdownLevel.DRAIN]
        assert json.loads(capsys.readouterr().out)["outcome"] == "failed"

    def test_a_pipeline_that_cannot_be_started_is_reported(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def refuse(pipeline: FakeRun) -> None:
            pipeline.over.set()
            raise RuntimeError("can't start new thread")

        assert run(tmp_path, FakeRun(when_started=refuse), json_output=True) == ExitCode.INCOMPLETE
        assert "can't start new thread" in capsys.readouterr().err

    def test_a_hangup_that_was_switched_off_stays_off(self, tmp_path: Path) -> None:
        before = signal.signal(SIGHUP, signal.SIG_IGN)
        try:
            assert run(tmp_path, FakeRun(when_started=lambda _: os.kill(os.getpid(), SIGHUP))) == ExitCode.OK
            assert signal.getsignal(SIGHUP) is signal.SIG_IGN
        finally:
            signal.signal(SIGHUP, before)

    def test_the_former_signal_handlers_are_restored(self, tmp_path: Path) -> None:
        before = [signal.getsignal(number) for number in (SIGINT, SIGTERM, SIGHUP)]
        run(tmp_path, FakeRun())
        assert [signal.getsignal(number) for number in (SIGINT, SIGTERM, SIGHUP)] == before


class TestLiveDisplay:
    def test_a_terminal_shows_the_live_display_and_stderr_is_restored(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        terminal = Terminal()
        monkeypatch.setattr(sys, "stderr", terminal)
        monkeypatch.setenv("TERM", "xterm")

        run(tmp_path, FakeRun(ends_at=ShutdownLevel.DRAIN, when_started=sends(SIGINT)))

        assert "cycle 2" in terminal.getvalue()
        assert sys.stderr is terminal

    def test_a_dumb_terminal_gets_lines_only(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        terminal = Terminal()
        monkeypatch.setattr(sys, "stderr", terminal)
        monkeypatch.setenv("TERM", "dumb")

        run(tmp_path, FakeRun(ends_at=ShutdownLevel.DRAIN, when_started=sends(SIGINT)))

        assert "cycle 2" not in terminal.getvalue()
        assert "\x1b" not in terminal.getvalue()

    def test_a_terminal_that_is_closed_does_not_end_the_run(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Gone(Terminal):
            def write(self, text: str) -> int:
                raise OSError(5, "Input/output error")

        monkeypatch.setattr(sys, "stderr", Gone())
        monkeypatch.setenv("TERM", "xterm")
        assert (
            run(tmp_path, FakeRun(ends_at=ShutdownLevel.DRAIN, when_started=sends(SIGHUP)))
            == ExitCode.SIGTERM
        )

    def test_the_picture_shows_stages_queues_rate_rest_and_equation(self) -> None:
        console = Console(width=120, record=True, file=io.StringIO())
        console.print(display(with_ledger(stored=500, queued=3)))
        lines = [line.rstrip() for line in console.export_text().splitlines()]
        assert (
            lines[0]
            == "sp500tui demo  running  cycle 2  ████████████░░░░░░░░░░░░ 250/503  41.2 rows/s  5 s left"
        )
        assert lines[1].startswith("fetched 503 = stored 500 + duplicate 0 + queued 3")
        assert lines[3] == (
            "price     ×4   busy 3       41.2/s  p95     98 ms  → quotes      12/4,096, 2 in flight"
        )
        assert lines[6].startswith("history   ×4")
        assert "⋯ history" in lines[6]
        assert len(lines) == 7

    def test_lines_hold_without_figures(self) -> None:
        fresh = replace(
            a_snapshot(), stages=(), cycle=replace(a_snapshot().cycle, total=0, done=0, running=False)
        )
        assert "0/0" in headline(fresh)
        assert eta(fresh) is None
        waiting = replace(fresh, cycle=replace(fresh.cycle, next_in=7.2))
        assert headline(waiting).endswith("next cycle in 7 s")
        stage = replace(a_stage(a_snapshot().stages[1].name), latency=Latency())
        assert stage_line(stage).endswith("p95      – ms")
        assert "tickers" in queue_line(a_queue(a_snapshot().queues[0].name))

    def test_reasons_why_it_does_not_run_well_are_shown(self) -> None:
        database = DatabaseSnapshot(health=Health.DOWN, message="the database is away [red]")
        console = Console(width=120, record=True, file=io.StringIO())
        console.print(display(replace(a_snapshot(), database=database)))
        assert "! the database is away [red]" in console.export_text()

    def test_the_summary_counts_what_is_missing(self) -> None:
        words = summary(RunReport.from_snapshot(a_snapshot(missing=["A", "B"])))
        assert "2 missing" in words
        assert "the embedded database holds an unknown number of rows" in words
        assert "1 cycle:" in summary(RunReport(cycles=1))

    @pytest.mark.parametrize(
        ("database", "words"),
        [
            (DatabaseSnapshot(rows_total=1503), "; the embedded database holds 1,503 rows"),
            (
                DatabaseSnapshot(url="postgresql://h/p", embedded=False, rows_total=0),
                "; postgresql://h/p holds 0 rows",
            ),
            (DatabaseSnapshot(embedded=False), "; this node uses no database"),
        ],
    )
    def test_the_summary_names_the_database_where_there_is_one(
        self, database: DatabaseSnapshot, words: str
    ) -> None:
        assert summary(RunReport(database=database)).endswith(words)

    def test_many_missing_symbols_are_cut_short_for_people(self) -> None:
        assert format_missing(["A", "B"]) == "without a price: A, B"
        assert format_missing([f"S{number}" for number in range(503)]).endswith(
            "S18, S19 and 483 more; --json names all"
        )


class TestWakeup:
    def test_a_notification_before_the_sleep_ends_it(self) -> None:
        pipe = SelfPipe()
        for _ in range(100_000 // 10):
            pipe.notify()
        pipe.sleep(None)
        pipe.close()
        pipe.notify()

    def test_the_end_of_a_wait_ends_the_sleep(self) -> None:
        pipe, over = SelfPipe(), threading.Event()
        pipe.notify_after(over.wait)
        pipe.sleep(0.01)
        over.set()
        pipe.sleep(None)
        pipe.close()


def test_paths_and_settings_reach_the_builder(tmp_path: Path) -> None:
    built: list[tuple[Settings, Paths]] = []

    def build(settings: Settings, paths: Paths) -> AbstractContextManager[FakeRun]:
        built.append((settings, paths))
        return nullcontext(FakeRun(failure=Sp500tuiError("x")))

    run_headless(configured(tmp_path, demo=True), build)
    assert built[0][0].demo
    assert built[0][1].journal.is_dir()
