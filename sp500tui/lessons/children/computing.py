"""Computes in a separate process: `python -m sp500tui.lessons.children.computing ROUNDS`.

It prints a line once it is ready; then each line on stdin starts a task, whose end is reported by another line.
"""

from __future__ import annotations

import sys

from sp500tui.lessons.sample_rows import sample_rows
from sp500tui.storage.batch_codec import encode

_ROWS = sample_rows(0, 100)


def compute(rounds: int) -> int:
    """Encode a batch of 100 rows `rounds` times, as a writer thread does; returns the bytes made."""
    return sum(len(encode(_ROWS)) for _ in range(rounds))


def main(rounds: int) -> None:
    """Serve tasks until stdin is closed."""
    _report("ready")
    while sys.stdin.readline():
        compute(rounds)
        _report("done")


def _report(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]))
