"""The output of commands: the file that is written, and for a terminal aligned columns, without control characters."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from sp500tui.config.settings import expand_user
from sp500tui.errors import ConfigurationError
from sp500tui.logs.redaction import plain

_STANDARD_OUTPUT = ("-", "/dev/stdout")


def output_path(text: str) -> Path | None:
    """The file that `--output` names; None for standard output.

    Raises:
        ConfigurationError: it is not the path of a file.
    """
    if text in _STANDARD_OUTPUT:
        return None
    if not text.strip():
        raise ConfigurationError("--output '' is not a path; name a file, or - for standard output")
    if text.endswith(os.sep):
        raise ConfigurationError(f"--output {text} is a folder; name a file in it")
    try:
        return expand_user(Path(text))
    except ValueError as error:
        raise ConfigurationError(f"--output {text} {error}") from None


def as_columns(rows: Sequence[Sequence[str]], right_aligned: frozenset[int] = frozenset()) -> str:
    """Lines with aligned columns; `right_aligned` are the indices of columns with numbers."""
    cleaned = [[plain(cell) for cell in row] for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(*cleaned, strict=True)]
    return "".join(
        "  ".join(
            cell.rjust(width) if index in right_aligned else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        + "\n"
        for row in cleaned
    )
