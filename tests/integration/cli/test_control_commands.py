"""The commands that control a running pipeline: one line or one object, the right exit code, no Textual."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from sp500tui.cli import main as cli
from sp500tui.cli.commands.running import attach, control
from sp500tui.errors import ExitCode
from sp500tui.pipeline.api import ShutdownLevel
from sp500tui.pipeline.core.ledger import Ledger
from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.snapshot import LockSnapshot, Phase
from sp500tui.remote.address import NoAnswerError, PipelineRunsError
from sp500tui.remote.session import Session
from sp500tui.remote.wire import Update
from tests.support.remote.control_socket import Serve, Served
from tests.support.tui.fake_pipeline import FakePipeline, degraded, running


@pytest.fixture
def served(serve: Serve) -> Served:
    """A pipeline without problems on the live market."""
    return serve()


def run(data: Path, *arguments: str) -> int:
    return cli.main([*arguments, "--data-dir", str(data.parent)])


def stop_fails(data: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """The message of `stop` after a run whose outcome is unknown."""
    assert run(data, "stop") == ExitCode.INCOMPLETE
    return capsys.readouterr().err.strip().removeprefix("sp500tui: ")


def test_status_as_text(served: Served, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(data, "status") == ExitCode.OK
    shown = capsys.readouterr().out
    assert "running" in shown
    assert str(running().ledger) in shown
    assert all(stage.name in shown for stage in running().stages)


def test_status_names_what_is_wrong(serve: Serve, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    serve(FakePipeline(degraded(), prices=()))
    assert run(data, "status") == ExitCode.OK
    assert "! PostgreSQL does not answer" in capsys.readouterr().out


def test_status_as_json(served: Served, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(data, "status", "--json") == ExitCode.OK
    content = json.loads(capsys.readouterr().out)
    quotes = content["quotes"]
    assert quotes["fetched"] == 21_126
    assert quotes["fetched"] == sum(
        quotes[place] for place in ("stored", "duplicate", "queued", "in_flight", "spooled", "dead")
    )
    assert content["phase"] == "running"
    assert content["queues"]["tickers"] == {
        "ready": 50,
        "in_flight": 0,
        "capacity": 2048,
        "oldest_seconds": 0.4,
    }
    assert content["stages"]["price"]["size"] == 8
    assert content["interpreter_lock"] is None


def test_status_has_the_interpreter_lock(
    serve: Serve, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = LockSnapshot(held=0.62, wait_ms=1.25, longest_ms=5.5)
    serve(FakePipeline(replace(running(), interpreter_lock=lock)))
    assert run(data, "status", "--json") == ExitCode.OK
    found = json.loads(capsys.readouterr().out)["interpreter_lock"]
    assert found == {"held": 0.62, "wait_ms": 1.25, "longest_ms": 5.5, "state": "busy"}
    assert run(data, "status") == ExitCode.OK
    assert "interpreter lock: busy, held 62% of the last 10 s" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "call", "output"),
    [
        (["scale", "price", "16"], ("scale", StageName.PRICE, 16), "price workers: 8 → 16\n"),
        (["pause"], ("pause", None), "intake paused\n"),
        (["pause", "writer"], ("pause", StageName.WRITER), "writer stage paused\n"),
        (["resume"], ("resume", None), "intake resumed\n"),
        (["resume", "price"], ("resume", StageName.PRICE), "price stage resumed\n"),
    ],
)
def test_a_command_is_carried_out(
    served: Served,
    data: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    call: tuple[object, ...],
    output: str,
) -> None:
    assert run(data, *arguments) == ExitCode.OK
    assert served.pipeline.calls == [call]
    assert capsys.readouterr().out == output


def test_run_cycle(served: Served, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # given a cycle that is running
    assert run(data, "run-cycle") == ExitCode.INCOMPLETE
    assert "no cycle was started: cycle 42 is still running" in capsys.readouterr().err
    # when it has finished, then the next one starts
    served.pipeline.now_shows = replace(running(), cycle=replace(running().cycle, running=False))
    assert run(data, "run-cycle") == ExitCode.OK
    assert capsys.readouterr().out == "cycle started\n"


@pytest.mark.parametrize(("options", "level"), [([], ShutdownLevel.DRAIN), (["--now"], ShutdownLevel.SPOOL)])
def test_stop_waits_for_the_end_and_has_the_exit_code_of_the_run(
    served: Served, data: Path, capsys: pytest.CaptureFixture[str], options: list[str], level: ShutdownLevel
) -> None:
    served.pipeline.ends_at = level
    served.pipeline.now_shows = replace(running(), ledger=Ledger(503, 503))
    assert run(data, "stop", *options) == ExitCode.OK
    assert served.pipeline.calls == [("stop", level)]
    assert "fetched 503 = stored 503" in capsys.readouterr().out


def test_stop_reports_what_was_not_stored(
    served: Served, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    served.pipeline.ends_at = ShutdownLevel.SPOOL
    served.pipeline.now_shows = replace(running(), ledger=Ledger(503, 500, spooled=3))
    assert run(data, "stop", "--now") == ExitCode.INCOMPLETE
    assert "spooled 3" in capsys.readouterr().out


def test_stop_connects_again_to_a_pipeline_that_has_not_answered(
    served: Served, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a pipeline that answers too late once, while it drains
    served.pipeline.now_shows = replace(running(), ledger=Ledger(503, 503))
    served.pipeline.ends_at = ShutdownLevel.DRAIN
    state, silent = Session.state, [True]

    def once_silent(session: Session) -> Update:
        if silent:
            silent.clear()
            session.close()
            raise NoAnswerError("does not answer")
        return state(session)

    monkeypatch.setattr(Session, "state", once_silent)
    # when it is stopped, then the command still waits for its end
    assert run(data, "stop") == ExitCode.OK


def test_stop_reports_a_pipeline_that_ends_without_a_report(
    served: Served, data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def die(*_: object) -> None:
        served.close()
        raise NoAnswerError("closed the connection")

    monkeypatch.setattr(Session, "state", die)
    assert stop_fails(data, capsys) == "the pipeline ended without a report; its log has the reason"


def test_stop_does_not_wait_for_the_next_run(
    serve: Serve, data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # given a service manager that starts the next run at once
    first, state = serve(), Session.state

    def restart(*_: object) -> None:
        monkeypatch.setattr(Session, "state", state)
        first.close()
        serve()
        raise NoAnswerError("closed the connection")

    monkeypatch.setattr(Session, "state", restart)
    assert stop_fails(data, capsys) == "the pipeline ended without a report; its log has the reason"


def test_stop_gives_up_on_a_pipeline_that_is_silent(
    served: Served, data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def silent(_: Session) -> Update:
        raise NoAnswerError("the pipeline does not answer")

    monkeypatch.setattr(Session, "state", silent)
    monkeypatch.setattr(control, "_SILENCE_LIMIT", 0.0)
    assert stop_fails(data, capsys) == "the pipeline does not answer"


@pytest.mark.parametrize("command", ["status", "pause", "resume", "run-cycle", "stop"])
def test_without_a_pipeline_one_line_reports_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert run(tmp_path / "live", command) == ExitCode.USAGE
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert "no pipeline runs on data folder" in captured.err
    assert "--data-dir" in captured.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["scale", "prize", "4"], "unknown stage 'prize'; did you mean price?"),
        (["pause", "database"], "unknown stage 'database'; the stages are scraper, price, converter, writer"),
        (["scale", "price", "0"], "cannot scale to '0' workers; give a whole number from 1 to 64"),
        (["scale", "price", "65"], "cannot scale to '65' workers"),
        (["scale", "price", "-3"], "cannot scale to '-3' workers"),
        (["scale", "price", "1.5"], "cannot scale to '1.5' workers"),
        (["scale", "price", "٣"], "workers; give a whole number"),
        (["scale", "price", "000199"], "workers; give a whole number"),
        (["scale", "price", "9" * 5000], "workers; give a whole number"),
        (["scale", "scraper", "2"], "the scraper always has one worker"),
        (["scale", "price"], "N is missing"),
        (["scale"], "STAGE and N are missing"),
        (["stop", "now"], "unknown argument now"),
    ],
)
def test_bad_input_is_one_line_and_changes_nothing(
    served: Served, data: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert run(data, *arguments) == ExitCode.USAGE
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert served.pipeline.calls == []


def test_bad_input_is_named_without_a_pipeline_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path / "live", "scale", "price", "0") == ExitCode.USAGE
    assert "cannot scale to '0' workers" in capsys.readouterr().err


@pytest.mark.parametrize("phase", [Phase.DRAINING, Phase.STOPPED, Phase.FAILED])
def test_a_pipeline_that_is_ending_cannot_be_paused(
    served: Served, data: Path, capsys: pytest.CaptureFixture[str], phase: Phase
) -> None:
    served.pipeline.now_shows = replace(running(), phase=phase)
    assert run(data, "pause") == ExitCode.INCOMPLETE
    assert f"cannot pause the intake: the pipeline is {phase}" in capsys.readouterr().err


def test_a_second_pipeline_is_refused_where_there_is_no_terminal(
    served: Served, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(data, "--no-ui", "--once") == ExitCode.USAGE
    captured = capsys.readouterr()
    assert "already runs on data folder" in captured.err
    assert "sp500tui attach" in captured.err


def test_the_confirmation_needs_a_terminal(served: Served, data: Path) -> None:
    running = PipelineRunsError(data, 1)
    with pytest.raises(PipelineRunsError, match="process 1"):
        attach.offer_to_attach(None, running)  # type: ignore[arg-type]  # it is not used before an answer


def test_attach_without_a_terminal_is_a_usage_error(
    served: Served, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(data, "attach") == ExitCode.USAGE
    error = capsys.readouterr().err
    assert "needs a terminal" in error
    assert "use sp500tui status" in error


def test_commands_load_neither_textual_nor_the_sources() -> None:
    program = (
        "import sys; from sp500tui.cli.main import main; main(['status', '--data-dir', '/nonexistent'])\n"
        "print(*sorted(set(sys.modules) & {'textual', 'yfinance', 'pandas', 'aiohttp', 'curl_cffi', 'redis'}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
    assert done.stderr.count("\n") == 1
