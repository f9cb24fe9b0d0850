"""`sp500tui replay`: the summary of a recording, and a one-line error for other files."""

from __future__ import annotations

import json
import time
from datetime import datetime
from pathlib import Path

import pytest

from sp500tui.cli import main as cli
from sp500tui.errors import ExitCode
from sp500tui.pipeline.core.events import EventKind
from sp500tui.remote.recording.stores import save
from tests.support.remote.recorded import FACTS, FakeLife, recorded


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A minute with four cycles and a fault."""

    def notes(life: FakeLife) -> None:
        if life.second == 40:
            life.event(EventKind.THROTTLED, "429", 30)

    path = save(tmp_path / "recordings", FACTS, recorded(60, notes=notes)[0], prefix="test", keep=3)
    assert path is not None
    return path


def test_the_summary_as_json(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["replay", str(file), "--no-ui", "--json"]) == ExitCode.OK
    none = dict.fromkeys(("fetched", "stored", "duplicate", "queued", "in_flight", "spooled", "dead"), 0)
    assert json.loads(capsys.readouterr().out) == {
        "from": "2026-05-14T17:46:01.000Z",
        "to": "2026-05-14T17:47:00.000Z",
        "snapshots": 60,
        "events": 5,
        "first": none,
        "last": none | {"fetched": 12, "stored": 12},
    }


def test_the_summary_as_text(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["replay", str(file), "--no-ui"]) == ExitCode.OK
    assert "last       fetched 12 = stored 12" in capsys.readouterr().out


@pytest.mark.parametrize("at", ["+30s", "+0.5m", "2026-05-14T17:46:30Z", "2026-05-14T19:46:30+02:00"])
def test_times_that_can_be_named(file: Path, capsys: pytest.CaptureFixture[str], at: str) -> None:
    assert cli.main(["replay", str(file), "--no-ui", "--json", "--at", at]) == ExitCode.OK
    assert cli.main(["replay", str(file), "--no-ui", "--json", "--at", "-10s"]) == ExitCode.OK


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--at", "yesterday"], "--at 'yesterday' is not a time; give a time such as 14:30"),
        (["--at", "25:00"], "--at '25:00' is not a time"),
        (["--at", ""], "--at '' is not a time"),
        (["--at", "+90m"], "--at +90m is outside the recording, which reaches from 2026-05-14T17:46:01"),
        (["--at", "2020-01-01T00:00:00Z"], "is outside the recording"),
        (["--at", "0001-01-01"], "--at '0001-01-01' is not a time"),
        (["--speed", "0"], "--speed '0' is not a speed; give a number above 0, up to 1000"),
        (["--speed", "nan"], "is not a speed"),
        (["--speed", "-1"], "is not a speed"),
        (["--speed", "fast"], "is not a speed"),
        (["--speed", "1e9"], "is not a speed"),
        ([], "the dashboard needs a terminal"),
    ],
)
def test_bad_options_are_one_line(
    file: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    no_ui = ["--no-ui"] if options else []
    assert cli.main(["replay", str(file), *no_ui, *options]) == ExitCode.USAGE
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""


@pytest.mark.parametrize("content", [b"", b"no recording", b"\x89SP500R\n\x00\x09" + bytes(40)])
def test_what_is_no_recording_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    path = tmp_path / "file.sp5"
    path.write_bytes(content)
    assert cli.main(["replay", str(path), "--no-ui", "--json"]) == ExitCode.USAGE
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert str(path) in captured.err
    assert captured.out == ""


def test_an_unknown_home_directory_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["replay", "~nosuchuser/file.sp5", "--no-ui"]) == ExitCode.USAGE
    assert capsys.readouterr().err == (
        "sp500tui: ~nosuchuser/file.sp5 refers to an unknown home directory; write the path in full\n"
    )


def test_a_time_of_day_may_have_fractions(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    local = datetime.fromisoformat("2026-05-14T17:46:30+00:00").astimezone()
    at = f"{local:%H:%M:%S}.25"
    assert cli.main(["replay", str(file), "--no-ui", "--json", "--at", at]) == ExitCode.OK
    assert capsys.readouterr().err == ""


def test_a_time_of_day_is_that_of_the_day_on_which_the_clocks_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # given a recording in Central Europe from the evening before summer time begins to the afternoon of that day
    (block, payload), *_ = recorded(6)[0]
    first = datetime.fromisoformat("2026-03-28T20:00:00+01:00").timestamp()
    last = datetime.fromisoformat("2026-03-29T14:40:00+02:00").timestamp()
    path = save(tmp_path, FACTS, [(block._replace(first=first, last=last), payload)], prefix="test", keep=3)
    # when it is shown at a time of that afternoon, then that is within it
    with monkeypatch.context() as zone:
        zone.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
        time.tzset()
        code = cli.main(["replay", str(path), "--no-ui", "--json", "--at", "14:30"])
    time.tzset()
    assert code == ExitCode.OK, capsys.readouterr().err


def test_a_truncated_recording_is_shown_up_to_its_last_block(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_bytes(file.read_bytes()[:-10])
    assert cli.main(["replay", str(file), "--no-ui", "--json"]) == ExitCode.OK
    assert json.loads(capsys.readouterr().out)["snapshots"] == 55


def test_the_file_must_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["replay"]) == ExitCode.USAGE
    assert "FILE" in capsys.readouterr().err
