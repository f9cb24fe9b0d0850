"""What the world outside said, made fit for one line of a message."""

from __future__ import annotations

from sp500tui.plain_text import without_passwords

_LONGEST = 160


def one_line(text: object, longest: int = _LONGEST) -> str:
    """The text on one line without passwords or unprintable characters, cut to `longest` characters."""
    # Cut first as well: a body of megabytes must not be searched.
    words = without_passwords(" ".join(str(text)[: 8 * longest].split()))
    line = "".join(character for character in words if character.isprintable())
    return line if len(line) <= longest else line[: longest - 1] + "…"
