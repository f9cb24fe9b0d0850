"""The reason why the data directory of the embedded server could not be created."""

from __future__ import annotations

import pytest

from sp500tui.storage.embedded.initdb import initdb_error

FULL_DISK = """\
2026-11-28 03:46:11.414 UTC [30537] FATAL:  could not write to file "base/4/1255": No space left on device
2026-11-28 03:46:11.414 UTC [30537] STATEMENT:  CREATE DATABASE template0;
child process exited with exit code 1
initdb: removing data directory "/data/pgdata.partial"
"""
NO_FOLDER = """\
initdb: error: could not create directory "/data/base": No space left on device
initdb: removing contents of data directory "/data"
"""


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (FULL_DISK, 'could not write to file "base/4/1255": No space left on device'),
        (
            NO_FOLDER,
            'could not create directory "/data/base": No space left on device',
        ),
        (
            'initdb: error: directory "/data" exists but is not empty\ninitdb: hint: remove it\n',
            'directory "/data" exists but is not empty',
        ),
        ("Killed\n", "Killed"),
        ("", "no error message"),
        ("initdb: error: " + "x" * 1000, "x" * 300),
    ],
)
def test_the_reason_is_found_among_the_lines_of_initdb(output: str, reason: str) -> None:
    assert initdb_error(output) == reason
