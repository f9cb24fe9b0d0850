"""Output that cannot be written is a failure in plain words, and any locale will do; with the real program."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

COMMANDS = [
    ["--help"],
    ["--version"],
    ["config", "--help"],
    ["config", "show"],
    ["config", "path"],
    ["dead-letters", "list"],
    ["dead-letters", "list", "--json"],
]
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
    state = {f"XDG_{name}_HOME": str(home / name) for name in ("STATE", "CACHE", "DATA", "CONFIG")}
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {redirection}', "sh", sys.executable, "-m", "sp500tui", *arguments],
        env={**os.environ, **state, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
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


@pytest.mark.parametrize("command", [["--help"], ["config", "show"]], ids=" ".join)
def test_a_reader_that_has_gone_is_a_failure(command: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "sp500tui", *command],
        stdout=writing,
        stderr=subprocess.PIPE,
        timeout=120,
        check=False,
    )
    os.close(writing)
    assert done.returncode == 1
    assert done.stderr == b"sp500tui: the output could not be written to standard output: Broken pipe\n"


@pytest.mark.parametrize("redirection", ["2>/dev/full", "2>&-", ">&- 2>&-", ">/dev/full 2>/dev/full"])
def test_a_message_that_cannot_be_written_keeps_the_exit_code(redirection: str, tmp_path: Path) -> None:
    done = run_in_shell(["--price-workers", "0"], redirection, tmp_path)
    assert (done.returncode, done.stderr) == (2, b"")


@pytest.mark.thorough
@pytest.mark.parametrize("redirection", [">/dev/full", ">&- 2>&-"])
def test_the_report_of_a_run_that_cannot_be_written_is_a_failure(
    redirection: str, tmp_path: Path, data_dir: Path
) -> None:
    log = tmp_path / "app.log"
    done = run_in_shell([*RUN, f"--data-dir={data_dir}", f"--log-file={log}"], redirection, tmp_path)
    assert done.returncode == 1
    assert "the report of the run is incomplete" in log.read_text()


@pytest.mark.parametrize("environment", ENCODINGS, ids=str)
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


@pytest.mark.parametrize("environment", ENCODINGS[:3], ids=str)
def test_messages_and_logs_are_written_in_any_locale(environment: dict[str, str], tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    done = run_in_shell(
        ["constituents", f"--log-file={log}", "--ca-file", "Zürich 🎉.pem"],
        "",
        tmp_path,
        **environment,
    )
    assert done.returncode == 2
    assert done.stderr.count(b"\n") == 1
    assert b"rich" in done.stderr
    assert b"Unicode" not in done.stderr
