"""The real program's standard streams: full disks, closed pipes and descriptors, and locales other than UTF-8."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.parameters import rest_thorough

COMMANDS = [["--help"], ["config", "show"], ["dead-letters", "list", "--json"]]
RUN = ["--no-ui", "--demo", "--once", "--json", "--symbols=AAPL,MSFT"]
ENCODINGS = [
    {"PYTHONIOENCODING": "ascii"},
    {"PYTHONIOENCODING": "iso-8859-1:strict"},
    {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"},
    {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "POSIX", "PYTHONIOENCODING": "cp037"},
]


def run_in_shell(
    arguments: Sequence[str], redirection: str, home: Path, **environment: str
) -> subprocess.CompletedProcess[bytes]:
    """Run the program with its streams redirected by a shell."""
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {redirection}', "sh", sys.executable, "-m", "sp500tui", *arguments],
        env=environment_of(home) | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=120,
        check=False,
    )


def run_to_closed_pipe(arguments: Sequence[str], home: Path) -> subprocess.CompletedProcess[bytes]:
    """Run the program with a pipe for standard output that nothing reads."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        return subprocess.run(
            [sys.executable, "-m", "sp500tui", *arguments],
            env=environment_of(home),
            stdout=writing,
            stderr=subprocess.PIPE,
            timeout=120,
            check=False,
        )
    finally:
        os.close(writing)


def environment_of(home: Path) -> dict[str, str]:
    folders = {f"XDG_{name}_HOME": str(home / name) for name in ("STATE", "CACHE", "DATA", "CONFIG")}
    return {**os.environ, **folders}


@pytest.mark.parametrize("command", [["--version"], *COMMANDS], ids=" ".join)
@pytest.mark.parametrize("redirection", [">/dev/full", ">&-"])
def test_output_that_cannot_be_written_is_a_failure(
    command: list[str], redirection: str, tmp_path: Path
) -> None:
    done = run_in_shell(command, redirection, tmp_path)
    assert done.returncode == 1
    lines = done.stderr.decode().splitlines()
    assert len(lines) == 1
    assert "could not be written" in lines[0]
    assert "unexpected" not in lines[0]


@pytest.mark.parametrize("command", [["--version"], ["config", "show"]], ids=" ".join)
def test_a_command_ends_quietly_when_its_reader_closes_the_pipe(command: list[str], tmp_path: Path) -> None:
    done = run_to_closed_pipe(command, tmp_path)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("redirection", ["2>/dev/full", "2>&-", ">&- 2>&-", ">/dev/full 2>/dev/full"])
def test_a_message_that_cannot_be_written_keeps_the_exit_code(redirection: str, tmp_path: Path) -> None:
    done = run_in_shell(["--price-workers", "0"], redirection, tmp_path)
    assert (done.returncode, done.stderr) == (2, b"")


@pytest.mark.thorough
@pytest.mark.parametrize("redirection", [">/dev/full", ">&- 2>&-", "| true"])
def test_the_report_of_a_run_that_cannot_be_written_is_a_failure(
    redirection: str, tmp_path: Path, data_dir: Path
) -> None:
    log = tmp_path / "app.log"
    arguments = [*RUN, f"--data-dir={data_dir}", f"--log-file={log}"]
    done = (
        run_to_closed_pipe(arguments, tmp_path)
        if redirection == "| true"
        else run_in_shell(arguments, redirection, tmp_path)
    )
    assert done.returncode == 1
    assert "the report of the run is incomplete" in log.read_text()
    if "2>" not in redirection:
        assert done.stderr.count(b"the report of the run is incomplete") == 1


@pytest.mark.parametrize("environment", rest_thorough(ENCODINGS, 2), ids=str)
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_works_in_any_locale(
    command: list[str], environment: dict[str, str], tmp_path: Path
) -> None:
    done = run_in_shell(command, "", tmp_path, **environment)
    assert done.returncode == 0, done.stderr
    assert b"Error" not in done.stderr
    if "--json" in command:
        encoding = environment.get("PYTHONIOENCODING", "ascii").partition(":")[0]
        json.loads(done.stdout.decode(encoding))


@pytest.mark.parametrize("environment", rest_thorough(ENCODINGS[:3]), ids=str)
def test_messages_are_written_in_any_locale(environment: dict[str, str], tmp_path: Path) -> None:
    done = run_in_shell(["constituents", "--ca-file", "Zürich 🎉.pem"], "", tmp_path, **environment)
    assert done.returncode == 2
    assert done.stderr.count(b"\n") == 1
    assert b"rich" in done.stderr
    assert b"Unicode" not in done.stderr
