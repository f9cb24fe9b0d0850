"""What to do about an embedded server that does not start."""

from __future__ import annotations

import signal

import pytest

from sp500tui.storage.embedded.process import start_remedy


@pytest.mark.parametrize(
    ("status", "reason", "words"),
    [
        (-signal.SIGXFSZ, "it wrote no log", "ulimit -f"),
        (1, "FATAL:  insufficient file descriptors available to start server process", "ulimit -n"),
        (1, 'FATAL:  could not write lock file "postmaster.pid": No space left on device', "free disk space"),
        (1, "FATAL:  could not map anonymous shared memory: Cannot allocate memory", "ulimit -v"),
    ],
)
def test_a_limit_of_the_process_is_named(status: int, reason: str, words: str) -> None:
    assert words in start_remedy(status, reason)


def test_of_another_error_nothing_is_known() -> None:
    assert start_remedy(1, "FATAL:  could not find the database system") == ""
