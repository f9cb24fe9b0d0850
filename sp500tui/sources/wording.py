"""What the world outside said, made fit for one line of a message."""

from __future__ import annotations

from sp500tui.plain_text import plain

_LONGEST = 160


def one_line(text: object, longest: int = _LONGEST) -> str:
    """The text on one line without control characters or passwords, cut to `longest` characters."""
    # Cut first as well: a body of megabytes must not be searched.
    line = plain(" ".join(str(text)[: 8 * longest].split()))
    return line if len(line) <= longest else line[: longest - 1] + "…"
